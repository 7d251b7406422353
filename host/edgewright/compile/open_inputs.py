"""The shapes of a source's inputs, read from its files without a framework: for what `--dry-run` shows.

A conversion asks the framework instead. What cannot be read here is not shown.
"""

from __future__ import annotations

import json
import mmap
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from edgewright.compile import protobuf, tflitefile
from edgewright.compile.request import CompileRequest
from edgewright.compile.shapes import Axes, Axis, static_shapes
from edgewright.compile.sources import litert_signature
from edgewright.compile.sources.names import clean, given_shapes
from edgewright.compile.sources.signatures import Signature, choose
from edgewright.config.bad_zip import BAD_ZIP

# numbers of the fields of onnx.proto
_GRAPH, _NODE, _INITIALIZER, _INPUT = 7, 1, 5, 11
_VALUE_NAME, _VALUE_TYPE, _TENSOR_TYPE, _SHAPE = 1, 2, 1, 2
_DIM, _DIM_VALUE, _DIM_NAME, _TENSOR_NAME = 1, 1, 2, 8
_NODE_INPUT, _OPERATOR, _ATTRIBUTE, _ATTRIBUTE_NAME = 1, 4, 5, 1
# of saved_model.proto and meta_graph.proto
_META_GRAPH, _SIGNATURES, _KEY, _VALUE, _SIGNATURE_ENDS = 2, 5, 1, 2, (1, 2)
_INFO_SHAPE, _INFO_DIM, _UNKNOWN_RANK = 3, 2, 3
_UNNAMED = ("", "?", "None", "-1")
_MOST = 64 << 20  # bytes of a configuration
_UNREADABLE = (  # what readers raise for files that are none, or of another form
    ValueError, LookupError, TypeError, AttributeError, OSError, RecursionError, *BAD_ZIP, ElementTree.ParseError,
)  # fmt: skip


def decided(request: CompileRequest, kind: str) -> tuple[str, ...]:
    """What a conversion will make of open axes, one line each; nothing where that is not known without a framework.

    Raises:
        ModelError: as `static_shapes` and `signatures.choose`: axes are open, or there are several signatures, and the
            request does not say.
    """
    source = request.model.source
    path = source.parent if source.name == "saved_model.pb" else source
    ends = request.model.conversion.ends
    if kind not in _READERS or ends.inputs or ends.outputs:
        return ()
    try:
        found, not_batch, notes = _READERS[kind](path, ends.signature)
        tensors = _tensors(path, ends.signature) if kind == "tflite" else None
    except _UNREADABLE:
        return ()
    others = tensors if tensors and len(tensors) == len(found) else None  # fewer where two have one name
    shapes = given_shapes(request.model.shapes, list(found), others)
    return (*notes, *static_shapes(found, shapes, not_batch).notes) if found else notes


# axes by name, inputs whose first one is no batch, notes
Found = tuple[dict[str, Axes], set[str], tuple[str, ...]]


def _onnx(path: Path, _: str) -> Found:
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
    return found, time_first, ()


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
            return _signed(value)
    name = protobuf.text(axis, _DIM_NAME)
    return None if name in _UNNAMED else name


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _saved_model(path: Path, wanted: str) -> Found:
    data = memoryview((path / "saved_model.pb").read_bytes())
    signatures: dict[str, memoryview] = {}
    for graph in protobuf.children(data, _META_GRAPH):
        signatures.update((key, one) for key, one in _entries(graph, _SIGNATURES) if not key.startswith("__"))
    known = [
        Signature(name, *(sorted(key for key, _ in _entries(one, number)) for number in _SIGNATURE_ENDS))
        for name, one in sorted(signatures.items())
    ]
    if not known:
        return {}, set(), ()
    chosen, notes = choose(path, known, wanted)
    infos = dict(_entries(signatures[chosen.name], _SIGNATURE_ENDS[0]))
    names = zip(clean(chosen.inputs), chosen.inputs, strict=True)
    return {name: _axes_of_info(infos[key]) for name, key in names}, set(), notes


def _entries(data: memoryview, number: int) -> Iterator[tuple[str, memoryview]]:
    for entry in protobuf.children(data, number):
        for value in protobuf.children(entry, _VALUE):
            yield protobuf.text(entry, _KEY), value


def _axes_of_info(info: memoryview) -> Axes:
    for shape in protobuf.children(info, _INFO_SHAPE):
        if any(number == _UNKNOWN_RANK and value for number, value in protobuf.fields(shape)):
            return None
        return [
            next((_signed(v) for n, v in protobuf.fields(axis) if n == 1 and isinstance(v, int)), 0)
            for axis in protobuf.children(shape, _INFO_DIM)
        ]
    return []


def _keras(path: Path, _: str) -> Found:
    with zipfile.ZipFile(path) as archive:
        if archive.getinfo("config.json").file_size > _MOST:
            return {}, set(), ()
        config = json.loads(archive.read("config.json"))["config"]
    layers = {layer["config"]["name"]: layer["config"] for layer in config["layers"]
              if layer["class_name"] == "InputLayer"}  # fmt: skip
    order = _input_names(config["input_layers"]) if "input_layers" in config else list(layers)
    shapes: list[Any] = [layers[name]["batch_shape"] for name in order]
    return dict(zip(clean(order), shapes, strict=True)), set(), ()


def _input_names(given: Any) -> list[str]:
    """The names in `["x", 0, 0]`, or in a list or a dict of such."""
    if isinstance(given, dict):
        return [name for key in given for name in _input_names(given[key])]
    if given and isinstance(given[0], str):
        return [given[0]]
    return [name for one in given for name in _input_names(one)]


def _tflite(path: Path, wanted: str) -> Found:
    name, subgraph, notes = litert_signature.chosen(path, wanted)
    return dict(tflitefile.inputs(path, subgraph, name)), set(), notes


def _tensors(path: Path, wanted: str) -> list[str]:
    """What else the inputs of a .tflite file may be called."""
    _, subgraph, _ = litert_signature.chosen(path, wanted)
    return [name for name, _ in tflitefile.inputs(path, subgraph)]


def _ir(path: Path, _: str) -> Found:
    found: dict[str, Axes] = {}
    for layer in ElementTree.parse(path).getroot().iter("layer"):  # noqa: S314 - expat bounds entities
        data, port = layer.find("data"), layer.find("output/port")
        if layer.get("type") == "Parameter" and data is not None and port is not None:
            name = min((port.get("names") or layer.get("name") or "").split(","))
            shape = data.get("shape", "")
            sizes = [int(size) if size.strip().isdecimal() else None for size in shape.split(",") if size]
            found[name] = None if "..." in shape else sizes
    return found, set(), ()


_READERS = {"onnx": _onnx, "savedmodel": _saved_model, "keras": _keras, "tflite": _tflite, "ir": _ir}
