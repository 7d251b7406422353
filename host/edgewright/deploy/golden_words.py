"""Describes a board's golden check in the model's own names of outputs and slices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgewright.errors import ProtocolError
from edgewright.nouns.artifact import Manifest
from edgewright_agent.answers import WORST_DB
from edgewright_agent.protocol import MAX_LOST

RUNTIME = "the file, or the board's runtime, computes something else"
REFUSED = f"{RUNTIME}; convert again, or provision another runtime version"
LOW = f"{RUNTIME}; provision another runtime version, or give --evaluation (and a new --version where it is current): its limit decides then"


def check(verified: Mapping[str, Any], manifest: Manifest) -> None:
    """Raises ProtocolError where a board names more than there is, or gives no figures of what is less exact."""
    count, rows = len(manifest.outputs), verified.get("by_output") or []
    lost, wrong, low = (verified.get(key) or [] for key in ("lost", "wrong", "low"))
    fits = len(lost) <= MAX_LOST and max(len(wrong), len(low)) <= count
    if fits and low:
        fits = len(rows) == count and all(
            0 <= index < count and {"least_sqnr_db", "greatest_relative"} <= set(rows[index]) for index in low
        )
    if not fits:
        raise ProtocolError("the board's answer about the goldens does not fit the model's outputs")


def found(verified: Mapping[str, Any], manifest: Manifest) -> str:
    """What is beyond a limit; empty where nothing is, or the manifest has one tolerance for all."""
    words = [*lost(verified, manifest), *wrong(verified, manifest), *low(verified, manifest)]
    early = verified.get("compared")
    if words and early:
        words.append(f"seen after {early} of {verified.get('goldens')} goldens")
    return "; ".join(words)


def figures(verified: Mapping[str, Any]) -> tuple[float | None, float | None, str]:
    """The figure of the golden check, its limit and its unit.

    The limit is that of the output that is farthest beyond it, where outputs are less exact than their precision allows and that
    is all; else there is none.
    """
    rows = verified.get("by_output") or []
    low = set(verified.get("low") or [])
    beyond = [row for index, row in enumerate(rows) if index in low]
    if not beyond or verified.get("lost") or verified.get("wrong"):
        sqnr = verified.get("sqnr_db")
        return (float(sqnr) if isinstance(sqnr, int | float) else None), None, "dB"
    worst = min(beyond, key=lambda row: float(row["sqnr_db"] - row["least_sqnr_db"]))
    if worst["sqnr_db"] < worst["least_sqnr_db"]:
        return worst["sqnr_db"], worst["least_sqnr_db"], "dB"
    worst = max(beyond, key=lambda row: float(row["relative"] - row["greatest_relative"]))
    return worst["relative"], worst["greatest_relative"], "of the greatest value"


def named(index: int, manifest: Manifest) -> str:
    """An output as the model calls it."""
    names = [spec.name for spec in manifest.outputs]
    return f"`{names[index]}`" if 0 <= index < len(names) else f"output {index}"


def lost(verified: Mapping[str, Any], manifest: Manifest) -> list[str]:
    """The slices that do not follow the source, by output and axis."""
    slices = verified.get("lost") or []
    rows: dict[tuple[int, int], list[str]] = {}
    for one in slices:
        rows.setdefault((one["output"], one["axis"]), []).append(str(one["index"]))
    words = [
        f"{named(output, manifest)} does not follow its source at index {', '.join(indexes)} of axis {axis}"
        for (output, axis), indexes in rows.items()
    ]
    return [*words, "and maybe elsewhere"] if len(slices) >= MAX_LOST else words


def wrong(verified: Mapping[str, Any], manifest: Manifest) -> list[str]:
    """The outputs with too many unequal classes, more noise than signal, or values that are finite in only one of board and source."""
    words = []
    rows = dict(enumerate(verified.get("by_output") or []))
    for index in verified.get("wrong") or []:
        limits = manifest.verdict[index].limits if 0 <= index < len(manifest.verdict) else None
        unequal = limits.unequal if limits else None
        if unequal is not None:
            what = f"differs from its source in more than {unequal} values"
        elif index in rows and WORST_DB < rows[index]["sqnr_db"] <= 0:
            what = f"does not follow its source: {rows[index]['sqnr_db']:.1f} dB"
        elif limits and limits.apart is not None:
            what = "has values that are not finite or very large where its source's are not, or the other way round"
        else:
            what = "has values that are not finite"
        words.append(f"{named(index, manifest)} {what}")
    return words


def low(verified: Mapping[str, Any], manifest: Manifest) -> list[str]:
    """The outputs that are less exact than their precision allows."""
    names = [named(index, manifest) for index in verified.get("low") or []]
    return (
        [f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} less exact than the precision allows"]
        if names
        else []
    )


def hint(verified: Mapping[str, Any]) -> str:
    """What to do about a refusal."""
    only_low = verified.get("low") and not verified.get("lost") and not verified.get("wrong")
    return LOW if only_low else REFUSED
