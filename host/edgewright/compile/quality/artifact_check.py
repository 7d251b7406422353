"""Checks a finished artifact: compares its outputs for the goldens with the source's, and sets the limits for boards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from edgewright import targets
from edgewright.compile.data import goldens
from edgewright.compile.data.calibration import SampleSet
from edgewright.compile.data.counted_values import counting
from edgewright.compile.formats import FORMATS
from edgewright.compile.quality import kernel_spread, levels, user_comparison
from edgewright.compile.quality.user_comparison import Similarity
from edgewright.compile.quality.verdict import fresh_samples, judge
from edgewright.compile.quality.verdict.fresh_samples import Evidence
from edgewright.compile.quality.verdict.judge import Judged
from edgewright.compile.quality.verdict.limits import Rule, rule_of
from edgewright.compile.quality.verdict.refusal import Unlike, dissimilar, refuse
from edgewright.compile.quality.verdict.steps import steps
from edgewright.compile.tasks import source
from edgewright.compile.tasks.source import SourceRef, opened
from edgewright.compile.workers.pool import Workers
from edgewright.errors import ConversionError
from edgewright.nouns.artifact import Manifest, Parity, TensorSpec
from edgewright.nouns.project import Compare
from edgewright.nouns.target import Target
from edgewright.nouns.verdict import Compared, OutputVerdict
from edgewright.precisions import PRECISIONS

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class Subject(NamedTuple):
    """The artifact to check.

    Attributes:
        specs: the source's inputs and outputs.
        samples: the samples that it was calibrated on.
        folder: the artifact's folder.
        goldens: the file of its goldens.
        kernels: the folder that `kernel_spread.let_in` wrote to.
        compare: which parts of the outputs count.
        floats: the narrowest float format that the source computes in.
    """

    target: Target
    source: SourceRef
    specs: tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]
    samples: SampleSet
    folder: Path
    manifest: Manifest
    goldens: Path
    kernels: Path
    compare: Compare
    floats: str = "float32"

    @property
    def rounded(self) -> bool:
        """Whether its tensors may be quantised to steps."""
        row = PRECISIONS[self.manifest.precision]
        return row.calibrated or row.as_is

    @property
    def answers(self) -> Path:
        """The file that holds the artifact's outputs for the user's comparison function."""
        return self.goldens.with_name(user_comparison.FILE)

    def answering(self) -> dict[str, Any]:
        """What the target's worker needs to run the artifact."""
        return {
            "runner": targets.module_name(self.target.runs_on_host),
            "folder": self.folder,
            "manifest": msgspec.to_builtins(self.manifest),
        }

    def judging(self) -> dict[str, Any]:
        """The arguments of `judged`."""
        inputs, outputs = self.specs
        return {
            **self.answering(),
            "file": self.goldens,
            "rule": rule_of(
                self.manifest,
                (*inputs, *outputs),
                self.floats,
                same_runtime=not self.target.host_runner,
                sums_vary=self.target.sums_vary,
            ),
            "other_kernels": self.kernels,
            "module": targets.module_name(self.target.steps) if self.rounded and self.target.steps else None,
            "answers": self.answers if self.compare.function is not None else None,
        }


class Checked(NamedTuple):
    """The result of a check.

    Attributes:
        notes: for the manifest.
        low: the error to raise unless an evaluation set shows that the artifact is accurate enough.
    """

    parity: Parity
    verdict: tuple[OutputVerdict, ...]
    notes: tuple[str, ...]
    low: Unlike | None


def judged(
    runner: str, folder: Path, manifest: dict[str, Any], file: Path, rule: Rule, other_kernels: Path, module: str | None,
    answers: Path | None,
) -> list[Judged]:  # fmt: skip
    """Runs the artifact on all goldens and judges its outputs. Runs in the target's worker.

    Args:
        answers: file to save the outputs to.

    Raises:
        ConversionError: the runtime has no way to run it, or its outputs have other shapes.
    """
    import numpy as np

    specs = msgspec.convert(manifest["outputs"], tuple[TensorSpec, ...])
    inputs, references = goldens.load(file, len(manifest["inputs"]), len(specs))
    rows = list(source.artifact_answers(runner, folder, manifest, zip(*inputs, strict=True)))
    outputs = [np.stack(column) for column in zip(*rows, strict=True)]
    if answers is not None:
        goldens.save(answers, (), outputs)
    places = steps(module, folder / manifest["entry"], specs)
    found = judge.judge(
        references, outputs, specs, places, goldens.counted(file, references), rule, kernel_spread.load(other_kernels, len(specs))
    )  # fmt: skip
    if not (rule.data and any(one.doubtful for one in found)):
        source.close_artifact()
    return found


def check(workers: Workers, subject: Subject, found: list[Judged]) -> Checked:
    """Decides on what `judged` found.

    Raises:
        Unlike: slices are lost, or values are not finite or not equal.
        Coarse: too few levels are left.
    """
    count = subject.manifest.goldens.count
    parity = judge.parity(found, count)
    if subject.compare.function is not None:
        rows = zip(found, subject.manifest.outputs, strict=True)
        found = [user_comparison.instead_of_limits(one, spec, count) for one, spec in rows]
    notes = _levels(workers, subject, parity, tuple(one.verdict for one in found))
    if subject.manifest.goldens.origin != "random" and any(one.doubtful for one in found):
        sure = _asked_again(workers, subject, found)
        found = [
            judge.settled(one, *sure[output]) if output in sure else one for output, one in enumerate(found)
        ]
    low = refuse(found, subject.manifest, parity)
    return Checked(parity, tuple(one.verdict for one in found), tuple(notes), low)


def compared(own: Similarity, subject: Subject, checked: Checked) -> Compared:
    """Applies the user's comparison function to the outputs that `judged` saved. Runs in the host's process.

    Raises:
        Unlike: the share that matches is too small.
        DataError: the function fails.
    """
    specs = subject.manifest.outputs
    _, answers = goldens.load(subject.answers, 0, len(specs))
    share = own.share(*user_comparison.values(subject.goldens, answers, specs))
    if not own.enough(share):
        raise dissimilar(own.compared(share), subject.manifest, checked.parity, checked.verdict)
    return own.compared(share)


def _levels(
    workers: Workers, subject: Subject, parity: Parity, verdict: tuple[OutputVerdict, ...]
) -> list[str]:
    """Notes on a source that was already rounded; raises Coarse if the artifact was rounded here."""
    if not subject.rounded or not subject.target.steps:
        return []
    try:
        found = levels.suspected(workers, subject.target, subject.folder, subject.manifest, subject.goldens)
    except ConversionError as error:  # the outputs are compared all the same
        return [f"levels of the outputs were not checked: {error.message}"]
    parts = levels.coarse(
        workers, subject.source, subject.samples, subject.manifest.outputs, subject.compare.mask, found
    )
    names = [spec.name for spec in subject.specs[1]]
    if parts and PRECISIONS[subject.manifest.precision].calibrated:
        integers = any(subject.manifest.outputs[part.output].scale is not None for part in parts)
        raise levels.refused(parts, names, parity, verdict, integers=integers)
    return [levels.describe(parts, names)] if parts else []


def _asked_again(workers: Workers, subject: Subject, found: list[Judged]) -> dict[int, Evidence]:
    """What fresh samples say of the doubtful ones, by output."""
    suspected = {output: one for output, one in enumerate(found) if one.doubtful}
    file = subject.goldens.with_name("fresh.npz")
    places = workers.call(
        FORMATS[subject.source.format].worker, __name__, "fresh_references", source=subject.source, samples=subject.samples,
        goldens_file=subject.goldens, outputs=subject.manifest.outputs, wanted=tuple(suspected),
        mask=subject.compare.mask, file=file,
    )  # fmt: skip
    sure: dict[int, Evidence] = workers.call(
        subject.target.framework, __name__, "fresh_evidence", **subject.answering(), samples=subject.samples, places=places,
        file=file, suspected=suspected, goldens_file=subject.goldens, rule=subject.judging()["rule"],
    )  # fmt: skip
    file.unlink(missing_ok=True)
    return sure


def fresh_references(
    source: SourceRef, samples: SampleSet, goldens_file: Path, outputs: tuple[TensorSpec, ...], wanted: tuple[int, ...],
    mask: str | None, file: Path,
) -> list[int]:  # fmt: skip
    """Writes the source's outputs for samples that are not goldens, NaN where they do not count. Returns the samples' indexes.

    Runs in the source's worker.

    Args:
        wanted: indexes of the outputs to write.
        mask: as for `counting`.
    """
    model = opened(source)
    inputs, _ = goldens.load(goldens_file, len(model.inputs), 0)
    places = fresh_samples.chosen(samples, inputs, [outputs[output] for output in wanted])
    kept: dict[int, list[Array]] = {output: [] for output in wanted}
    for sample in fresh_samples.taken(samples, places):
        answers = [answer[None] for answer in model.run(sample)]
        counts = counting(mask, model.inputs, [array[None] for array in sample], answers, some=False)
        for output in wanted:
            kept[output].append(_kept(answers[output][0], outputs[output], counts[output][0]))
    if places:
        fresh_samples.write(file, kept)
    return places


def fresh_evidence(
    runner: str, folder: Path, manifest: dict[str, Any], samples: SampleSet, places: list[int], file: Path,
    suspected: Mapping[int, Judged], goldens_file: Path, rule: Rule,
) -> dict[int, Evidence]:  # fmt: skip
    """What those samples say of what is doubtful. If there are fewer than `fresh.LEAST`, the goldens decide as well. Runs in the worker."""
    import numpy as np

    specs = msgspec.convert(manifest["outputs"], tuple[TensorSpec, ...])

    def pairs() -> Iterator[tuple[Mapping[int, Array], Mapping[int, Array]]]:
        if places:
            with np.load(file, allow_pickle=False) as archive:
                rows = [archive[f"output_{output}"] for output in suspected]
            yield from paired(rows, fresh_samples.taken(samples, places))
        if len(places) < fresh_samples.LEAST:
            inputs, references = goldens.load(goldens_file, len(manifest["inputs"]), len(specs))
            counts = goldens.counted(goldens_file, references)
            rows = [_kept(references[output], specs[output], counts[output]) for output in suspected]
            yield from paired(rows, zip(*inputs, strict=True))

    def paired(
        rows: list[Array], inputs: Iterator[Any]
    ) -> Iterator[tuple[Mapping[int, Array], Mapping[int, Array]]]:
        answers = source.artifact_answers(runner, folder, manifest, inputs)
        for references, answer in zip(zip(*rows, strict=True), answers, strict=True):
            real = {
                output: np.asarray(reference, np.float64)
                for output, reference in zip(suspected, references, strict=True)
            }
            yield real, {output: judge.real_values(answer[output], specs[output]) for output in suspected}

    try:
        return fresh_samples.evidence(suspected, rule, pairs())
    finally:
        source.close_artifact()


def _kept(reference: Array, spec: TensorSpec, counts: Array) -> Array:
    """Real values of references, with NaN where they do not count."""
    import numpy as np

    kind = reference.dtype if reference.dtype.kind == "f" else np.dtype(np.float32)
    found: Array = np.where(counts.astype(bool), judge.real_values(reference, spec), np.nan).astype(kind)
    return found
