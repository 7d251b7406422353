"""Reads how finely the outputs of a .tflite file are quantised. Host side, in the `litert` worker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from ai_edge_litert.schema_py_generated import OperatorT, StridedSliceOptionsT, SubGraphT, TensorT

    from edgewright.sdk.graphs import Graph, Move, Tail

    Array = np.ndarray[Any, Any]


_SAME = (
    "QUANTIZE",
    "DEQUANTIZE",
    "CAST",
    "RESHAPE",
    "SQUEEZE",
    "EXPAND_DIMS",
    "RELU",
    "RELU6",
)  # operators that keep values, apart from their shape and clipping
_AFFINE = ("MUL", "DIV", "ADD", "SUB")
_NUMBERS = {0: "<f4", 7: "<i2", 9: "i1"}
_INDEXES = {2: "<i4", 4: "<i8"}  # by the schema's TensorType


def tails(path: Path, outputs: list[str]) -> list[Tail | None]:
    """A `compile.graph.output_tails.Tail`, or None, for each named output."""
    from edgewright.sdk.graphs import tail

    graph, ends = read(Path(path).read_bytes())
    return [tail(graph, ends.get(name, "")) for name in outputs]


def read(data: bytes) -> tuple[Graph, dict[str, str]]:
    """(a `compile.graph.output_tails.Graph` of the first subgraph, {name of an output: its tensor there})."""
    from ai_edge_litert import schema_py_generated as schema

    from edgewright.sdk.graphs import Graph
    from edgewright_targets.tflite.graph import opened

    model = opened(data)
    graph = model.subgraphs[0]
    kinds_of = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    names = _names(graph)
    held = [model.buffers[tensor.buffer].data for tensor in graph.tensors]
    moves, kinds = [], {}
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        kind = kinds_of[max(code.builtinCode, code.deprecatedBuiltinCode)]
        kinds.update({names[at]: kind.lower() for at in operator.outputs})
        move = _move(kind, operator, graph, names, held)
        if move:
            moves.append(move)
    steps = {name: step for name, tensor in zip(names, graph.tensors, strict=True) if (step := _step(tensor))}
    shapes = {name: _shape(tensor) for name, tensor in zip(names, graph.tensors, strict=True)}
    fixed = {name for name, values in zip(names, held, strict=True) if values is not None and len(values)}
    ends = {_text(graph.tensors[at]): names[at] for at in graph.outputs}
    return Graph(moves, steps, shapes, kinds, fixed), ends


def _names(graph: SubGraphT) -> list[str]:
    """Unique names of the tensors: among equal names, all but the first get their index appended."""
    found = []
    for at, tensor in enumerate(graph.tensors):
        name = _text(tensor)
        found.append(f"{name}#{at}" if name in found or not name else name)
    return found


def _text(tensor: TensorT) -> str:
    return (tensor.name or b"").decode("utf-8", "replace")


def _shape(tensor: TensorT) -> list[int]:
    return [] if tensor.shape is None else [int(one) for one in tensor.shape]


def _step(tensor: TensorT) -> float:
    """The distance of two neighbouring values; zero for floats, and for weights with a scale per channel."""
    scales = tensor.quantization.scale if tensor.quantization is not None else None
    return float(scales[0]) if scales is not None and len(scales) == 1 else 0.0


def _move(
    kind: str, operator: OperatorT, graph: SubGraphT, names: list[str], held: list[Array | None]
) -> Move | None:
    """The operator as a `compile.graph.output_tails.Move`; None if it computes something, or if it moves by a computed amount."""
    import numpy

    from edgewright.sdk.graphs import Move

    options = operator.builtinOptions
    out = _shape(graph.tensors[operator.outputs[0]])

    def fixed(at: int) -> Any:  # an Array, or None
        values, kind = held[operator.inputs[at]], graph.tensors[operator.inputs[at]].type
        return None if values is None else numpy.asarray(values, numpy.uint8).view(_INDEXES[kind])

    def real(at: int) -> Array | None:
        return _real(graph.tensors[operator.inputs[at]], held[operator.inputs[at]])

    def moving(apply: Callable[..., Any], count: int | None = 1) -> Move:
        inputs = [names[at] for at in operator.inputs[:count]]
        return Move(tuple(inputs), tuple(names[at] for at in operator.outputs), apply)

    if kind in _SAME:
        return moving(lambda given: [given[0].reshape(out)])
    if kind in _AFFINE:
        from edgewright.sdk.graphs import affine

        pair = tuple(names[at] for at in operator.inputs)
        return affine(kind.capitalize(), pair, names[operator.outputs[0]], *(real(at) for at in (0, 1)))
    if kind in ("PAD", "PADV2") and fixed(1) is not None:
        return moving(lambda given: [numpy.pad(given[0], fixed(1).reshape(-1, 2))])
    if kind == "CONCATENATION" and not options.fusedActivationFunction:
        return moving(lambda given: [numpy.concatenate(given, options.axis)], None)
    if kind == "PACK":
        return moving(lambda given: [numpy.stack(given, options.axis)], None)
    if kind == "TRANSPOSE" and fixed(1) is not None:
        return moving(lambda given: [given[0].transpose(fixed(1))])
    if kind == "SLICE" and fixed(1) is not None:
        return moving(lambda given: [given[0][tuple(map(slice, fixed(1), fixed(1) + out))]])
    if kind == "STRIDED_SLICE" and all(fixed(at) is not None for at in (1, 2, 3)) and _plain(options):
        return moving(lambda given: [_strided(given[0], fixed, options).reshape(out)])
    return None


def _real(tensor: TensorT, held: Array | None) -> Array | None:
    """The values of a constant, quantised or not; None for computed tensors."""
    import numpy

    kind = _NUMBERS.get(tensor.type)
    if held is None or not len(held) or kind is None:
        return None
    values = numpy.asarray(held, numpy.uint8).view(kind).reshape(_shape(tensor)).astype(numpy.float64)
    if kind == "<f4":
        return values
    step = _step(tensor)
    return (values - float(tensor.quantization.zeroPoint[0])) * step if step else None


def _plain(options: StridedSliceOptionsT) -> bool:
    return not (options.ellipsisMask or options.newAxisMask or getattr(options, "offset", False))


def _strided(array: Array, fixed: Callable[..., Any], options: StridedSliceOptionsT) -> Array:
    """NumPy's slicing; an axis that is dropped has one index."""
    begin, end, stride = fixed(1), fixed(2), fixed(3)
    cut = []
    for axis in range(len(begin)):
        if options.shrinkAxisMask >> axis & 1:
            first = int(begin[axis]) % array.shape[axis]
            cut.append(slice(first, first + 1))
            continue
        first = None if options.beginMask >> axis & 1 else int(begin[axis])
        last = None if options.endMask >> axis & 1 else int(end[axis])
        cut.append(slice(first, last, int(stride[axis])))
    return array[tuple(cut)]
