"""Inputs and outputs of an ONNX model: their types and the names of their axes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgewright.compile.sources import end_types
from edgewright.compile.sources.shapes import Axis

_RECURRENT = ("LSTM", "GRU", "RNN")
_NO_NUMBERS = {8: end_types.TEXT, 14: end_types.COMPLEX, 15: end_types.COMPLEX}  # by TensorProto.DataType
_UNNAMED = ("", "?", "None", "-1")


def refuse_kinds(model: Any, path: Path) -> None:
    """Raises ModelError for an input or output that is not a tensor of numbers."""
    makers = {name: node.op_type for node in model.graph.node for name in node.output}
    for role, items in (("input", fed(model)), ("output", model.graph.output)):
        for item in items:
            kind = _kind(item.type)
            if kind:
                zipmap = kind == end_types.MAPS and makers.get(item.name) != "ZipMap"
                hint = (
                    "export the numbers alone, without their names"
                    if zipmap
                    else _text_hint(model, role, kind)
                )
                raise end_types.no_tensor(role, item.name, path, _said(kind, makers.get(item.name)), hint)


def _said(kind: str, maker: str | None) -> str:
    return f"{kind} (ZipMap)" if maker == "ZipMap" else kind


def _text_hint(model: Any, role: str, kind: str) -> str:
    """For a text output next to other outputs, the options that leave it out."""
    others = [item.name for item in model.graph.output if not _kind(item.type)]
    if role == "input" or kind != end_types.TEXT or not others:
        return end_types.hint_of(role, kind)
    names = ", ".join(f'"{name}"' for name in others)
    inputs = ", ".join(f'"{item.name}"' for item in fed(model))
    return f"leave it out: onnx.utils.extract_model(file, new_file, [{inputs}], [{names}])"


def _kind(proto: Any) -> str:
    """The kind of an input or output that is not a tensor of numbers, else empty."""
    which = proto.WhichOneof("value")
    if which == "sequence_type":
        maps = proto.sequence_type.elem_type.WhichOneof("value") == "map_type"
        return end_types.MAPS if maps else end_types.SEQUENCE
    if which in ("map_type", "optional_type", "sparse_tensor_type"):
        return {"map_type": end_types.MAP, "optional_type": end_types.OPTIONAL}.get(which, end_types.SPARSE)
    return _NO_NUMBERS.get(proto.tensor_type.elem_type, "") if which == "tensor_type" else ""


def fed(model: Any) -> list[Any]:
    """The inputs that are fed: old files also list weights as inputs."""
    weights = {item.name for item in model.graph.initializer}
    return [item for item in model.graph.input if item.name not in weights]


def axes(kind: Any) -> list[Axis] | None:
    """The axes of a tensor type."""
    return [_axis(axis) for axis in kind.shape.dim] if kind.HasField("shape") else None


def _axis(axis: Any) -> Axis:
    if axis.HasField("dim_value"):
        return int(axis.dim_value)
    return str(axis.dim_param) if axis.dim_param not in _UNNAMED else None


def time_first(model: Any) -> set[str]:
    """Inputs that a recurrent operator reads with time as the first axis."""
    return set(_time_first(model.graph))


def _time_first(graph: Any) -> Iterator[str]:
    for node in graph.node:
        batch_first = any(item.name == "layout" and item.i for item in node.attribute)
        if node.op_type in _RECURRENT and not batch_first:
            yield node.input[0]
