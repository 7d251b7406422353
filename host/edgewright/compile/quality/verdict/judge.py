"""Judges the outputs of an artifact on the goldens. Pure: arrays in, figures out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from edgewright.compile.data.answers import real
from edgewright.compile.quality.verdict import board_tolerance, classes, sentinels
from edgewright.compile.quality.verdict.decibels import EXACT_DB, LARGEST, decibel, plain, raised
from edgewright.compile.quality.verdict.limits import Rule
from edgewright.compile.quality.verdict.slices import FLOORS, Slices, axes, quiet, slices
from edgewright.compile.quality.verdict.sums import Sums
from edgewright.compile.quality.verdict.swapped_slices import swapped
from edgewright.nouns.artifact import Parity, TensorSpec
from edgewright.nouns.verdict import Limits, OutputVerdict

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_NOISES = 2  # a choice whose margin is within so many usual errors of two values may fall either way
_SPREADS = 2  # times what the kernels that are here disagree about: those of boards are others
_LEAST_SIZE = 2.0**-10
_EDGE = 1.5  # times the largest value a single one may be off, where hardly any is; boards get as much above what was seen
_NAMED = 16  # lost slices of an output that are looked into


class Suspect(NamedTuple):
    """A slice that looks lost on the goldens.

    Attributes:
        axis: None for the whole output. at: index along it.
        signal_db: of what the source changes in it to the artifact's error.
        instead: where in the artifact the source's slice is; None where it is nowhere.
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
        floor: at every position, the square of what rounding alone may be off; only where there are suspects, as `centre`.
        wrong: values that are not finite, or that stand apart in the source and not here.
        unequal: classes that differ. max_abs, relative, cosine: as in `nouns.artifact.Parity`.
        low: the whole output is beyond its limit. still: it does not follow its source as well as its precision must.
        suspects: slices that are lost if other samples say so too.
        centre: the source's mean answer.
    """

    verdict: OutputVerdict
    floor: Array | None = None
    centre: Array | None = None
    wrong: int = 0
    unequal: int = 0
    max_abs: float = 0.0
    relative: float = 0.0
    cosine: float = 1.0
    low: bool = False
    still: bool = False
    suspects: tuple[Suspect, ...] = ()

    @property
    def sqnr_db(self) -> float:
        """Signal to noise of the whole output; for classes of what is equal to what is not."""
        if self.verdict.sqnr_db is not None:
            return self.verdict.sqnr_db
        return plain(decibel(1.0, 1.0 - (1.0 if self.verdict.equal is None else self.verdict.equal)))


class Disagreement(NamedTuple):
    """What kernels of one runtime disagree about in one output, in real values: 0 where they agree, or none was asked.

    Attributes:
        noise: of the output's shape: mean over the goldens of the greatest (other - ref)^2.
        error: greatest |other - ref|.
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
        references, outputs, counts: one array an output, of shape (goldens, *spec.shape); integers as they were given.
        specs: the artifact's outputs. steps: as `steps.steps` gives them.
        counts: which values count at all. kernels: one an output; without, none was asked.
    """
    wide = [real_values(reference, spec) for reference, spec in zip(references, specs, strict=True)]
    labels = [
        classes.are(reference, spec, step)
        for reference, spec, step in zip(references, specs, steps, strict=True)
    ]
    measured = [
        None if label or not rule.data else reference for label, reference in zip(labels, wide, strict=True)
    ]
    cut = axes(measured, counts)
    return [
        _equality(reference, output, counted, rule)
        if label
        else _nearness(real_reference, real_values(output, spec), spec, step, counted, rule, chosen, others)
        for reference, output, spec, step, counted, label, real_reference, chosen, others
        in zip(references, outputs, specs, steps, counts, labels, wide, cut, kernels or [NONE] * len(specs), strict=True)
    ]  # fmt: skip


def real_values(values: Array, spec: TensorSpec) -> Array:
    """Answers of the source or the artifact in float64; integers that have the output's scale as what they stand for."""
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
    sums, power, error, cosine = Sums(centre), 0.0, 0.0, 1.0
    largest = max(float(reference.max(initial=0.0)), -float(reference.min(initial=0.0)))
    for one, other, counted in zip(reference, output, used, strict=True):  # row by row: outputs may be large
        sums.add(one, other, counted)
        power += float(np.sum(np.square(one)))
        error = max(error, float(np.abs(other - one).max(initial=0.0)))
        cosine = min(cosine, _cosine(one, other))
    whole = spec.dtype.lstrip("u").startswith("int")
    if whole and spec.scale is None:
        step = np.ones(step.shape)  # numbers without a scale that are not classes, such as a picture's
    steps = 1 / 6 + 1 if rule.in_steps or whole else 1 / 6
    sizes = _sizes(reference, largest)
    each = steps * np.square(step) + (rule.rounding * sizes) ** 2 + _let_in(kernels, sums.count, power)
    floor = each * sums.count
    noise, signal = float(sums.noise.sum()), float(sums.signal.sum())
    most = (
        rule.tolerance.relative * largest
        + 2 * float(step.max(initial=0.0))
        + min(2 * kernels.error, largest / 2)
    )
    if most < error <= _EDGE * largest and _strays(reference, output, most) <= rule.strays * used.sum():
        most = _EDGE * error
    allowed = power / 10 ** (rule.tolerance.sqnr_db / 10) + float(floor.sum())
    limits = Limits(
        noise=raised(min(allowed, board_tolerance.limit(noise, signal, sizes, step, sums.count, rule))),
        error=raised(most),
        apart=None if bound is None else raised(bound),
    )
    parts = [slices(sums, floor, axis, quiet(reference, sums, axis)) for axis in cut]
    moving = signal > FLOORS * float(floor.sum())
    above = decibel(signal, max(0.0, noise - float(floor.sum())))
    suspects = _suspects(parts, reference, output)
    if rule.data and moving and noise >= signal:
        suspects = [Suspect(None, 0, plain(decibel(signal, noise))), *suspects]
    verdict = OutputVerdict(
        sqnr_db=-EXACT_DB if wrong else plain(decibel(power, noise)),
        following_db=plain(decibel(signal, noise)) if moving else None,
        top1=_top1(reference, output, noise),
        worst=min((part.worst for part in parts if part.worst), key=lambda one: one.sqnr_db, default=None),
        not_covered=tuple(one for part in parts for one in part.not_covered),
        limits=Limits(
            noise=limits.noise, error=limits.error, apart=limits.apart,
            slices=tuple(found for part in parts if (found := part.limits)),
        ),
    )  # fmt: skip
    return Judged(
        verdict=verdict,
        floor=each if suspects else None,
        centre=centre if suspects else None,
        wrong=wrong,
        max_abs=LARGEST if wrong else error,
        relative=LARGEST if wrong else error / largest if largest else error,
        cosine=cosine,
        low=not (noise <= (limits.noise or 0.0) and error <= (limits.error or 0.0)),
        still=moving and rule.following_db is not None and above < rule.following_db,
        suspects=tuple(suspects),
    )


def _let_in(kernels: Disagreement, count: Array, power: float) -> Array | float:
    """What kernels may differ by, squared, at each place: a quarter of all power at most, as beyond that they do not compute the same."""
    import numpy as np

    wanted = np.asarray(_SPREADS * kernels.noise)
    total = float((wanted * count).sum())
    return wanted if total <= power / 4 else wanted * (power / 4 / total)


def _strays(reference: Array, output: Array, most: float) -> int:
    """How many values are off by more than that."""
    import numpy as np

    return sum(int((np.abs(other - one) > most).sum()) for one, other in zip(reference, output, strict=True))


def _sizes(reference: Array, largest: float) -> Array:
    """What floats are as large as at each place: a score between 0 and 1 is not rounded as coarsely as the box beside it.

    No place is below a thousandth of the largest, as sums on the way to it are not.
    """
    import numpy as np

    found: Array = np.maximum(np.abs(reference).max(axis=0, initial=0.0), _LEAST_SIZE * largest)
    return found


def _suspects(parts: Sequence[Slices], reference: Array, output: Array) -> list[Suspect]:
    found = []
    for part in parts:
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


def _top1(reference: Array, output: Array, noise: float) -> float | None:
    """Share of goldens with the source's greatest value, of those where its choice is clear; None where none is, or it is not a choice."""
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
