"""Follows channels through the graph of a model from the layers that make them to those that read them, as far as scaling passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgewright.compress.channel_flow import FIXED, JOINED, NOT_SCALED, ChannelFlow
from edgewright.compress.keras import graph, weighted_layers
from edgewright.compress.keras.channel_ids import Channels
from edgewright.compress.keras.channel_rules import rule_of
from edgewright.compress.keras.channel_trace import Call, NotFollowed, Trace, label

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_SCALED_FUNCTIONS = ("linear", "relu", "leaky_relu")  # f(s x) = s f(x) for s > 0
_SCALED_LAYERS = frozenset(
    [
        *(f"{kind}{size}D" for kind in ("ZeroPadding", "Cropping", "UpSampling", "SpatialDropout") for size in (1, 2, 3)),
        *(f"{scope}{kind}Pooling{size}D" for scope in ("", "Global") for kind in ("Max", "Average") for size in (1, 2, 3)),
        "LeakyReLU", "PReLU", "Dropout", "Identity", "Flatten", "Reshape", "Permute", "RepeatVector", "Concatenate", "Relu", "LeakyRelu",
    ]
)  # fmt: skip


def follow(model: Any, norms: Mapping[str, Any]) -> ChannelFlow:
    """Follows the channels of a functional model without nested ones.

    Args:
        norms: layer -> the batch normalisation folded into it.
    """
    flow = ChannelFlow()
    found: dict[int, Channels | None] = {}
    shared = {name for name, nodes in graph.uses(model).items() if len(nodes) > 1}
    owners = {norm.name: name for name, norm in norms.items()}
    for node in graph.calls(model):
        layer, given = node.operation, [found.get(id(one)) for one in node.input_tensors]
        made: Channels | None = None
        try:
            if weighted_layers.form(layer):
                made = _weighted(flow, node, given, layer.name in shared)
            elif layer.name in owners:
                made = given[0]
                if layer.gamma is None:
                    flow.leave(owners[layer.name], f"{label(layer)} has no gamma")
            elif any(one is not None for one in given):
                made = _passed(node, given)
        except NotFollowed as why:
            for one in given:
                if one is not None:
                    flow.lock(one.ids, f"{label(layer)} {why}")
        for tensor in node.outputs:
            found[id(tensor)] = made
    for tensor in model.outputs:
        if (ends := found.get(id(tensor))) is not None:
            flow.end(ends.ids)
    return flow


def _weighted(flow: ChannelFlow, node: Any, given: Sequence[Channels | None], shared: bool) -> Channels:
    """The output channels of a layer, once it has read those of its input."""
    import numpy as np

    layer, shape = node.operation, node.input_tensors[0].shape
    axis = weighted_layers.channel_axis(layer, len(shape))
    made = flow.made(layer.name, node.outputs[0].shape[axis])
    if shared:
        flow.leave(layer.name, "the layer is used more than once")
    if not _passes(layer):
        flow.leave(layer.name, f"it ends with {_function(layer)}")
    if given[0] is not None:
        why = "uses its weights more than once" if shared else ""
        why = "is a grouped convolution" if getattr(layer, "groups", 1) != 1 else why
        why = "reads them along another axis" if given[0].axis != axis else why
        flow.read(layer.name, given[0].ids if not why else np.full(shape[axis], FIXED))
        if why:
            flow.lock(given[0].ids, f"{label(layer)} {why}")
    return Channels(axis, made)


def _passed(node: Any, given: Sequence[Channels | None]) -> Channels:
    """The channels of the output of a call that scaling passes.

    Raises:
        NotFollowed: it does not pass.
    """
    layer = node.operation
    name, rule = weighted_layers.class_name(layer), rule_of(layer)
    plain_relu = name == "ReLU" and layer.max_value is None and not layer.threshold
    if rule is None or not (
        plain_relu or name in _SCALED_LAYERS or (name == "Activation" and _passes(layer))
    ):
        raise NotFollowed(NOT_SCALED if len(given) == 1 else JOINED)
    call = Call(layer, node.input_tensors, given, node.outputs[0])
    if "Concat" in name and any(
        one is not None and one.axis != layer.axis % len(node.outputs[0].shape) for one in given
    ):
        raise NotFollowed("joins them along another axis")
    return rule(Trace(), call)


def _passes(layer: Any) -> bool:
    import keras

    name = _function(layer)
    return name in _SCALED_FUNCTIONS and getattr(keras.activations, name) is layer.activation


def _function(layer: Any) -> str:
    return str(getattr(layer.activation, "__name__", type(layer.activation).__name__))
