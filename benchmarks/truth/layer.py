"""Layer: the numbers of one layer in a finished file, whatever its format. Faults change them in place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

Array = Any


@dataclass
class Layer:
    """A layer that has weights.

    Attributes:
        weight: as it is stored: floats, or integers with `scale` and `zero`.
        axis: of its output channels. inner: of its input channels; None where that says nothing.
        scale, zero: of the weights, one value or one a channel; None for floats, and where integers have no zero point.
        bias_scale: of a bias in integers.
        source: the step of its input (`Graph.steps`); None where that is in floats.
    """

    weight: Array
    axis: int
    inner: int | None = None
    scale: Array | None = None
    zero: Array | None = None
    bias: Array | None = None
    bias_scale: Array | None = None
    source: Any = None

    @property
    def channels(self) -> int:
        """Its number of outputs."""
        return int(self.weight.shape[self.axis])

    @property
    def integers(self) -> bool:
        """Whether its weights are integers."""
        return self.weight.dtype.kind in "iu"

    def channel(self, index: int) -> Array:
        """A view of one output's weights."""
        return np.moveaxis(self.weight, self.axis, 0)[index]

    def zero_of(self, index: int) -> int:
        """What stands for 0 in one output's weights."""
        if self.zero is None:
            return 0
        return int(self.zero.reshape(-1)[index if self.zero.size > 1 else 0])

    def store(self, index: int, deviations: Array) -> None:
        """Sets one output's weights to these distances from what stands for 0."""
        values = deviations + self.zero_of(index)
        if self.integers:
            limits = np.iinfo(self.weight.dtype)
            values = np.clip(np.rint(values), limits.min, limits.max)
        self.channel(index)[...] = values.astype(self.weight.dtype)

    def deviations(self, index: int) -> Array:
        """The distances of one output's weights from what stands for 0, as float64."""
        found: Array = self.channel(index).astype(np.float64) - self.zero_of(index)
        return found

    def per_channel(self) -> Iterable[Array]:
        """All arrays that have a value an output, behind the weights: what moves when outputs change places."""
        for array in (self.bias, self.scale, self.zero, self.bias_scale):
            if array is not None and array.size == self.channels > 1:
                yield array.reshape(-1)

    def multiply(self, factor: float, indexes: Iterable[int]) -> bool:
        """Multiplies the real weights of some outputs, by their scale where there is one. False: one scale stands for more outputs than these."""
        chosen = list(indexes)
        if not self.integers:
            for index in chosen:
                self.channel(index)[...] = (self.channel(index) * factor).astype(self.weight.dtype)
            return True
        if self.scale is None or (self.scale.size == 1 and len(chosen) < self.channels):
            return False
        for array in (self.scale, self.bias_scale):
            if array is not None:
                array.reshape(-1)[chosen if array.size > 1 else slice(None)] *= factor
        return True


class Graph(Protocol):
    """A finished file that faults are planted in.

    Attributes:
        layers: in their order.
    """

    layers: list[Layer]

    def steps(self) -> list[Any]:
        """The roundings of activations that share a scale, each once."""
        ...

    def shrink(self, step: Any, factor: float) -> None:
        """Divides a step of activations, where it is made and where it is read: values beyond the range are cut off."""
        ...

    def shift_zero(self, random: np.random.Generator, by: int) -> bool:
        """Gives one reader a different zero point than the writer. False: there is none."""
        ...

    def drop_relu(self, random: np.random.Generator) -> bool:
        """Removes one activation function. False: none has any effect."""
        ...

    def cut_off(self, random: np.random.Generator, ranges: dict[str, float], factor: float) -> bool:
        """Clips one float activation at its largest value divided by `factor`. False: there is none."""
        ...

    def scale_input(self, factor: float, offset: float) -> bool:
        """Replaces the first float input with `factor * x + offset`. False: there is none."""
        ...

    def rearrange_input(self, shape: Sequence[int], order: Sequence[int]) -> bool:
        """Reshapes and then transposes the first input."""
        ...

    def swap_inputs(self, one: int, other: int) -> bool:
        """Swaps two inputs."""
        ...

    def change_output(self, at: int, factor: float, offset: float) -> bool:
        """Replaces an output with `factor * y + offset`. False: it is not in floats."""
        ...

    def reorder_output(self, at: int, axis: int, order: Sequence[int]) -> bool:
        """Reorders the indexes along an axis of an output."""
        ...

    def swap_outputs(self, one: int, other: int) -> bool:
        """Swaps two outputs."""
        ...

    def save(self, folder: Path) -> None:
        """Writes the file, or files, over those of the sound artifact."""
        ...
