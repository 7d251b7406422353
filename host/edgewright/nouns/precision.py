"""Precision: number formats of weights and activations, and how far each may deviate from the source."""

from __future__ import annotations

from msgspec.structs import replace

from edgewright.nouns.base import Noun

HALF = 2 * 2.0**-10  # of 16-bit floats, whose products are mostly summed in 32 bits


class Tolerance(Noun, frozen=True, kw_only=True):
    """How far a board's outputs may be from the source framework's, over all goldens of one output.

    Attributes:
        sqnr_db: least signal-to-noise ratio, 10 log10(sum(ref^2) / sum((out - ref)^2)), dB.
        relative: greatest max|out - ref| / max|ref|.
    """

    sqnr_db: float
    relative: float


class Precision(Noun, frozen=True, kw_only=True):
    """One row of the table below.

    Attributes:
        calibrated: static quantisation, needs calibration data.
        following_db: least ratio of what a whole output changes from input to input to its error, dB; None: as for slices,
            where the error must be smaller than that, on real inputs.
        equal: least share of equal class numbers.
        rounding: what the rounding of its floats may add up to, as a share of an output's greatest value.
    """

    name: str
    title: str
    tolerance: Tolerance
    calibrated: bool = False
    following_db: float | None = None
    equal: float = 0.95
    rounding: float = 8 * 2.0**-23


PRECISIONS: dict[str, Precision] = {
    row.name: row
    for row in (
        Precision(name="fp32", title="32-bit floats", tolerance=Tolerance(sqnr_db=60.0, relative=1e-3),
                  following_db=20.0, equal=0.999),
        Precision(name="fp16", title="16-bit floats", tolerance=Tolerance(sqnr_db=35.0, relative=0.03),
                  following_db=10.0, equal=0.99, rounding=HALF),
        Precision(name="int8-dynamic", title="8-bit weights, ranges of activations found while running",
                  tolerance=Tolerance(sqnr_db=11.0, relative=0.35)),
        Precision(name="int8", title="8-bit weights and activations, calibrated",
                  tolerance=Tolerance(sqnr_db=9.0, relative=0.45), calibrated=True),
        Precision(name="int8-mixed", title="int8 but for some layers, which stay in floats",
                  tolerance=Tolerance(sqnr_db=9.0, relative=0.45), calibrated=True),
        Precision(name="int16x8", title="16-bit activations and 8-bit weights, calibrated",
                  tolerance=Tolerance(sqnr_db=14.0, relative=0.25), calibrated=True),
        Precision(name="int8-weights", title="8-bit weights, arithmetic in floats",
                  tolerance=Tolerance(sqnr_db=14.0, relative=0.25)),
        Precision(name="int4-weights", title="4-bit weights, arithmetic in floats",
                  tolerance=Tolerance(sqnr_db=7.0, relative=0.5)),
        Precision(name="as-is", title="the source file unchanged", tolerance=Tolerance(sqnr_db=20.0, relative=0.1)),
    )
}  # fmt: skip

_SOURCES = {  # what a source that computes in narrow floats is itself off by
    "float16": PRECISIONS["fp16"],
    "bfloat16": Precision(
        name="", title="", tolerance=Tolerance(sqnr_db=17.0, relative=0.24), equal=0.98, rounding=8 * HALF
    ),
}


def limits(precision: str, floats: str = "float32") -> Precision:
    """The row of a precision, no stricter than the source's own floats are exact."""
    row, own = PRECISIONS[precision], _SOURCES.get(floats)
    if own is None:
        return row
    both = (row.following_db, own.following_db)
    return replace(
        row,
        tolerance=Tolerance(
            sqnr_db=min(row.tolerance.sqnr_db, own.tolerance.sqnr_db),
            relative=max(row.tolerance.relative, own.tolerance.relative),
        ),
        following_db=None if both[0] is None or both[1] is None else min(both[0], both[1]),
        equal=min(row.equal, own.equal),
        rounding=max(row.rounding, own.rounding),
    )
