"""The precisions, one file each: a precision's properties and needs are in its record."""

from __future__ import annotations

from msgspec.structs import replace

from edgewright.nouns.precision import COARSE_STRAYS, HALF, Precision, Tolerance
from edgewright.precisions import as_is, fp16, fp32, int8, int8_mixed
from edgewright.records import Records

PRECISIONS: Records[Precision] = Records(
    "edgewright.precisions", "precision", __name__, "PRECISION", Precision
)

# those that the host itself uses or names
EXACT, HALVES, INT8, MIXED, UNCHANGED = (one.PRECISION for one in (fp32, fp16, int8, int8_mixed, as_is))

_SOURCES = {  # the own error of a source that computes in narrow floats
    "float16": HALVES,
    "bfloat16": replace(
        HALVES,
        tolerance=Tolerance(sqnr_db=17.0, relative=0.24),
        following_db=None,
        equal=0.98,
        rounding=8 * HALF,
    ),
}


def limits(precision: str, floats: str = "float32") -> Precision:
    """The record of a precision, relaxed as far as the source's own floats are inexact."""
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
        strays=COARSE_STRAYS,
    )


def made_by(made: tuple[str, ...], name: str) -> str:
    """The precision by which a target makes this one: the same one, or one made the same way; empty if there is none."""
    if name in made:
        return name
    if name not in PRECISIONS:
        return ""
    return next((one for one in made if PRECISIONS[name].made_as(PRECISIONS[one])), "")


def offered(made: tuple[str, ...], name: str) -> bool:
    """Whether a target that makes the precisions `made` also makes this one."""
    return bool(made_by(made, name))


def with_plugins(made: tuple[str, ...]) -> tuple[str, ...]:
    """The precisions that a target makes, and those of plug-ins that are made the same way."""
    return (*made, *(one.name for one in PRECISIONS.foreign() if offered(made, one.name)))


def usable(name: str, made: tuple[str, ...], *, data: bool, layers: bool) -> bool:
    """Whether a default precision can be used.

    Args:
        made: the precisions that the target makes.
        data: whether there are calibration data.
        layers: whether the layers that stay in floats are given.
    """
    wanted = PRECISIONS[name]
    return offered(made, name) and (data or not wanted.calibrated) and (layers or not wanted.mixed)
