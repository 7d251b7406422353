"""LiteRT files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgewright.compile.inspection import tflite_file
from edgewright.compile.sources import litert_signature
from edgewright.compile.sources.shapes import Axes
from edgewright.compile.sources.source_format import (
    Look,
    OpenAxes,
    Shapes,
    SourceFormat,
    described_by,
    truncated,
)
from edgewright.nouns.conversion import Ends

_NAME, _TITLE = "tflite", "a LiteRT file (.tflite)"


def look(path: Path, head: bytes) -> Look | None:  # noqa: ARG001 - one signature for all formats
    """Recognises a flatbuffer of LiteRT's schema."""
    try:
        return Look([path], tflite_file.look(path).quantised)
    except ValueError as error:
        raise truncated(path, _TITLE) from error


def open_model(path: Path, shapes: Shapes, ends: Ends) -> Any:
    """Implements `SourceFormat.open`."""
    from edgewright.compile.sources import litert

    return litert.open_model(path, _NAME, shapes, ends)


def open_axes(path: Path, signature: str) -> OpenAxes:
    """The inputs of the chosen function."""
    name, subgraph, notes = litert_signature.chosen(path, signature)
    inputs: dict[str, Axes] = dict(tflite_file.inputs(path, subgraph, name))
    tensors = [tensor for tensor, _ in tflite_file.inputs(path, subgraph)]
    same = len(tensors) == len(inputs)  # fewer if two have the same name
    return OpenAxes(inputs, notes=notes, names=tensors if same else None)


def narrow(path: Path, signature: str, folder: Path) -> tuple[Path, tuple[str, ...]] | None:
    """A copy in which the chosen function comes first; None if it already does.

    Raises:
        ModelError: there is no such signature, or there are several and none was chosen.
    """
    name, subgraph, notes = litert_signature.chosen(path, signature)
    if not subgraph:
        return None
    folder.mkdir()
    return litert_signature.narrowed(path, name, folder), notes


FORMAT = SourceFormat(
    name=_NAME,
    title=_TITLE,
    known_as=".tflite",
    framework="litert",
    tools=("ai-edge-litert",),
    suffixes=(".tflite",),
    magic=((4, b"TFL3"),),
    look=look,
    open=open_model,
    signatures=True,
    open_axes=open_axes,
    narrow=narrow,
    describe=described_by("edgewright_targets.tflite.explain"),
)
