"""The verdict as table rows for people."""

from __future__ import annotations

import math
from collections.abc import Iterator

from edgewright.nouns.artifact import Manifest, TensorSpec
from edgewright.nouns.verdict import OutputVerdict

MOST = 6  # outputs to show
_NAMED = 4  # slices to name

RANDOM = "not proven on data (random goldens)"


def rows(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """(heading, text): one row for each of the first outputs, and a caveat if only random inputs were compared."""
    if not manifest.verdict:  # schema 1
        yield "answers", f"SQNR {manifest.parity.sqnr_db:.1f} dB"
    pairs = list(zip(manifest.outputs, manifest.verdict, strict=False))
    for spec, one in pairs[:MOST]:
        yield "answers", (f"{spec.name}: " if len(pairs) > 1 else "") + nearness(spec, one)
    if len(pairs) > MOST:
        yield "answers", f"and {len(pairs) - MOST} more outputs"
    yield from similar(manifest)
    if manifest.goldens.origin == "random":
        yield "caveat", f"{RANDOM}: give --calibration data like its real inputs"


def similar(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """(heading, text) of the user's own comparison, if there is one."""
    found = manifest.compare
    if found is not None:
        yield "compare", f"{found.function}: {percent(found.share)} the same, at least {percent(found.least)}"


def percent(share: float) -> str:
    """A share for people, rounded down, so that it never appears to reach a limit that it misses."""
    return f"{math.floor(share * 10000 + 1e-6) / 100:g} %"


def nearness(spec: TensorSpec, one: OutputVerdict) -> str:
    """One output in words."""
    if one.sqnr_db is None:
        return _equality(one)
    if one.sqnr_db >= 200:
        parts = ["no error"]
    else:
        parts = [f"error {_share(one.sqnr_db)} of the values"]
        if one.following_db is not None:
            parts[0] += f", {_share(one.following_db)} of what changes"
        parts[0] += f" (SQNR {one.sqnr_db:.1f} dB)"
        if one.worst is not None:
            slices = place(spec, one, one.worst.axis, one.worst.index)
            parts.append(f"worst: {slices}, {_share(one.worst.sqnr_db)} of what changes")
    if one.following_db is None:
        parts.append("changes too little to be judged")
    if one.top1 is not None:
        parts.append("the same first choice" + ("" if one.top1 == 1 else f" in {one.top1:.0%}"))
    if one.not_covered:
        named = ", ".join(place(spec, one, axis, index) for axis, index in one.not_covered[:_NAMED])
        more = f" and {len(one.not_covered) - _NAMED} more" if len(one.not_covered) > _NAMED else ""
        parts.append(f"not covered: {named}{more}")
    return "; ".join(parts)


def place(spec: TensorSpec, one: OutputVerdict, axis: int, index: int) -> str:
    """A slice for people: a class if the output chooses among classes."""
    choice = one.top1 is not None and axis == len(spec.shape) - 1
    return f"class {index}" if choice else f"index {index} of axis {axis}"


def _equality(one: OutputVerdict) -> str:
    share = one.equal or 0.0
    return "all equal" if share == 1 else f"{share:.2%} equal"


def _share(db: float) -> str:
    """An error as a percentage of its reference, by their root mean squares."""
    percent = 100 * 10 ** (-db / 20)
    if percent < 0.001:
        return "less than 0.001 %"
    digits = max(0, 1 - math.floor(math.log10(percent)))
    return f"{percent:.{digits}f} %"
