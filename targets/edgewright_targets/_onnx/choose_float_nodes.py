"""Decides which nodes stay in floats by default when a graph is quantised, and why. Host side, in the `onnx` worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright_targets._onnx.exclude_from_quantization import at_ends, spared
from edgewright_targets._onnx.explain import measured

if TYPE_CHECKING:
    from onnx import ModelProto


_SHOWN = 8  # names listed in a note
AGAIN = "where integers would only round again"
_WHY = {
    "ends": "{words}, whose parts differ in range",
    "masks": "{words}: a scale that reaches so far leaves nothing beside it",
    "offsets": "{words}: a scale that reaches over it has few steps for the rest",
    "fills": "{words}: a scale that reaches so far leaves nothing beside it",
    "powers": "{words}: 8 bits hold neither its range nor its differences",
}


def floats(model: ModelProto, spans: dict[str, tuple[float, float]], integer_io: bool) -> dict[str, set[str]]:
    """{reason: names of nodes}, without duplicates.

    Args:
        model: prepared for quantisation, with every node named.
        spans: {tensor: (least, greatest value)} of the activations.
        integer_io: inputs and outputs have to be integers, whatever that costs.
    """
    import msgspec

    from edgewright.sdk import Operation
    from edgewright.sdk.graphs import ENDS, groups

    rows = [msgspec.convert(row, Operation) for row in measured(model, spans)]
    found = {}
    for group in groups(rows, measured=True):
        if group.kind != ENDS or not integer_io:
            found[_WHY[group.kind].format(words=group.words)] = set(group.names)
    found[AGAIN] = spared(model).difference(*found.values())
    bound = at_ends(model) if integer_io else set()
    return {why: names - bound for why, names in found.items()}


def notes(model: ModelProto, found: dict[str, set[str]], kinds: list[str]) -> list[str]:
    """Notes for the manifest.

    Args:
        found: from `floats`, without nodes that the user asked for.
        kinds: operators that are quantised at all.
    """
    found_notes = []
    for why, names in found.items():
        named = [node.name for node in model.graph.node if node.name in names and node.op_type in kinds]
        if named:
            more = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
            many = "1 node stays" if len(named) == 1 else f"{len(named)} nodes stay"
            found_notes.append(f"{many} in floats, {why}: {', '.join(named[:_SHOWN])}{more}")
    return found_notes
