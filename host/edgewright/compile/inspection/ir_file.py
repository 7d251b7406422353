"""Inspects OpenVINO IR: an `.xml` of layers with a `.bin` of weights."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from edgewright.nouns.base import Noun

_SMALL_INTEGERS = ("i8", "u8", "i4", "u4", "u2", "nf4")
_MAX_CONSTANT_BYTES = 16  # bytes of small integers that still count as a constant rather than weights


class IrFile(Noun, frozen=True, kw_only=True):
    """The contents of the files.

    Attributes:
        version: of the IR, 10 or 11 in practice.
        quantised: it has FakeQuantize layers, or weights of small integers.
        weights: bytes of the `.bin` that the layers refer to; 0 if they refer to none.
    """

    version: int
    quantised: bool
    weights: int


def look(path: Path) -> IrFile | None:
    """Reads the layers; returns None for another kind of XML file.

    Raises:
        ValueError: it is truncated, or not XML.
    """
    version, quantised, weights, known = 0, False, 0, False
    try:
        for event, element in ElementTree.iterparse(path, events=("start", "end")):  # noqa: S314 - expat bounds entities
            if event == "start":
                if not known and element.tag != "net":
                    return None
                version = version if known else int(element.get("version") or 0)
                known = True
            elif element.tag == "layer":
                quantised |= element.get("type") == "FakeQuantize"
                data = element.find("data")
                if element.get("type") == "Const" and data is not None:
                    size = int(data.get("size") or 0)
                    weights = max(weights, int(data.get("offset") or 0) + size)
                    quantised |= data.get("element_type") in _SMALL_INTEGERS and size > _MAX_CONSTANT_BYTES
                element.clear()
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from error
    return IrFile(version=version, quantised=quantised, weights=weights)
