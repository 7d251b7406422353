"""ONNX files."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

from edgewright.compile.inspection import onnx_file, protobuf
from edgewright.compile.sources.shapes import Axes, Axis
from edgewright.compile.sources.source_format import Look, OpenAxes, Shapes, SourceFormat, described_by
from edgewright.errors import Code, ModelError
from edgewright.nouns.conversion import Ends

_NAME = "onnx"
# field numbers of onnx.proto
_GRAPH, _NODE, _INITIALIZER, _INPUT = 7, 1, 5, 11
_VALUE_NAME, _VALUE_TYPE, _TENSOR_TYPE, _SHAPE = 1, 2, 1, 2
_DIM, _DIM_VALUE, _DIM_NAME, _TENSOR_NAME = 1, 1, 2, 8
_NODE_INPUT, _OPERATOR, _ATTRIBUTE, _ATTRIBUTE_NAME = 1, 4, 5, 1
_UNNAMED = ("", "?", "None", "-1")


def look(path: Path, head: bytes) -> Look | None:  # noqa: ARG001 - one signature for all formats
    """Recognises an ONNX model, and lists the files of its weights."""
    try:
        found = onnx_file.look(path)
    except ValueError:
        return None
    beside = [path.parent / name for name in found.external]
    for name, weights in zip(found.external, beside, strict=True):
        if path.parent.resolve() not in weights.resolve().parents:
            raise ModelError(
                f"weights of {path.name} lie outside its folder: {name}",
                hint="copy them beside it, and save the model with their name alone, if they are the model's",
                code=Code.MODEL_REFUSED,
            )
        if not weights.is_file():
            raise ModelError(
                f"weights of {path.name} are missing: {weights}",
                hint="an ONNX model with external data needs those files in the same folder",
                code=Code.MODEL_TRUNCATED,
            )
    return Look([path, *beside], found.quantised)


def damaged(path: Path, head: bytes) -> ModelError | None:  # noqa: ARG001
    """Treats a file of unknown format with this suffix as truncated: ONNX has no magic number."""
    return ModelError(
        f"file is not an ONNX model, or is cut short: {path}",
        hint="copy or export it again",
        code=Code.MODEL_TRUNCATED,
    )


def open_model(path: Path, shapes: Shapes, ends: Ends) -> Any:
    """Implements `SourceFormat.open`."""
    from edgewright.compile.sources import onnx

    return onnx.open_model(path, _NAME, shapes, ends)


def open_axes(path: Path, signature: str) -> OpenAxes:  # noqa: ARG001
    """The graph's inputs that are not weights."""
    with path.open("rb") as file:
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    found: dict[str, Axes] = {}
    time_first: set[str] = set()
    for graph in protobuf.children(data, _GRAPH):
        weights = {protobuf.text(one, _TENSOR_NAME) for one in protobuf.children(graph, _INITIALIZER)}
        for value in protobuf.children(graph, _INPUT):
            if (name := protobuf.text(value, _VALUE_NAME)) not in weights:
                found[name] = _axes_of_value(value)
        for node in protobuf.children(graph, _NODE):
            if protobuf.text(node, _OPERATOR) in ("LSTM", "GRU", "RNN") and not _has_layout(node):
                time_first |= {bytes(one).decode() for one in [*protobuf.children(node, _NODE_INPUT)][:1]}
    return OpenAxes(found, time_first)


def _has_layout(node: memoryview) -> bool:
    return any(protobuf.text(one, _ATTRIBUTE_NAME) == "layout" for one in protobuf.children(node, _ATTRIBUTE))


def _axes_of_value(value: memoryview) -> Axes:
    for kind in protobuf.children(value, _VALUE_TYPE):
        for tensor in protobuf.children(kind, _TENSOR_TYPE):
            for shape in protobuf.children(tensor, _SHAPE):
                return [_axis(axis) for axis in protobuf.children(shape, _DIM)]
    return None


def _axis(axis: memoryview) -> Axis:
    for number, value in protobuf.fields(axis):
        if number == _DIM_VALUE and isinstance(value, int):
            return protobuf.signed(value)
    name = protobuf.text(axis, _DIM_NAME)
    return None if name in _UNNAMED else name


FORMAT = SourceFormat(
    name=_NAME,
    title="an ONNX file (.onnx)",
    known_as=".onnx",
    framework="onnx",
    tools=("onnxruntime", "onnx"),
    suffixes=(".onnx",),
    look=look,
    damaged=damaged,
    open=open_model,
    open_axes=open_axes,
    describe=described_by("edgewright_targets._onnx.explain"),
)
