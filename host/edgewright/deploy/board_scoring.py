"""Scores boards on the evaluation set, with the same metric as the source, sample by sample."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.compile.data import evaluation_set, input_ranges
from edgewright.compile.data.answers import MAX_BYTES, Answers, check_size, from_board
from edgewright.compile.data.evaluation_set import EvaluationSet
from edgewright.compile.quality import accuracy, metrics, significance
from edgewright.compile.quality import scored_output as scored
from edgewright.compile.quality.metrics import Scorer
from edgewright.compile.workers import user_function
from edgewright.compile.workers.pool import Workers
from edgewright.connect.session import Session
from edgewright.deploy import gate
from edgewright.deploy.board_answers import HEADERS, understood
from edgewright.deploy.interface import shown
from edgewright.deploy.tensor_names import made_up, plain_name, positions
from edgewright.errors import DataError
from edgewright.nouns.artifact import Artifact, Manifest, TensorSpec, of_output
from edgewright.nouns.comparison import Comparison
from edgewright.nouns.listing import listed
from edgewright.nouns.metric import RANKS, TOP
from edgewright.nouns.model_input import ModelInput
from edgewright.nouns.outcome import Check
from edgewright.nouns.precision import AS_IS
from edgewright.nouns.project import Budget
from edgewright.wire import commands
from edgewright.wire.answers import Evaluated, Tensor
from edgewright.wire.commands import RunOptions

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class Scoring:
    """The evaluation set of one artifact, and what becomes of a board's answers to it. `prepared` makes one.

    Attributes:
        inputs: the file that boards get; integers where the artifact's inputs are.
        sha256: of the evaluation set.
    """

    def __init__(
        self,
        scorer: Scorer,
        given: EvaluationSet,
        labels: Array,
        outputs: Sequence[TensorSpec],
        inputs: Path | None = None,
        whole: Sequence[TensorSpec] = (),
    ) -> None:
        self._scorer, self._given, self._labels, self._whole = scorer, given, labels, whole
        self._outputs = outputs
        self.inputs = inputs or given.inputs
        self.sha256 = given.sha256 if given else ""

    def real(self) -> Path:
        """The inputs in real values, for an incumbent: its integers may stand for others than the candidate's.

        The board's agent makes them the integers of that release.
        """
        return evaluation_set.dequantised(self._given, self._whole) if self._whole else self._given.inputs

    def answers(
        self, session: Session, model: str, release: str, digest: str, options: RunOptions
    ) -> Answers:
        """A release's answers, on the board: of the output that is scored, also where a release has it at another place.

        Args:
            digest: sha256 of `inputs`, put already.

        Raises:
            BoardError: as the agent says. ProtocolError: its answers are not what was asked for.
            DataError: which output of the release it is is not known.
        """
        keep = self._scorer.metric.keep

        def asked(what: str) -> tuple[Answers, int]:
            command = commands.Evaluate(
                model=model, release=release, evaluation=digest, keep=what,
                threads=options.threads, accelerator=options.accelerator,
            )  # fmt: skip
            answer = session.call(command)
            with understood("evaluation set"):
                read = self._read(session, what, answer)
                return read, 0 if keep == "all" else self._place(answer.outputs)

        found, place = asked(on_board(self._scorer))
        if keep == "all":
            return found
        if place and found.keep != "all":
            found, place = asked("all")
        return found.of_output(place, keep) if found.keep == "all" else found

    def _read(self, session: Session, keep: str, answer: Evaluated) -> Answers:
        """The answers that a board has. Raises ValueError and others where they are not what was asked for."""
        size, count = answer.answers.size, self._given.count
        right = size == 4 * RANKS * count if keep == TOP else size <= MAX_BYTES + HEADERS
        if not right or answer.n != count:
            raise ValueError(f"{size} bytes for {answer.n} of {count} samples")
        found = from_board(keep, bytes(session.get(answer.answers)), answer.outputs)
        if any(len(array) != count for array in found.arrays):
            raise ValueError(f"not one answer for each of {count} samples")
        return found

    def _place(self, outputs: Sequence[Tensor]) -> int:
        """The index of the scored output in a release's: by its name, else as in the candidate's where that is the like of it.

        Raises:
            DataError: nothing says which of them it is.
        """
        index = self._scorer.output or 0
        if len(outputs) == len(self._outputs) == 1:
            return index
        names = [spec.name for spec in outputs]
        places = positions([spec.name for spec in self._outputs], names)
        found, free = places[index], len(outputs) == len(self._outputs) and index not in places
        if found is None and free and like(self._outputs[index], outputs[index]):
            found = index
        if found is None:
            known = listed([shown(name) for name in names])
            raise DataError(
                f"which of its outputs is {shown(self._outputs[index].name)} is not known: {known}"
            )
        return found

    def checks(
        self, manifest: Manifest, mine: Answers, incumbent: Answers | None, budget: Budget
    ) -> list[Check]:
        """The gate's lines: against the source on this machine, and against the incumbent on that board."""
        lines = input_ranges.outside(manifest.inputs, manifest.calibration.ranges, self._given.ranges)
        warnings = [Check(name="range", ok=True, note=line) for line in lines]
        return [*self._scored(manifest, mine, incumbent, budget), *warnings]

    def _scored(
        self, manifest: Manifest, mine: Answers, incumbent: Answers | None, budget: Budget
    ) -> list[Check]:
        metric = self._scorer.metric
        with user_function.TURN if metric.own else nullcontext():
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
        of = of_output(metric.name, self._scorer.output, self._outputs)
        if against or any(not check.ok for check in found):
            return [*(gate.accuracy(metric, name, one, budget, of=of) for name, one in against), *found]
        count = self._given.count
        note = f"{metric.shown(value)} here, {count} samples{of}, nothing to compare it with"
        limited = budget.max_drop is not None or bool(budget.noninferior)
        if limited:
            note += ", and the budget limits the drop: convert it with this evaluation set and metric (--no-cache)"
        check = Check(
            name="accuracy", ok=not limited, value=value, unit=metric.name, note=note, metric=metric.name, measured=value, n=count
        )  # fmt: skip
        return [check, *found]

    def _against(self, reference: Answers, mine: Answers) -> Comparison:
        """The comparison with other answers.

        Raises:
            DataError: they are of another shape, or cannot be scored.
        """
        shapes = [[array[0].size for array in answers.arrays] for answers in (reference, mine)]
        if shapes[0] != shapes[1]:
            raise DataError(f"it answers {shapes[0]} values a sample, the candidate {shapes[1]}")
        return significance.compare(self._scorer, reference, mine, self._labels)

    def _against_the_source(self, manifest: Manifest, mine: Answers, value: float) -> list[Comparison]:
        """One comparison; none where the source was not scored, or on another set or by another metric."""
        known, metric = manifest.accuracy, self._scorer.metric
        same = known is not None and (
            known.metric, known.metric_sha256, known.evaluation_sha256, known.n, known.output,
        ) == (metric.name, self._scorer.sha256, self._given.sha256, self._given.count, self._scorer.output)  # fmt: skip
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
    return evaluation_set.real_valued(manifest.inputs)


def prepared(
    model: ModelInput,
    artifact: Artifact,
    workers: Workers | None,
    *,
    converted: bool = True,
    fresh: bool = False,
) -> Scoring | None:
    """The scoring of an artifact; None without an evaluation set.

    Args:
        converted: the artifact was made from `model`, it is no other one that is shipped as it is.
        fresh: prepare the set again, also where it is in the cache.

    Raises:
        DataError, UsageError: the set or its labels do not fit the model or the metric.
    """
    if model.evaluation is None:
        return None
    manifest = artifact.manifest
    scorer = metrics.load(model.metric)
    real = real_valued(manifest)
    given = evaluation_set.prepare(model.evaluation, real, model.preprocessing, workers=workers, fresh=fresh)
    inputs = given.inputs if real == manifest.inputs else evaluation_set.quantised(given, manifest.inputs)
    whole = manifest.inputs if real == manifest.inputs and any(spec.scale for spec in real) else ()
    before = converted or model.score is None
    one, labels, _ = scored_output(model.score, manifest, scorer, given, before=before)
    check_size(given.count, on_board(one), manifest.outputs)
    return Scoring(one, given, labels, manifest.outputs, inputs, whole)


def scored_output(
    score: str | None, manifest: Manifest, scorer: Scorer, given: EvaluationSet, *, before: bool
) -> scored.Scored:
    """Which output is scored: that of the conversion, where it scored one by this metric and the user names no other (`before`)."""
    known, labels = manifest.accuracy, given.load_labels()
    if known is not None and known.metric == scorer.metric.name and before:
        return scored.as_before(scorer, labels, manifest.outputs, known, names=given.names)
    return scored.choose(scorer, labels, manifest.outputs, score, names=given.names)


def like(mine: TensorSpec, theirs: Tensor) -> bool:
    """Whether an output at the same place may be the same: nothing that is known of it is another."""
    named = plain_name(mine.name) == plain_name(theirs.name) or made_up(mine.name) or made_up(theirs.name)
    whole = mine.scale is not None or theirs.scale is not None  # integers that stand for real values
    return named and (mine.dtype == theirs.dtype or whole) and mine.shape == theirs.shape


def on_board(scorer: Scorer) -> str:
    """What a board is asked for: its agent ranks and brings the first output alone, or else all of them."""
    return "all" if scorer.output else scorer.metric.keep
