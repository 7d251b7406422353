"""Lists the operations of IR v10 from its XML, of the graph that OpenVINO 2021.4 makes from it, and what the stick takes of them.

Host side, in the `onnx` worker.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_NO_OPERATIONS = ("Const", "Parameter", "Result")
_PASSING = ("Convert", "Reshape", "FakeQuantize", "Multiply", "Subtract")  # from a constant to weights
_LAYERS = (
    "Convolution",
    "GroupConvolution",
    "MatMul",
    "ConvolutionBackpropData",
    "GroupConvolutionBackpropData",
)
_FLOATS = {"f16": "fp16", "f32": "fp32"}
_PLUGINS_OWN = ("Input", "Output", "Const", "Reorder")


def executed(path: Path) -> list[dict[str, Any]] | None:
    """Rows of the graph that the CPU plugin of that release executes; `absorbed` holds layers of the file.

    None if the toolchain, which contains that release, is no longer installed.
    """
    from edgewright.sdk import toolchains
    from edgewright_targets.openvino2021.finish import TOOLCHAIN, ask

    if not toolchains.ready(TOOLCHAIN):
        return None
    kinds = {row["name"]: row["operator"] for row in shipped(path)}
    nodes = ask(toolchains.python_of(TOOLCHAIN), "executed", path)
    rows = [node for node in nodes if node["kind"] not in _PLUGINS_OWN]
    names = {node["name"]: (node["origins"] or [node["name"]])[0] for node in rows}
    through = {node["name"]: node["reads"] for node in nodes if node["kind"] == "Reorder"}
    return [
        {
            "name": names[node["name"]],
            "operator": node["kind"],
            "takes": [
                names[one]
                for other in node["reads"]
                for one in [other, *through.get(other, ())]
                if one in names
            ],
            "absorbed": [kinds[other] for other in node["origins"][1:] if other in kinds],
        }
        for node in rows
    ]


def placed(path: Path) -> list[dict[str, Any]] | None:
    """Rows of what the stick's plugin says of each layer: `name`, `operator`, and `taken`, whether the stick runs it.

    None if the toolchain is no longer installed, or its plugin cannot tell.
    """
    from edgewright.sdk import toolchains
    from edgewright_targets.openvino2021.finish import TOOLCHAIN, ask

    if not toolchains.ready(TOOLCHAIN):
        return None
    found = ask(toolchains.python_of(TOOLCHAIN), "describe", path)
    if "problem" in found:
        return None
    taken = set(found["myriad"])
    return [
        {"name": name, "operator": kind, "taken": name in taken} for name, kind in found["layers"].items()
    ]


def shipped(path: Path) -> list[dict[str, Any]]:
    """Rows for `edgewright.sdk.Operation` of the file."""
    from xml.etree import ElementTree

    root = ElementTree.parse(path).getroot()  # noqa: S314 - the file is one that this machine's converter wrote
    layers = {layer.get("id"): layer for layer in root.iter("layer")}
    reads: dict[str | None, list[str | None]] = {number: [] for number in layers}
    for edge in sorted(root.iter("edge"), key=lambda one: int(one.get("to-port", "0"))):
        reads[edge.get("to-layer")].append(edge.get("from-layer"))
    constants = _constants(layers, reads)
    kept = [
        number
        for number, layer in layers.items()
        if layer.get("type") not in _NO_OPERATIONS and number not in constants
    ]
    return [
        {
            "name": layers[number].get("name"),
            "operator": layers[number].get("type"),
            "takes": [layers[other].get("name") for other in reads[number] if other in kept],
            "arithmetic": _arithmetic(number, layers, reads),
        }
        for number in kept
    ]


def _constants(
    layers: dict[str | None, Element], reads: dict[str | None, list[str | None]]
) -> set[str | None]:
    """The layers that are constants, or only unpack one; the file lists layers in topological order."""
    found: set[str | None] = set()
    for number, layer in layers.items():
        kind, origins = layer.get("type"), reads[number]
        if kind == "Const" or (kind in _PASSING and origins and found.issuperset(origins)):
            found.add(number)
    return found


def _arithmetic(
    number: str | None, layers: dict[str | None, Element], reads: dict[str | None, list[str | None]]
) -> str:
    """The type that a layer's weights are stored in."""
    if layers[number].get("type") not in _LAYERS or len(reads[number]) < 2:
        return ""
    origin = reads[number][1]
    while layers[origin].get("type") in _PASSING and reads[origin]:
        origin = reads[origin][0]
    data = layers[origin].find("data")
    return "" if data is None else _FLOATS.get(data.get("element_type", ""), "")
