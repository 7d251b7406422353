"""TensorFlow's SavedModel folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgewright.compile.inspection import protobuf, saved_model_file, unsafe_operators
from edgewright.compile.inspection.model_trust import refuse_untrusted
from edgewright.compile.sources.names import clean
from edgewright.compile.sources.shapes import Axes
from edgewright.compile.sources.signatures import Signature, choose
from edgewright.compile.sources.source_format import (
    Look,
    OpenAxes,
    Shapes,
    SourceFormat,
    described_by,
    truncated,
)
from edgewright.errors import ModelError
from edgewright.nouns.conversion import Ends

_TITLE, _FILE = "a TensorFlow SavedModel folder", "saved_model.pb"
# field numbers of saved_model.proto and meta_graph.proto
_META_GRAPH, _SIGNATURES, _KEY, _VALUE, _SIGNATURE_ENDS = 2, 5, 1, 2, (1, 2)
_INFO_SHAPE, _INFO_DIM, _UNKNOWN_RANK = 3, 2, 3


def look(path: Path, head: bytes) -> Look | None:  # noqa: ARG001 - one signature for all formats
    """Recognises a folder with a graph and its variables, and refuses operators that reach beyond the model."""
    if not (path / _FILE).is_file():
        return None
    index = path / "variables" / "variables.index"
    if (path / "variables").is_dir() and any((path / "variables").iterdir()) and not index.is_file():
        raise ModelError(f"SavedModel lacks variables/variables.index: {path}", hint="export it again")
    try:
        unsafe = saved_model_file.unsafe(path / _FILE)
    except ValueError as error:
        raise truncated(path, _TITLE) from error
    if unsafe:
        refuse_untrusted(unsafe_operators.refusal(path, unsafe))
    return Look(sorted(item for item in path.rglob("*") if item.is_file()))


def open_model(path: Path, shapes: Shapes, ends: Ends) -> Any:
    """Implements `SourceFormat.open`."""
    from edgewright.compile.sources import saved_model

    return saved_model.open_folder(path, shapes, ends)


def open_axes(path: Path, signature: str) -> OpenAxes:
    """The inputs of the chosen signature."""
    data = memoryview((path / _FILE).read_bytes())
    signatures: dict[str, memoryview] = {}
    for graph in protobuf.children(data, _META_GRAPH):
        signatures.update((key, one) for key, one in _entries(graph, _SIGNATURES) if not key.startswith("__"))
    known = [
        Signature(name, *(sorted(key for key, _ in _entries(one, number)) for number in _SIGNATURE_ENDS))
        for name, one in sorted(signatures.items())
    ]
    if not known:
        return OpenAxes({})
    chosen, notes = choose(path, known, signature)
    infos = dict(_entries(signatures[chosen.name], _SIGNATURE_ENDS[0]))
    names = zip(clean(chosen.inputs), chosen.inputs, strict=True)
    return OpenAxes({name: _axes_of_info(infos[key]) for name, key in names}, notes=notes)


def _entries(data: memoryview, number: int) -> Iterator[tuple[str, memoryview]]:
    for entry in protobuf.children(data, number):
        for value in protobuf.children(entry, _VALUE):
            yield protobuf.text(entry, _KEY), value


def _axes_of_info(info: memoryview) -> Axes:
    for shape in protobuf.children(info, _INFO_SHAPE):
        if any(number == _UNKNOWN_RANK and value for number, value in protobuf.fields(shape)):
            return None
        return [
            next((protobuf.signed(v) for n, v in protobuf.fields(axis) if n == 1 and isinstance(v, int)), 0)
            for axis in protobuf.children(shape, _INFO_DIM)
        ]
    return []


FORMAT = SourceFormat(
    name="savedmodel",
    title=_TITLE,
    known_as="a SavedModel folder",
    framework="tensorflow",
    tools=("tensorflow",),
    takes="folder",
    also_named=(".keras",),
    marker=_FILE,
    look=look,
    open=open_model,
    signatures=True,
    ends=True,
    exports_onnx=True,
    open_axes=open_axes,
    describe=described_by("edgewright.compile.graph.source_graphs"),
)
