"""Rewrites an ONNX file with operators that OpenVINO 2021.4's Model Optimizer supports. Host side, in the `onnx` worker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright_targets._onnx.files import external
from edgewright_targets._onnx.fold_shapes import folded
from edgewright_targets._onnx.unroll_loops import unroll
from edgewright_targets.openvino2021 import complete_recurrent, lower_to_opset_12

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

    from edgewright.sdk import StageContext


_SHAPE_ARITHMETIC = ("Mod",)  # not supported; exporters use them in the arithmetic of shapes


def ready(work: StageContext) -> Path:
    """The file for the Model Optimizer: the stage's input, or a temporary file, which the caller removes."""
    import onnx

    model = onnx.load(str(work.path), load_external_data=False)
    if external(model):
        return work.path
    unroll(model, work)
    if any(node.op_type in _SHAPE_ARITHMETIC for node in model.graph.node):
        model = folded(model)
    lower_to_opset_12.axes_as_attributes(model)
    sizes = lower_to_opset_12.sizes(model)
    complete_recurrent.complete(model, sizes)
    if work.traits.half:
        _clip_to_float16(model)
    _replace(model, {"ReduceSumSquare": _squares, "BatchNormalization": _normalisation}, sizes)
    place = work.folder / "ready.onnx"
    onnx.save(model, str(place))
    return place


def _clip_to_float16(model: ModelProto) -> None:
    """Clips finite constants to the range of 16-bit floats: a stand-in for minus infinity would become infinite, and 0 times that is NaN."""
    import numpy
    from onnx import TensorProto, numpy_helper

    from edgewright.sdk.onnx import every_tensor

    largest = numpy.finfo(numpy.float16).max
    for tensor in every_tensor(model):
        if tensor.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        beyond = numpy.isfinite(values) & (numpy.abs(values) > largest)
        if beyond.any():
            clipped = numpy.where(beyond, numpy.clip(values, -largest, largest), values)
            tensor.CopyFrom(numpy_helper.from_array(clipped.astype(values.dtype), tensor.name))


def _replace(model: ModelProto, ways: dict[str, Callable[..., Any]], sizes: dict[str, list[int]]) -> None:
    """Replaces nodes of some kinds, in place. A way returns a node's replacement, or None to leave it."""
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        way = ways.get(node.op_type)
        nodes += (way(model, node, sizes) if way else None) or [node]
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)


def _squares(model: ModelProto, node: NodeProto, sizes: dict[str, list[int]]) -> list[NodeProto] | None:  # noqa: ARG001 - one signature for all ways
    """ReduceSumSquare as a product and a sum."""
    from onnx import helper

    square = f"{node.output[0]}/square"
    total = type(node).FromString(node.SerializeToString())
    total.op_type, total.input[0] = "ReduceSum", square
    return [helper.make_node("Mul", [node.input[0], node.input[0]], [square]), total]


def _normalisation(model: ModelProto, node: NodeProto, sizes: dict[str, list[int]]) -> list[NodeProto] | None:
    """BatchNormalization with a mean and a variance that the graph computes, as arithmetic: Keras 2 normalises layers that way."""
    import numpy
    from onnx import helper, numpy_helper

    weights = {item.name for item in model.graph.initializer}
    rank = len(sizes.get(node.input[0], ()))
    if set(node.input[3:]) <= weights or not rank:
        return None
    given = next((item.f for item in node.attribute if item.name == "epsilon"), 1e-5)
    out, epsilon = node.output[0], f"{node.output[0]}/epsilon"
    model.graph.initializer.append(numpy_helper.from_array(numpy.array(given, numpy.float32), epsilon))
    scale, shift, mean, variance = (f"{out}/{part}" for part in ("scale", "shift", "mean", "variance"))
    axes = [0, *range(2, rank)]
    wide = [
        helper.make_node("Unsqueeze", [name], [made], axes=axes)
        for name, made in zip(node.input[1:], (scale, shift, mean, variance), strict=True)
    ]
    steps = [
        ("Sub", [node.input[0], mean], f"{out}/centred"),
        ("Add", [variance, epsilon], f"{out}/sum"),
        ("Sqrt", [f"{out}/sum"], f"{out}/deviation"),
        ("Div", [f"{out}/centred", f"{out}/deviation"], f"{out}/unit"),
        ("Mul", [f"{out}/unit", scale], f"{out}/scaled"),
        ("Add", [f"{out}/scaled", shift], out),
    ]
    return [*wide, *(helper.make_node(kind, inputs, [made]) for kind, inputs, made in steps)]
