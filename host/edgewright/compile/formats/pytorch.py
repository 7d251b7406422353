"""User functions that return a PyTorch module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgewright.compile.inspection import python_source
from edgewright.compile.sources.source_format import Look, Shapes, SourceFormat, described_by
from edgewright.compile.workers import user_function
from edgewright.nouns.conversion import Ends


def look(path: Path, head: bytes) -> Look | None:  # noqa: ARG001 - one signature for all formats
    """Recognises a name such as `module.py:function`."""
    own = user_function.named(path)
    return None if own is None else Look(python_source.look(*own))


def open_model(path: Path, shapes: Shapes, ends: Ends) -> Any:  # noqa: ARG001
    """Implements `SourceFormat.open`."""
    from edgewright.compile.sources import torch

    return torch.open_function(path, shapes)


FORMAT = SourceFormat(
    name="pytorch",
    title="a PyTorch function (module.py:function)",
    known_as="module.py:function",
    framework="torch",
    tools=("torch",),
    takes="function",
    look=look,
    open=open_model,
    exports_onnx=True,
    describe=described_by("edgewright.compile.graph.source_graphs"),
)
