"""A network in the worker of its framework, as the host sees it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import msgspec
from msgspec import convert

from edgewright.compile.data.answers import Answers
from edgewright.compile.formats import FORMATS
from edgewright.compile.workers.pool import Workers
from edgewright.compress import training_functions
from edgewright.compress.data_sets import Samples, Sets
from edgewright.compress.steps import STEPS
from edgewright.compress.tasks import Begun, NetworkFile, Opened, Rows
from edgewright.compress.worker_files import WorkerFiles
from edgewright.errors import Code, EdgewrightError, ModelError
from edgewright.nouns.compression import LOSSES, Figures
from edgewright.nouns.recipe import Recipe, RecipeStep, plain

_TASKS = "edgewright.compress.tasks"
_DEAD = (Code.WORKER_CRASHED, Code.WORKER_MEMORY)


class Session:
    """An open network. Everything that needs the framework runs in its worker.

    Args:
        folder: both may write to it.
    """

    def __init__(self, workers: Workers, source: NetworkFile, folder: Path) -> None:
        self._workers, self.source, self._folder = workers, source, folder
        self._worker = FORMATS[source.format].worker
        self._open = True
        self.opened: Opened = self._call("open_source", source=source)

    def check_teacher(self, teacher: NetworkFile, name: str) -> None:
        """Raises ModelError if a teacher takes other inputs than the network, or gives another first output."""
        theirs: Opened = self._call("open_teacher", teacher=teacher)
        for what, ours, its in (
            ("inputs", [spec.shape for spec in self.opened.inputs], [spec.shape for spec in theirs.inputs]),
            ("outputs", [self.opened.outputs[0].shape], [theirs.outputs[0].shape]),
        ):
            if ours != its:
                raise ModelError(
                    f"teacher and network differ in their {what}: {name} has {_sizes(its)}, the network {_sizes(ours)}",
                    hint="give a teacher that was trained for the same data and classes",
                    code=Code.TEACHER_UNLIKE,
                )

    def check_hints(self, texts: tuple[str, ...], teacher: NetworkFile | None) -> None:
        """Raises UsageError if the network, or its teacher (None: itself), does not have a layer that hints name."""
        self._call("check_hints", texts=texts, teacher=teacher)

    def begin(
        self, step: RecipeStep, recipe: Recipe, sets: Sets, teacher: NetworkFile | None, *, resumed: bool
    ) -> tuple[RecipeStep, tuple[str, ...]]:
        """Begins a step. Returns it with the options that its scan found, and its notes."""
        chosen = step.options.training.over(recipe.training)
        loss = chosen.loss if chosen.loss in LOSSES else sets.loss
        begun: Begun = self._call(
            "begin_step", use=step.use, options=_plain(step), rows=sets.training, loss=loss,
            training=training_functions.placed(recipe.training, Path.cwd()), seed=recipe.seed,
            original=self.source, teacher=teacher, resumed=resumed,
        )  # fmt: skip
        return RecipeStep(use=step.use, options=convert(begun.options, STEPS[step.use].options)), begun.notes

    def train(self, step: RecipeStep, epoch: int, rows: Rows | None = None) -> float:
        """Trains for one epoch; returns the mean loss.

        Args:
            rows: other training samples for this epoch and those after it.
        """
        return float(self._call("train_epoch", use=step.use, options=_plain(step), number=epoch, rows=rows))

    def answers(self, samples: Samples) -> Answers:
        """The network's answers to samples."""
        metric = samples.scorer.metric
        with self.files() as made:
            self._call(
                "compute_answers",
                rows=samples.rows,
                keep=metric.keep,
                output=samples.scorer.output,
                file=made.path / "answers.npz",
            )
            return Answers.unpacked(made.read("answers.npz"))

    def save(self, file: Path) -> Figures:
        """Writes the network's file, in a folder that the worker may write to."""
        found: Figures = self._call("save_network", file=file)
        return found

    def checkpoint(self, folder: Path) -> None:
        """Writes a checkpoint into a new folder."""
        self._call("save_checkpoint", folder=folder)

    def restore(self, folder: Path) -> None:
        """Continues from a checkpoint."""
        self._call("restore_checkpoint", folder=folder)

    def files(self) -> AbstractContextManager[WorkerFiles]:
        """A folder for files that the worker writes."""
        return WorkerFiles.new(self._folder)

    def _call(self, function: str, **arguments: Any) -> Any:
        """Calls a task. A worker that died is started again with the network as it was opened: `restore` it."""
        try:
            if not self._open:
                self._workers.call(self._worker, _TASKS, "open_source", source=self.source)
                self._open = True
            return self._workers.call(self._worker, _TASKS, function, **arguments)
        except BaseException as error:
            lived = isinstance(error, EdgewrightError) and error.code not in _DEAD
            self._open = self._open and lived
            raise


def _plain(step: RecipeStep) -> dict[str, Any]:
    """A step's options for the worker, which runs in another folder."""
    training = training_functions.placed(step.options.training, Path.cwd())
    return plain(msgspec.structs.replace(step.options, training=training))


def _sizes(shapes: Sequence[tuple[int, ...]]) -> str:
    return ", ".join("x".join(map(str, shape[1:])) for shape in shapes)
