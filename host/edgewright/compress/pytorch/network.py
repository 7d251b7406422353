"""TorchNetwork: implements `compress.network.Network` for PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.compress import calibration_samples
from edgewright.compress.network import Network
from edgewright.compress.pytorch import (
    channel_scaling,
    channels,
    checkpoints,
    importance,
    layer_outputs,
    losses,
    macs,
    new_weights,
    program_file,
)
from edgewright.compress.pytorch import epoch as _epoch
from edgewright.compress.pytorch.body import Body
from edgewright.compress.pytorch.channel_means import channel_means
from edgewright.compress.pytorch.layer_weights import LayerWeights
from edgewright.compress.pytorch.optimiser import Optimiser, restored
from edgewright.compress.pytorch.simulation import Simulation
from edgewright.compress.pytorch.weights import find
from edgewright.errors import ConversionError, DataError
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

    Array = np.ndarray[Any, Any]


def open_network(path: Path, format: str) -> TorchNetwork:  # noqa: A002 - the word of `Source`
    """Opens a model for compression.

    Args:
        path: a torch.export program, or `module.py:function`, which runs the user's code.
        format: `pt2` or `pytorch`.

    Raises:
        ModelError: it cannot be read or refuses batches of samples.
    """
    from edgewright.compile import recognition
    from edgewright.compile.sources import torch as source

    if format == "pytorch":
        return TorchNetwork(Body(source.open_function(path, {}), program=False))
    recognition.files(path)  # refuses an archive that PyTorch might run code from
    return TorchNetwork(Body(source.open_program(path, {}), program=True))


class TorchNetwork:
    """A PyTorch module. Its class and code stay as they are; only its weights and the sizes of its layers change."""

    def __init__(self, body: Body) -> None:
        self.inputs, self.outputs = body.inputs, body.names[1]
        self._body = body
        self._weights = find(body)
        self._masks: dict[str, Any] = {}
        self._found: LayerWeights | None = None
        self._optimiser: Optimiser | None = None
        self.probabilities = losses.gives_probabilities(body)

    def layers(self) -> tuple[WeightedLayer, ...]:
        """Implements `Network.layers`."""
        return tuple(layer.spec for layer in self._weights.values())

    def weight(self, layer: str) -> Array:
        """Implements `Network.weight`."""
        found: Array = self._parameter(layer).detach().float().numpy().copy()
        return found

    def set_weight(self, layer: str, values: Array) -> None:
        """Implements `Network.set_weight`."""
        import numpy as np
        import torch

        parameter = self._parameter(layer)
        if tuple(values.shape) != tuple(parameter.shape):
            raise ConversionError(
                f"weights of {layer} have shape {tuple(parameter.shape)}, not {values.shape}"
            )
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(np.array(values)))
        self._changed()
        self._apply_masks()

    def bias(self, layer: str) -> Array | None:
        """Implements `Network.bias`."""
        return self._followed().bias(layer)

    def set_bias(self, layer: str, values: Array) -> None:
        """Implements `Network.set_bias`."""
        self._followed().set_bias(layer, values)
        self._changed()

    def channel_means(self, inputs: Sequence[Array]) -> dict[str, Array]:
        """Implements `Network.channel_means`."""
        self._ready()
        found, weights = (
            channel_means(self._body, self._weights, self._body.tensors(inputs)),
            self._followed(),
        )
        return {layer: weights.folded(layer, values) for layer, values in found.items()}

    def channel_links(self) -> ChannelLinks:
        """Implements `Network.channel_links`."""
        return self._followed().flow.report()

    def channel_ranges(self, link: ChannelLink) -> tuple[Array, Array]:
        """Implements `Network.channel_ranges`."""
        return self._followed().flow.ranges(link, self._followed())

    def scale_channels(self, link: ChannelLink, factors: Array) -> None:
        """Implements `Network.scale_channels`. The optimiser forgets its state: gradients are scaled too."""
        self._followed().flow.scale(link, self._followed(), factors)
        self._optimiser = None
        self._changed()

    def _followed(self) -> LayerWeights:
        """What becomes of channels in the module."""
        if self._found is None:
            self._found = LayerWeights(self._weights, channel_scaling.follow(self._body, self._weights))
        return self._found

    def hold(self, masks: Mapping[str, Array]) -> None:
        """Implements `Network.hold`."""
        import numpy as np
        import torch

        for layer, mask in masks.items():
            shape = tuple(self._parameter(layer).shape)
            if tuple(mask.shape) != shape:
                raise ConversionError(f"the mask of {layer} has shape {mask.shape}, its weights {shape}")
        self._masks = {
            layer: torch.from_numpy(np.array(mask, dtype=np.bool_)) for layer, mask in masks.items()
        }
        self._apply_masks()
        self._changed()

    def simulate(self, inputs: Sequence[Array] | None) -> None:
        """Implements `Network.simulate`. It rounds the results of every function that the module calls, but nothing inside a C++ function
        such as an LSTM."""
        self._body.simulation = None if inputs is None else Simulation(self._body, inputs)

    def _changed(self) -> None:
        """The weights have changed."""
        if self._body.simulation is not None:
            self._body.simulation.fresh = False

    def _ready(self) -> None:
        """Makes the ranges of a simulation those of the weights."""
        if self._body.simulation is not None:
            self._body.simulation.measure(probabilities=self.probabilities)

    def predict(self, inputs: Sequence[Array], batch: int = 64, layers: Sequence[str] = ()) -> list[Array]:
        """Implements `Network.predict`."""
        import torch

        tensors = self._body.tensors(inputs)
        if len(tensors[0]) == 0:
            raise DataError("there are no samples")
        self._ready()
        with torch.no_grad():
            parts = [
                self._body.run([tensor[at : at + batch] for tensor in tensors], layers)
                for at in range(0, len(tensors[0]), batch)
            ]
        return [torch.cat(answers).float().numpy() for answers in zip(*parts, strict=True)]

    def inner_layers(self) -> dict[str, str]:
        """Implements `Network.inner_layers`: paths of modules. A program has none: layers with weights."""
        return layer_outputs.inner_layers(self._body, list(self._weights))

    def train(
        self,
        inputs: Sequence[Array],
        labels: Array,
        training: Training,
        epoch: int,
        teacher: Network | None = None,
    ) -> float:
        """Implements `Network.train`. With `mse`, the teacher's term is the mean squared difference of the outputs."""
        soft = 0.0 if teacher is None else training.soft
        wanted = None if soft >= 1 else self._labels(inputs, labels, training.loss)
        taught = self._taught(teacher, inputs, training) if teacher is not None and soft > 0 else None
        lesson = _epoch.Lesson(self._body.tensors(inputs), wanted, taught, training, epoch)
        if len(lesson.inputs[0]) == 0:
            raise DataError("there are no samples to train on")
        if self._optimiser is None or self._optimiser.kind != training.optimiser:
            self._optimiser = Optimiser(self._body, training.optimiser, training.rate)
        self._ready()
        self._changed()
        return _epoch.run_epoch(
            self._body,
            self._weights,
            self._masks,
            self._optimiser,
            lesson,
            probabilities=self.probabilities,
        )

    def importance(self, inputs: Sequence[Array], labels: Array, loss: str, kind: str) -> dict[str, Array]:
        """Implements `Network.importance`."""
        tensors = self._body.tensors(inputs)
        if kind == "activation":
            return importance.activation(self._body, self._weights, tensors)
        wanted = self._labels(inputs, labels, loss)
        return importance.taylor(
            self._body, self._weights, tensors, wanted, loss, probabilities=self.probabilities
        )

    def prune_channels(self, wanted: ChannelPruning, scores: Mapping[str, Array]) -> ChannelReport:
        """Implements `Network.prune_channels`.

        A group of layers whose channels cannot be removed without changing what the rest computes is in `protected`, with the reason.

        Raises:
            ConversionError: it is a torch.export program; `wanted` names a layer that does not exist; or no group can be pruned.
                The network is then as before.
        """
        before = self.layers()
        pruned = channels.prune(self._body, self._weights, self._masks, wanted, scores)
        if pruned.removed:
            self._body.flat = pruned.flat
            self._changed()
            self._weights, self._found = find(self._body), None
            self._masks = pruned.masks
            self._optimiser = None
            self._apply_masks()
        return channels.report(before, self.layers(), pruned.protected)

    def reset_weights(self, seed: int) -> dict[str, str]:
        """Implements `Network.reset_weights` by the modules' own `reset_parameters`."""
        self._body.flat, kept = new_weights.renewed(self._body, seed)
        self._changed()
        self._weights, self._found, self._masks, self._optimiser = find(self._body), None, {}, None
        return kept

    def macs(self) -> int:
        """Implements `Network.macs`."""
        return macs.macs(self._body)

    def parameters(self) -> int:
        """Implements `Network.parameters`."""
        return macs.parameters(self._body)

    def save(self, file: Path) -> None:
        """Implements `Network.save`: a `.pt2`; see `program_file.save` for the names of inputs and outputs."""
        program_file.save(self._body, file)

    def checkpoint(self, folder: Path) -> None:
        """Implements `Network.checkpoint`."""
        checkpoints.write(folder, self._body, self._masks, self._optimiser)

    def restore(self, folder: Path) -> None:
        """Implements `Network.restore`."""
        masks, optimiser = checkpoints.read(folder, self._body)
        self.simulate(calibration_samples.read(folder))
        self._weights, self._found = find(self._body), None
        self._masks = masks
        self._optimiser = None if optimiser is None else restored(self._body, optimiser)

    def _parameter(self, layer: str) -> Any:
        if layer not in self._weights:
            raise ConversionError(
                f"the network has no layer {layer} with weights", hint=f"it has {', '.join(self._weights)}"
            )
        return self._weights[layer].parameter

    def _apply_masks(self) -> None:
        _epoch.apply_masks(self._weights, self._masks)

    def _labels(self, inputs: Sequence[Array], labels: Array, loss: str) -> Any:
        if len(labels) != len(inputs[0]):
            raise DataError(f"{len(labels)} labels for {len(inputs[0])} samples")
        return losses.labels_tensor(labels, loss)

    def _taught(
        self, teacher: Network, inputs: Sequence[Array], training: Training
    ) -> Callable[[Any], list[Any]]:
        """See `Lesson.taught`."""
        import torch

        layers, count = [hint.teacher for hint in training.hints], len(teacher.outputs)

        def taught(chosen: Any) -> list[Any]:
            rows = chosen.numpy()
            answers = teacher.predict([array[rows] for array in inputs], len(rows), layers)
            found = [torch.from_numpy(array) for array in (answers[0], *answers[count:])]
            logits = losses.logits(found[0], training.likeness, probabilities=teacher.probabilities)
            return [logits, *found[1:]]

        return taught


if TYPE_CHECKING:
    _implements: type[Network] = TorchNetwork
