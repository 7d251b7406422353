"""Programs exported by torch.export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgewright.compile.inspection import archives
from edgewright.compile.sources.source_format import Look, Shapes, SourceFormat, described_by, truncated
from edgewright.config.zip_errors import BAD_ZIP
from edgewright.nouns.conversion import Ends

_TITLE = "a torch.export program (.pt2)"


def look(path: Path, head: bytes) -> Look | None:  # noqa: ARG001 - one signature for all formats
    """Recognises a zip archive with a program; names and refuses PyTorch's other archives."""
    try:
        quantised = archives.look(path)
    except BAD_ZIP as error:
        raise truncated(path, _TITLE) from error
    return None if quantised is None else Look([path], quantised)


def open_model(path: Path, shapes: Shapes, ends: Ends) -> Any:  # noqa: ARG001
    """Implements `SourceFormat.open`."""
    from edgewright.compile.sources import torch

    return torch.open_program(path, shapes)


FORMAT = SourceFormat(
    name="pt2",
    title=_TITLE,
    known_as=".pt2",
    framework="torch",
    tools=("torch",),
    suffixes=(".pt2",),
    magic=((0, b"PK\x03\x04"),),
    look=look,
    open=open_model,
    exports_onnx=True,
    describe=described_by("edgewright.compile.graph.source_graphs"),
)
