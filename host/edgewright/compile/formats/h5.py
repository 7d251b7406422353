"""Keras files from before Keras 3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgewright.compile.inspection import hdf5_file
from edgewright.compile.sources.source_format import Look, Shapes, SourceFormat, described_by, truncated
from edgewright.nouns.conversion import Ends

_TITLE = "a Keras HDF5 file (.h5)"


def look(path: Path, head: bytes) -> Look | None:
    """Recognises an HDF5 file that is as long as its header states."""
    if path.stat().st_size < hdf5_file.size(head):
        raise truncated(path, _TITLE)
    return Look([path])


def open_model(path: Path, shapes: Shapes, ends: Ends) -> Any:  # noqa: ARG001 - one signature for all formats
    """Implements `SourceFormat.open`."""
    from edgewright.compile.sources import keras_file

    return keras_file.open_file(path, shapes)


def layers(model: Any) -> tuple[list[str], list[dict[str, Any]]]:
    """Names of the layers, and their graph."""
    from edgewright.compile.graph import source_graphs

    return source_graphs.layers_of(model), source_graphs.graph_of(model)


FORMAT = SourceFormat(
    name="h5",
    title=_TITLE,
    known_as=".h5",
    framework="tensorflow",
    tools=("tensorflow", "keras", "tf-keras"),
    suffixes=(".h5", ".hdf5"),
    magic=((0, hdf5_file.MAGIC),),
    look=look,
    open=open_model,
    exports_onnx=True,
    describe=described_by("edgewright.compile.graph.source_graphs"),
    layers=layers,
)
