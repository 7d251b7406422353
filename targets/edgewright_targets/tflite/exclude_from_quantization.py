"""Finds the operators that int8 would ruin in a .tflite file, so that they stay in floats. Host side."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright_targets.tflite import explain, graph

if TYPE_CHECKING:
    import numpy as np

    from edgewright.sdk import Operation

    Array = np.ndarray[Any, Any]


# names: of operators, by their first outputs; note: for the manifest
Spared = namedtuple("Spared", "names note")

_TOO_LARGE = "one scale for numbers so large leaves no levels to the rest"


def spared(data: bytes, found: dict[str, dict[str, Array]], outputs: list[str] | None = None) -> list[Spared]:
    """The Spareds of a float file.

    Args:
        found: its ranges, from `activation_ranges.ranges`.
        outputs: the source's names of its outputs; None if they have to be integers, so that none can stay in floats.
    """
    import msgspec

    from edgewright.sdk.graphs import ENDS, POWERS, groups, least_share

    rows = _operations(explain.written(data, found))
    kept = [group for group in groups(rows, measured=True) if group.kind not in (ENDS, POWERS)]
    said = [Spared(group.names, f"in floats: {group.words}: {_TOO_LARGE}") for group in kept]
    for output, name in zip(graph.output_names(data), outputs or (), strict=False):
        alone = [msgspec.structs.replace(one, ends=(output,) if output in one.ends else ()) for one in rows]
        ends = [group for group in groups(alone, measured=True) if group.kind == ENDS]
        said += [Spared(group.names, _different(name, least_share(rows, group))) for group in ends]
    return said


def joined(data: bytes) -> bool:
    """Whether operators of a float file may join parts of an output, or scale or shift the parts differently."""
    from edgewright.sdk.graphs import ENDS, groups

    return any(group.kind == ENDS for group in groups(_operations(explain.written(data))))


def masked(source: Any) -> bool:
    """Whether an opened TensorFlow source may have nodes that `spared` leaves in floats because of a large constant."""
    from edgewright.sdk.graphs import LARGE, MASKS, groups, may_fill
    from edgewright.sdk.tensorflow import source_graphs

    graph = source.concrete.graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    if (
        max(map(source_graphs.magnitude, nodes), default=0.0) < LARGE
    ):  # as in most models, so that freezing is not needed
        return False
    rows = _operations(source_graphs.of_source(source, Path()))
    return may_fill(rows) or any(group.kind == MASKS for group in groups(rows))


def _operations(rows: list[dict[str, Any]]) -> list[Operation]:
    import msgspec

    from edgewright.sdk import Operation

    return [msgspec.convert(row, Operation) for row in rows]


def _different(output: str, share: float) -> str:
    return f"in floats: what joins output {output}: the range of one part is {share:.2g} of the whole"
