"""Follows channels through the graph of a model."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from edgewright.compress.keras import graph, weighted_layers
from edgewright.compress.keras.channel_ids import Channels
from edgewright.compress.keras.channel_rules import rule_of
from edgewright.compress.keras.channel_trace import Call, NotFollowed, Trace, label


def follow(model: Any, protect: Collection[str]) -> Trace:
    """Follows the channels of a functional model without nested ones.

    Args:
        protect: names of layers whose output channels are locked.
    """
    trace = Trace()
    found: dict[int, Channels | None] = {}
    shared = {name for name, nodes in graph.uses(model).items() if len(nodes) > 1}
    for node in graph.calls(model):
        outputs = _outputs(trace, node, [found.get(id(one)) for one in node.input_tensors], shared)
        for tensor, channels in zip(node.outputs, outputs, strict=True):
            found[id(tensor)] = channels
            if channels is not None and node.operation.name in protect:
                trace.ties.lock(channels.ids, f"{node.operation.name} is protected")
    for tensor in model.outputs:
        if (channels := found.get(id(tensor))) is not None:
            trace.ties.lock_again(channels.ids, "they are an output of the model")
    return trace


def _outputs(
    trace: Trace, node: Any, channels: Sequence[Channels | None], shared: Collection[str]
) -> Sequence[Channels | None]:
    """The channels of a call's outputs. A layer that is not understood locks those of its inputs."""
    layer = node.operation
    constants = [
        one
        for one in node.arguments._flat_arguments
        if not any(one is tensor for tensor in node.input_tensors)
    ]
    call = Call(layer, node.input_tensors, channels, node.outputs[0], constants)
    try:
        changes = bool(getattr(layer, "weights", None)) or hasattr(layer, "target_shape")
        if changes and layer.name in shared:
            raise NotFollowed("is used more than once")
        rule = rule_of(layer)
        if all(one is None for one in channels) and not weighted_layers.form(layer):
            return [None] * len(node.outputs)
        if rule is None or len(node.outputs) != 1:
            raise NotFollowed("may mix channels")
        return [rule(trace, call)]
    except NotFollowed as why:
        for one in channels:
            if one is not None:
                trace.ties.lock(one.ids, f"{label(layer)} reads them and {why}")
        trace.kept[layer.name] = f"it {why}"
        return [None] * len(node.outputs)
