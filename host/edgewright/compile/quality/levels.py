"""Levels: how many different values quantisation leaves to each part of an output.

A part is a tensor that the output is composed of (`tails`). Its range is that of the source's outputs at the same positions, so that
no tensor of one graph has to be matched with the other graph.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from edgewright import targets
from edgewright.compile.data import goldens
from edgewright.compile.data.answers import real
from edgewright.compile.data.calibration import SampleSet
from edgewright.compile.data.counted_values import counting
from edgewright.compile.formats import FORMATS
from edgewright.compile.graph.output_tails import Operand, tails
from edgewright.compile.quality.verdict import sentinels
from edgewright.compile.quality.verdict.refusal import Unlike
from edgewright.compile.tasks.source import SourceRef, opened
from edgewright.compile.workers.pool import Workers
from edgewright.errors import Code
from edgewright.nouns.artifact import Manifest, Parity, TensorSpec
from edgewright.nouns.target import Target
from edgewright.nouns.verdict import OutputVerdict

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

LEAST = 16
_MAX_NAMED = 3  # parts named in an error
_ROUNDINGS = 8  # rounding steps of the source's own floats: smaller changes do not count


class Coarse(Unlike):
    """A part of an output has too few levels left."""

    code = Code.LEVELS


class Part(NamedTuple):
    """A part of an output that seems to have too few levels.

    Attributes:
        output: index of the output.
        places: its positions in the output, as a boolean array.
        apart: references beyond this value are sentinels, which stand apart; None if there are none.
        noise: how far rounding alone may move the source's values in it.
    """

    output: int
    operand: Operand
    places: Array
    noise: float = 0.0
    apart: float | None = None

    @property
    def span(self) -> float:
        """The range of its values; 0 if it is a single value apart from rounding."""
        width = self.operand.high - self.operand.low
        return width if width > self.noise else 0.0

    @property
    def few(self) -> bool:
        """Whether it varies, but with too few levels."""
        return 0 < self.span < LEAST * self.operand.step


def suspected(
    workers: Workers, target: Target, folder: Path, manifest: Manifest, goldens_file: Path
) -> list[Part]:
    """The parts of the outputs with too few levels on the goldens.

    Raises:
        ConversionError: the artifact's file has an unknown structure.
    """
    return list(
        workers.call(
            target.framework, __name__, "on_goldens", module=targets.module_name(target.steps),
            path=folder / manifest.entry, inputs=len(manifest.inputs), outputs=manifest.outputs, file=goldens_file,
        )
    )  # fmt: skip


def coarse(
    workers: Workers, source: SourceRef, samples: SampleSet, outputs: tuple[TensorSpec, ...], mask: str | None,
    parts: Sequence[Part],
) -> list[Part]:  # fmt: skip
    """The suspected parts that have too few levels on all calibration samples.

    The goldens are among these samples, so a part that has enough levels in them does not need further runs of the source.
    """
    if not parts:
        return []
    return list(
        workers.call(
            FORMATS[source.format].worker, __name__, "on_samples", source=source, samples=samples, outputs=outputs, mask=mask,
            parts=parts,
        )
    )  # fmt: skip


def on_goldens(
    module: str, path: Path, inputs: int, outputs: tuple[TensorSpec, ...], file: Path
) -> list[Part]:
    """The parts with too few levels for the goldens. Runs in the target's worker."""
    names = tuple(spec.bound for spec in outputs)
    found = []
    references = goldens.load(file, inputs, len(outputs))[1]
    counts = goldens.counted(file, references)
    for index, (tail, answers) in enumerate(zip(tails(module, path, names), references, strict=True)):
        if tail is None or tail.marks.shape != answers.shape[1:]:
            continue
        values = _values(answers, outputs[index])
        bound = sentinels.limit(values, counts[index])
        for operand in tail.operands:
            part = Part(index, operand, tail.marks == operand.mark, apart=bound)
            part = _widened(part, values, counts[index])
            found += [part] if part.few else []
    return found


def on_samples(
    source: SourceRef, samples: SampleSet, outputs: tuple[TensorSpec, ...], mask: str | None, parts: Sequence[Part]
) -> list[Part]:  # fmt: skip
    """The given parts that have too few levels on all calibration samples. Runs in the source's worker."""
    model, wide = opened(source), list(parts)
    for sample in samples.stream():
        answers = [answer[None] for answer in model.run(sample)]
        counts = counting(mask, model.inputs, [array[None] for array in sample], answers, some=False)
        wide = [
            _widened(part, _values(answers[part.output], outputs[part.output]), counts[part.output] > 0)
            for part in wide
        ]
    return [part for part in wide if part.few]


def describe(parts: Sequence[Part], outputs: Sequence[str]) -> str:
    """The fault in one line.

    Args:
        outputs: names of the source's outputs.
    """
    named = [_named(part, outputs[part.output]) for part in parts[:_MAX_NAMED]]
    more = f" and {len(parts) - _MAX_NAMED} more parts" if len(parts) > _MAX_NAMED else ""
    return f"fewer than {LEAST} levels are left for {'; '.join(named)}{more}"


def refused(
    parts: Sequence[Part], outputs: Sequence[str], parity: Parity, verdict: tuple[OutputVerdict, ...], *, integers: bool
) -> Coarse:  # fmt: skip
    """The error for parts with too few levels.

    Args:
        integers: the user asked for integer outputs.
    """
    return Coarse(
        describe(parts, outputs),
        hint="leave --integer-io out, so that each part keeps its own scale, or take another precision"
        if integers
        else "let --fallback search what has to stay in floats, name it with --precision int8-mixed --keep-float LAYER, "
        "or take another precision or target",
        parity=parity,
        verdict=verdict,
    )


def _named(part: Part, output: str) -> str:
    sizes = f"(range {part.span:.3g}, steps of {part.operand.step:.3g})"
    if part.places.all():
        return f"output {output} {sizes}"
    return f"{part.operand.name.split(';')[0]} in output {output}{_where(part.places)} {sizes}"


def _values(answers: Array, spec: TensorSpec) -> Array:
    return real(answers, {"dtype": spec.dtype, "scale": spec.scale, "zero_point": spec.zero_point})


def _widened(part: Part, answers: Array, counts: Array) -> Part:
    """The part with its range widened by the values at its positions, except values that do not count or stand apart.

    Args:
        answers, counts: shape (samples, *output.shape).
    """
    import numpy as np

    values = answers[:, part.places] if answers.dtype.kind == "f" else np.empty(0)
    if values.size:
        values = values[counts[:, part.places] & np.isfinite(values) & ~sentinels.away(values, part.apart)]
    if not values.size:
        return part
    low, high = float(values.min()), float(values.max())
    operand = part.operand._replace(low=min(low, part.operand.low), high=max(high, part.operand.high))
    noise = _ROUNDINGS * float(np.finfo(values.dtype).eps) * max(abs(low), abs(high))
    return part._replace(operand=operand, noise=max(part.noise, noise))


def _where(places: Array) -> str:
    """The part's indexes on the only axis that it covers partly, if they are contiguous; else empty."""
    import numpy as np

    for axis, length in enumerate(places.shape):
        taken = np.flatnonzero(places.any(axis=tuple(other for other in range(places.ndim) if other != axis)))
        first, last = (int(taken[0]), int(taken[-1])) if len(taken) else (0, -1)
        whole = int(places.sum()) * length == len(taken) * math.prod(places.shape)
        if whole and len(taken) < length and last - first + 1 == len(taken):
            return f", {first}{f' to {last}' if last > first else ''} of axis {axis},"
    return ""
