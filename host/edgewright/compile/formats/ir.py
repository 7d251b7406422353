"""OpenVINO IR: an `.xml` file and its `.bin`."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from edgewright.compile.inspection import ir_file
from edgewright.compile.sources.shapes import Axes
from edgewright.compile.sources.source_format import (
    Look,
    OpenAxes,
    Shapes,
    SourceFormat,
    described_by,
    truncated,
)
from edgewright.errors import Code, ModelError
from edgewright.nouns.conversion import Ends

_NAME, _TITLE = "ir", "OpenVINO IR (.xml)"
_BLANK = b"\xef\xbb\xbf \t\r\n"  # a byte order mark and white space


def look(path: Path, head: bytes) -> Look | None:
    """Recognises an IR's XML file and its weights."""
    if not head.lstrip(_BLANK).startswith(b"<"):
        return None
    weights = path.with_suffix(".bin")
    try:
        found = ir_file.look(path)
    except ValueError:
        return None
    if found is None:
        return None
    if found.weights and not weights.is_file():
        raise ModelError(
            f"weights of {path.name} are missing: {weights}",
            hint="OpenVINO IR is two files, the .bin belongs beside the .xml",
            code=Code.MODEL_TRUNCATED,
        )
    if found.weights and weights.stat().st_size < found.weights:
        raise truncated(weights, _TITLE)
    return Look([path, weights] if found.weights else [path], found.quantised)


def damaged(path: Path, head: bytes) -> ModelError | None:
    """Whether an `.xml` file is truncated."""
    try:
        if head.lstrip(_BLANK).startswith(b"<"):
            ir_file.look(path)
    except ValueError:
        return truncated(path, _TITLE)
    return None


def open_model(path: Path, shapes: Shapes, ends: Ends) -> Any:
    """Implements `SourceFormat.open`."""
    from edgewright.compile.sources import openvino

    return openvino.open_model(path, _NAME, shapes, ends)


def open_axes(path: Path, signature: str) -> OpenAxes:  # noqa: ARG001 - one signature for all formats
    """The shapes of the model's parameters."""
    found: dict[str, Axes] = {}
    for layer in ElementTree.parse(path).getroot().iter("layer"):  # noqa: S314 - expat bounds entities
        data, port = layer.find("data"), layer.find("output/port")
        if layer.get("type") == "Parameter" and data is not None and port is not None:
            name = min((port.get("names") or layer.get("name") or "").split(","))
            shape = data.get("shape", "")
            sizes = [int(size) if size.strip().isdecimal() else None for size in shape.split(",") if size]
            found[name] = None if "..." in shape else sizes
    return OpenAxes(found)


FORMAT = SourceFormat(
    name=_NAME,
    title=_TITLE,
    known_as="OpenVINO's .xml",
    framework="openvino",
    tools=("openvino",),
    suffixes=(".xml",),
    look=look,
    damaged=damaged,
    open=open_model,
    open_axes=open_axes,
    describe=described_by("edgewright_targets.openvino.explain"),
)
