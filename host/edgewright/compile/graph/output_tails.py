"""Walks back from an artifact's outputs, through moves and constant scalings, to the tensors that the values come from.

Each target's `steps` module translates its own files into moves; the walk over them is shared. Runs in the target's worker.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

BOUNDS = {  # the possible results of these operators, whatever the samples show
    "sigmoid": (0.0, 1.0),
    "logistic": (0.0, 1.0),
    "hardsigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
}

_LEAST = 1e-30  # the least scale, so that its logarithm exists; constants that round to 0 have scale 0


class Move(NamedTuple):
    """An operator that changes values only by rounding and by constants: the tensors that it moves, and how.

    Attributes:
        scale, shift: its single result is multiplied by `scale`, then `shift` is added; both broadcast to the result.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    apply: Callable[[list[Array]], Sequence[Array]]
    scale: Array | None = None
    shift: Array | None = None


class Graph(NamedTuple):
    """What a target's reader finds in its file.

    Attributes:
        moves: in topological order.
        steps: tensor -> distance of two neighbouring values, for integers with a single scale.
        shapes: tensor -> its shape.
        kinds: tensor -> the operator that produces it, in lower case.
        fixed: tensors whose values are stored in the file.
    """

    moves: Sequence[Move]
    steps: Mapping[str, float]
    shapes: Mapping[str, Sequence[int]]
    kinds: Mapping[str, str]
    fixed: Collection[str]


class Operand(NamedTuple):
    """A tensor that an output is composed of, or the part of it that constants scale by about the same factor.

    Attributes:
        mark: the number that marks its values in the output's array of marks.
        step: the coarsest step on its way to the output, in units of the output.
        low, high: its possible range in values of the output; `low` is above `high` if unknown.
    """

    name: str
    mark: int
    step: float
    low: float
    high: float


class Tail(NamedTuple):
    """The operands of one output that have a step, and an array of the output's shape with their marks."""

    operands: list[Operand]
    marks: Array


def affine(
    operator: str, inputs: Sequence[str], made: str, first: Array | None, second: Array | None
) -> Move | None:
    """A Mul, Div, Add or Sub with one constant; None for any other operator, and for a division of a constant.

    Args:
        first, second: its inputs' constant values; None for an input that is computed.
    """
    import numpy as np

    if (first is None) == (second is None) or (second is None and operator == "Div"):
        return None
    fixed = np.asarray(second if first is None else first, np.float64)
    name, negative = inputs[0 if first is None else 1], np.float64(-1)
    if operator == "Div" and not fixed.all():
        return None

    def apply(given: list[Array]) -> list[Array]:
        return [np.broadcast_to(given[0], np.broadcast_shapes(given[0].shape, fixed.shape))]

    if operator == "Sub":
        return Move((name,), (made,), apply, *((None, -fixed) if first is None else (negative, fixed)))
    scale, shift = {
        "Mul": (fixed, None),
        "Div": (1 / fixed if fixed.all() else fixed, None),
        "Add": (None, fixed),
    }[operator]
    return Move((name,), (made,), apply, scale, shift)


@lru_cache(maxsize=1)
def tails(module: str, path: Path, outputs: tuple[str, ...]) -> list[Tail | None]:
    """The tail of every output, read by a target's `steps` module; cached for all callers."""
    found: list[Tail | None] = importlib.import_module(module).tails(path, list(outputs))
    return found


def tail(graph: Graph, output: str) -> Tail | None:
    """Walks back from an output. Returns None if no operand has a step or a shape is unknown.

    An operand that reaches the output by several paths has the finest of their steps.
    """
    import numpy as np

    used, reached = _walked(graph, output)
    made = {name for move in used for name in move.outputs}
    ends = [name for name in reached if name not in made]
    if not any(graph.steps.get(name, 0) > 0 for name in reached) or not all(
        name in graph.shapes for name in ends
    ):
        return None
    parts = _Parts()
    values = {}
    for name in ends:
        mark = 0 if name in graph.fixed else parts.begun(name, graph.kinds.get(name, ""))
        values[name] = parts.rounded(
            np.full(tuple(graph.shapes[name]), mark, np.int32), graph.steps.get(name, 0)
        )
    for move in reversed(used):
        results = move.apply([values[name] for name in move.inputs])
        if move.scale is not None or move.shift is not None:
            results = [parts.scaled(results[0], move.scale, move.shift)]
        for name, marks in zip(move.outputs, results, strict=True):
            values[name] = parts.rounded(marks, graph.steps.get(name, 0))
    operands, marks = parts.merged(values[output])
    return Tail(operands, marks) if operands else None


def _walked(graph: Graph, output: str) -> tuple[list[Move], list[str]]:
    """(the moves on the way to an output, last one first; the tensors on the way)."""
    reached, used = {output: None}, []
    for move in reversed(graph.moves):
        if any(name in reached for name in move.outputs):
            used.append(move)
            reached.update(dict.fromkeys(move.inputs))
    return used, list(reached)


class _Parts:
    """The state of a walk: operands by mark, each with its step, its range, and the scales that it has met so far, in powers of 2."""

    def __init__(self) -> None:
        self._found: list[tuple[Operand, tuple[int, ...]]] = [(Operand("", 0, 0.0, math.inf, -math.inf), ())]
        self._marks: dict[tuple[Operand, tuple[int, ...]], int] = {}

    def begun(self, name: str, kind: str) -> int:
        return self._mark(Operand(name, 0, 0.0, *BOUNDS.get(kind, (math.inf, -math.inf))), ())

    def rounded(self, marks: Array, step: float) -> Array:
        """The marks after rounding by a step."""
        import numpy as np

        if step <= 0:
            return marks
        table = np.arange(len(self._found), dtype=np.int32)
        for mark in np.flatnonzero(np.bincount(marks.reshape(-1), minlength=1)).tolist():
            operand, scales = self._found[mark]
            if mark and operand.step < step:
                table[mark] = self._mark(operand._replace(step=step), scales)
        found: Array = table[marks]
        return found

    def scaled(self, marks: Array, scale: Array | None, shift: Array | None) -> Array:
        """The marks after scaling and shifting: values scaled by about the same factor share one mark."""
        import numpy as np

        by = np.broadcast_to(np.float64(1) if scale is None else scale, marks.shape)
        more = np.broadcast_to(np.float64(0) if shift is None else shift, marks.shape)
        sizes = np.rint(np.log2(np.maximum(np.abs(by), _LEAST))).astype(np.int64)
        kinds, places = np.unique(
            np.stack([marks.reshape(-1), sizes.reshape(-1)]), axis=1, return_inverse=True
        )
        places, found = places.reshape(marks.shape), np.zeros(marks.shape, np.int32)
        for at, (mark, size) in enumerate(kinds.T.tolist()):
            if mark:
                here = places == at
                found[here] = self._scaled(mark, size, by[here], more[here])
        return found

    def _scaled(self, mark: int, size: int, by: Array, more: Array) -> int:
        operand, scales = self._found[mark]
        least = float(abs(by).min())
        low, high = operand.low, operand.high
        if low <= high:
            ends = [
                low * float(by.min()),
                low * float(by.max()),
                high * float(by.min()),
                high * float(by.max()),
            ]
            low, high = min(ends) + float(more.min()), max(ends) + float(more.max())
        return self._mark(operand._replace(step=operand.step * least, low=low, high=high), (*scales, size))

    def merged(self, marks: Array) -> tuple[list[Operand], Array]:
        """The operands that end up with a step, and their marks: paths of one tensor that met about the same scales are merged."""
        import numpy as np

        table = np.zeros(len(self._found), np.int32)
        found: dict[tuple[str, tuple[int, ...]], Operand] = {}
        present = np.flatnonzero(np.bincount(marks.reshape(-1), minlength=1)).tolist()
        for mark in present:
            operand, scales = self._found[mark]
            if not mark or operand.step <= 0:
                continue
            key = operand.name, scales
            known = found.get(key, operand._replace(mark=len(found) + 1))
            found[key] = known._replace(
                step=min(known.step, operand.step),
                low=min(known.low, operand.low),
                high=max(known.high, operand.high),
            )
            table[mark] = known.mark
        return list(found.values()), table[marks]

    def _mark(self, operand: Operand, scales: tuple[int, ...]) -> int:
        key = operand, scales
        if key not in self._marks:
            self._marks[key] = len(self._found)
            self._found.append(key)
        return self._marks[key]
