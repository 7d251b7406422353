"""The functions of compression that run in worker processes: arguments and results are plain values and records."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgewright.compile.data.answers import Answers
from edgewright.compile.inspection.model_trust import trusting
from edgewright.compress import distillation, labels, training_functions
from edgewright.compress.frameworks import open_network
from edgewright.compress.network import Network
from edgewright.compress.step_run import StepRun
from edgewright.compress.steps import STEPS
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.base import Noun
from edgewright.nouns.compression import Figures
from edgewright.nouns.recipe import StepOptions, TrainingOptions, plain

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class NetworkFile(Noun, frozen=True, kw_only=True):
    """A network to open: path, name of its format, whether the user trusts it."""

    path: Path
    format: str
    trusted: bool = False


class Rows(Noun, frozen=True, kw_only=True):
    """Samples of a prepared set.

    Attributes:
        inputs, labels: as of an `EvaluationSet`.
        held_out: how many rows, chosen by `seed`, are left out; with `only_held_out`, these are the only ones.
    """

    inputs: Path
    labels: Path
    held_out: int = 0
    only_held_out: bool = False
    seed: int = 0

    def indexes(self, count: int) -> Array:
        """The rows, ascending."""
        import numpy as np

        order = np.random.default_rng(self.seed).permutation(count)
        return np.sort(order[: self.held_out] if self.only_held_out else order[self.held_out :])


class Opened(Noun, frozen=True, kw_only=True):
    """A network that was opened: inputs of one sample, outputs, and names of the layers that can be pruned.

    Attributes:
        loss: in whose form its first output is compared with a teacher's if there are no labels.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    layers: tuple[str, ...]
    loss: str


class Begun(Noun, frozen=True, kw_only=True):
    """A step that was begun.

    Attributes:
        options: of the step, with what its scan found.
        notes: what people should know, a sentence each.
    """

    options: dict[str, Any]
    notes: tuple[str, ...] = ()


class _State:
    """What the worker keeps between calls."""

    network: Network | None = None
    teachers: dict[NetworkFile, Network] = {}  # noqa: RUF012 - one session a process
    data: tuple[Rows, list[Array], Array] | None = None
    run: StepRun | None = None
    output: tuple[int, ...] = ()  # shape of one sample's first output


def open_source(source: NetworkFile) -> Opened:
    """Opens the network; all later calls are about it."""
    network = _State.network = _opened(source)
    _State.run, _State.teachers = None, {}
    found = _ends(network)
    _State.output = found.outputs[0].shape[1:]
    return found


def open_teacher(teacher: NetworkFile) -> Opened:
    """Opens a network that a later step learns from."""
    return _ends(_taught(teacher))


def check_hints(texts: tuple[str, ...], teacher: NetworkFile | None) -> None:
    """Raises UsageError if the network, or the teacher, does not have a layer of these hints.

    Args:
        teacher: None: the network as it is now.
    """
    network = _network()
    other = network if teacher is None else _taught(teacher)
    distillation.check_hints(distillation.hints_of(texts), network, other)


def begin_step(
    use: str,
    options: dict[str, Any],
    rows: Rows | None,
    loss: str,
    training: TrainingOptions,
    seed: int,
    original: NetworkFile,
    teacher: NetworkFile | None,
    *,
    resumed: bool,
) -> Begun:
    """Begins a step, or continues one whose checkpoint was restored.

    Args:
        rows: the training samples; None if there are none.
        loss: one of `compression.LOSSES` that the recipe names, or that fits the data.
        original: the network before the recipe. teacher: another one that the step names.
    """

    def taught(path: str | None) -> Network:
        return _taught(original if path is None or teacher is None else teacher)

    step, given = STEPS[use], _options(use, options)
    rated = training.over(TrainingOptions(rate=step.rate))
    named = given.training.over(rated).loss or loss
    used = named if training_functions.is_own(named) else loss
    run = _State.run = StepRun(_network(), taught, _samples(rows, used), used, rated, seed, loss)
    if resumed:
        return Begun(options=options)
    notes: Sequence[str] = ()
    if step.scan is not None:
        given, notes = step.scan(run, given)
    begun = [] if step.begin is None else step.begin(run, given)
    return Begun(options=plain(given), notes=(*notes, *begun))


def train_epoch(use: str, options: dict[str, Any], number: int, rows: Rows | None = None) -> float:
    """Trains for one epoch of the step that `begin_step` began; returns the mean loss.

    Args:
        rows: other training samples from now on.
    """
    run, step = _State.run, STEPS[use]
    assert run is not None  # noqa: S101 - begun
    if rows is not None:
        _State.data = None  # so that memory never holds both
        run.inputs, run.labels = _samples(None, run.loss)
        run.inputs, run.labels = _samples(rows, run.loss)
    given = _options(use, options)
    return run.train(given, number) if step.epoch is None else float(step.epoch(run, given, number))


def compute_answers(rows: Rows, keep: str, output: int | None, file: Path) -> None:
    """Writes the network's answers to samples, packed as `Answers`."""
    import numpy as np

    inputs, _ = _read(rows)
    outputs = [np.asarray(array) for array in _network().predict(inputs)]
    whole = Answers("all", outputs)
    answers = whole if keep == "all" else whole.of_output(output or 0, keep)
    file.write_bytes(answers.packed())


def save_checkpoint(folder: Path) -> None:
    """Writes all that training needs to go on into a new folder."""
    _network().checkpoint(folder)


def restore_checkpoint(folder: Path) -> None:
    """Continues from a checkpoint."""
    _network().restore(folder)


def save_network(file: Path) -> Figures:
    """Writes the network's file; returns its size."""
    network = _network()
    network.save(file)
    packer, packed, zeros = zlib.compressobj(6), 0, 0
    for layer in network.layers():
        weight = network.weight(layer.name)
        zeros += int((weight == 0).sum())
        packed += len(packer.compress(weight.tobytes()))
    packed += len(packer.flush())
    return Figures(
        parameters=network.parameters(),
        zeros=zeros,
        macs=network.macs(),
        bytes=file.stat().st_size,
        packed_bytes=packed,
    )


def _opened(file: NetworkFile) -> Network:
    with trusting(file.trusted):
        return open_network(file.path, file.format)


def _taught(file: NetworkFile) -> Network:
    if file not in _State.teachers:
        _State.teachers[file] = _opened(file)
    return _State.teachers[file]


def _ends(network: Network) -> Opened:
    """The inputs and outputs of a network, by a look at its outputs for zeros."""
    import numpy as np

    zeros = [np.zeros(spec.shape, spec.dtype) for spec in network.inputs]
    arrays = network.predict(zeros)
    outputs = tuple(
        TensorSpec(name=name, shape=(1, *array.shape[1:]), dtype=str(array.dtype))
        for name, array in zip(network.outputs, arrays, strict=True)
    )
    return Opened(
        inputs=network.inputs, outputs=outputs, layers=tuple(one.name for one in network.layers()),
        loss=labels.loss_of(arrays[0], probabilities=network.probabilities),
    )  # fmt: skip


def _network() -> Network:
    assert _State.network is not None  # noqa: S101 - opened first
    return _State.network


def _options(use: str, options: dict[str, Any]) -> StepOptions:
    return msgspec.convert(options, STEPS[use].options)


def _samples(rows: Rows | None, loss: str) -> tuple[list[Array], Array]:
    """Training samples, with labels in the form that a loss takes."""
    import numpy as np

    inputs, found = ([], np.zeros(0)) if rows is None else _loaded(rows)
    if training_functions.is_own(loss):
        return inputs, labels.plain(found)
    return inputs, labels.fitted(found, loss, _State.output)


def _loaded(rows: Rows) -> tuple[list[Array], Array]:
    """The training samples, kept for later steps."""
    if _State.data is None or _State.data[0] != rows:
        _State.data = (rows, *_read(rows))
    return _State.data[1], _State.data[2]


def _read(rows: Rows) -> tuple[list[Array], Array]:
    import numpy as np

    given = np.load(rows.labels, allow_pickle=False)
    chosen = rows.indexes(len(given))
    with np.load(rows.inputs, allow_pickle=False) as archive:
        arrays = [archive[f"input_{index}"] for index in range(len(archive.files))]
    # a sample's own batch axis of 1 is dropped: the first axis is that of the samples
    found = given[chosen]
    return [np.ascontiguousarray(array[chosen][:, 0]) for array in arrays], found if found.size else np.zeros(
        0
    )
