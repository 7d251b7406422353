"""The limits of the verdict: a precision's tolerance, and what its numbers can resolve."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from edgewright.nouns.artifact import Manifest, TensorSpec
from edgewright.nouns.precision import HALF, Tolerance
from edgewright.precisions import limits


class Rule(NamedTuple):
    """The rule for all outputs of an artifact.

    Attributes:
        tolerance: of whole outputs.
        following_db: least signal of a whole output's changes to its error, dB; None where the rule for slices holds.
        equal: least share of equal classes.
        rounding: what the rounding of the narrowest floats on the way may add up to, as a share of an output's greatest value.
        data: the goldens are real inputs; on random ones no slice is judged.
        strays: share of the values that may be off by more than the tolerance: edges of a sharp map fall either way.
        in_steps: the source itself is quantised.
        near: boards keep near the error that the host saw: integers are the same on every kernel of the runtime, but for rounding.
    """

    tolerance: Tolerance
    following_db: float | None
    equal: float
    rounding: float
    data: bool
    in_steps: bool
    strays: float = 0.0
    near: bool = False


def rule_of(
    manifest: Manifest,
    source: Iterable[TensorSpec],
    floats: str = "float32",
    *,
    same_runtime: bool = True,
    sums_vary: bool = False,
) -> Rule:
    """The rule for an artifact.

    Args:
        source: inputs and outputs of its source. floats: the narrowest that it computes in.
        same_runtime: the host's answers are from the runtime that boards have, not from one that stands in for it.
        sums_vary: that runtime's answers vary CPU by CPU in calibrated precisions (`Target.sums_vary`).
    """
    row = limits(manifest.precision, floats)
    halves = any(spec.dtype == "float16" for spec in source)
    return Rule(
        tolerance=manifest.goldens.tolerance,
        following_db=row.following_db,
        equal=row.equal,
        rounding=max(row.rounding, HALF) if halves else row.rounding,
        data=manifest.goldens.origin != "random",
        in_steps=row.as_is,
        strays=row.strays,
        near=same_runtime and row.near and not (row.calibrated and row.activation_bits == 8 and sums_vary),
    )
