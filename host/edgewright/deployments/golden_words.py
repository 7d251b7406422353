"""Describes a board's golden check in the model's own names of outputs and slices."""

from __future__ import annotations

from typing import NamedTuple

from edgewright import targets
from edgewright.errors import ProtocolError
from edgewright.nouns.artifact import Manifest
from edgewright.precisions import PRECISIONS
from edgewright.wire.answers import Verdict
from edgewright_agent.protocol import MAX_LOST, WORST_DB

RUNTIME = "the file, or the board's runtime, computes something else"
REFUSED = f"{RUNTIME}; convert again, or provision another runtime version"
LOW = f"{RUNTIME}; provision another runtime version, or give --evaluation (and a new --version where it is current): its limit decides then"

SATURATED = "a CPU without VNNI saturates sums of 8-bit products with this runtime: take int8-dynamic, fp16 or another target; else "


def check(verified: Verdict, manifest: Manifest) -> None:
    """Raises ProtocolError if a board names outputs that do not exist, or omits the figures of less exact outputs."""
    count, low = len(manifest.outputs), verified.low
    fits = len(verified.lost) <= MAX_LOST and max(len(verified.wrong), len(low)) <= count
    if fits and low:
        fits = len(verified.by_output) == count and all(0 <= index < count for index in low)
        fits = fits and len(beyond(verified)) == len(low)
    if not fits:
        raise ProtocolError("the board's answer about the goldens does not fit the model's outputs")


def found(verified: Verdict, manifest: Manifest) -> str:
    """Describes what is beyond a limit; empty if nothing is, or if the manifest has one tolerance for all outputs."""
    words = [*lost(verified, manifest), *wrong(verified, manifest), *low(verified, manifest)]
    if words and verified.compared:
        words.append(f"seen after {verified.compared} of {verified.goldens} goldens")
    return "; ".join(words)


def figures(verified: Verdict) -> tuple[float | None, float | None, str]:
    """The figure of the golden check, its limit and its unit.

    There is a limit only if the sole fault is that outputs are less exact than their precision allows. It is the limit of the
    output that is farthest beyond its own.
    """
    rows = beyond(verified)
    if not rows or verified.lost or verified.wrong:
        return verified.sqnr_db, None, "dB"
    worst = min(rows, key=lambda row: row.sqnr_db - row.least_sqnr_db)
    if worst.sqnr_db < worst.least_sqnr_db:
        return worst.sqnr_db, worst.least_sqnr_db, "dB"
    worst = max(rows, key=lambda row: row.relative - row.greatest_relative)
    return worst.relative, worst.greatest_relative, "of the greatest value"


class Beyond(NamedTuple):
    """The figures of an output that is less exact than its precision allows, and its limits."""

    sqnr_db: float
    least_sqnr_db: float
    relative: float
    greatest_relative: float


def beyond(verified: Verdict) -> list[Beyond]:
    """The `low` outputs for which the board reported limits."""
    rows = [row for index, row in enumerate(verified.by_output) if index in set(verified.low)]
    return [
        Beyond(row.sqnr_db, row.least_sqnr_db, row.relative, row.greatest_relative)
        for row in rows
        if row.least_sqnr_db is not None and row.greatest_relative is not None
    ]


def named(index: int, manifest: Manifest) -> str:
    """An output's name in the model."""
    names = [spec.name for spec in manifest.outputs]
    return f"`{names[index]}`" if 0 <= index < len(names) else f"output {index}"


def lost(verified: Verdict, manifest: Manifest) -> list[str]:
    """Describes the slices that do not follow the source, by output and axis."""
    slices = verified.lost
    rows: dict[tuple[int, int], list[str]] = {}
    for one in slices:
        rows.setdefault((one.output, one.axis), []).append(str(one.index))
    words = [
        f"{named(output, manifest)} does not follow its source at index {', '.join(indexes)} of axis {axis}"
        for (output, axis), indexes in rows.items()
    ]
    return [*words, "and maybe elsewhere"] if len(slices) >= MAX_LOST else words


def wrong(verified: Verdict, manifest: Manifest) -> list[str]:
    """Describes outputs with too many unequal classes, more noise than signal, or values finite on only one of board and source."""
    words = []
    rows = dict(enumerate(verified.by_output))
    for index in verified.wrong:
        limits = manifest.verdict[index].limits if 0 <= index < len(manifest.verdict) else None
        unequal = limits.unequal if limits else None
        if unequal is not None:
            what = f"differs from its source in more than {unequal} values"
        elif index in rows and WORST_DB < rows[index].sqnr_db <= 0:
            what = f"does not follow its source: {rows[index].sqnr_db:.1f} dB"
        elif limits and limits.apart is not None:
            what = "has values that are not finite or very large where its source's are not, or the other way round"
        else:
            what = "has values that are not finite"
        words.append(f"{named(index, manifest)} {what}")
    return words


def low(verified: Verdict, manifest: Manifest) -> list[str]:
    """Describes the outputs that are less exact than their precision allows."""
    names = [named(index, manifest) for index in verified.low]
    return (
        [f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} less exact than the precision allows"]
        if names
        else []
    )


def hint(verified: Verdict, manifest: Manifest, arch: str = "") -> str:
    """The hint for a refusal.

    Args:
        arch: of the board, as `uname -m` says.
    """
    only_low = verified.low and not verified.lost and not verified.wrong
    precision = PRECISIONS[manifest.precision]
    eights = precision.calibrated and precision.activation_bits == 8
    cause = SATURATED if eights and arch == "x86_64" and targets.load(manifest.target).sums_vary else ""
    return f"{cause}{LOW if only_low else REFUSED}"
