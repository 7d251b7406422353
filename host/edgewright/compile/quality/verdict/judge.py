"""Judges the outputs of an artifact on the goldens. Pure: arrays in, figures out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from edgewright.compile.data.answers import real
from edgewright.compile.quality.verdict import board_tolerance, classes, sentinels
from edgewright.compile.quality.verdict.choices import Choice, Chosen, choice
from edgewright.compile.quality.verdict.decibels import EXACT_DB, LARGEST, decibel, plain, raised
from edgewright.compile.quality.verdict.limits import Rule
from edgewright.compile.quality.verdict.slices import Slices, axes, distributions, quiet, slices
from edgewright.compile.quality.verdict.swapped_slices import swapped
from edgewright.compile.quality.verdict.whole import EDGE, Whole
from edgewright.nouns.artifact import Parity, TensorSpec
from edgewright.nouns.verdict import Limits, OutputVerdict

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_NOISES = 2  # a choice whose margin is within this many usual errors of two values may fall either way
_SPREADS = 2  # times the disagreement of this machine's kernels, since boards have others
_LEAST_SIZE = 2.0**-10
_MEDIAN = 0.6745  # the median of a normal distribution's absolute values, in standard deviations
_LOOK_DB = 25.0  # a smaller error (1/18 of the changes) changes few choices
_NAMED = 16  # lost slices of an output that are examined


class Suspect(NamedTuple):
    """A slice that looks lost on the goldens.

    Attributes:
        axis: None for the whole output. at: index along the axis.
        signal_db: ratio of the source's changes in it to the artifact's error, dB.
        instead: the index of the source's slice in the artifact; None if it is not there.
        quiet: as in `slices.Slices`.
    """

    axis: int | None
    at: int
    signal_db: float
    instead: int | None = None
    quiet: Array | float = 0.0


class Judged(NamedTuple):
    """One output, judged.

    Attributes:
        floor: the squared error of all roundings on the way, at every position; exact: that of the last rounding. Like `centre`, only if
            more samples are needed.
        reach: a value strays if its error is larger than this.
        wrong: number of values that are not finite, or that stand apart in the source but not here.
        unequal: number of classes that differ. max_abs, relative, cosine: as in `nouns.artifact.Parity`.
        low: the whole output is beyond its limit. near: its noise is within the limit. still: it does not follow its source as well as
            its precision requires.
        suspects: slices that are lost if other samples confirm it.
        centre: the source's mean answer.
        choice: how it chooses, if its error is large enough to change choices. chosen: the choices on other samples.
    """

    verdict: OutputVerdict
    floor: Array | None = None
    exact: Array | None = None
    centre: Array | None = None
    reach: float = 0.0
    wrong: int = 0
    unequal: int = 0
    max_abs: float = 0.0
    relative: float = 0.0
    cosine: float = 1.0
    low: bool = False
    near: bool = False
    still: bool = False
    blind: bool = False
    suspects: tuple[Suspect, ...] = ()
    choice: Choice | None = None
    chosen: Chosen | None = None

    @property
    def doubtful(self) -> bool:
        """Whether more samples are needed, since there are few goldens."""
        unequal = self.low and self.verdict.equal is not None
        return bool(self.suspects or unequal or self.choice)

    @property
    def sqnr_db(self) -> float:
        """Signal to noise of the whole output, dB; for classes, the ratio of equal to unequal values."""
        if self.verdict.sqnr_db is not None:
            return self.verdict.sqnr_db
        return plain(decibel(1.0, 1.0 - (1.0 if self.verdict.equal is None else self.verdict.equal)))


class Disagreement(NamedTuple):
    """How much the kernels of one runtime disagree on one output, in real values: 0 if they agree, or if none was run.

    Attributes:
        noise: the mean over the goldens of the greatest (other - ref)^2, of the output's shape.
        error: the greatest |other - ref|.
    """

    noise: Array | float = 0.0
    error: float = 0.0


NONE = Disagreement()


def judge(
    references: Sequence[Array], outputs: Sequence[Array], specs: Sequence[TensorSpec], steps: Sequence[Array],
    counts: Sequence[Array], rule: Rule, kernels: Sequence[Disagreement] = (),
) -> list[Judged]:  # fmt: skip
    """Judges all outputs.

    Args:
        references, outputs, counts: one array per output, of shape (goldens, *spec.shape); integers as they are.
        specs: the artifact's outputs. steps: from `steps.steps`.
        counts: masks of the values that count. kernels: one per output; empty if no other kernel was run.
    """
    wide = [real_values(reference, spec) for reference, spec in zip(references, specs, strict=True)]
    labels = [
        classes.are(reference, spec, step)
        for reference, spec, step in zip(references, specs, steps, strict=True)
    ]
    measured = [
        None if label or not rule.data else reference for label, reference in zip(labels, wide, strict=True)
    ]
    cut = axes(measured)
    return [
        _equality(reference, output, counted, rule)
        if label
        else _nearness(real_reference, real_values(output, spec), spec, step, counted, rule, chosen, others)
        for reference, output, spec, step, counted, label, real_reference, chosen, others
        in zip(references, outputs, specs, steps, counts, labels, wide, cut, kernels or [NONE] * len(specs), strict=True)
    ]  # fmt: skip


def settled(
    one: Judged, suspects: tuple[Suspect, ...], low: bool, still: bool, chosen: Chosen | None
) -> Judged:
    """An output after more samples were judged. If they clear it, boards may be as far off as this machine was."""
    limits = one.verdict.limits
    if one.verdict.equal is not None:
        if one.low and not low:
            limits = msgspec.structs.replace(limits, unequal=max(limits.unequal or 0, math.ceil(EDGE * one.unequal)))  # fmt: skip
    elif one.low and not low:
        limits = msgspec.structs.replace(limits, error=raised(max(limits.error or 0.0, EDGE * one.max_abs)))
    verdict = msgspec.structs.replace(one.verdict, limits=limits)
    return one._replace(verdict=verdict, suspects=suspects, low=low, still=still, chosen=chosen)


def real_values(values: Array, spec: TensorSpec) -> Array:
    """Outputs of the source or the artifact in float64; integers with the output's scale are dequantised."""
    import numpy as np

    scale = {"dtype": spec.dtype, "scale": spec.scale, "zero_point": spec.zero_point}
    return np.asarray(real(values, scale), np.float64)


def parity(judged: Sequence[Judged], count: int) -> Parity:
    """The figures over all outputs."""
    first = judged[0].verdict
    agreed = first.equal if first.top1 is None else first.top1
    return Parity(
        max_abs=plain(max(one.max_abs for one in judged)),
        max_relative=plain(max(one.relative for one in judged)),
        cosine=plain(min(one.cosine for one in judged)),
        sqnr_db=min(one.sqnr_db for one in judged),
        top1_agreement=1.0 if agreed is None else agreed,
        count=count,
    )


def _equality(reference: Array, output: Array, counts: Array, rule: Rule) -> Judged:
    """The verdict on classes."""
    import numpy as np

    total = int(counts.sum())
    unequal = int(np.sum((reference != output) & counts))
    most = classes.most_unequal(total, rule.equal)
    share = 1 - unequal / total if total else 1.0
    return Judged(
        verdict=OutputVerdict(equal=plain(share), limits=Limits(unequal=most)),
        unequal=unequal,
        low=unequal > most,
    )


def _nearness(
    reference: Array, output: Array, spec: TensorSpec, step: Array, counts: Array, rule: Rule, cut: list[int],
    kernels: Disagreement,
) -> Judged:  # fmt: skip
    """The verdict on real values."""
    import numpy as np

    bound = sentinels.limit(reference, counts)
    away = sentinels.away(reference, bound) & counts
    wrong = int(np.sum(counts & ~away & ~np.isfinite(output)))
    if bound is not None:
        wrong += sentinels.unmatched(reference[away], output[away])
    used = counts & ~away
    used &= np.isfinite(output)
    if not used.all():
        reference, output = np.where(used, reference, 0.0), np.where(used, output, 0.0)
    centre = reference.mean(axis=0)
    largest = max(float(reference.max(initial=0.0)), -float(reference.min(initial=0.0)))
    reach = (
        rule.tolerance.relative * largest
        + 2 * float(step.max(initial=0.0))
        + min(2 * kernels.error, largest / 2)
    )
    whole, cosine = Whole(centre, reach), 1.0
    for one, other, counted in zip(reference, output, used, strict=True):  # row by row: outputs may be large
        whole.add(one, other, counted)
        cosine = min(cosine, _cosine(one, other))
    sums, error, noise, signal = whole.sums, whole.error, whole.noise, whole.signal
    sizes = _sizes(reference, largest)
    steps = _steps(spec, step, rule) + _let_in(kernels, sums.count, whole.power)
    each, exact = (steps + (share * sizes) ** 2 for share in (rule.rounding, rule.resolution))
    most, near = whole.most_error(rule), whole.most_noise(each, rule)
    following, proven = (
        whole.most_following(each, exact, least) for least in (rule.following_db, rule.proven_db)
    )
    board = board_tolerance.near(sizes, step, sums.count, rule)
    moving, chances = whole.moving(exact), distributions(reference, used)
    chooses = None
    if rule.data and moving and decibel(signal, noise) < _LOOK_DB:
        chooses = choice(reference, sums.signal, used, chances, _usual_error(reference, output, used))
    limits = Limits(
        noise=raised(
            min(
                near,
                board.following(proven if chooses else following),
                board.whole(noise, signal),
            )
        ),
        error=raised(most),
        apart=None if bound is None else raised(bound),
    )
    floor = exact * sums.count
    follows = plain(decibel(signal, noise)) if moving else None
    parts = [
        slices(
            sums, floor, axis, quiet(reference, sums, axis, chances=axis in chances), rule.slices_db(follows)
        )
        for axis in cut
    ]
    low = not (noise <= near and error <= most)
    suspects = _suspects(parts, reference, output)
    if rule.data and moving and noise >= signal:
        suspects = [Suspect(None, 0, plain(decibel(signal, noise))), *suspects]
    verdict = OutputVerdict(
        sqnr_db=-EXACT_DB if wrong else plain(decibel(whole.power, noise)),
        following_db=follows,
        top1=_top1(reference, output, noise),
        worst=min((part.worst for part in parts if part.worst), key=lambda one: one.sqnr_db, default=None),
        not_covered=tuple(one for part in parts for one in part.not_covered),
        limits=Limits(
            noise=limits.noise, error=limits.error, apart=limits.apart,
            slices=tuple(found for part in parts if (found := part.limits(board.slices(part)))),
        ),
    )  # fmt: skip
    asked = bool(suspects or chooses)
    return Judged(
        verdict=verdict,
        floor=each if asked else None,
        exact=exact if asked else None,
        centre=centre if asked else None,
        reach=reach,
        wrong=wrong,
        max_abs=LARGEST if wrong else error,
        relative=LARGEST if wrong else error / largest if largest else error,
        cosine=cosine,
        low=low,
        near=noise <= near,
        still=noise > following,
        blind=noise > proven,
        suspects=tuple(suspects),
        choice=chooses,
    )


def _steps(spec: TensorSpec, step: Array, rule: Rule) -> Array:
    """The squared error that rounding outputs to steps may cause, at each place."""
    import numpy as np

    whole = spec.dtype.lstrip("u").startswith("int")
    if whole and spec.scale is None:
        step = np.ones(step.shape)  # integers without a scale that are not classes, such as a picture's
    found: Array = (1 / 6 + 1 if rule.in_steps or whole else 1 / 6) * np.square(step)
    return found


def _let_in(kernels: Disagreement, count: Array, power: float) -> Array | float:
    """The squared difference that kernels may have at each place: at most a quarter of all power, since beyond that they compute something else."""
    import numpy as np

    wanted = np.asarray(_SPREADS * kernels.noise)
    total = float((wanted * count).sum())
    return wanted if total <= power / 4 else wanted * (power / 4 / total)


def _sizes(reference: Array, largest: float) -> Array:
    """The size of the floats at each place: a score between 0 and 1 is not rounded as coarsely as the box next to it.

    No size is below a thousandth of the largest, since sums on the way are not smaller.
    """
    import numpy as np

    found: Array = np.maximum(np.abs(reference).max(axis=0, initial=0.0), _LEAST_SIZE * largest)
    return found


def _suspects(parts: Sequence[Slices], reference: Array, output: Array) -> list[Suspect]:
    """The lost slices, those along the axis with the worst slice first."""
    found = []
    for part in sorted(parts, key=lambda part: EXACT_DB if part.worst is None else part.worst.sqnr_db):
        lost = part.lost
        named = swapped(reference, output, part.axis, lost[:_NAMED])
        found += [
            Suspect(
                part.axis,
                index,
                plain(decibel(part.signal[index], part.noise[index])),
                named.get(index),
                part.quiet,
            )
            for index in lost
        ]
    return found


def _usual_error(reference: Array, output: Array, used: Array) -> float:
    """The usual error of a value: the standard deviation of white noise; one wrong class among many hardly changes it."""
    import numpy as np

    return float(np.median(np.abs(output - reference)[used])) / _MEDIAN


def _top1(reference: Array, output: Array, noise: float) -> float | None:
    """Share of the goldens with a clear choice in which the greatest value is the source's; None if no choice is clear, or there is no choice."""
    import numpy as np

    flat, answered = reference.reshape(len(reference), -1), output.reshape(len(output), -1)
    if flat.shape[1] < 2 or flat.shape[1] != reference.shape[-1]:
        return None
    two = np.partition(flat, -2, axis=1)[:, -2:]
    clear = two[:, 1] - two[:, 0] > _NOISES * (2 * noise / flat.size) ** 0.5
    if not clear.any():
        return None
    return plain(float(np.mean(flat[clear].argmax(axis=1) == answered[clear].argmax(axis=1))))


def _cosine(reference: Array, output: Array) -> float:
    """The cosine of two answers; two zero vectors agree."""
    import numpy as np

    left, right = reference.ravel(), output.ravel()
    sizes = float(np.linalg.norm(left)), float(np.linalg.norm(right))
    if not all(sizes):
        return 1.0 if sizes[0] == sizes[1] else 0.0
    return float(left @ right) / (sizes[0] * sizes[1])
