"""What only moves data at the end of an artifact: which of its tensors every value of an output comes from.

Each target's `steps` reads its own files into moves; the walk over them is the same for all. Runs in the target's worker.
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

BOUNDS = {  # what these can answer, whatever the samples show of it
    "sigmoid": (0.0, 1.0),
    "logistic": (0.0, 1.0),
    "hardsigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
}


class Move(NamedTuple):
    """An operator that changes no value but by rounding: names of the tensors that it moves, and how it does so."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    apply: Callable[[list[Array]], Sequence[Array]]


class Graph(NamedTuple):
    """What a target's reader finds in its file.

    Attributes:
        moves: in an order in which they can be computed.
        steps: tensor -> distance of two neighbouring values, for those that are integers with one scale.
        shapes: tensor -> its shape.
        kinds: tensor -> the operator that makes it, in lower case.
        fixed: tensors whose values are in the file.
    """

    moves: Sequence[Move]
    steps: Mapping[str, float]
    shapes: Mapping[str, Sequence[int]]
    kinds: Mapping[str, str]
    fixed: Collection[str]


class Operand(NamedTuple):
    """A tensor that an output is put together from.

    Attributes:
        mark: what stands for it in the output's marks.
        step: the coarsest step on its way to the output.
        low, high: what it can answer at least; `low` above `high` where nothing is known.
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


@lru_cache(maxsize=1)
def tails(module: str, path: Path, outputs: tuple[str, ...]) -> list[Tail | None]:
    """The tail of every output, by a target's `steps` module; read once for all who ask."""
    found: list[Tail | None] = importlib.import_module(module).tails(path, list(outputs))
    return found


def tail(graph: Graph, output: str) -> Tail | None:
    """Walks back from an output. None where the rule has nothing to say: no operand has a step, or a shape is unknown.

    An operand that reaches the output in several ways has the finest of their steps.
    """
    import numpy as np

    steps, used = _walked(graph, output)
    made = {name for move in used for name in move.outputs}
    ends = [name for name in steps if name not in made]
    moving = [name for name in ends if name not in graph.fixed and steps[name] > 0]
    if not moving or not all(name in graph.shapes for name in ends):
        return None
    marks = {name: index for index, name in enumerate(moving, 1)}
    values = {name: np.full(tuple(graph.shapes[name]), marks.get(name, 0), np.int32) for name in ends}
    for move in reversed(used):
        values.update(zip(move.outputs, move.apply([values[name] for name in move.inputs]), strict=True))
    found = [
        Operand(name, marks[name], steps[name], *BOUNDS.get(graph.kinds.get(name, ""), (math.inf, -math.inf)))
        for name in moving
    ]
    return Tail(found, values[output])


def _walked(graph: Graph, output: str) -> tuple[dict[str, float], list[Move]]:
    """(tensor -> the coarsest step from it on, the moves on the way, last one first)."""
    steps = {output: graph.steps.get(output, 0.0)}
    used = []
    for move in reversed(graph.moves):
        after = [steps[name] for name in move.outputs if name in steps]
        if not after:
            continue
        used.append(move)
        for name in move.inputs:
            step = max(min(after), graph.steps.get(name, 0.0))
            steps[name] = min(step, steps.get(name, math.inf))
    return steps, used
