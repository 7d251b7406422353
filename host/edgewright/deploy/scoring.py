"""Scoring on boards: their answers to the evaluation set, by the same metric as the source's, sample by sample."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.compile import accuracy, evaluation, metrics, own_function, paired, ranges
from edgewright.compile.answers import MAX_BYTES, Answers, check_size, from_board
from edgewright.compile.edges import AS_IS
from edgewright.compile.evaluation import EvaluationSet
from edgewright.compile.metrics import Scorer
from edgewright.compile.workers import Workers
from edgewright.connect.session import Session
from edgewright.deploy import gate
from edgewright.deploy.board_answers import HEADERS, understood
from edgewright.deploy.request import DeployRequest
from edgewright.errors import DataError
from edgewright.nouns.artifact import Artifact, Manifest, TensorSpec
from edgewright.nouns.comparison import Comparison
from edgewright.nouns.metric import METRICS, RANKS
from edgewright.nouns.outcome import Check
from edgewright.nouns.project import Budget

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class Scoring:
    """The evaluation set of one artifact, and what becomes of a board's answers to it. `prepared` makes one.

    Attributes:
        inputs: the file that boards get; integers where the artifact's inputs are.
    """

    def __init__(
        self,
        scorer: Scorer,
        given: EvaluationSet,
        labels: Array,
        inputs: Path | None = None,
        whole: Sequence[TensorSpec] = (),
    ) -> None:
        self._scorer, self._given, self._labels, self._whole = scorer, given, labels, whole
        self.inputs = inputs or given.inputs

    def real(self) -> Path:
        """The inputs in real values, for an incumbent: its integers may stand for others than the candidate's.

        The board's agent makes them the integers of that release.
        """
        return evaluation.dequantised(self._given, self._whole) if self._whole else self._given.inputs

    def answers(self, session: Session, model: str, release: str, digest: str, **options: Any) -> Answers:
        """A release's answers, on the board.

        Args:
            digest: sha256 of `inputs`, put already. options: threads, accelerator.

        Raises:
            BoardError: as the agent says. ProtocolError: its answers are not what was asked for.
        """
        keep = self._scorer.metric.keep
        answer = session.call(
            "evaluate", model=model, release=release, evaluation=digest, keep=keep, **options
        )
        size = answer["answers"]["size"]
        count = self._given.count
        right = size == 4 * RANKS * count if keep == "top5" else size <= MAX_BYTES + HEADERS
        with understood("evaluation set"):
            if not right or answer["n"] != count:
                raise ValueError(f"{size} bytes for {answer['n']} of {count} samples")
            found = from_board(keep, bytes(session.get(answer["answers"])), answer["outputs"])
            if any(len(array) != count for array in found.arrays):
                raise ValueError(f"not one answer for each of {count} samples")
        return found

    def checks(
        self, manifest: Manifest, mine: Answers, incumbent: Answers | None, budget: Budget
    ) -> list[Check]:
        """The gate's lines: against the source on this machine, and against the incumbent on that board."""
        lines = ranges.outside(manifest.inputs, manifest.calibration.ranges, self._given.ranges)
        warnings = [Check(name="range", ok=True, note=line) for line in lines]
        return [*self._scored(manifest, mine, incumbent, budget), *warnings]

    def _scored(
        self, manifest: Manifest, mine: Answers, incumbent: Answers | None, budget: Budget
    ) -> list[Check]:
        metric = self._scorer.metric
        with nullcontext() if metric.name in METRICS else own_function.TURN:
            try:
                value = self._scorer.value(mine, self._labels)
            except DataError as error:
                return [Check(name="accuracy", ok=False, note=error.message)]
            found = []
            try:
                against = [(gate.SOURCE, one) for one in self._against_the_source(manifest, mine, value)]
            except DataError as error:
                against = []
                note = f"it cannot be compared: {error.message}"
                found = [Check(name=f"accuracy against {gate.SOURCE}", ok=False, note=note)]
            if incumbent is not None:
                try:
                    against.append(("the incumbent", self._against(incumbent, mine)))
                except DataError as error:
                    note = f"its accuracy is not compared: {error.message}"
                    found.append(Check(name="incumbent", ok=True, note=note))
        if against or any(not check.ok for check in found):
            return [*(gate.accuracy(metric, name, one, budget) for name, one in against), *found]
        count = self._given.count
        note = f"{metric.shown(value)} here, {count} samples, nothing to compare it with"
        limited = budget.max_drop is not None or bool(budget.noninferior)
        if limited:
            note += ", and the budget limits the drop: convert it with this evaluation set and metric (--no-cache)"
        check = Check(name="accuracy", ok=not limited, value=value, unit=metric.name, note=note, n=count)
        return [check, *found]

    def _against(self, reference: Answers, mine: Answers) -> Comparison:
        """The comparison with other answers.

        Raises:
            DataError: they are of another shape, or cannot be scored.
        """
        shapes = [[array[0].size for array in answers.arrays] for answers in (reference, mine)]
        if shapes[0] != shapes[1]:
            raise DataError(f"it answers {shapes[0]} values a sample, the candidate {shapes[1]}")
        return paired.compare(self._scorer, reference, mine, self._labels)

    def _against_the_source(self, manifest: Manifest, mine: Answers, value: float) -> list[Comparison]:
        """One comparison; none where the source was not scored, or on another set or by another metric."""
        known, metric = manifest.accuracy, self._scorer.metric
        same = known is not None and (
            known.metric, known.metric_sha256, known.evaluation_sha256, known.n,
        ) == (metric.name, self._scorer.sha256, self._given.sha256, self._given.count)  # fmt: skip
        if known is None or not same:
            return []
        source = accuracy.kept(known.answers)
        if source is not None and source.keep == metric.keep and len(source) == len(mine):
            return [self._against(source, mine)]
        drop = metric.drop(known.source, value)
        return [Comparison(metric=metric.name, n=known.n, reference=known.source, value=value, drop=drop)]


def real_valued(manifest: Manifest) -> tuple[TensorSpec, ...]:
    """The inputs as the source had them: those that the conversion made integers are floats again."""
    if manifest.precision == AS_IS:
        return manifest.inputs
    return evaluation.real_valued(manifest.inputs)


def prepared(request: DeployRequest, artifact: Artifact, workers: Workers | None) -> Scoring | None:
    """The scoring of an artifact; None without an evaluation set.

    Raises:
        DataError, UsageError: the set or its labels do not fit the model or the metric.
    """
    if request.evaluation is None:
        return None
    manifest = artifact.manifest
    scorer = metrics.load(request.metric)
    real = real_valued(manifest)
    given = evaluation.prepare(
        request.evaluation, real, request.preprocessing, workers=workers, fresh=not request.use_cache
    )
    inputs = given.inputs if real == manifest.inputs else evaluation.quantised(given, manifest.inputs)
    whole = manifest.inputs if real == manifest.inputs and any(spec.scale for spec in real) else ()
    check_size(given.count, scorer.metric.keep, manifest.outputs)
    labels = scorer.labels(given.load_labels(), manifest.outputs, names=given.names)
    return Scoring(scorer, given, labels, inputs, whole)
