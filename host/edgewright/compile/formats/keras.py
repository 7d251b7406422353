"""Keras 3 files."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from edgewright.compile.sources.names import clean
from edgewright.compile.sources.source_format import (
    Look,
    OpenAxes,
    Shapes,
    SourceFormat,
    described_by,
    truncated,
)
from edgewright.config.zip_errors import BAD_ZIP
from edgewright.nouns.conversion import Ends

_TITLE = "a Keras 3 file (.keras)"
_MEMBERS = {"config.json", "model.weights.h5"}
_MAX_CONFIG_BYTES = 64 << 20  # bytes of a configuration that are read


def look(path: Path, head: bytes) -> Look | None:  # noqa: ARG001 - one signature for all formats
    """Recognises a zip archive with a configuration and weights."""
    try:
        with zipfile.ZipFile(path) as archive:
            if not set(archive.namelist()) >= _MEMBERS:
                return None
            if archive.testzip():
                raise truncated(path, _TITLE)
    except BAD_ZIP as error:
        raise truncated(path, _TITLE) from error
    return Look([path])


def open_model(path: Path, shapes: Shapes, ends: Ends) -> Any:  # noqa: ARG001
    """Implements `SourceFormat.open`."""
    from edgewright.compile.sources import keras_file

    return keras_file.open_file(path, shapes)


def open_axes(path: Path, signature: str) -> OpenAxes:  # noqa: ARG001
    """The inputs listed in the configuration."""
    with zipfile.ZipFile(path) as archive:
        if archive.getinfo("config.json").file_size > _MAX_CONFIG_BYTES:
            return OpenAxes({})
        config = json.loads(archive.read("config.json"))["config"]
    layers = {layer["config"]["name"]: layer["config"] for layer in config["layers"]
              if layer["class_name"] == "InputLayer"}  # fmt: skip
    order = _input_names(config["input_layers"]) if "input_layers" in config else list(layers)
    shapes: list[Any] = [layers[name]["batch_shape"] for name in order]
    return OpenAxes(dict(zip(clean(order), shapes, strict=True)))


def _input_names(given: Any) -> list[str]:
    """The names in `["x", 0, 0]`, or in a list or dict of such entries."""
    if isinstance(given, dict):
        return [name for key in given for name in _input_names(given[key])]
    if given and isinstance(given[0], str):
        return [given[0]]
    return [name for one in given for name in _input_names(one)]


def layers(model: Any) -> tuple[list[str], list[dict[str, Any]]]:
    """Names of the layers, and their graph."""
    from edgewright.compile.graph import source_graphs

    return source_graphs.layers_of(model), source_graphs.graph_of(model)


FORMAT = SourceFormat(
    name="keras",
    title=_TITLE,
    known_as=".keras",
    framework="tensorflow",
    tools=("tensorflow", "keras"),
    suffixes=(".keras",),
    magic=((0, b"PK\x03\x04"),),
    look=look,
    open=open_model,
    exports_onnx=True,
    open_axes=open_axes,
    describe=described_by("edgewright.compile.graph.source_graphs"),
    layers=layers,
)
