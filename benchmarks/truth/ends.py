"""Faults at the inputs and outputs of a finished artifact, and the facts that faults need about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from truth.layer import Graph

Random = np.random.Generator
_MOST = 1000  # indexes of an axis that has meanings


class Facts(NamedTuple):
    """The facts about an artifact that a fault may need.

    Attributes:
        spread: standard deviation of the inputs. ranges: the largest value of activations in floats.
        colours: whether its input's last axis holds red, green and blue. classes: how many it tells apart.
        inputs, outputs: their shapes. means: of the outputs.
    """

    spread: float
    ranges: dict[str, float]
    colours: bool
    classes: int
    inputs: list[tuple[int, ...]]
    outputs: list[tuple[int, ...]]
    means: list[float]


def _input_scale(graph: Graph, random: Random, _: Facts) -> str | None:
    factor = float(np.exp(random.uniform(np.log(1.25), np.log(4)) * random.choice([-1, 1])))
    return f"x{factor:.2f}" if graph.scale_input(factor, 0.0) else None


def _input_offset(graph: Graph, random: Random, facts: Facts) -> str | None:
    by = float(random.uniform(0.25, 1.5) * random.choice([-1, 1]))
    return f"by {by:.2f} deviations" if graph.scale_input(1.0, by * facts.spread) else None


def _rearranged(graph: Graph, _random: Random, facts: Facts) -> str | None:
    """Confuses interleaved pixels with planes, or one of two axes with the other."""
    shape = facts.inputs[0]
    axes = [axis for axis, size in enumerate(shape) if size > 1]
    if len(axes) < 2:
        return None
    order = list(range(len(shape)))
    turned = [*axes[1:], axes[0]] if shape[axes[0]] < shape[axes[-1]] else [axes[-1], *axes[:-1]]
    for axis, other in zip(axes, turned, strict=True):
        order[axis] = other
    # read with its axes in this order, then put back: the numbers stay where they were in memory
    back = [order.index(axis) for axis in range(len(shape))]
    read = [shape[axis] for axis in order]
    return f"{list(shape)} read as {read}" if graph.rearrange_input(read, back) else None


def _inputs_swapped(graph: Graph, random: Random, facts: Facts) -> str | None:
    pair = _of_one_shape(facts.inputs, random)
    return f"{pair[0]} and {pair[1]}" if pair and graph.swap_inputs(*pair) else None


def _outputs_swapped(graph: Graph, random: Random, facts: Facts) -> str | None:
    pair = _of_one_shape(facts.outputs, random)
    return f"{pair[0]} and {pair[1]}" if pair and graph.swap_outputs(*pair) else None


def _flattened(graph: Graph, random: Random, facts: Facts) -> str | None:
    """A constant output: the mean of the right one."""
    at = int(random.integers(len(facts.outputs)))
    return f"output {at}" if graph.change_output(at, 0.0, facts.means[at]) else None


def _columns(graph: Graph, random: Random, facts: Facts) -> str | None:
    found = [
        (at, axis, size)
        for at, shape in enumerate(facts.outputs)
        for axis, size in enumerate(shape)
        if axis and 2 <= size <= _MOST
    ]
    if not found:
        return None
    at, axis, size = found[random.integers(len(found))]
    one, other = (int(index) for index in random.choice(size, 2, replace=False))
    order = list(range(size))
    order[one], order[other] = other, one
    return f"output {at}, {one} and {other} of axis {axis}" if graph.reorder_output(at, axis, order) else None


def _of_one_shape(shapes: Sequence[tuple[int, ...]], random: Random) -> tuple[int, int] | None:
    found = [pair for pair in combinations(range(len(shapes)), 2) if shapes[pair[0]] == shapes[pair[1]]]
    return found[random.integers(len(found))] if found else None


KINDS: dict[str, Callable[[Graph, Random, Facts], str | None]] = {
    "input scaled wrongly": _input_scale,
    "input shifted": _input_offset,
    "NHWC for NCHW": _rearranged,
    "inputs swapped": _inputs_swapped,
    "outputs swapped": _outputs_swapped,
    "columns of an output swapped": _columns,
    "output flattened": _flattened,
}
