"""A Keras network that can be trained, pruned and saved."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.compile.sources import keras_file
from edgewright.compress import calibration_samples
from edgewright.compress.keras import (
    channel_removal,
    channel_scaling,
    checkpoints,
    ends,
    graph,
    importance,
    losses,
    macs,
    model_calls,
    model_file,
    new_weights,
    weighted_layers,
)
from edgewright.compress.keras import (
    labels as fitting,
)
from edgewright.compress.keras.channel_means import ChannelMeans
from edgewright.compress.keras.layer_weights import LayerWeights
from edgewright.compress.keras.simulation import Simulation
from edgewright.compress.keras.trainer import OptimiserState, Samples, Trainer
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.compression import (
    ChannelLink,
    ChannelLinks,
    ChannelPruning,
    ChannelReport,
    Training,
    WeightedLayer,
)

if TYPE_CHECKING:
    import numpy as np

    from edgewright.compress.network import Network

    Array = np.ndarray[Any, Any]


def open_network(path: Path, format: str = "keras") -> KerasNetwork:  # noqa: A002, ARG001 - as for the other framework
    """Opens a `.keras` or `.h5` file.

    Raises:
        ModelError: it cannot be read, holds code, has an open size besides its batch, or is no graph of Keras 3's layers.
    """
    model = model_file.open_model(path)
    specs, _ = keras_file.input_specs(model, path, {})
    return KerasNetwork(model, tuple(specs), tuple(keras_file.output_names(model)))


class KerasNetwork:
    """Satisfies `edgewright.compress.network.Network` with Keras 3 on TensorFlow.

    Labels and teachers concern the first output. Distillation compares outputs as they are if the loss is `mse`.
    """

    def __init__(self, model: Any, inputs: tuple[TensorSpec, ...], outputs: tuple[str, ...]) -> None:
        self.inputs, self.outputs = inputs, outputs
        self._cut = False
        self._simulation: Simulation | None = None
        self._use(model)

    def _use(self, model: Any) -> None:
        """Goes on with another model, untrained and without masks."""
        self._model = model
        self._ends = ends.of_first(model)
        self._layers = weighted_layers.weighted(model)
        self._trainer = Trainer(model, self._ends)
        self._weights = LayerWeights(model)
        self._flow = channel_scaling.follow(model, self._weights.norms)
        self.simulate(self._simulated)

    @property
    def probabilities(self) -> bool:
        """Whether the first output is that of a softmax or sigmoid."""
        return bool(self._ends)

    def layers(self) -> tuple[WeightedLayer, ...]:
        """See `Network`."""
        return tuple(weighted_layers.described(layer) for layer in self._layers.values())

    def weight(self, layer: str) -> Array:
        """See `Network`."""
        values: Array = weighted_layers.main_weights(self._layers[layer]).numpy().astype("float32")
        return values

    def set_weight(self, layer: str, values: Array) -> None:
        """See `Network`. A mask that is held is applied to the values."""
        weighted_layers.main_weights(self._layers[layer]).assign(values)
        self._changed()
        self._trainer.apply_masks()

    def bias(self, layer: str) -> Array | None:
        """See `Network`."""
        variable = self._weights.bias(layer)
        return None if variable is None else variable.numpy().astype("float32")

    def set_bias(self, layer: str, values: Array) -> None:
        """See `Network`."""
        self._weights.bias(layer).assign(values)
        self._changed()

    def channel_means(self, inputs: Sequence[Array]) -> dict[str, Array]:
        """See `Network`."""
        self._ready()
        return {
            layer: self._weights.folded(layer, values) for layer, values in self._means.of(inputs).items()
        }

    def channel_links(self) -> ChannelLinks:
        """See `Network`."""
        return self._flow.report()

    def channel_ranges(self, link: ChannelLink) -> tuple[Array, Array]:
        """See `Network`."""
        return self._flow.ranges(link, self._weights)

    def scale_channels(self, link: ChannelLink, factors: Array) -> None:
        """See `Network`. The optimiser forgets its state: gradients are scaled too."""
        self._flow.scale(link, self._weights, factors)
        self._trainer.set_state(OptimiserState())
        self._changed()

    def hold(self, masks: Mapping[str, Array]) -> None:
        """See `Network`."""
        self._trainer.hold(masks)
        self._changed()

    def simulate(self, inputs: Sequence[Array] | None) -> None:
        """See `Network`."""
        if inputs is None:
            self._simulation = None
            self._run: model_calls.Outputs = functools.partial(model_calls.outputs, self._model)
        else:
            self._simulation = Simulation(self._model, self._ends, inputs)
            self._run = self._simulation.outputs
        self._trainer.run_by(self._run)
        self._means = ChannelMeans(self._model, self._run)
        self._predictors: dict[tuple[str, ...], Callable[[list[Any]], list[Any]]] = {}

    def _changed(self) -> None:
        """The weights have changed."""
        if self._simulation is not None:
            self._simulation.fresh = False

    def _ready(self) -> None:
        """Makes the ranges of a simulation those of the weights."""
        if self._simulation is not None:
            self._simulation.measure()

    def predict(self, inputs: Sequence[Array], batch: int = 64, layers: Sequence[str] = ()) -> list[Array]:
        """See `Network`."""
        import numpy as np

        self._ready()
        key = tuple(layers)
        if key not in self._predictors:
            self._predictors[key] = model_calls.predictor(self._model, self._run, key)
        answer, order = self._predictors[key], np.arange(len(inputs[0]))
        parts = [answer(tensors) for _, tensors in model_calls.batches(self._model, inputs, order, batch)]
        return [np.concatenate([one.numpy() for one in column]) for column in zip(*parts, strict=True)]

    def inner_layers(self) -> dict[str, str]:
        """See `Network`."""
        return {name: graph.obstacle(calls) for name, calls in graph.uses(self._model).items()}

    def train(
        self,
        inputs: Sequence[Array],
        labels: Array,
        training: Training,
        epoch: int,
        teacher: Network | None = None,
    ) -> float:
        """See `Network`. After pruning, each epoch ends by measuring the statistics of batch normalisations again.

        Raises:
            ConversionError: the loss is not finite, or nothing is trainable.
            DataError: the labels do not fit the first output.
        """
        labelled = teacher is None or training.soft < 1
        if labelled:
            fitting.check(self._model, labels, training.loss, len(inputs[0]))
        taught = None if teacher is None else self._taught(teacher, inputs, training)
        samples = Samples(inputs, labels if labelled else None, taught)
        self._ready()
        self._changed()
        return self._trainer.epoch(samples, training, epoch, self._cut)

    def _taught(
        self, teacher: Network, inputs: Sequence[Array], training: Training
    ) -> Callable[[Array], list[Array]]:
        """See `Samples.taught`."""
        kind = (
            teacher._ends
            if isinstance(teacher, KerasNetwork)
            else self._ends
            if teacher.probabilities
            else ""
        )
        layers, count = [hint.teacher for hint in training.hints], len(teacher.outputs)

        def taught(rows: Array) -> list[Array]:
            answers = teacher.predict([one[rows] for one in inputs], training.batch, layers)
            return [losses.logits(answers[0], kind, training.likeness).numpy(), *answers[count:]]

        return taught

    def importance(self, inputs: Sequence[Array], labels: Array, loss: str, kind: str) -> dict[str, Array]:
        """See `Network`. `activation` needs no labels. Raises DataError if the labels do not fit the first output."""
        if kind == "activation":
            return importance.activation(self._model, inputs)
        fitting.check(self._model, labels, loss, len(inputs[0]))
        return importance.taylor(self._model, inputs, labels, loss, self._ends)

    def prune_channels(self, wanted: ChannelPruning, scores: Mapping[str, Array]) -> ChannelReport:
        """See `Network`. Masks that are held stay in force for the weights that are left."""
        removal = channel_removal.plan(self._model, wanted, scores)
        report = channel_removal.report(self._model, removal)
        if report.layers:
            masks = removal.masks(self._model, self._trainer.masks)
            self._use(channel_removal.remove(self._model, removal))
            self._trainer.hold(masks)
            self._cut = True
        return report

    def reset_weights(self, seed: int) -> dict[str, str]:
        """See `Network`."""
        model, kept = new_weights.renewed(self._model, seed)
        self._use(model)
        self._cut = True
        return kept

    def macs(self) -> int:
        """See `Network`."""
        return macs.count(self._model)

    def parameters(self) -> int:
        """See `Network`."""
        return int(self._model.count_params())

    def save(self, file: Path) -> None:
        """See `Network`. The file's name ends in `.keras`."""
        self._model.save(file)

    def checkpoint(self, folder: Path) -> None:
        """See `Network`."""
        trainer = self._trainer
        state = checkpoints.State(trainer.state(), trainer.masks, self._cut, self._simulated)
        checkpoints.write(folder, self._model, state)

    def restore(self, folder: Path) -> None:
        """See `Network`."""
        model, state = checkpoints.read(folder)
        if not calibration_samples.same(state.calibration, self._simulated):
            self.simulate(state.calibration)
        if model.to_json() == self._model.to_json():  # what was compiled for it can stay
            self._model.set_weights(model.get_weights())
        else:
            self._use(model)
        self._trainer.hold(state.masks)
        self._trainer.set_state(state.optimiser)
        self._cut = state.cut
        self._changed()

    @property
    def _simulated(self) -> list[Array] | None:
        """The samples of the simulation."""
        return None if self._simulation is None else self._simulation.samples
