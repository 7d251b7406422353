"""Follows channels through an ONNX graph from the layers that make them to those that read them, as far as scaling passes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from edgewright.compress.channel_flow import FIXED, JOINED, NOT_SCALED, ChannelFlow
from edgewright.compress.onnx.graph import Graph, attribute
from edgewright.compress.onnx.layers import DENSE, Layer

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Sizes = Mapping[str, tuple[int, ...]]

# f(s x) = s f(x) for s > 0 and each value by itself; pooling: for each channel by itself
_SAME = ("Relu", "LeakyRelu", "PRelu", "Identity", "Dropout")
_POOLING = ("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool")
_REDUCING = ("ReduceMean", "ReduceMax")
RESHAPING = ("Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Concat", *_REDUCING)


class Channels(NamedTuple):
    """The axis of a tensor on which channels lie, and the id of the channel at each position: int, shape (size of the axis,)."""

    axis: int
    ids: Array


def follow(graph: Graph, layers: Mapping[str, Layer], sizes: Sizes) -> ChannelFlow:
    """Follows the channels of all layers.

    Args:
        sizes: the shapes of tensors, for one sample: of what layers and `RESHAPING` nodes read and make.
    """
    flow = ChannelFlow()
    found: dict[str, Channels] = {}
    by_node = {layer.nodes[0].name: layer for layer in layers.values()}
    by_answer = {layer.answer: layer for layer in layers.values()}
    for node in graph.nodes:
        for tensor in dict.fromkeys(node.input):
            if tensor in found and not _read(flow, node, found[tensor], by_node.get(node.name), sizes):
                passed = _passed(graph, node, tensor, found, sizes)
                if passed is None:
                    why = JOINED if len(found.keys() & set(node.input)) > 1 else NOT_SCALED
                    flow.lock(found[tensor].ids, f"{node.op_type} {why}")
                else:
                    found[node.output[0]] = passed
        for tensor in node.output:
            if tensor in by_answer:
                found[tensor] = _made(flow, by_answer[tensor], sizes)
    for tensor in graph.captured & found.keys():
        flow.lock(found[tensor].ids, "a branch or a loop reads them")
    for tensor in graph.ends & found.keys():
        flow.end(found[tensor].ids)
    return flow


def _made(flow: ChannelFlow, layer: Layer, sizes: Sizes) -> Channels:
    """The output channels of a layer."""
    name, (node, *others) = layer.spec.name, layer.nodes
    made = flow.made(name, layer.channels)
    biased = len(node.input) > 2 and node.input[2]
    if others:
        flow.leave(name, "the layer is used more than once")
    elif biased and layer.gain is None and (layer.bias is None or layer.bias[0] is not node):
        flow.leave(name, "its bias is not a constant with a value per channel")
    return Channels(layer.axis % len(sizes[node.output[0]]), made)


def _read(flow: ChannelFlow, node: Any, given: Channels, layer: Layer | None, sizes: Sizes) -> bool:
    """Notes that a layer reads channels as its own input channels; whether it does."""
    if layer is None or len(layer.nodes) > 1:
        return False
    last = len(sizes[node.input[0]]) - 1
    dense = node.op_type in DENSE
    if given.axis != (last if dense else 1) or (dense and attribute(node, "transA", 0)):
        return False
    flow.read(layer.spec.name, given.ids)
    return True


def _passed(
    graph: Graph, node: Any, tensor: str, found: Mapping[str, Channels], sizes: Sizes
) -> Channels | None:
    """The channels of a node's output; None if it does more than to move, pool or rectify those of a tensor that it reads."""
    given = found[tensor]
    if node.op_type == "Concat":
        return _joined(graph, node, found, sizes)
    if node.input[0] != tensor or list(node.input).count(tensor) != 1 or any(node.output[1:]):
        return None
    if node.op_type in _SAME or (node.op_type in _POOLING and given.axis == 1):
        return given
    if node.op_type == "Transpose":
        order = attribute(node, "perm", [*reversed(range(len(sizes[tensor])))])
        return given._replace(axis=list(order).index(given.axis))
    if node.op_type in _REDUCING:
        return _reduced(graph, node, given, len(sizes[tensor]))
    return _reshaped(given, sizes[tensor], sizes[node.output[0]]) if node.op_type in RESHAPING else None


def _joined(graph: Graph, node: Any, found: Mapping[str, Channels], sizes: Sizes) -> Channels | None:
    """The channels of tensors that are joined along the axis on which they lie."""
    import numpy as np

    axis = attribute(node, "axis", 0) % len(sizes[node.input[0]])
    if any(one in found and found[one].axis != axis for one in node.input):
        return None
    wide = {one: (sizes[one] if one in sizes else graph.shape(one))[axis] for one in node.input}
    parts = [found[one].ids if one in found else np.full(wide[one], FIXED) for one in node.input]
    return Channels(axis, np.concatenate(parts))


def _reduced(graph: Graph, node: Any, given: Channels, rank: int) -> Channels | None:
    axes = graph.constant(node.input[1]) if len(node.input) > 1 and node.input[1] else None
    gone = {int(axis) % rank for axis in (attribute(node, "axes", []) if axes is None else axes.reshape(-1))}
    if not gone or given.axis in gone:
        return None
    before = 0 if attribute(node, "keepdims", 1) else sum(axis < given.axis for axis in gone)
    return given._replace(axis=given.axis - before)


def _reshaped(given: Channels, before: tuple[int, ...], after: tuple[int, ...]) -> Channels | None:
    """The channels of the same values in another shape; None if they are spread over several axes."""
    import numpy as np

    outer, inner = math.prod(before[: given.axis]), math.prod(before[given.axis + 1 :])
    for axis, size in enumerate(after):
        if size == before[given.axis] and math.prod(after[:axis]) == outer:
            return given._replace(axis=axis)
    if after == (1, math.prod(before)):
        return Channels(1, np.tile(np.repeat(given.ids, inner), outer))
    return None
