"""Layers and activations of a finished `.onnx` file, as edgewright writes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from truth.layer import Array, Layer

_AXES = {"Conv": (0, 1), "ConvInteger": (0, 1), "Gemm": (1, 0), "MatMul": (-1, -2), "MatMulInteger": (-1, -2)}
_ACTIVATIONS = ("Relu", "Clip")


class OnnxGraph:
    """See `layer.Graph`. Steps are names of scales of activations."""

    def __init__(self, folder: Path, entry: str) -> None:
        self._entry = entry
        self._model = onnx.load(folder / entry)
        self._graph = self._model.graph
        self._constants = {one.name: one for one in self._graph.initializer}
        self._arrays: dict[str, Array] = {}
        self._made = {name: node for node in self._graph.node for name in node.output}
        self.layers = [layer for node in self._ordered() if (layer := self._layer(node))]

    def steps(self) -> list[str]:
        return list(dict.fromkeys(node.input[1] for node in self._readers()))

    def shrink(self, step: str, factor: float) -> None:
        self._array(step)[...] /= factor
        for layer in self.layers:  # its integers represent products of weights and inputs
            if layer.source == step and layer.bias is not None and layer.bias_scale is not None:
                layer.bias_scale[...] /= factor
                layer.bias[...] = np.clip(np.rint(layer.bias * factor), -(2**31), 2**31 - 1)

    def shift_zero(self, random: np.random.Generator, by: int) -> bool:
        if readers := self._readers():
            node = readers[random.integers(len(readers))]
            node.input[2] = self._new(self._moved(self._array(node.input[2]), by))
            return True
        dynamic = [layer for layer in self.layers if layer.zero is not None]
        if not dynamic:
            return False
        zero = dynamic[random.integers(len(dynamic))].zero
        assert zero is not None  # noqa: S101
        zero[...] = self._moved(zero, by)
        return True

    def drop_relu(self, random: np.random.Generator) -> bool:
        found = [node for node in self._graph.node if node.op_type in _ACTIVATIONS]
        if not found:
            return False
        node = found[random.integers(len(found))]
        del node.input[1:]
        del node.attribute[:]
        node.op_type = "Identity"
        return True

    def cut_off(self, random: np.random.Generator, ranges: dict[str, float], factor: float) -> bool:
        found = [
            node for node in self._graph.node if node.op_type in _ACTIVATIONS and ranges.get(node.output[0])
        ]
        if not found or self._readers():
            return False
        node = found[random.integers(len(found))]
        name = node.output[0]
        half = any(layer.weight.dtype == np.float16 for layer in self.layers)
        most = self._new(np.array(ranges[name] / factor, np.float16 if half else np.float32))
        node.output[0] = f"{name}_before"
        self._graph.node.append(helper.make_node("Min", [node.output[0], most], [name]))
        return True

    def scale_input(self, factor: float, offset: float) -> bool:
        floats = [one.name for one in self._inputs() if one.type.tensor_type.elem_type == TensorProto.FLOAT]
        if not floats:
            return False
        other = self._readers_take(floats[0])
        self._affine(floats[0], other, factor, offset)
        return True

    def rearrange_input(self, shape: Sequence[int], order: Sequence[int]) -> bool:
        name = self._inputs()[0].name
        other = self._readers_take(name)
        sizes = self._new(np.array(shape, np.int64))
        self._graph.node.append(helper.make_node("Reshape", [name, sizes], [f"{name}_reshaped"]))
        self._graph.node.append(
            helper.make_node("Transpose", [f"{name}_reshaped"], [other], perm=list(order))
        )
        return True

    def swap_inputs(self, one: int, other: int) -> bool:
        names = [self._inputs()[at].name for at in (one, other)]
        taken = dict(zip(names, reversed(names), strict=True))
        for node in self._graph.node:
            node.input[:] = [taken.get(name, name) for name in node.input]
        return True

    def change_output(self, at: int, factor: float, offset: float) -> bool:
        output = self._graph.output[at]
        if output.type.tensor_type.elem_type != TensorProto.FLOAT:
            return False
        self._affine(self._moved_output(output.name), output.name, factor, offset)
        return True

    def reorder_output(self, at: int, axis: int, order: Sequence[int]) -> bool:
        name = self._graph.output[at].name
        before = self._moved_output(name)
        indexes = self._new(np.array(order, np.int64))
        self._graph.node.append(helper.make_node("Gather", [before, indexes], [name], axis=axis))
        return True

    def swap_outputs(self, one: int, other: int) -> bool:
        names = [self._graph.output[at].name for at in (one, other)]
        befores = [self._moved_output(name) for name in names]
        for name, before in zip(names, reversed(befores), strict=True):
            self._graph.node.append(helper.make_node("Identity", [before], [name]))
        return True

    def save(self, folder: Path) -> None:
        for name, array in self._arrays.items():
            self._constants[name].CopyFrom(numpy_helper.from_array(array, name))
        nodes = list(self._ordered())
        del self._graph.node[:]
        self._graph.node.extend(nodes)
        (folder / self._entry).write_bytes(self._model.SerializeToString())

    def _inputs(self) -> list[Any]:
        return [one for one in self._graph.input if one.name not in self._constants]

    def _readers_take(self, name: str) -> str:
        """Replaces a tensor for its readers."""
        for node in self._graph.node:
            node.input[:] = [f"{name}_other" if one == name else one for one in node.input]
        return f"{name}_other"

    def _moved_output(self, name: str) -> str:
        """Renames an output's tensor, so that another node can produce the output."""
        before = f"{name}_before"
        for node in self._graph.node:
            node.output[:] = [before if one == name else one for one in node.output]
            node.input[:] = [before if one == name else one for one in node.input]
        return before

    def _affine(self, source: str, made: str, factor: float, offset: float) -> None:
        constants = [self._new(np.array(value, np.float32)) for value in (factor, offset)]
        self._graph.node.append(helper.make_node("Mul", [source, constants[0]], [f"{made}_scaled"]))
        self._graph.node.append(helper.make_node("Add", [f"{made}_scaled", constants[1]], [made]))

    def _ordered(self) -> Iterator[Any]:
        """The nodes, each after those that it reads from."""
        left, known = list(self._graph.node), {*self._constants, *(one.name for one in self._graph.input), ""}
        known |= {one.name for one in self._graph.initializer}
        while left:
            ready = [node for node in left if known.issuperset(node.input)]
            if not ready:
                raise ValueError("nodes in a circle")
            yield from ready
            known.update(name for node in ready for name in node.output)
            left = [node for node in left if not known.issuperset(node.output)]

    def _array(self, name: str) -> Array:
        """A constant that can be changed in place."""
        if name not in self._arrays:
            self._arrays[name] = numpy_helper.to_array(self._constants[name]).copy()
        return self._arrays[name]

    def _new(self, array: Array) -> str:
        name = f"planted_{len(self._constants)}"
        self._graph.initializer.append(numpy_helper.from_array(array, name))
        self._constants[name] = self._graph.initializer[-1]
        return name

    @staticmethod
    def _moved(zero: Array, by: int) -> Array:
        limits = np.iinfo(zero.dtype)
        moved = zero.astype(np.int64) + by
        back = zero.astype(np.int64) - by
        fits = (moved >= limits.min) & (moved <= limits.max)
        return np.clip(np.where(fits, moved, back), limits.min, limits.max).astype(zero.dtype)

    def _readers(self) -> list[Any]:
        """The nodes that make reals of an activation's integers."""
        found = [node for node in self._graph.node if node.op_type == "DequantizeLinear"]
        return [node for node in found if node.input[0] in self._made]

    def _constant(self, name: str) -> tuple[str, Any] | None:
        """(the constant that a tensor comes from, the node that makes reals of it), or None."""
        if name in self._constants:
            return name, None
        node = self._made.get(name)
        if node is None or node.op_type not in (
            "DequantizeLinear",
            "Cast",
            "Reshape",
            "Transpose",
            "Identity",
        ):
            return None
        found = self._constant(node.input[0])
        if found is None or node.op_type != "DequantizeLinear":
            return found
        return found[0], node

    def _layer(self, node: Any) -> Layer | None:
        if node.op_type not in _AXES or (root := self._constant(node.input[1])) is None:
            return None
        name, real = root
        weight = self._array(name)
        axis, inner = _AXES[node.op_type]
        turned = [one.i for one in node.attribute if one.name == "transB"]
        if any(turned):
            axis, inner = inner, axis
        layer = Layer(weight, axis % weight.ndim, inner % weight.ndim)
        if real is not None:
            layer.scale, layer.zero = self._array(real.input[1]), self._array(real.input[2])
        elif layer.integers:  # computed in integers, ranges of activations found while running
            layer.scale = self._array(name.replace("_quantized", "_scale"))
            layer.zero = self._array(node.input[3])
        self._add_bias(layer, node)
        reads = self._made.get(node.input[0])
        if reads is not None and reads.op_type == "DequantizeLinear":
            layer.source = reads.input[1]
        return layer

    def _add_bias(self, layer: Layer, node: Any) -> None:
        has_own = node.op_type in ("Conv", "Gemm")
        root = self._constant(node.input[2]) if has_own and len(node.input) > 2 else None
        if root is None:
            root = self._added(node.output[0], layer.channels)
        if root is not None:
            layer.bias = self._array(root[0])
            layer.bias_scale = self._array(root[1].input[1]) if root[1] is not None else None

    def _added(self, name: str, channels: int) -> tuple[str, Any] | None:
        """The constant that is added behind a node, past what makes reals of its integers."""
        for user in (node for node in self._graph.node if name in node.input):
            if user.op_type in ("Cast", "Mul"):
                return self._added(user.output[0], channels)
            if user.op_type == "Add":
                for other in user.input:
                    found = self._constant(other)
                    if found is not None and self._array(found[0]).size == channels:
                        return found
        return None


def observe(path: Path, samples: list[list[Array]]) -> dict[str, float]:
    """The largest value behind each activation function. In the runtime's worker."""
    from edgewright.compile.sources import onnx_session

    model = onnx.load(path)
    names = [node.output[0] for node in model.graph.node if node.op_type in _ACTIVATIONS]
    made = {one.name for one in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in made)
    session = onnx_session.session(model.SerializeToString())
    inputs = [one.name for one in session.get_inputs()]
    found = dict.fromkeys(names, 0.0)
    for sample in samples if names else ():
        answers = session.run(names, dict(zip(inputs, sample, strict=True)))
        for name, value in zip(names, answers, strict=True):
            found[name] = max(found[name], float(np.abs(value).max(initial=0.0)))
    return found
