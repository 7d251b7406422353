"""OutputVerdict: how close an output is to the source's, and the limits that apply on boards."""

from __future__ import annotations

from edgewright.nouns.base import Noun


class SliceLimits(Noun, frozen=True, kw_only=True):
    """Limits of every slice of an output along one axis.

    Attributes:
        axis: of the output's shape.
        noise: for each index, the greatest sum of (out - ref)^2 over all goldens; None if a slice has no separate limit.
    """

    axis: int
    noise: tuple[float | None, ...]


class Limits(Noun, frozen=True, kw_only=True):
    """Limits for the outputs of the goldens, in real values, on every runtime.

    Attributes:
        noise: greatest sum of (out - ref)^2 over all goldens. None for classes and other integers without a scale.
        error: greatest |out - ref|. None as above.
        unequal: for integers without a scale and booleans, how many may differ. None for all others.
        apart: references beyond this value, or not finite, are left out of sums; outputs must be so too, with the same sign. None: there are none.
        slices: at most `MAX_SLICES` in all outputs of a manifest.
    """

    noise: float | None = None
    error: float | None = None
    unequal: int | None = None
    apart: float | None = None
    slices: tuple[SliceLimits, ...] = ()


MAX_SLICES = 4096


class Compared(Noun, frozen=True, kw_only=True):
    """The result of the user's comparison function on an artifact's outputs for the goldens, in place of limits on their error.

    Attributes:
        function: `file.py:function`, without the file's folder.
        sha256: of the file.
        least: the least share required, on boards too.
        share: how similar the outputs are to the source's, 0 to 1, on the host's runtime.
    """

    function: str
    sha256: str
    least: float
    share: float


class Slice(Noun, frozen=True, kw_only=True):
    """One index of one axis of an output.

    Attributes:
        sqnr_db: 10 log10 of sum((ref - its mean over the goldens)^2) / sum((out - ref)^2), dB.
    """

    axis: int
    index: int
    sqnr_db: float


class OutputVerdict(Noun, frozen=True, kw_only=True):
    """One output of an artifact, on the host's runtime, over all goldens.

    Attributes:
        sqnr_db: 10 log10(sum(ref^2) / sum((out - ref)^2)), dB. None for integers without a scale.
        following_db: as `Slice.sqnr_db`, for the whole output: how well it follows its source from input to input. None also if the
            source varies by less than the artifact's step.
        equal: share of equal values. Only for integers without a scale and booleans.
        top1: share of goldens with the same greatest value as the source, among those where the source's choice exceeds the noise.
            Only for classifications.
        worst: the slice that follows its source worst.
        not_covered: slices (axis, index) that vary by less than the artifact's step on these goldens, while others on their axis vary more.
        limits: the limits that apply to a board's outputs.
    """

    sqnr_db: float | None = None
    following_db: float | None = None
    equal: float | None = None
    top1: float | None = None
    worst: Slice | None = None
    not_covered: tuple[tuple[int, int], ...] = ()
    limits: Limits = Limits()

    @property
    def least_db(self) -> float | None:
        """The lowest of its figures in dB; None for classes."""
        worst = None if self.worst is None else self.worst.sqnr_db
        return min((one for one in (self.sqnr_db, self.following_db, worst) if one is not None), default=None)
