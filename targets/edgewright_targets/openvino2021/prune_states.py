"""Removes outputs that the Model Optimizer adds to an IR for states that nothing reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


def keep_outputs(path: Path, names: set[str]) -> None:
    """Keeps only the outputs with these names, and what they depend on; a file without other outputs does not change.

    Args:
        names: tensors of the ONNX file; an IR stores these names at the ports, next to its own.
    """
    from xml.etree import ElementTree

    tree = ElementTree.parse(path)  # noqa: S314 - the file is one that this machine's converter wrote
    root = tree.getroot()
    layers, edges = root.findall("layers")[0], root.findall("edges")[0]
    makers = {edge.get("to-layer"): edge for edge in edges if edge.get("to-port") == "0"}
    by_id = {layer.get("id"): layer for layer in layers}
    results = [layer for layer in layers if layer.get("type") == "Result"]
    foreign = [one for one in results if not names & _names(makers[one.get("id")], by_id)]
    if not foreign or len(results) - len(foreign) != len(names):
        return
    for layer in foreign:
        layers.remove(layer)
    _drop_unread(layers, edges)
    tree.write(path, encoding="utf-8", xml_declaration=True)


def _names(edge: Element, by_id: dict[str | None, Element]) -> set[str | None]:
    """All names of the tensor at the start of an edge."""
    layer = by_id[edge.get("from-layer")]
    ports = [port for port in layer.findall("output")[0] if port.get("id") == edge.get("from-port")]
    own = {name for port in ports for name in (port.get("names") or "").split(",") if name}
    return {layer.get("name"), *own}


def _drop_unread(layers: Element, edges: Element) -> None:
    """Removes the layers that lead to no output, in place."""
    while True:
        there = {layer.get("id") for layer in layers}
        for edge in [edge for edge in edges if edge.get("to-layer") not in there]:
            edges.remove(edge)
        read = {edge.get("from-layer") for edge in edges}
        unread = [
            one
            for one in layers
            if one.get("id") not in read and one.get("type") not in ("Result", "Parameter")
        ]
        if not unread:
            return
        for layer in unread:
            layers.remove(layer)
