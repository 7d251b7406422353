"""Precision: number formats of weights and activations, and how far each may deviate from the source."""

from __future__ import annotations

from typing import Literal

from edgewright.nouns.base import Noun

COARSE_STRAYS = 1e-2
HALF = 2 * 2.0**-10  # rounding of 16-bit floats, whose products are mostly summed in 32 bits

AS_IS = "as-is"  # the only precision of its kind
Kind = Literal["floats", "dynamic", "calibrated", "mixed", "weights", "as-is"]


class Tolerance(Noun, frozen=True, kw_only=True):
    """How far a board's outputs may be from the source framework's, over all goldens of one output.

    Attributes:
        sqnr_db: least signal-to-noise ratio, 10 log10(sum(ref^2) / sum((out - ref)^2)), dB.
        relative: greatest max|out - ref| / max|ref|.
    """

    sqnr_db: float
    relative: float


class Precision(Noun, frozen=True, kw_only=True):
    """A precision. Converters look at `kind` and the bit widths, never at the name, so that every target that makes this kind
    and these widths also makes a plug-in's precision with them.

    Attributes:
        kind: the arithmetic. `floats`; `dynamic`: ranges of activations are computed at run time; `calibrated`: static
            quantisation; `mixed`: the same, but named layers stay in floats; `weights`: weights alone are quantised;
            `as-is`: the source file unchanged.
        weight_bits, activation_bits: widths of the numbers; of `as-is` they mean nothing.
        cost: how slow it is on a board, roughly; the precisions that a search compares have different ones.
        following_db: least ratio of what a whole output changes from input to input to its error, dB, of quantised ones on real
            inputs; None: as for slices, where the error must be smaller than that.
        equal: least share of equal class numbers.
        rounding: accumulated rounding error of its floats, as a share of an output's greatest value.
        strays: share of the values that may exceed the tolerance: pixels at the edge of a sharp map may go either way.
        near: whether boards must stay close to the error seen on the host, as all kernels of a runtime compute integers
            the same way. For floats, the host's error is rounding, which may differ on boards.
        cure: advice if the outputs deviate too far; empty for the advice that fits any quantised model.
    """

    name: str
    title: str
    kind: Kind
    weight_bits: int
    activation_bits: int
    tolerance: Tolerance
    cost: float
    following_db: float | None = None
    equal: float = 0.95
    rounding: float = 8 * 2.0**-23
    strays: float = COARSE_STRAYS
    near: bool = True
    cure: str = ""

    @property
    def calibrated(self) -> bool:
        """Whether quantisation is static, so that calibration data are needed."""
        return self.kind in ("calibrated", "mixed")

    @property
    def mixed(self) -> bool:
        """Whether it needs the names of the layers that stay in floats."""
        return self.kind == "mixed"

    @property
    def weights_only(self) -> bool:
        """Whether only weights are quantised and the arithmetic is in floats."""
        return self.kind == "weights"

    @property
    def as_is(self) -> bool:
        """Whether the source file is passed through unchanged."""
        return self.kind == AS_IS

    @property
    def exact(self) -> bool:
        """Whether it is 32-bit floats, which round no more than the source does."""
        return self.kind == "floats" and self.weight_bits == 32

    @property
    def half(self) -> bool:
        """Whether it is 16-bit floats."""
        return self.kind == "floats" and self.weight_bits == 16

    def made_as(self, other: Precision) -> bool:
        """Whether a converter makes both the same way."""
        mine = (self.kind, self.weight_bits, self.activation_bits)
        return mine == (other.kind, other.weight_bits, other.activation_bits)
