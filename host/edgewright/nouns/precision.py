"""Precision: number formats of weights and activations, and how far each may deviate from the source."""

from __future__ import annotations

from typing import Literal

from edgewright.nouns.base import Noun

COARSE_STRAYS = 1e-2
HALF = 2 * 2.0**-10  # of 16-bit floats, whose products are mostly summed in 32 bits

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
    """One precision. Converters go by `kind` and the bits, never by the name, so that a precision that differs in
    nothing else, a plug-in's too, is made by every target that makes its kind.

    Attributes:
        kind: the arithmetic. `floats`; `dynamic`: ranges of activations are found while running; `calibrated`: static
            quantisation; `mixed`: the same, but named layers stay in floats; `weights`: weights alone are quantised;
            `as-is`: the source file unchanged.
        weight_bits, activation_bits: widths of the numbers; of `as-is` they mean nothing.
        cost: how slow it is on a board, roughly; the precisions that a search compares have different ones.
        following_db: least ratio of what a whole output changes from input to input to its error, dB; None: as for slices,
            where the error must be smaller than that, on real inputs.
        equal: least share of equal class numbers.
        rounding: what the rounding of its floats may add up to, as a share of an output's greatest value.
        strays: share of the values that may be off by more than the tolerance: edges of a sharp map fall either way.
        near: boards keep near the error that the host saw: integers are the same on every kernel of a runtime. What the
            host errs by in floats is rounding, which boards may do in another way.
        cure: what helps where its answers are too far away; empty: what helps any quantised model.
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
        """Static quantisation: it needs calibration data."""
        return self.kind in ("calibrated", "mixed")

    @property
    def mixed(self) -> bool:
        """It needs the names of the layers that stay in floats."""
        return self.kind == "mixed"

    @property
    def weights_only(self) -> bool:
        """Weights alone are quantised, the arithmetic is in floats."""
        return self.kind == "weights"

    @property
    def as_is(self) -> bool:
        """The source file goes through unchanged."""
        return self.kind == AS_IS

    @property
    def exact(self) -> bool:
        """32-bit floats: nothing is rounded but what the source rounds."""
        return self.kind == "floats" and self.weight_bits == 32

    @property
    def half(self) -> bool:
        """16-bit floats."""
        return self.kind == "floats" and self.weight_bits == 16

    def made_as(self, other: Precision) -> bool:
        """Whether a converter makes both in the same way."""
        mine = (self.kind, self.weight_bits, self.activation_bits)
        return mine == (other.kind, other.weight_bits, other.activation_bits)
