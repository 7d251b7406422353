"""OnnxNetwork: implements `compress.network.Network` for ONNX graphs, as far as that needs no training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.compress.channel_flow import ChannelFlow
from edgewright.compress.frameworks import cannot_train
from edgewright.compress.onnx import (
    channel_means,
    channel_scaling,
    checkpoints,
    int8_layers,
    int8_model,
    layers,
    model_file,
)
from edgewright.compress.onnx.graph import Graph
from edgewright.compress.onnx.layer_weights import LayerWeights
from edgewright.compress.onnx.layers import Layer
from edgewright.compress.onnx.session import Session
from edgewright.errors import ConversionError, DataError
from edgewright.nouns.compression import (
    ChannelLink,
    ChannelLinks,
    ChannelReport,
    WeightedLayer,
)

if TYPE_CHECKING:
    import numpy as np

    from edgewright.compress.network import Network

    Array = np.ndarray[Any, Any]


def open_network(path: Path, format: str = "onnx") -> OnnxNetwork:  # noqa: A002, ARG001 - as for the other frameworks
    """Opens an ONNX file. Raises ModelError as `model_file.open_file`."""
    return OnnxNetwork(model_file.open_file(path))


class OnnxNetwork:
    """Satisfies `edgewright.compress.network.Network` with ONNX Runtime, which cannot train."""

    def __init__(self, file: model_file.OnnxFile) -> None:
        self.inputs, self.outputs, self._declared = file.inputs, file.outputs, file.declared
        self._masks: dict[str, Array] = {}
        self._samples: list[Array] | None = None
        self._use(file.model)
        self._sizes = self._measured()

    def _use(self, model: Any) -> None:
        """Goes on with another model of the same graph."""
        self._model = model
        self._graph = Graph(model)
        self._layers = layers.find(self._graph)
        self.probabilities = layers.makes_probabilities(self._graph, self.outputs[0])
        self._changed()

    def _changed(self) -> None:
        """The weights have changed."""
        self._running: Session | None = None
        self._int8: Any = None
        self._shifted: Any = None  # an int8 model with the biases of now and the ranges of before

    def layers(self) -> tuple[WeightedLayer, ...]:
        """See `Network`."""
        return tuple(layer.spec for layer in self._layers.values())

    def weight(self, layer: str) -> Array:
        """See `Network`."""
        return self._graph.values(self._layer(layer).weights)

    def set_weight(self, layer: str, values: Array) -> None:
        """See `Network`. A mask that is held is applied to the values."""
        spec = self._layer(layer).spec
        if tuple(values.shape) != spec.shape:
            raise ConversionError(f"weights of {layer} have shape {spec.shape}, not {values.shape}")
        mask = self._masks.get(layer)
        self._graph.write(self._layers[layer].weights, values if mask is None else values * mask)
        self._changed()

    def bias(self, layer: str) -> Array | None:
        """See `Network`."""
        place = self._layer(layer).bias
        return None if place is None else self._graph.values(place[0].input[place[1]]).reshape(-1)

    def set_bias(self, layer: str, values: Array) -> None:
        """See `Network`."""
        place = self._layer(layer).bias
        if place is None:
            raise ConversionError(f"{layer} has no bias")
        (node, index), before, int8 = place, self.bias(layer), self._int8 or self._shifted
        self._graph.write_input(node, index, values.reshape(self._graph.shape(node.input[index])))
        self._changed()
        found = {} if int8 is None else int8_layers.tensors(int8, self._graph, self._layers)
        if layer in found and int8_layers.shift_bias(int8, self._layers[layer], values - before):
            self._shifted = int8

    def channel_means(self, inputs: Sequence[Array]) -> dict[str, Array]:
        """See `Network`. If only biases have changed, the int8 model has these and the ranges from before, as it takes long to make."""
        if self._samples is None:
            floats = channel_means.tensors(self._layers)
            return channel_means.of(self._model, self.inputs, floats, inputs)
        int8 = self._shifted or self._quantised()
        places = int8_layers.tensors(int8, self._graph, self._layers)
        return channel_means.of(int8, self.inputs, places, inputs)

    def channel_links(self) -> ChannelLinks:
        """See `Network`."""
        return self._flow.report()

    def channel_ranges(self, link: ChannelLink) -> tuple[Array, Array]:
        """See `Network`."""
        return self._flow.ranges(link, LayerWeights(self._graph, self._layers))

    def scale_channels(self, link: ChannelLink, factors: Array) -> None:
        """See `Network`."""
        self._flow.scale(link, LayerWeights(self._graph, self._layers), factors)
        self._changed()

    @cached_property
    def _flow(self) -> ChannelFlow:
        return channel_scaling.follow(self._graph, self._layers, self._sizes)

    def hold(self, masks: Mapping[str, Array]) -> None:
        """See `Network`."""
        for layer, mask in masks.items():
            if tuple(mask.shape) != self._layer(layer).spec.shape:
                raise ConversionError(f"the mask of {layer} has shape {mask.shape}")
        self._masks = {layer: mask.astype(bool) for layer, mask in masks.items()}
        for layer in self._masks:
            self.set_weight(layer, self.weight(layer))

    def simulate(self, inputs: Sequence[Array] | None) -> None:
        """See `Network`. This is no simulation: `predict` runs the int8 model that a conversion for ONNX Runtime makes of the network."""
        self._samples = None if inputs is None else [array.copy() for array in inputs]
        self._changed()

    def _quantised(self) -> Any:
        """The int8 model of the weights as they are."""
        if self._int8 is None:
            self._int8 = int8_model.quantised(self._model, self._samples or [])
        return self._int8

    def predict(
        self,
        inputs: Sequence[Array],
        batch: int = 64,  # noqa: ARG002 - one sample at a time, as boards do
        layers: Sequence[str] = (),
    ) -> list[Array]:
        """See `Network`. Raises ModelError for outputs of layers: they are for training."""
        import numpy as np

        if layers:
            raise cannot_train("looking at outputs of layers")
        if len(inputs[0]) == 0:
            raise DataError("there are no samples")
        if self._running is None:
            model = self._model if self._samples is None else self._quantised()
            self._running = Session(model, self.inputs, self.outputs)
        rows = [[_sample(array) for array in row] for row in self._running.run(inputs)]
        for name, column in zip(self.outputs, zip(*rows, strict=True), strict=True):
            if len({array.shape for array in column}) > 1:
                raise DataError(
                    f"output {name} has another size for each sample",
                    hint="export the model with fixed sizes",
                )
        return [np.stack(column).astype(np.float32) for column in zip(*rows, strict=True)]

    def inner_layers(self) -> dict[str, str]:
        """See `Network`."""
        return {node.name: "ONNX models cannot be trained" for node in self._graph.nodes}

    def train(self, *_: Any, **__: Any) -> float:
        """Raises ModelError: ONNX Runtime does not train."""
        raise cannot_train("training")

    def importance(self, *_: Any, **__: Any) -> dict[str, Array]:
        """Raises ModelError: a graph for inference gives no gradients."""
        raise cannot_train("importance by gradients or outputs")

    def prune_channels(self, *_: Any, **__: Any) -> ChannelReport:
        """Raises ModelError: without training, a network does not get over the loss of channels."""
        raise cannot_train("removing channels")

    def reset_weights(self, seed: int) -> dict[str, str]:  # noqa: ARG002 - it is never used
        """Raises ModelError: new weights would have to be trained."""
        raise cannot_train("starting again with new weights")

    def macs(self) -> int:
        """See `Network`."""
        nodes = [node for node in self._graph.nodes if layers.weighted(self._graph, node)]
        return sum(layers.macs(self._graph, node, self._sizes) for node in nodes)

    def parameters(self) -> int:
        """See `Network`. Single values, such as the slope of an activation, do not count."""
        return self._graph.parameters()

    def save(self, file: Path) -> None:
        """See `Network`: an `.onnx` file in one piece, with the inputs and outputs of the source."""
        model_file.save(self._model, self._declared, file)

    def checkpoint(self, folder: Path) -> None:
        """See `Network`."""
        checkpoints.write(folder, self._model, self._masks, self._samples)

    def restore(self, folder: Path) -> None:
        """See `Network`."""
        model, self._masks, samples = checkpoints.read(folder)
        self._use(model)
        self.simulate(samples)

    def _layer(self, name: str) -> Layer:
        if name not in self._layers:
            raise ConversionError(
                f"the network has no layer {name} with weights", hint=f"it has {', '.join(self._layers)}"
            )
        return self._layers[name]

    def _measured(self) -> dict[str, tuple[int, ...]]:
        """The shapes of tensors for one sample, found by running it: inference of shapes does not know every operator."""
        import numpy as np

        looked = [
            name
            for node in self._graph.nodes
            if layers.weighted(self._graph, node) or node.op_type in channel_scaling.RESHAPING
            for name in (*node.input, node.output[0])
            if name in self._graph.makers
        ]
        names = list(dict.fromkeys(looked))
        zeros = [np.zeros(spec.shape, spec.dtype) for spec in self.inputs]
        (found,) = Session(self._model, self.inputs, names).run(zeros)
        known = {spec.name: tuple(spec.shape) for spec in self.inputs}
        return known | {name: array.shape for name, array in zip(names, found, strict=True)}


def _sample(array: Array) -> Array:
    """One sample's output without its batch of 1, if it has one."""
    return array[0] if array.shape[:1] == (1,) else array


if TYPE_CHECKING:
    _implements: type[Network] = OnnxNetwork
