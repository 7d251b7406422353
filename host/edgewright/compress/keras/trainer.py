"""Trains a Keras model, with masks and distillation."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgewright.compress import training_functions
from edgewright.compress.keras import losses, model_calls, weighted_layers
from edgewright.compress.keras.batch_statistics import BatchStatistics
from edgewright.compress.keras.optimiser import Optimiser
from edgewright.compress.training_functions import is_own
from edgewright.errors import Code, ConversionError
from edgewright.nouns.compression import Training

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


_FACTORS = ("l1", "l2", "soft", "temperature", "hint_weight")
_STATISTICS = 64  # batches; more hardly change a mean


@dataclass(frozen=True)
class Samples:
    """What an epoch trains with.

    Attributes:
        labels: None if the teacher's outputs are all that counts.
        taught: `taught(rows)` returns the teacher's logits for these samples, and its outputs at the layers of hints; None without a
            teacher.
    """

    inputs: Sequence[Array]
    labels: Array | None
    taught: Callable[[Array], list[Array]] | None

    def wanted(self, rows: Array) -> list[Array]:
        """Labels, if there are any, and what the teacher says."""
        labels = [] if self.labels is None else [self.labels[rows]]
        return labels + ([] if self.taught is None else self.taught(rows))


@dataclass(frozen=True)
class OptimiserState:
    """All that a checkpoint keeps of an optimiser.

    Attributes:
        kind: as of `Training.optimiser`; empty if there is none yet. rate: that it was made with.
        variables: its own, in a fixed order.
    """

    kind: str = ""
    rate: float = 0.0
    variables: Sequence[Array] = ()


class Trainer:
    """Trains one model: its structure stays. Keeps the optimiser's state and the masks.

    The model's own penalties (`kernel_regularizer` and the like) do not count: a recipe says which ones do.
    """

    def __init__(self, model: Any, ends: str) -> None:
        self._model = model
        self._ends = ends
        self._weights = _trainable(model)
        self._statistics = BatchStatistics(model)
        self._optimiser: Optimiser | None = None
        self._masks: dict[str, Any] = {}
        self._steps: dict[Any, Callable[..., Any]] = {}
        self._outputs: model_calls.Outputs = functools.partial(model_calls.outputs, model)

    def run_by(self, outputs: model_calls.Outputs) -> None:
        """Trains with what `outputs` returns rather than with the model's own outputs."""
        self._outputs = outputs
        self._steps.clear()

    @property
    def masks(self) -> dict[str, Array]:
        """The masks that are held, bool."""
        return {name: mask.numpy() > 0 for name, mask in self._masks.items()}

    def hold(self, masks: Mapping[str, Array]) -> None:
        """Holds these masks alone, and applies them."""
        import tensorflow as tf

        if self._masks.keys() != masks.keys():
            self._masks = {name: tf.Variable(mask.astype("float32")) for name, mask in masks.items()}
            self._steps.clear()
        for name, mask in masks.items():
            self._masks[name].assign(mask.astype("float32"))
        self.apply_masks()

    def apply_masks(self) -> None:
        """Sets the weights that are masked to zero."""
        import tensorflow as tf

        layers = weighted_layers.weighted(self._model)
        for name, mask in self._masks.items():
            variable = weighted_layers.main_weights(layers[name])
            variable.assign(variable.value * tf.cast(mask, variable.dtype))

    def state(self) -> OptimiserState:
        """That of the optimiser."""
        made = self._optimiser
        return (
            OptimiserState()
            if made is None
            else OptimiserState(made.kind, made.rate, [one.numpy() for one in made.variables])
        )

    def set_state(self, state: OptimiserState) -> None:
        """Continues from what `state` returned, also in another process with the same structure."""
        now = self._optimiser
        if (state.kind, state.rate) != (("", 0.0) if now is None else (now.kind, now.rate)):
            self._use(state.kind, state.rate)
        for one, value in zip(
            self._optimiser.variables if self._optimiser else (), state.variables, strict=True
        ):
            one.assign(value)

    def epoch(self, samples: Samples, training: Training, number: int, cut: bool) -> float:
        """Trains for one epoch; returns the mean loss. Raises ConversionError if it is not finite.

        Args:
            cut: channels were removed, or the weights are new. Then, and while masks are held, it ends with `BatchStatistics`.
        """
        import numpy as np
        import tensorflow as tf

        if not self._weights:
            raise ConversionError(
                "network has no weights to train", hint="save it with layers that are trainable"
            )
        if self._optimiser is None or training.optimiser != self._optimiser.kind:
            self._use(training.optimiser, training.rate)
        assert self._optimiser is not None  # noqa: S101 - just made
        self._optimiser.use(training.rate * training.factor)
        count = len(samples.inputs[0])
        rng = np.random.default_rng((training.seed, number))
        order = rng.permutation(count)
        _seed(self._model, rng)
        factors = [tf.constant(getattr(training, name), tf.float32) for name in _FACTORS]
        total = 0.0
        for rows, tensors in model_calls.batches(self._model, samples.inputs, order, training.batch):
            wanted = [tf.constant(one) for one in samples.wanted(rows)]
            loss = float(self._step(training, samples, wanted)(tensors, wanted, factors))
            _check_finite(math.isfinite(loss), number, training.loss)
            total += loss * len(rows)
        _check_finite(all(np.isfinite(one.numpy()).all() for one in self._weights), number, training.loss)
        if cut or self._masks:
            whole = order[: max(1, min(count // training.batch, _STATISTICS)) * training.batch]
            batches = model_calls.batches(self._model, samples.inputs, whole, training.batch)
            self._statistics.measure(tensors for _, tensors in batches)
        return total / count

    def _use(self, kind: str, rate: float) -> None:
        """A new optimiser, or none."""
        self._optimiser = Optimiser(kind, rate, self._weights) if kind else None
        self._steps.clear()

    def _step(self, training: Training, samples: Samples, given: list[Any]) -> Callable[..., Any]:
        """A step of training: (input tensors, [labels, teacher's logits, its outputs at hints], factors) -> loss.

        Args:
            given: as the step will take.
        """
        import tensorflow as tf

        labelled, taught = samples.labels is not None, samples.taught is not None
        loss, hinted = training.loss, [hint.student for hint in training.hints] if taught else []
        likeness = training.likeness
        wanted = [tf.TensorSpec([None, *one.shape[1:]], one.dtype) for one in given]
        key = (loss, likeness, labelled, taught, *hinted, *wanted)
        if key in self._steps:
            return self._steps[key]
        optimiser = self._optimiser
        assert optimiser is not None  # noqa: S101 - made before
        mains = [
            weighted_layers.main_weights(layer) for layer in weighted_layers.weighted(self._model).values()
        ]

        def step(tensors: list[Any], given: list[Any], factors: list[Any]) -> Any:
            l1, l2, soft, temperature, hint_weight = factors
            with tf.GradientTape() as tape:
                outputs = self._outputs(tensors, training=True, layers=hinted)
                value = tf.constant(0.0)
                if labelled:
                    values = losses.logits(outputs[0], self._ends, loss)
                    value += (1 - soft if taught else 1.0) * losses.of_labels(values, given[0], loss)
                if taught:
                    values = losses.logits(outputs[0], self._ends, likeness)
                    value += soft * losses.of_teacher(values, given[labelled], likeness, temperature)
                if hinted:
                    count = len(hinted)
                    value += hint_weight * losses.of_hints(outputs[-count:], given[-count:])
                for one in mains:
                    kernel = tf.cast(one.value, tf.float32)
                    value += l1 * tf.reduce_sum(tf.abs(kernel)) + l2 * tf.reduce_sum(tf.square(kernel))
                scaled = optimiser.scaled(value)
            gradients = tape.gradient(scaled, [one.value for one in self._weights])
            pairs = zip(gradients, self._weights, strict=True)
            optimiser.apply([tf.zeros_like(one.value) if slope is None else slope for slope, one in pairs])
            self.apply_masks()
            return value

        # one graph for batches of all sizes: a second one for the last batch takes as long to make as many steps
        signature = [
            model_calls.signature(self._model),
            wanted,
            [tf.TensorSpec([], tf.float32)] * len(_FACTORS),
        ]
        self._steps[key] = tf.function(step, input_signature=signature, autograph=False)
        return self._steps[key]


def _trainable(model: Any) -> list[Any]:
    """The weights that are trained, in an order that a saved and loaded model has too."""
    layers = sorted(model.layers, key=lambda layer: layer.name)
    return [one for layer in layers for one in layer.trainable_variables]


def _seed(model: Any, rng: Any) -> None:
    """Restarts the random numbers of dropout and noise."""
    weights = {id(one) for one in model.weights}
    for layer in sorted(model.layers, key=lambda layer: layer.name):
        for one in layer.variables:
            if id(one) not in weights and "int" in str(one.dtype):
                one.assign(rng.integers(0, 2**31, one.shape).astype(str(one.dtype)))


def _check_finite(finite: bool, number: int, loss: str) -> None:
    if not finite:
        own = f" and that {training_functions.shown(loss)} returns finite values" if is_own(loss) else ""
        raise ConversionError(
            f"training diverged in epoch {number + 1}: the loss or a weight is not finite",
            hint=f"use a lower learning rate; check that inputs and labels are finite{own}",
            code=Code.TRAINING_DIVERGED,
        )
