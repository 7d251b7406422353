"""Scores boards on the evaluation set, sample by sample, with the metric that scored the source."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.compile.data import evaluation_set, input_ranges
from edgewright.compile.data.answers import Answers, check_size, from_board
from edgewright.compile.data.board_archive import sample_bytes
from edgewright.compile.data.evaluation_set import EvaluationSet
from edgewright.compile.quality import accuracy, metrics, scored_output, significance
from edgewright.compile.quality.metrics import Scorer
from edgewright.compile.workers import user_function
from edgewright.compile.workers.pool import Workers
from edgewright.connect.session import Session
from edgewright.deployments import gate
from edgewright.deployments.board_answers import understood
from edgewright.deployments.interface import shown
from edgewright.deployments.tensor_names import made_up, plain_name, positions
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
from edgewright.wire.caps import ANSWERS, HEADERS
from edgewright.wire.caps import RANKS as RANKS_CAP
from edgewright.wire.commands import RunOptions

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class Scoring:
    """Scores a board's answers to the evaluation set of one artifact. `prepared` creates one.

    Attributes:
        inputs: the file that boards get; holds integers if the artifact's inputs are integers.
        sha256: hash of the evaluation set. metric_sha256: hash of the file of the user's metric; empty if there is none.
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
        self.sha256, self.metric_sha256 = given.sha256 if given else "", scorer.sha256

    def real(self) -> Path:
        """The inputs in real values, for an incumbent: its integers may have another scale than the candidate's.

        The board's agent quantises them for that release.
        """
        return evaluation_set.dequantised(self._given, self._whole) if self._whole else self._given.inputs

    def answers(
        self, session: Session, model: str, release: str, digest: str, options: RunOptions
    ) -> Answers:
        """A release's answers on the board for the scored output, even if the release has it in another position.

        Args:
            digest: sha256 of the inputs, which are already on the board.

        Raises:
            BoardError: the agent refused or failed. ProtocolError: the answers are not what the host requested.
            DataError: it is unknown which output of the release to score.
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
        """Reads the answers from the board. Raises ValueError and others if they are not what the host requested."""
        size, count = answer.answers.size, self._given.count
        specs = answer.outputs if keep == "all" else answer.outputs[:1]
        each = sample_bytes(specs) if keep != TOP else 4 * RANKS
        if answer.n != count or (keep == TOP and size != each * count):
            raise ValueError(f"{size} bytes for {answer.n} of {count} samples")
        most = RANKS_CAP.most if keep == TOP else min(ANSWERS.most, each * count + HEADERS)
        with session.get_file(answer.answers, most=most) as file:
            return from_board(keep, file, answer.outputs, count)

    def _place(self, outputs: Sequence[Tensor]) -> int:
        """The index of the scored output in a release: by name, else the candidate's index if the output there is similar.

        Raises:
            DataError: the scored output cannot be identified.
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
        """The gate's checks: against the source on this machine, and against the incumbent on that board."""
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
        """Compares the answers with reference answers.

        Raises:
            DataError: their shapes differ, or they cannot be scored.
        """
        shapes = [[array[0].size for array in answers.arrays] for answers in (reference, mine)]
        if shapes[0] != shapes[1]:
            raise DataError(f"it answers {shapes[0]} values a sample, the candidate {shapes[1]}")
        return significance.compare(self._scorer, reference, mine, self._labels)

    def _against_the_source(self, manifest: Manifest, mine: Answers, value: float) -> list[Comparison]:
        """One comparison; none if the source was not scored, or was scored on another set, output or metric."""
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
    """The inputs as in the source: inputs that the conversion made integers become floats again."""
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
        converted: the artifact was made from `model`, not given as an artifact to ship unchanged.
        fresh: prepare the set again even if it is in the cache.

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
    one, labels, _ = choose_output(model.score, manifest, scorer, given, before=before)
    check_size(given.count, on_board(one), manifest.outputs)
    return Scoring(one, given, labels, manifest.outputs, inputs, whole)


def choose_output(
    score: str | None, manifest: Manifest, scorer: Scorer, given: EvaluationSet, *, before: bool
) -> scored_output.Scored:
    """Chooses the scored output: the conversion's, if it scored one by this metric and the user names no other (`before`)."""
    known, labels = manifest.accuracy, given.load_labels()
    if known is not None and known.metric == scorer.metric.name and before:
        return scored_output.as_before(scorer, labels, manifest.outputs, known, names=given.names)
    return scored_output.choose(scorer, labels, manifest.outputs, score, names=given.names)


def like(mine: TensorSpec, theirs: Tensor) -> bool:
    """Whether an output in the same position may be the same one: no known property differs."""
    named = plain_name(mine.name) == plain_name(theirs.name) or made_up(mine.name) or made_up(theirs.name)
    whole = mine.scale is not None or theirs.scale is not None  # integers that stand for real values
    return named and (mine.dtype == theirs.dtype or whole) and mine.shape == theirs.shape


def on_board(scorer: Scorer) -> str:
    """What to request from a board: the agent can rank and return only the first output, so any other needs all outputs."""
    return "all" if scorer.output else scorer.metric.keep
