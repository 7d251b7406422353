"""Runs one step: trains epoch by epoch, keeps the best one, and stores what came of it."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import msgspec

from edgewright.compile.data.answers import Answers
from edgewright.compress.data_sets import Sets
from edgewright.compress.recipe_check import shown
from edgewright.compress.session import Session
from edgewright.compress.step_store import ANSWERS, CHECKPOINT, Progressed, StepFolder
from edgewright.compress.steps import STEPS
from edgewright.compress.tasks import NetworkFile, Rows
from edgewright.errors import Code, ConversionError, DataError
from edgewright.nouns.compression import StepResult
from edgewright.nouns.progress import Progress, ProgressEvent
from edgewright.nouns.recipe import Recipe, RecipeStep, plain

ORIGINAL = "original"


class StepRunner:
    """Runs the steps of one recipe on one open network."""

    def __init__(self, session: Session, recipe: Recipe, sets: Sets, progress: Progress) -> None:
        self._session, self._recipe, self._sets, self._progress = session, recipe, sets, progress
        self._at: Path | None = None  # folder of the step after which the session's network is

    def original(self, place: StepFolder) -> StepResult:
        """The result for the network as it was opened; stored as a step's is."""
        self._at = place.path
        with place.taken():
            found = place.result()
            if found is None:
                found = self._store(place, place, Progressed(), ORIGINAL, ORIGINAL)
            place.drop()
        return found

    def go(self, place: StepFolder) -> None:
        """Makes the session's network the one after a stored step."""
        if self._at != place.path:
            self._at = None
            self._session.restore(place.path / CHECKPOINT)
            self._at = place.path

    def run(
        self, step: RecipeStep, first: StepFolder, before: StepFolder, after: StepFolder,
        teacher: NetworkFile | None, *, resume: bool,
    ) -> StepResult:  # fmt: skip
        """Runs a step and stores its result.

        Args:
            first: of the original. before: of the step before. after: of this step.
            resume: continue an unfinished run of it.
        """
        with after.taken():
            if resume and (found := after.result()) is not None:  # another process has just computed it
                return found
            state = after.progressed() if resume else Progressed()
            if state.epochs:
                self._restore_epoch(after, state.epochs)
                scanned, _ = self._session.begin(
                    _scanned(step, state), self._recipe, self._sets, teacher, resumed=True
                )
            else:
                scanned, state = self._begun(step, before, teacher)
            state = self._train(scanned, after, state)
            if state.best and state.best != state.epochs:
                self._restore_epoch(after, state.best)
            found = self._store(after, first, state, step.use, shown(step))
            after.drop()
            return found

    def _begun(
        self, step: RecipeStep, before: StepFolder, teacher: NetworkFile | None
    ) -> tuple[RecipeStep, Progressed]:
        self.go(before)
        self._at = None
        began = time.monotonic()
        self._progress(ProgressEvent(stage="compress", detail=shown(step)))
        scanned, notes = self._session.begin(step, self._recipe, self._sets, teacher, resumed=False)
        seconds = time.monotonic() - began
        return scanned, Progressed(notes=notes, seconds=seconds, options=plain(scanned.options))

    def _train(self, step: RecipeStep, after: StepFolder, state: Progressed) -> Progressed:
        """Trains the epochs that are left; stops early if that was asked for, or if the loss is not finite after a good epoch."""
        kind, epochs = STEPS[step.use], step.options.epochs
        settled = 0 if kind.settled is None else kind.settled(step.options)
        patience = step.options.training.over(self._recipe.training).patience or 0
        while state.epochs < epochs and not (
            patience and state.best and state.epochs - state.best >= patience
        ):
            began = time.monotonic()
            try:
                loss, value = self._epoch(step, state.epochs)
            except ConversionError as error:
                if error.code != Code.TRAINING_DIVERGED or not state.best:
                    raise
                note = f"{error.message}: the network of epoch {state.best} is kept"
                self._restore_epoch(after, state.best)
                return msgspec.structs.replace(state, epochs=state.best, notes=(*state.notes, note))
            better = state.epochs >= settled and self._better(value, state)
            self._keep_epoch(after, state.epochs + 1)
            state = msgspec.structs.replace(
                state,
                epochs=state.epochs + 1,
                best=state.epochs + 1 if better else state.best,
                value=value if better else state.value,
                seconds=state.seconds + time.monotonic() - began,
            )
            after.note(state)
            self._report(step, state.epochs, loss, value)
        return state

    def _epoch(self, step: RecipeStep, number: int) -> tuple[float, float | None]:
        """Trains for one epoch: (mean loss, the metric on the deciding samples).

        Raises:
            ConversionError: `training-diverged`: the loss or the network's answers are not finite.
        """
        with self._drawn(step, number) as rows:
            loss = self._session.train(step, number, rows)
        try:
            return loss, self._value()
        except DataError as error:
            if error.code != Code.NOT_FINITE:
                raise
            raise ConversionError(
                f"the network's outputs are not finite after epoch {number + 1}",
                hint="use a lower learning rate: --rate, or `rate` in the recipe",
                code=Code.TRAINING_DIVERGED,
            ) from error

    def _drawn(self, step: RecipeStep, number: int) -> AbstractContextManager[Rows | None]:
        """Training samples that are drawn again for an epoch; None if those of the epoch before stay."""
        again = step.options.training.over(self._recipe.training).redraw
        draw = self._sets.draw if again and number else None
        return nullcontext() if draw is None else draw(number)

    def _better(self, value: float | None, state: Progressed) -> bool:
        """Whether an epoch may be the result rather than the best before; among equals the later one has trained longer."""
        if value is None or state.value is None or self._sets.deciding is None:
            return True
        higher = self._sets.deciding.scorer.metric.higher_is_better
        return value >= state.value if higher else value <= state.value

    def _value(self) -> float | None:
        deciding = self._sets.deciding
        return None if deciding is None else deciding.value(self._session.answers(deciding))

    def _report(self, step: RecipeStep, epoch: int, loss: float, value: float | None) -> None:
        detail = f"{shown(step)}: epoch {epoch} of {step.options.epochs}, loss {loss:.4g}"
        if value is not None and self._sets.deciding is not None:
            metric = self._sets.deciding.scorer.metric
            detail += f", {metric.name} {metric.shown(value)}"
        self._progress(ProgressEvent(stage="train", detail=detail))

    def _keep_epoch(self, after: StepFolder, number: int) -> None:
        with self._session.files() as made:
            self._session.checkpoint(made.path / CHECKPOINT)
            after.keep_epoch(made, number)

    def _restore_epoch(self, after: StepFolder, number: int) -> None:
        self._at = None
        self._session.restore(after.epoch(number) / CHECKPOINT)

    def _store(
        self, after: StepFolder, first: StepFolder, state: Progressed, use: str, words: str
    ) -> StepResult:
        """Stores the session's network as the result of a step."""
        deciding, accuracy, answers = self._sets.deciding, None, None
        with self._session.files() as made:
            self._session.checkpoint(made.path / CHECKPOINT)
            figures = self._session.save(made.path / after.network.name)
            if deciding is not None:
                given = self._session.answers(deciding)
                answers = given.packed()
                reference = answers if after is first else (first.path / ANSWERS).read_bytes()
                accuracy = deciding.compared(Answers.unpacked(reference), given)
            result = StepResult(
                name=use, shown=words, figures=figures, accuracy=accuracy, epochs=state.epochs,
                best=state.best, seconds=state.seconds, notes=state.notes,
            )  # fmt: skip
            after.finish(made, result, answers)
        self._at = after.path
        return result


def _scanned(step: RecipeStep, state: Progressed) -> RecipeStep:
    """A step with the options that its scan found before it was interrupted."""
    if state.options is None:
        return step
    return RecipeStep(use=step.use, options=msgspec.convert(state.options, STEPS[step.use].options))
