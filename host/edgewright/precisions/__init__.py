"""The precisions, a file each: what one is, and what it needs, is asked of its record."""

from __future__ import annotations

from msgspec.structs import replace

from edgewright.nouns.precision import COARSE_STRAYS, HALF, Precision, Tolerance
from edgewright.precisions import as_is, fp16, fp32, int8, int8_mixed
from edgewright.records import Records

PRECISIONS: Records[Precision] = Records(
    "edgewright.precisions", "precision", __name__, "PRECISION", Precision
)

# those that the host itself takes or names
EXACT, HALVES, INT8, MIXED, UNCHANGED = (one.PRECISION for one in (fp32, fp16, int8, int8_mixed, as_is))

_SOURCES = {  # what a source that computes in narrow floats is itself off by
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
        strays=COARSE_STRAYS,
    )


def made_by(made: tuple[str, ...], name: str) -> str:
    """By which of its precisions a target makes this one: of that name, or made in the same way; empty: by none."""
    if name in made:
        return name
    if name not in PRECISIONS:
        return ""
    return next((one for one in made if PRECISIONS[name].made_as(PRECISIONS[one])), "")


def offered(made: tuple[str, ...], name: str) -> bool:
    """Whether a target that makes the precisions `made` makes this one."""
    return bool(made_by(made, name))


def with_plugins(made: tuple[str, ...]) -> tuple[str, ...]:
    """What a target makes, and the precisions of plug-ins that are made in the same way."""
    return (*made, *(one.name for one in PRECISIONS.foreign() if offered(made, one.name)))


def usable(name: str, made: tuple[str, ...], *, data: bool, layers: bool) -> bool:
    """Whether a default precision can be taken.

    Args:
        made: what the target makes. data: there are calibration data. layers: those that stay in floats are named.
    """
    wanted = PRECISIONS[name]
    return offered(made, name) and (data or not wanted.calibrated) and (layers or not wanted.mixed)
