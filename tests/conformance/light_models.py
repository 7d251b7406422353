"""The `light_*.onnx` graphs of the onnx package, with useful weights: as shipped, all weights are the same.

`python tests/conformance/light_models.py NAME FILE` writes one. Weights are He-normal from a seed. Layer by layer, what
a convolution gives for some pictures is scaled to unit variance, and biases (or BatchNorm's means) take out what is
common to all pictures: so no activation fades or grows, and two pictures get two answers.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

PROBES = 4
PASSED_ON = ("Unsqueeze", "Reshape")  # nodes that may be between a weight and the node that uses it
LAYERS = ("Conv", "Gemm")
SPREAD = 2.0  # of the scores before the softmax: with more, one class would take all; with less, all would be equal


class Role(NamedTuple):
    """How a weight is used: by which kind of node, and as which input."""

    kind: str
    place: int


def folder() -> Path:
    """The folder of the graphs."""
    import onnx.backend.test

    return Path(onnx.backend.test.__file__).parent / "data" / "light"


def names() -> list[str]:
    """The names of the graphs, such as `squeezenet`, sorted."""
    return sorted(path.stem.removeprefix("light_") for path in folder().glob("light_*.onnx"))


def megabytes(name: str) -> float:
    """The size of a graph's weights."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(folder() / f"light_{name}.onnx").graph
    arrays = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    shapes = [arrays[node.input[0]] for node in graph.node if node.op_type == "ConstantOfShape"]
    return sum(int(np.prod(shape)) for shape in shapes) * 4 / 1e6


def make(name: str, file: Path) -> Path:
    """Writes a graph with weights, IR 4: its only input is the picture, (1, 3, 224, 224)."""
    import onnx

    onnx.save(
        Revived(onnx.load(folder() / f"light_{name}.onnx"), seed=zlib.crc32(name.encode())).model(), file
    )
    return file


def input_name(file: Path) -> str:
    """The name of a graph's only input."""
    import onnx

    (found,) = onnx.load(file).graph.input
    return str(found.name)


def pictures(count: int, seed: int) -> np.ndarray:
    """Smooth random pictures of unit variance, each with its own colour: (count, 3, 224, 224), float32."""
    generator = np.random.default_rng(seed)
    coarse = generator.normal(size=(count, 3, 14, 14)) * 0.8 + generator.normal(size=(count, 3, 1, 1)) * 0.6
    return coarse.repeat(16, axis=2).repeat(16, axis=3).astype(np.float32)


class Revived:
    """A graph with new random weights, which are drawn while the graph runs node by node on some pictures."""

    def __init__(self, model: Any, seed: int) -> None:
        from onnx import numpy_helper

        self.source, self.graph = model, model.graph
        self.generator = np.random.default_rng(seed)
        self.arrays = {item.name: numpy_helper.to_array(item) for item in self.graph.initializer}
        (self.input,) = [item for item in self.graph.input if item.name not in self.arrays]
        self.weights: dict[str, np.ndarray] = {}
        self.origin: dict[str, str] = {}  # of what is made from a weight alone: that weight
        self.nodes = list(self._without_fillers())

    def _without_fillers(self) -> Iterator[Any]:
        """The nodes without those that only make weights, which become arrays."""
        roles = self._roles()
        for node in self.graph.node:
            if node.op_type == "ConstantOfShape":
                self.arrays[node.output[0]] = np.empty(self.arrays[node.input[0]], np.float32)
        used = {name for node in self.graph.node for name in node.input}
        for name, array in self.arrays.items():
            if array.dtype == np.float32 and name in used:
                self.weights[name] = self._drawn(roles[name], array.shape)
                self.origin[name] = name
        yield from (node for node in self.graph.node if node.op_type != "ConstantOfShape")

    def _roles(self) -> dict[str, Role]:
        """The role of each tensor, also behind reshapes."""
        found: dict[str, Role] = {}
        for node in reversed(self.graph.node):
            for place, name in enumerate(node.input):
                passed = node.op_type in PASSED_ON and place == 0
                found[name] = found.get(node.output[0], Role("", 0)) if passed else Role(node.op_type, place)
        return found

    def _drawn(self, role: Role, shape: tuple[int, ...]) -> np.ndarray:
        if role in (Role("Conv", 1), Role("Gemm", 1)):
            fan_in = int(np.prod(shape[1:]))
            drawn = self.generator.normal(0, np.sqrt(2 / fan_in), shape)
        elif role in (Role("BatchNormalization", 1), Role("BatchNormalization", 4), Role("Mul", 1)):
            drawn = self.generator.uniform(0.8, 1.25, shape)
        else:  # biases and means
            drawn = self.generator.normal(0, 0.1, shape)
        return drawn.astype(np.float32)

    def model(self) -> Any:
        """The graph with its weights as initializers."""
        import onnx
        from onnx import helper, numpy_helper

        self._scale()
        kept = {name for node in self.nodes for name in node.input}
        constants = {name: array for name, array in (self.arrays | self.weights).items() if name in kept}
        graph = helper.make_graph(
            self.nodes, self.graph.name, [self.input], list(self.graph.output),
            [numpy_helper.from_array(array, name) for name, array in constants.items()],
        )  # fmt: skip
        made = helper.make_model(graph, opset_imports=self.source.opset_import, ir_version=4)
        onnx.checker.check_model(made)
        return made

    def _scale(self) -> None:
        """Runs the nodes in order, and sets a layer's weights as soon as its inputs are known."""
        self.values: dict[str, list[np.ndarray]] = {
            self.input.name: [picture[None] for picture in pictures(PROBES, seed=3)]
        }
        last = None
        readers = {name: index for index, node in enumerate(self.nodes) for name in node.input}
        for index, node in enumerate(self.nodes):
            if node.op_type in PASSED_ON and node.input[0] in self.origin:
                self.origin[node.output[0]] = self.origin[node.input[0]]
            if node.op_type == "BatchNormalization":
                self._settle_norm(node)
            if node.op_type == "Softmax":
                self._settle_scores(node, last)
            found = self._run(node)
            if node.op_type in LAYERS:
                self._settle_layer(node, found)
                last, found = node, self._run(node)
            self.values[node.output[0]] = found
            for name in node.input:  # the activations of deep graphs take much memory
                if readers[name] == index:
                    self.values.pop(name, None)

    def _settle_scores(self, node: Any, layer: Any) -> None:
        """Scales the last layer so that the scores spread; the nodes between them only pass the factor on."""
        scores = self.values[node.input[0]]
        factor = np.float32(SPREAD / np.std(scores))
        for name in layer.input[1:]:
            self.weights[self.origin[name]] *= factor
        self.values[node.input[0]] = [one * factor for one in scores]

    def _settle_layer(self, node: Any, found: list[np.ndarray]) -> None:
        """Scales a layer's weights to unit variance; a bias removes the means of its channels."""
        means = channel_means(found)
        deviation = np.sqrt(np.mean([(one - broadcast(means, one)) ** 2 for one in found]))
        factor = np.float32(1 / deviation)
        self.weights[self.origin[node.input[1]]] *= factor
        if len(node.input) == 3:
            bias = self.weights[self.origin[node.input[2]]]
            bias[...] = bias + (bias - means).reshape(bias.shape) * factor

    def _settle_norm(self, node: Any) -> None:
        """Gives BatchNorm the means of its input's channels, and scales its variances by the input's variance around them."""
        found = self.values[node.input[0]]
        means = channel_means(found)
        self.weights[node.input[3]][...] = means
        self.weights[node.input[4]] *= np.mean([(one - broadcast(means, one)) ** 2 for one in found])

    def _constant(self, name: str) -> np.ndarray:
        return self.weights[name] if name in self.weights else self.arrays[name]

    def _run(self, node: Any) -> list[np.ndarray]:
        """The first output of one node, for each picture."""
        from onnx import helper

        from edgewright.compile.sources import onnx_session

        names = list(dict.fromkeys(node.input))
        given = [
            {
                name: self.values[name][number % len(self.values[name])]
                if name in self.values
                else self._constant(name)
                for name in names
            }
            for number in range(PROBES if any(len(self.values.get(name, ())) > 1 for name in names) else 1)
        ]
        inputs = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in given[0].items()
        ]
        graph = helper.make_graph(
            [node], "node", inputs, [helper.make_empty_tensor_value_info(node.output[0])]
        )
        model = helper.make_model(graph, opset_imports=self.source.opset_import, ir_version=4)
        session = onnx_session.session(model.SerializeToString())
        return [session.run([node.output[0]], one)[0] for one in given]


def channel_means(found: list[np.ndarray]) -> np.ndarray:
    """The mean of each channel (axis 1) over pictures and positions."""
    return np.mean([one.mean(axis=(0, *range(2, one.ndim))) for one in found], axis=0, dtype=np.float32)


def broadcast(means: np.ndarray, like: np.ndarray) -> np.ndarray:
    """The values of channels in a shape that broadcasts to an activation."""
    return means.reshape(1, -1, *[1] * (like.ndim - 2))


if __name__ == "__main__":
    make(sys.argv[1], Path(sys.argv[2]))
