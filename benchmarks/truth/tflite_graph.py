"""Layers and activations of a finished `.tflite` file, as edgewright writes it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from truth.layer import Array, Layer

_OPERATOR, _TYPE = schema.BuiltinOperator, schema.TensorType
_AXES = {
    _OPERATOR.CONV_2D: (0, 3),
    _OPERATOR.DEPTHWISE_CONV_2D: (3, None),
    _OPERATOR.FULLY_CONNECTED: (0, 1),
}
_DTYPES = {
    _TYPE.FLOAT32: np.float32, _TYPE.FLOAT16: np.float16, _TYPE.INT8: np.int8, _TYPE.INT32: np.int32,
}  # fmt: skip


class TfliteGraph:
    """See `layer.Graph`. Steps are scales and zero points of activations."""

    def __init__(self, folder: Path, entry: str) -> None:
        self._entry = entry
        content = (folder / entry).read_bytes()
        self._model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
        self._graph = self._model.subgraphs[0]
        self._arrays: dict[int, Array] = {}
        self._scales: dict[int, Array] = {}
        self._made = {int(out): one for one in self._graph.operators for out in one.outputs}
        self.layers = [layer for one in self._graph.operators if (layer := self._layer(one))]

    def steps(self) -> list[tuple[float, int]]:
        found = (self._step(tensor) for tensor in self._graph.tensors)
        return list(dict.fromkeys(step for step in found if step is not None))

    def shrink(self, step: tuple[float, int], factor: float) -> None:
        for tensor in self._graph.tensors:
            if self._step(tensor) == step:
                tensor.quantization.scale = np.asarray(tensor.quantization.scale, np.float32) / factor
        for layer in self.layers:  # its integers represent products of weights and inputs
            if layer.source == step and layer.bias is not None and layer.bias_scale is not None:
                layer.bias_scale[...] /= factor
                layer.bias[...] = np.clip(np.rint(layer.bias * factor), -(2**31), 2**31 - 1)

    def shift_zero(self, random: np.random.Generator, by: int) -> bool:
        """A tensor has one zero point for its writer and its readers: the reader's bias takes the difference."""
        found = [layer for layer in self.layers if layer.source and layer.bias is not None]
        if not found:
            return False
        layer = found[random.integers(len(found))]
        assert layer.bias is not None  # noqa: S101
        for index in range(layer.channels):
            layer.bias[index] -= by * int(layer.deviations(index).sum())
        return True

    def drop_relu(self, random: np.random.Generator) -> bool:
        """In integers the range of the output would cut off as the function does: there it is no fault."""
        found = [
            one
            for one in self._graph.operators
            if getattr(one.builtinOptions, "fusedActivationFunction", 0) and self._floats(one.outputs[0])
        ]
        if not found:
            return False
        found[random.integers(len(found))].builtinOptions.fusedActivationFunction = 0
        return True

    def cut_off(self, random: np.random.Generator, ranges: dict[str, float], factor: float) -> bool:
        found = [
            one
            for one in self._graph.operators
            if getattr(one.builtinOptions, "fusedActivationFunction", 0)
            and self._floats(one.outputs[0])
            and ranges.get(str(int(one.outputs[0])))
        ]
        if not found:
            return False
        one = found[random.integers(len(found))]
        out = int(one.outputs[0])
        before = self._like(out)
        one.outputs = np.array([before], np.int32)
        most = np.array(ranges[str(out)] / factor, np.float32)
        place = self._graph.operators.index(one) + 1
        self._insert(place, _OPERATOR.MINIMUM, "MaximumMinimumOptions", [before, self._constant(most)], out)
        return True

    def scale_input(self, factor: float, offset: float) -> bool:
        floats = [int(index) for index in self._graph.inputs if self._floats(index)]
        if not floats:
            return False
        other = self._readers_take(floats[0])
        self._affine(floats[0], other, factor, offset, place=0)
        return True

    def rearrange_input(self, shape: Sequence[int], order: Sequence[int]) -> bool:
        given = int(self._graph.inputs[0])
        other, between = self._readers_take(given), self._like(given)
        self._graph.tensors[between].shape = np.array(shape, np.int32)
        sizes, turns = (self._constant(np.array(one, np.int32)) for one in (shape, order))
        options = self._insert(0, _OPERATOR.RESHAPE, "ReshapeOptions", [given, sizes], between)
        options.newShape = np.array(shape, np.int32)
        self._insert(1, _OPERATOR.TRANSPOSE, "TransposeOptions", [between, turns], other)
        return True

    def swap_inputs(self, one: int, other: int) -> bool:
        pair = [int(self._graph.inputs[at]) for at in (one, other)]
        taken = dict(zip(pair, reversed(pair), strict=True))
        for operator in self._graph.operators:
            operator.inputs = np.array([taken.get(int(index), index) for index in operator.inputs], np.int32)
        return True

    def change_output(self, at: int, factor: float, offset: float) -> bool:
        made = int(self._graph.outputs[at])
        if not self._floats(made):
            return False
        other = self._like(made)
        self._affine(made, other, factor, offset, place=len(self._graph.operators))
        self._answers({made: other})
        return True

    def reorder_output(self, at: int, axis: int, order: Sequence[int]) -> bool:
        made = int(self._graph.outputs[at])
        other, indexes = self._like(made), self._constant(np.array(order, np.int32))
        end = len(self._graph.operators)
        self._insert(end, _OPERATOR.GATHER, "GatherOptions", [made, indexes], other).axis = axis
        self._answers({made: other})
        return True

    def swap_outputs(self, one: int, other: int) -> bool:
        pair = [int(self._graph.outputs[at]) for at in (one, other)]
        self._answers(dict(zip(pair, reversed(pair), strict=True)))
        return True

    def save(self, folder: Path) -> None:
        for index, array in self._arrays.items():
            self._model.buffers[index].data = np.frombuffer(array.tobytes(), np.uint8)
        for index, scale in self._scales.items():
            self._graph.tensors[index].quantization.scale = scale
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(self._model.Pack(builder), b"TFL3")
        (folder / self._entry).write_bytes(builder.Output())

    def _readers_take(self, given: int) -> int:
        """A new tensor that replaces an input for its readers."""
        other = self._like(given)
        for one in self._graph.operators:
            one.inputs = np.array([other if index == given else index for index in one.inputs], np.int32)
        return other

    def _answers(self, instead: dict[int, int]) -> None:
        """Makes other tensors the outputs, under the same names, in the signature too."""
        names = {old: self._graph.tensors[old].name for old in instead}
        for old in instead:
            self._graph.tensors[old].name = names[old] + b"_before"
        for old, other in instead.items():
            self._graph.tensors[other].name = names[old]
        self._graph.outputs = np.array([instead.get(int(one), one) for one in self._graph.outputs], np.int32)
        for signature in self._model.signatureDefs or ():
            for one in signature.outputs:
                one.tensorIndex = instead.get(int(one.tensorIndex), one.tensorIndex)

    def _affine(self, source: int, made: int, factor: float, offset: float, place: int) -> None:
        scaled = self._like(source)
        constants = [self._constant(np.array(value, np.float32)) for value in (factor, offset)]
        self._insert(place, _OPERATOR.MUL, "MulOptions", [source, constants[0]], scaled)
        self._insert(place + 1, _OPERATOR.ADD, "AddOptions", [scaled, constants[1]], made)

    def _step(self, tensor: Any) -> tuple[float, int] | None:
        quantised = tensor.quantization
        data = self._model.buffers[tensor.buffer].data
        if quantised is None or quantised.scale is None or len(quantised.scale) != 1 or data is not None:
            return None
        return float(quantised.scale[0]), int(quantised.zeroPoint[0])

    def _floats(self, index: int) -> bool:
        return bool(self._graph.tensors[index].type == _TYPE.FLOAT32)

    def _array(self, index: int) -> tuple[Array, int] | None:
        """(numbers of a constant tensor that may be changed in place, the tensor they are in), or None."""
        tensor = self._graph.tensors[index]
        data = self._model.buffers[tensor.buffer].data
        if data is None or not len(data):
            maker = self._made.get(index)
            known = maker is not None and self._code(maker) == _OPERATOR.DEQUANTIZE
            return self._array(int(maker.inputs[0])) if maker is not None and known else None
        if tensor.type not in _DTYPES:
            return None
        if tensor.buffer not in self._arrays:
            flat = np.frombuffer(bytes(data), _DTYPES[tensor.type]).copy()
            self._arrays[tensor.buffer] = flat.reshape([int(size) for size in tensor.shape])
        return self._arrays[tensor.buffer], index

    def _scale(self, index: int) -> Array | None:
        quantised = self._graph.tensors[index].quantization
        if quantised is None or quantised.scale is None or not len(quantised.scale):
            return None
        if index not in self._scales:
            self._scales[index] = np.array(quantised.scale, np.float32)
        return self._scales[index]

    def _code(self, operator: Any) -> int:
        code = self._model.operatorCodes[operator.opcodeIndex]
        return max(int(code.builtinCode), int(code.deprecatedBuiltinCode))

    def _layer(self, operator: Any) -> Layer | None:
        code = self._code(operator)
        if code not in _AXES or (found := self._array(int(operator.inputs[1]))) is None:
            return None
        weight, index = found
        axis, inner = _AXES[code]
        layer = Layer(weight, axis, inner, scale=self._scale(index) if weight.dtype == np.int8 else None)
        if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
            bias = self._array(int(operator.inputs[2]))
            if bias is not None:
                layer.bias = bias[0]
                layer.bias_scale = self._scale(bias[1]) if bias[0].dtype == np.int32 else None
        layer.source = self._step(self._graph.tensors[operator.inputs[0]])
        return layer

    def _like(self, index: int) -> int:
        """A new tensor of the same kind."""
        tensor = copy.copy(self._graph.tensors[index])
        tensor.buffer, tensor.name = 0, f"planted_{len(self._graph.tensors)}".encode()
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def _constant(self, array: Array) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(array.tobytes(), np.uint8)
        self._model.buffers.append(buffer)
        tensor = schema.TensorT()
        tensor.shape = np.array(array.shape, np.int32)
        tensor.type = _TYPE.INT32 if array.dtype == np.int32 else _TYPE.FLOAT32
        tensor.buffer, tensor.name = (
            len(self._model.buffers) - 1,
            f"planted_{len(self._graph.tensors)}".encode(),
        )
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def _insert(self, place: int, operator: int, options: str, inputs: list[int], output: int) -> Any:
        """Returns its options."""
        code = schema.OperatorCodeT()
        code.builtinCode, code.deprecatedBuiltinCode, code.version = operator, operator, 1
        self._model.operatorCodes.append(code)
        made = schema.OperatorT()
        made.opcodeIndex = len(self._model.operatorCodes) - 1
        made.inputs, made.outputs = np.array(inputs, np.int32), np.array([output], np.int32)
        made.builtinOptionsType = getattr(schema.BuiltinOptions, options)
        made.builtinOptions = getattr(schema, f"{options}T")()
        self._graph.operators.insert(place, made)
        return made.builtinOptions


def observe(path: Path, samples: list[list[Array]]) -> dict[str, float]:
    """The largest value of each tensor, by its number. In the runtime's worker."""
    from ai_edge_litert.interpreter import Interpreter

    model = Interpreter(str(path), experimental_preserve_all_tensors=True)
    model.allocate_tensors()
    details = model.get_input_details()
    found: dict[str, float] = {}
    for sample in samples:
        for given, array in zip(details, sample, strict=True):
            model.set_tensor(given["index"], array)
        model.invoke()
        for detail in model.get_tensor_details():
            if detail["dtype"] is np.float32 and detail["name"]:
                try:
                    value = model.get_tensor(detail["index"])
                except ValueError:  # a tensor that no operator writes
                    continue
                name = str(detail["index"])
                found[name] = max(found.get(name, 0.0), float(np.abs(value).max(initial=0.0)))
    return found
