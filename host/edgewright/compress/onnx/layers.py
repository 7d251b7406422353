"""Finds the convolutions and dense layers of an ONNX graph: their weights, biases and folded batch normalisations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from edgewright.compress.onnx.graph import Graph, attribute
from edgewright.nouns.compression import WeightedLayer

CONVOLUTIONS, DENSE = ("Conv", "ConvTranspose"), ("Gemm", "MatMul")
_STANDARD = ("", "ai.onnx")
_MOVING = ("Identity", "Cast", "Reshape", "Squeeze")
_NORM_CONSTANTS = (1, 2, 3, 4)  # inputs of BatchNormalization: gamma, beta, mean, variance


class Layer(NamedTuple):
    """A layer with weights.

    Attributes:
        weights: the constant that holds them.
        nodes: several if they share the weights.
        gain: (node, index of its input) of what multiplies the output channels and is folded into the weights by converters: gamma of a batch
            normalisation, or a constant that exporters make of it. None if nothing does.
        bias: in the same way, what is added to the output channels behind that; None if nothing is, or if it is not a constant with a value
            per channel.
        answer: tensor behind both, before the activation.
    """

    spec: WeightedLayer
    weights: str
    nodes: tuple[Any, ...]
    gain: tuple[Any, int] | None
    bias: tuple[Any, int] | None
    answer: str

    @property
    def channels(self) -> int:
        """How many output channels it has."""
        if self.nodes[0].op_type == "ConvTranspose":
            return self.spec.shape[1] * self.groups
        return self.spec.shape[self.spec.outputs]

    @property
    def groups(self) -> int:
        """Groups of a convolution; 1 for a dense layer."""
        return int(attribute(self.nodes[0], "group", 1))

    @property
    def axis(self) -> int:
        """The axis of the output on which the channels lie."""
        return 1 if self.nodes[0].op_type in CONVOLUTIONS else -1


def find(graph: Graph) -> dict[str, Layer]:
    """Layer name -> layer, in the order of the graph.

    A constant that is also read by another kind of node, in a branch or loop, or as an output of the model is not a layer's.
    """
    found: dict[str, Layer] = {}
    for node in graph.nodes:
        if not weighted(graph, node):
            continue
        tensor = node.input[1]
        nodes = graph.readers(tensor)
        if nodes[0] is not node or tensor in graph.captured | graph.ends:
            continue
        specs = [
            _spec(graph, one, node.name) for one in nodes if weighted(graph, one) and one.input[1] == tensor
        ]
        if len(specs) == len(nodes) and all(spec == specs[0] for spec in specs):
            plain = Layer(specs[0], tensor, tuple(nodes), None, None, node.output[0])
            found[node.name] = plain if len(nodes) > 1 else _completed(graph, plain)
    return found


def weighted(graph: Graph, node: Any) -> bool:
    """Whether a node is a convolution or a dense layer with constant weights."""
    known = node.op_type in CONVOLUTIONS + DENSE and node.domain in _STANDARD
    if not known or not graph.is_float(node.input[1]):
        return False
    return node.op_type != "MatMul" or len(graph.shape(node.input[1])) == 2


def makes_probabilities(graph: Graph, tensor: str) -> bool:
    """Whether a tensor comes from a softmax or sigmoid, perhaps in another shape or type."""
    node = graph.makers.get(tensor)
    while node is not None and node.op_type in _MOVING:
        node = graph.makers.get(node.input[0])
    return node is not None and node.op_type in ("Softmax", "Sigmoid")


def macs(graph: Graph, node: Any, sizes: Mapping[str, tuple[int, ...]]) -> int:
    """Multiplications with additions of a weighted node.

    Args:
        sizes: the shapes of tensors, for one sample.
    """
    spec = _spec(graph, node, "")
    if node.op_type == "ConvTranspose":  # each value of its input meets all weights of its channel
        return math.prod(sizes[node.input[0]]) * math.prod(spec.shape[1:])
    return math.prod(sizes[node.output[0]]) * math.prod(spec.shape) // spec.shape[spec.outputs]


def _spec(graph: Graph, node: Any, name: str) -> WeightedLayer:
    shape = graph.shape(node.input[1])
    if node.op_type in DENSE:
        outputs = 0 if node.op_type == "Gemm" and attribute(node, "transB", 0) else 1
        return WeightedLayer(name=name, kind="dense", shape=shape, outputs=outputs, inputs=1 - outputs)
    transposed, groups = node.op_type == "ConvTranspose", attribute(node, "group", 1)
    if 1 < groups == (shape[0] if transposed else shape[1] * groups):
        return WeightedLayer(name=name, kind="depthwise", shape=shape, outputs=0)
    outputs = 1 if transposed else 0
    return WeightedLayer(name=name, kind="conv", shape=shape, outputs=outputs, inputs=1 - outputs)


def _completed(graph: Graph, layer: Layer) -> Layer:
    """A layer of one node, with its gain and its bias."""
    (node,) = layer.nodes
    own = len(node.input) > 2 and node.input[2] != ""
    if own:
        layer = layer._replace(bias=(node, 2) if _per_channel(graph, layer, node.input[2]) else None)
    elif (bias := _behind(graph, layer, "Add")) is not None:
        layer = layer._replace(bias=bias, answer=bias[0].output[0])
    norm = graph.only_reader(layer.answer)
    if norm is not None and _folds(graph, layer, norm):
        return layer._replace(gain=(norm, 1), bias=(norm, 2), answer=norm.output[0])
    if (gain := _behind(graph, layer, "Mul")) is None:
        return layer
    layer = layer._replace(gain=gain, bias=None, answer=gain[0].output[0])
    bias = _behind(graph, layer, "Add")
    return layer if bias is None else layer._replace(bias=bias, answer=bias[0].output[0])


def _behind(graph: Graph, layer: Layer, operator: str) -> tuple[Any, int] | None:
    """The constant with a value per channel that a node behind a layer adds or multiplies by."""
    node = graph.only_reader(layer.answer)
    if node is None or node.op_type != operator or len(node.input) != 2:
        return None
    index = 1 - list(node.input).index(layer.answer)
    return (node, index) if _per_channel(graph, layer, node.input[index]) else None


def _per_channel(graph: Graph, layer: Layer, name: str) -> bool:
    """Whether a constant holds one value for each output channel of a layer, and is added to it as it is."""
    if not graph.is_float(name) or attribute(layer.nodes[0], "beta", 1.0) != 1.0:
        return False
    wide = [1] * len(layer.spec.shape)
    wide[layer.axis] = layer.channels
    shape = graph.shape(name)
    alone = layer.nodes[0].op_type in CONVOLUTIONS and name in layer.nodes[0].input
    return shape == (layer.channels,) if alone else [1] * (len(wide) - len(shape)) + list(shape) == wide


def _folds(graph: Graph, layer: Layer, norm: Any) -> bool:
    """Whether a node is a batch normalisation for inference with the layer's channels."""
    return (
        norm.op_type == "BatchNormalization"
        and norm.domain in _STANDARD
        and layer.nodes[0].op_type != "MatMul"  # its channels may lie on another axis than the second
        and norm.input[0] == layer.answer
        and not attribute(norm, "training_mode", 0)
        and all(graph.is_float(norm.input[index]) for index in _NORM_CONSTANTS)
        and graph.shape(norm.input[1]) == (layer.channels,)
    )
