"""Writes the padding of convolutions and poolings as numbers, in forms that pnnx converts correctly.

pnnx ignores `auto_pad` and refuses `output_shape`. If the padding of the two sides differs, it refuses ConvTranspose and AveragePool
and converts MaxPool wrongly: a Slice or a Pad replaces such padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from edgewright_targets.ncnn.graph_edits import constant, fixed_shapes, replace_nodes

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_LOWEST = -3.0e38
_KINDS = ("Conv", "ConvTranspose", "AveragePool", "MaxPool")


class _Window(NamedTuple):
    """A node's window over the spatial axes, with one number per axis.

    Attributes:
        sizes: of the input.
        kernel: extent of the dilated kernel.
        before, after: padding.
        extra: output padding of a ConvTranspose.
    """

    sizes: tuple[int, ...]
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    extra: tuple[int, ...]
    rounds_up: bool
    counts_pads: bool


def stated(model: ModelProto) -> ModelProto:
    """The model with these nodes rewritten. A node whose input has no fixed shape stays as it is."""
    made = type(model).FromString(model.SerializeToString())
    shapes = fixed_shapes(made)
    nodes: list[NodeProto] = []
    for node in made.graph.node:
        window = _window(node, shapes) if node.op_type in _KINDS else None
        nodes += [node] if window is None else _rewritten(made, node, window)
    replace_nodes(made, nodes)
    return made


def _window(node: NodeProto, shapes: dict[str, tuple[int, ...]]) -> _Window | None:
    """The window of a node; None if a shape is not known."""
    from onnx import helper

    own = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    weights = () if "Pool" in node.op_type else shapes.get(node.input[1], ())
    kernel = tuple(own.get("kernel_shape") or weights[2:])
    if not kernel or node.input[0] not in shapes:
        return None
    axes = len(kernel)
    dilations = own.get("dilations") or [1] * axes
    pads = own.get("pads") or [0] * (2 * axes)
    window = _Window(
        sizes=shapes[node.input[0]][2:],
        kernel=tuple((size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True)),
        strides=tuple(own.get("strides") or [1] * axes),
        before=tuple(pads[:axes]),
        after=tuple(pads[axes:]),
        extra=tuple(own.get("output_padding") or [0] * axes),
        rounds_up=bool(own.get("ceil_mode")),
        counts_pads=bool(own.get("count_include_pad")),
    )
    return _padded(node, window, (own.get("auto_pad") or b"NOTSET").decode(), own.get("output_shape"))


def _padded(node: NodeProto, window: _Window, automatic: str, outputs: Sequence[int] | None) -> _Window:
    """The window with its padding as numbers, by the rules of the ONNX specification."""
    if automatic == "VALID":
        nothing = (0,) * len(window.sizes)
        return window._replace(before=nothing, after=nothing)
    if node.op_type == "ConvTranspose":
        if outputs:
            return _cut_to(window, outputs, automatic, enlarge=True)
        if automatic.startswith("SAME"):
            outputs = [size * stride for size, stride in zip(window.sizes, window.strides, strict=True)]
            return _cut_to(window, outputs, automatic, enlarge=False)
        return window
    if not automatic.startswith("SAME"):
        return window
    total = [
        max((-(-size // stride) - 1) * stride + reach - size, 0)
        for size, stride, reach in zip(window.sizes, window.strides, window.kernel, strict=True)
    ]
    return _shared(window, total, smaller_first=automatic == "SAME_UPPER")


def _cut_to(window: _Window, outputs: Sequence[int], automatic: str, *, enlarge: bool) -> _Window:
    """The window of a ConvTranspose whose output has these sizes; smaller ones stay small unless `enlarge`."""
    full = [
        (size - 1) * stride + reach + extra
        for size, stride, reach, extra in zip(
            window.sizes, window.strides, window.kernel, window.extra, strict=True
        )
    ]
    missing = [
        max(wanted - size, 0) for wanted, size in zip(outputs[-len(window.sizes) :], full, strict=True)
    ]
    total = [max(size - wanted, 0) for wanted, size in zip(outputs[-len(window.sizes) :], full, strict=True)]
    extra = tuple(one + more * enlarge for one, more in zip(window.extra, missing, strict=True))
    return _shared(window._replace(extra=extra), total, smaller_first=automatic == "SAME_UPPER")


def _shared(window: _Window, total: Sequence[int], *, smaller_first: bool) -> _Window:
    """Divides the padding of each axis between its two sides."""
    less, more = tuple(one // 2 for one in total), tuple(one - one // 2 for one in total)
    return window._replace(before=less if smaller_first else more, after=more if smaller_first else less)


def _rewritten(model: ModelProto, node: NodeProto, window: _Window) -> list[NodeProto]:
    """The nodes that replace this one."""
    uneven = window.before != window.after
    if uneven and node.op_type == "ConvTranspose":
        return _sliced(model, node, window)
    if uneven and node.op_type == "AveragePool" and not window.rounds_up:
        return _averaged(model, node, window)
    if uneven and node.op_type == "MaxPool" and len(node.output) == 1:
        return _lowest_around(model, node, window)
    return [_with(node, node.input, node.output, window, window.before + window.after)]


def _with(
    node: NodeProto,
    inputs: Sequence[str],
    outputs: Sequence[str],
    window: _Window,
    pads: Sequence[int],
    **more: int,
) -> NodeProto:
    """A copy of a node with explicit padding."""
    from onnx import helper

    dropped = {"auto_pad", "output_shape", "pads", "output_padding", *more}
    made = helper.make_node(node.op_type, inputs, outputs, node.name, pads=pads, **more)
    made.attribute.extend(item for item in node.attribute if item.name not in dropped)
    if any(window.extra):
        made.attribute.append(helper.make_attribute("output_padding", window.extra))
    return made


def _sliced(model: ModelProto, node: NodeProto, window: _Window) -> list[NodeProto]:
    """A ConvTranspose without padding, and a Slice that crops its output."""
    from onnx import helper

    full, axes = f"{node.output[0]}_full", range(2, 2 + len(window.sizes))
    ends = [
        (size - 1) * stride + reach + extra - after
        for size, stride, reach, extra, after in zip(
            window.sizes, window.strides, window.kernel, window.extra, window.after, strict=True
        )
    ]
    parts = {"starts": list(window.before), "ends": ends, "axes": list(axes)}
    names = [constant(model, f"{full}_{name}", values, "int64") for name, values in parts.items()]
    return [
        _with(node, node.input, [full], window, (0,) * (2 * len(ends))),
        helper.make_node("Slice", [full, *names], node.output),
    ]


def _lowest_around(model: ModelProto, node: NodeProto, window: _Window) -> list[NodeProto]:
    """A Pad with a number below all others, and a MaxPool without padding."""
    padded = f"{node.output[0]}_padded"
    pool = _with(node, [padded], node.output, window, (0,) * (2 * len(window.sizes)))
    return [_pad(model, node.input[0], padded, window, _LOWEST), pool]


def _pad(model: ModelProto, source: str, padded: str, window: _Window, value: float) -> NodeProto:
    from onnx import helper

    by = [0, 0, *window.before, 0, 0, *window.after]
    parts = [
        constant(model, f"{padded}_by", by, "int64"),
        constant(model, f"{padded}_with", value, "float32"),
    ]
    return helper.make_node("Pad", [source, *parts], [padded], mode="constant")


def _averaged(model: ModelProto, node: NodeProto, window: _Window) -> list[NodeProto]:
    """A Pad, an AveragePool that counts the zeros, and a factor that corrects each mean if the source does not count them."""
    from onnx import helper

    padded, mean = f"{node.output[0]}_padded", f"{node.output[0]}_mean"
    pad = _pad(model, node.input[0], padded, window, 0.0)
    counted = node.output if window.counts_pads else [mean]
    pool = _with(node, [padded], counted, window, (0,) * (2 * len(window.sizes)), count_include_pad=1)
    if window.counts_pads:
        return [pad, pool]
    shares = constant(model, f"{mean}_shares", _shares(window), "float32")
    return [pad, pool, helper.make_node("Mul", [mean, shares], node.output)]


def _shares(window: _Window) -> Any:
    """Size of the window / elements of it that are not padding, for each output: shape (1, 1, *output sizes)."""
    import numpy as np

    whole: Any = np.ones((1, 1), np.float32)
    for axis in range(len(window.sizes)):
        size, reach, stride = window.sizes[axis], window.kernel[axis], window.strides[axis]
        real = np.pad(np.ones(size), (window.before[axis], window.after[axis]))
        starts = range(0, len(real) - reach + 1, stride)
        share = np.array([reach / real[start : start + reach].sum() for start in starts], np.float32)
        whole = whole[..., None] * share
    return whole
