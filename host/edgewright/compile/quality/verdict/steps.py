"""Steps: the distance between neighbouring values of an artifact, for each position of its outputs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.compile.graph.output_tails import Tail, tails
from edgewright.nouns.artifact import TensorSpec

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def steps(module: str | None, path: Path, outputs: Sequence[TensorSpec]) -> list[Array]:
    """One array per output, of its shape; 0 where it has no step.

    Args:
        module: the target's `steps`; None if nothing was quantised, except perhaps the outputs.
        path: the artifact's entry file.
    """
    found: list[Tail | None] = [None] * len(outputs)
    if module is not None:
        with suppress(Exception):  # a file in an unknown form: the check of its levels reports that
            found = tails(module, path, tuple(spec.bound for spec in outputs))
    return [_places(tail, spec) for tail, spec in zip(found, outputs, strict=True)]


def _places(tail: Tail | None, spec: TensorSpec) -> Array:
    import numpy as np

    if tail is None or tail.marks.shape != spec.shape:
        return np.full(spec.shape, spec.scale or 0.0)
    known = np.zeros(int(tail.marks.max(initial=0)) + 1)
    for operand in tail.operands:
        known[operand.mark] = operand.step
    found: Array = known[tail.marks]
    return found
