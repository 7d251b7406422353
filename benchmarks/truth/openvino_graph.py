"""Layers and activations of a finished OpenVINO IR, as edgewright writes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from truth.layer import Array, Layer

_LAYERS = ("Convolution", "GroupConvolution", "MatMul")
_PASSED = ("Convert", "Multiply", "Subtract", "Reshape", "Transpose")
_TYPES = ("f32", "f16", "i8", "u8", "i32")
_ACTIVATIONS = ("Relu", "Clamp")


class OpenvinoGraph:
    """See `layer.Graph`. Steps are FakeQuantize nodes of activations."""

    def __init__(self, folder: Path, entry: str) -> None:
        self._entry = entry
        self._model = ov.Core().read_model(str(folder / entry))
        self._nodes = list(self._model.get_ordered_ops())
        self._arrays: dict[str, tuple[Any, Array]] = {}
        self.layers = [layer for node in self._nodes if (layer := self._layer(node))]

    def steps(self) -> list[Any]:
        found = [node for node in self._nodes if node.get_type_name() == "FakeQuantize"]
        return [
            node for node in found if all(self._array(_given(node, at)) is not None for at in range(1, 5))
        ]

    def shrink(self, step: Any, factor: float) -> None:
        for at in range(1, 5):
            array = self._array(_given(step, at))
            assert array is not None  # noqa: S101
            array[...] /= factor

    def shift_zero(self, random: np.random.Generator, by: int) -> bool:
        steps = self.steps()
        if not steps:
            return self._shift_weights(random, by)
        step = steps[random.integers(len(steps))]
        low, high = self._array(_given(step, 3)), self._array(_given(step, 4))
        assert low is not None and high is not None  # noqa: S101
        move = by * (high - low) / (int(step.get_attributes()["levels"]) - 1)
        low += move
        high += move
        return True

    def drop_relu(self, random: np.random.Generator) -> bool:
        found = [node for node in self._nodes if node.get_type_name() in _ACTIVATIONS]
        if not found:
            return False
        node = found[random.integers(len(found))]
        _rewire(node.output(0), node.input_value(0))
        return True

    def cut_off(self, random: np.random.Generator, ranges: dict[str, float], factor: float) -> bool:
        found = [node for node in self._nodes if ranges.get(node.get_friendly_name())]
        if not found or self.steps():
            return False
        node = found[random.integers(len(found))]
        most = np.array(ranges[node.get_friendly_name()] / factor, np.float32)
        self._behind(node.output(0), lambda out: ops.minimum(out, most))
        return True

    def scale_input(self, factor: float, offset: float) -> bool:
        given = self._floats(self._model.inputs)
        if not given:
            return False
        self._behind(given[0], lambda out: ops.add(ops.multiply(out, np.float32(factor)), np.float32(offset)))
        return True

    def rearrange_input(self, shape: Sequence[int], order: Sequence[int]) -> bool:
        port = self._model.inputs[0]
        self._behind(
            port, lambda out: ops.transpose(ops.reshape(out, list(shape), special_zero=False), list(order))
        )
        return True

    def swap_inputs(self, one: int, other: int) -> bool:
        ports = [self._model.inputs[at] for at in (one, other)]
        readers = [list(port.get_target_inputs()) for port in ports]
        for targets, port in zip(readers, reversed(ports), strict=True):
            for target in targets:
                target.replace_source_output(port)
        return True

    def change_output(self, at: int, factor: float, offset: float) -> bool:
        port = self._model.outputs[at]
        if port.get_element_type() != ov.Type.f32:
            return False
        self._before_result(
            at, lambda out: ops.add(ops.multiply(out, np.float32(factor)), np.float32(offset))
        )
        return True

    def reorder_output(self, at: int, axis: int, order: Sequence[int]) -> bool:
        self._before_result(at, lambda out: ops.gather(out, np.array(order, np.int64), np.int64(axis)))
        return True

    def swap_outputs(self, one: int, other: int) -> bool:
        results = [self._model.get_results()[at] for at in (one, other)]
        sources = [result.input_value(0) for result in results]
        names = [set(source.get_names()) for source in sources]
        for source, taken in zip(sources, reversed(names), strict=True):
            source.get_tensor().set_names(taken)
        for result, source in zip(results, reversed(sources), strict=True):
            result.input(0).replace_source_output(source)
        return True

    def save(self, folder: Path) -> None:
        for node, array in self._arrays.values():
            made = ov.op.Constant(np.ascontiguousarray(array), shared_memory=False)
            _rewire(node.output(0), made.output(0))
        self._model.validate_nodes_and_infer_types()
        path = folder / self._entry
        path.unlink(missing_ok=True)
        ov.serialize(self._model, str(path), str(path.with_suffix(".bin")))

    def _shift_weights(self, random: np.random.Generator, by: int) -> bool:
        found = [layer for layer in self.layers if layer.zero is not None]
        if not found:
            return False
        zero = found[random.integers(len(found))].zero
        assert zero is not None  # noqa: S101
        zero[...] = np.clip(zero.astype(np.float64) + by, 0, 255).astype(zero.dtype)
        return True

    def _behind(self, port: Any, make: Any) -> None:
        """Makes all readers of a tensor read the result of `make`."""
        readers = list(port.get_target_inputs())
        made = make(port).output(0)
        for reader in readers:
            reader.replace_source_output(made)

    def _before_result(self, at: int, make: Any) -> None:
        result = self._model.get_results()[at]
        source = result.input_value(0)
        names = set(source.get_names())
        made = make(source).output(0)
        source.get_tensor().set_names(set())
        made.get_tensor().set_names(names)
        result.input(0).replace_source_output(made)

    @staticmethod
    def _floats(ports: Sequence[Any]) -> list[Any]:
        return [port for port in ports if port.get_element_type() == ov.Type.f32]

    def _array(self, node: Any) -> Array | None:
        """The numbers of a constant, which can be changed in place; None if it is not a constant or has another type."""
        if node.get_type_name() == "Convert":
            node = _given(node, 0)
        if node.get_type_name() != "Constant" or node.get_element_type().to_string() not in _TYPES:
            return None
        name = node.get_friendly_name()
        if name not in self._arrays:
            self._arrays[name] = (node, np.array(node.get_data()))
        return self._arrays[name][1]

    def _layer(self, node: Any) -> Layer | None:
        kind = node.get_type_name()
        if kind not in _LAYERS:
            return None
        found = self._weight(_given(node, 1))
        if found is None:
            return None
        weight, scale, zero = found
        if kind == "MatMul":
            axis, inner = (0, 1) if node.get_attributes()["transpose_b"] else (1, 0)
            if weight.ndim != 2:
                return None
        elif kind == "GroupConvolution" and weight.shape[1] != 1:
            return None
        else:
            axis, inner = 0, (1 if kind == "Convolution" else None)
        layer = Layer(weight, axis, inner, scale=scale, zero=zero)
        self._add_bias(layer, node)
        return layer

    def _weight(self, node: Any) -> tuple[Array, Array | None, Array | None] | None:
        """(weights, their scale, what stands for 0)."""
        scale = zero = None
        while node.get_type_name() in _PASSED:
            kind = node.get_type_name()
            if kind == "Multiply":
                scale = self._array(_given(node, 1))
            elif kind == "Subtract":
                zero = self._array(_given(node, 1))
            node = _given(node, 0)
        weight = self._array(node)
        return None if weight is None or weight.ndim < 2 else (weight, scale, zero)

    def _add_bias(self, layer: Layer, node: Any) -> None:
        for target in node.output(0).get_target_inputs():
            user = target.get_node()
            if user.get_type_name() != "Add":
                continue
            array = self._array(_given(user, 1 - target.get_index()))
            if array is not None and array.size == layer.channels:
                layer.bias = array.reshape(-1)


def _given(node: Any, at: int) -> Any:
    return node.input_value(at).get_node()


def _rewire(old: Any, new: Any) -> None:
    for target in list(old.get_target_inputs()):
        target.replace_source_output(new)


def observe(path: Path, samples: list[list[Array]]) -> dict[str, float]:
    """The largest value behind each activation function. In the runtime's worker."""
    core = ov.Core()
    model = core.read_model(str(path))
    nodes = [node for node in model.get_ordered_ops() if node.get_type_name() in _ACTIVATIONS]
    first = len(model.outputs)
    if not nodes:
        return {}
    model.add_outputs([node.output(0) for node in nodes])
    request = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    found = dict.fromkeys((node.get_friendly_name() for node in nodes), 0.0)
    for sample in samples:
        answers = list(request.infer(list(sample)).values())[first:]
        for name, value in zip(found, answers, strict=True):
            found[name] = max(found[name], float(np.abs(value).max(initial=0.0)))
    return found
