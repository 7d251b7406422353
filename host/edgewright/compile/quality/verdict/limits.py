"""The limits of the verdict: a precision's tolerance, and what its numbers can resolve."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from edgewright.nouns.artifact import Manifest, TensorSpec
from edgewright.nouns.precision import HALF, Tolerance
from edgewright.precisions import limits

_PROVEN = 4.0  # dB
_PARTS = 7.0  # dB
_USUAL = 8.0  # dB
_ROUNDINGS = (
    4 * 3**0.5
)  # the total rounding error of 16-bit floats, in roundings of one number: half a step, over the root of 3


class Rule(NamedTuple):
    """The rule for all outputs of an artifact.

    Attributes:
        tolerance: for whole outputs.
        following_db: the least ratio of a whole output's changes to its error, dB; None if the rule for slices applies.
        equal: the least share of equal classes.
        rounding: the total error that rounding the narrowest floats on the way may cause, as a share of an output's greatest value.
        data: the goldens are real inputs; on random ones no slice is judged.
        strays: share of the values whose error may exceed the tolerance, since edges of a sharp map fall either way.
        in_steps: the source itself is quantised.
        near: boards stay near the host's error: integers are the same on every kernel of the runtime, except for rounding.
        sums_vary: not with this runtime: some CPUs saturate sums of 8-bit products.
    """

    tolerance: Tolerance
    following_db: float | None
    equal: float
    rounding: float
    data: bool
    in_steps: bool
    strays: float = 0.0
    near: bool = False
    sums_vary: bool = False

    @property
    def proven_db(self) -> float | None:
        """As `following_db`, if other samples show that the artifact chooses as its source does."""
        return None if self.following_db is None else self.following_db - _PROVEN

    def slices_db(self, whole_db: float | None) -> float:
        """The least ratio of a slice's changes to its error, dB, in an output that follows by `whole_db`.

        A slice may follow less closely than the whole has to, and as far below the whole as slices usually are: with many
        slices, some always are. The limit is at least 0 dB.
        """
        if whole_db is None or self.following_db is None:
            return 0.0
        return max(0.0, min(self.following_db - _PARTS, whole_db - _USUAL))

    @property
    def resolution(self) -> float:
        """The rounding error of one number, as a share of it: for 16-bit floats on average, for 32-bit floats that of whole sums."""
        return self.rounding if self.rounding < HALF else self.rounding / _ROUNDINGS


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
        source: inputs and outputs of its source. floats: the narrowest floats that the source computes in.
        same_runtime: the host's answers are from the runtime that boards have, not from a substitute.
        sums_vary: in calibrated precisions, that runtime's answers depend on the CPU (`Target.sums_vary`).
    """
    row = limits(manifest.precision, floats)
    data = manifest.goldens.origin != "random"  # outputs for noise change little
    halves = any(spec.dtype == "float16" for spec in source)
    return Rule(
        tolerance=manifest.goldens.tolerance,
        following_db=row.following_db if data or row.kind == "floats" else None,
        equal=row.equal,
        rounding=max(row.rounding, HALF) if halves else row.rounding,
        data=data,
        in_steps=row.as_is,
        strays=row.strays,
        near=same_runtime and row.near,
        sums_vary=row.calibrated and row.activation_bits == 8 and sums_vary,
    )
