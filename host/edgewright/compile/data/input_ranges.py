"""The range of each input: from the calibration data, from the model's first layers, and values outside of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from edgewright.compile.data.input_domains import Domains
from edgewright.nouns.artifact import TensorSpec

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Range = tuple[float, float]

_OUTSIDE = 0.1  # of the range's width: values closer than this to the range are not reported
_UNFILLED = 1 / 20  # dark images fill a tenth of their range; images in another range fill a hundredth
_EXCESS = {
    "rescaling": 1.0,
    "normalization": 20.0,
}  # allowed excess in widths of the model's range: normal distributions have long tails


class Ranges:
    """Tracks the least and the greatest real value of each input."""

    def __init__(self, specs: Sequence[TensorSpec]) -> None:
        self._specs = specs
        self.found: tuple[Range, ...] = ()

    def watched(self, samples: Iterable[list[Array]]) -> Iterator[list[Array]]:
        """Passes the samples through and tracks their ranges."""
        for sample in samples:
            self.see(sample)
            yield sample

    def see(self, sample: Sequence[Array]) -> tuple[Range, ...]:
        """Adds a sample to the ranges; returns the sample's own ranges."""
        mine = tuple(_range(array, spec) for array, spec in zip(sample, self._specs, strict=True))
        self.found = joined(self.found, mine)
        return mine


def _range(array: Array, spec: TensorSpec) -> Range:
    if not array.size:
        return 0.0, 0.0
    low, high = float(array.min()), float(array.max())
    if spec.scale is None or array.dtype.kind == "f":
        return low, high
    zero = spec.zero_point or 0
    return (low - zero) * spec.scale, (high - zero) * spec.scale


def joined(one: Sequence[Range], other: Sequence[Range]) -> tuple[Range, ...]:
    """The union of two lists of ranges; either may be empty."""
    if not one or not other:
        return tuple(one or other)
    return tuple((min(a[0], b[0]), max(a[1], b[1])) for a, b in zip(one, other, strict=True))


def text(found: Range) -> str:
    """`0 to 255`: enough digits to resolve a thousandth of the width."""
    width = found[1] - found[0]
    digits = 2 - math.floor(math.log10(width)) if 0 < width < math.inf else 6
    low, high = (round(one, max(0, digits)) + 0.0 for one in found)  # + 0.0 turns -0 into 0
    return f"{low:.10g} to {high:.10g}"


def counts(spec: TensorSpec) -> bool:
    """Whether the values are a quantity. Integers of 16 bits and more without a scale are indexes, steps or flags."""
    import numpy as np

    dtype = np.dtype(spec.dtype)
    return dtype.kind == "f" or spec.scale is not None or (dtype.kind in "iu" and dtype.itemsize == 1)


def outside(specs: Sequence[TensorSpec], calibrated: Sequence[Range], given: Sequence[Range]) -> list[str]:
    """One line per input whose values lie outside the calibration range by more than a tenth of its width."""
    return [
        f"input {spec.name} goes from {text(mine)}, the calibration data from {text(known)}"
        for spec, known, mine in zip(specs, calibrated, given, strict=False)
        if counts(spec) and _is_outside(known, mine)
    ]


def _is_outside(known: Range, mine: Range) -> bool:
    room = _OUTSIDE * (known[1] - known[0]) + 1e-6 * max(abs(known[0]), abs(known[1]))
    return mine[0] < known[0] - room or mine[1] > known[1] + room


def misfits(specs: Sequence[TensorSpec], known: Domains, given: Sequence[Range]) -> list[str]:
    """One line per input whose data are in another range than the model's first layers expect.

    Data that merely do not fill the range are not reported, nor is a range that no image or sound format uses.
    """
    found = []
    for spec, domain, mine in zip(specs, known, given, strict=False):
        if domain is None or not domain.stored:
            continue
        low, high = domain.range
        width, room = high - low, _EXCESS[domain.cause] * (high - low)
        if mine[1] - mine[0] >= _UNFILLED * width and low - room <= mine[0] and mine[1] <= high + room:
            continue
        found.append(
            f"input {spec.name}: calibration data go from {text(mine)}, the model expects {text(domain.range)}"
        )
    return found
