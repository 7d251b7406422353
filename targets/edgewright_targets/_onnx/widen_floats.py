"""Converts float16, bfloat16 and float64 to float32, which quantisers and other runtimes need. Host side.

The model's own inputs and outputs become float32 as well: goldens are compared by value, and data of any width are accepted.
For a runtime that computes in float64, float64 is kept: everywhere in an ONNX source at fp32, else in parts that prepare an input,
as `keep_float64` finds them. In float32, a time since 1970 cannot resolve seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from edgewright_targets._onnx.files import LARGE
from edgewright_targets._onnx.keep_float64 import islands

if TYPE_CHECKING:
    import numpy as np
    from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto, TypeProto

    from edgewright.sdk import ConversionError, StageContext

    Array = np.ndarray[Any, Any]


_TYPE_NAMES = (
    "to",
    "dtype",
    "output_datatype",
    "output_dtype",
    "stash_type",
    "softmax_precision",
)  # attributes
_BITS = ("BitCast",)  # it reinterprets the bits of a float


def widened(model: ModelProto, work: StageContext, runs: bool = False) -> tuple[ModelProto, list[str]]:
    """(the model with float32 as its only float type, notes). The model itself is returned if nothing has to change.

    Args:
        model: a ModelProto; changes are made to a copy.
        runs: whether ONNX Runtime will run the result. It has no float64 kernels for some operators, such as Conv.

    Raises:
        ConversionError: the result would be too large for the precision.
    """
    if work.traits.as_is:
        return model, []
    if not narrow_kinds(model):
        return model, []
    stays = _stays(model, work, runs)
    kinds = narrow_kinds(model, stays)
    if not kinds:
        return model, []
    found = " and ".join(kinds)
    if any(tensor.external_data for _, tensor in _tensors(model)):
        return model, [f"{found} stays: the model is too large to be made float32"]
    if any(node.op_type in _BITS for node in _nodes(model)):
        return model, [f"{found} stays: the model reads the bits of its floats"]
    size = widened_size(model, stays)
    if size > LARGE:
        if work.traits.kind != "floats":  # for `floats`, a model of halves may keep its 32- and 16-bit types
            raise too_large(size, work.precision)
        return model, [f"{found} stays: the model is too large to be made float32"]
    made = type(model)()
    made.CopyFrom(model)
    ends = [
        item.name for item in [*made.graph.input, *made.graph.output] if _other(item.type, item.name, stays)
    ]
    widen(made, stays)
    also = f", inputs and outputs too: {', '.join(ends)}" if ends else ""
    return made, [f"{found} became float32 before the conversion{also}"]


def _stays(model: ModelProto, work: StageContext, runs: bool) -> Callable[..., Any]:
    """A function that tells by name whether float64 stays."""
    if not work.float64:
        return _none
    if runs and work.traits.exact:
        return _all
    if any(tensor.external_data for _, tensor in _tensors(model)) or model.ByteSize() > LARGE:
        return _none
    found = islands(model)
    return found.__contains__ if found and (runs or _has_kernels(model, found)) else _none


def _has_kernels(model: ModelProto, names: frozenset[str]) -> bool:
    """Whether the runtime has kernels for these tensors in float64."""
    from edgewright.sdk.onnx import session

    made = type(model).FromString(model.SerializeToString())
    widen(made, names.__contains__)
    try:
        session(made.SerializeToString())
    except Exception as error:  # noqa: BLE001 - its exceptions have no common base
        print(f"float64 is no way: {error}")  # noqa: T201 - a worker's stdout is its log
        return False
    return True


def _none(name: str) -> bool:  # noqa: ARG001 - as `_stays`
    return False


def _all(name: str) -> bool:  # noqa: ARG001 - as `_stays`
    return True


def widened_size(model: ModelProto, stays: Callable[..., Any] = _none) -> int:
    """Bytes of the model in float32."""
    from onnx import helper

    size = int(model.ByteSize())
    for name, tensor in _tensors(model):
        if tensor.data_type in _kinds(stays(name)):
            count = 1
            for axis in tensor.dims:
                count *= axis
            size += int(count * (4 - helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize))
    return size


def too_large(size: int, precision: str) -> ConversionError:
    """The error for a model that would not fit into one file in float32."""
    from edgewright.sdk import Code, ConversionError

    return ConversionError(
        f"model of {size / 2**30:.1f} GiB in float32 is too large to be made {precision}",
        hint="take --precision fp32, fp16 or as-is, which leave its floats as they are, or make it smaller",
        code=Code.MODEL_TOO_LARGE,
    )


def wide(array: Array) -> Array:
    """A sample's array in the type that the widened model takes."""
    import numpy

    return array if array.dtype.kind in "iub" else numpy.asarray(array, numpy.float32)


def float64_inputs(model: ModelProto) -> set[str]:
    """Names of the inputs that stayed float64."""
    from onnx import TensorProto

    return {item.name for item in model.graph.input if item.type.tensor_type.elem_type == TensorProto.DOUBLE}


def narrow_kinds(model: ModelProto, stays: Callable[..., Any] = _none) -> list[str]:
    """Names of the other float types that the model computes in, sorted, except float64 that stays."""
    from onnx import TensorProto

    found = {tensor.data_type for name, tensor in _tensors(model) if tensor.data_type in _kinds(stays(name))}
    found |= {kind.elem_type for name, kind in _types(model) if kind.elem_type in _kinds(stays(name))}
    typed = _type_names(model)
    found |= {
        item.i for name, item in _attributes(model) if item.name in typed and item.i in _kinds(stays(name))
    }
    return sorted(TensorProto.DataType.Name(kind).lower().replace("double", "float64") for kind in found)


def widen(model: ModelProto, stays: Callable[..., Any] = _none) -> None:
    """Widens the model in place."""
    from onnx import TensorProto

    for name, tensor in _tensors(model):
        if tensor.data_type in _kinds(stays(name)):
            _widen_tensor(tensor)
    for name, kind in _types(model):
        if kind.elem_type in _kinds(stays(name)):
            kind.elem_type = TensorProto.FLOAT
    typed = _type_names(model)
    for name, attribute in _attributes(model):
        if attribute.name in typed and attribute.i in _kinds(stays(name)):
            attribute.i = TensorProto.FLOAT
    _drop_idle_casts(model)


def _kinds(double: bool = False) -> set[int]:
    """The types that become float32. `double`: float64 stays."""
    from onnx import TensorProto

    halves = {TensorProto.FLOAT16, TensorProto.BFLOAT16}
    return halves if double else {*halves, TensorProto.DOUBLE}


def _type_names(model: ModelProto) -> set[str]:
    """Names of attributes that hold a type: those of operators, and those that functions pass on to them."""
    passed = {
        item.ref_attr_name
        for function in model.functions
        for node in _nested_nodes(function.node)
        for item in node.attribute
        if item.name in _TYPE_NAMES and item.ref_attr_name
    }
    return {*_TYPE_NAMES, *passed}


def _graphs(model: ModelProto) -> Iterator[FunctionProto | GraphProto]:
    """The graph, the functions, and their inner graphs."""
    pending = [model.graph, *model.functions]
    while pending:
        graph = pending.pop()
        yield graph
        for node in graph.node:
            for item in node.attribute:
                pending += [item.g] if item.HasField("g") else []
                pending += item.graphs


def _nodes(model: ModelProto) -> Iterator[Any]:
    return (node for graph in _graphs(model) for node in graph.node)


def _nested_nodes(nodes: Any) -> Iterator[NodeProto]:
    for node in nodes:
        yield node
        for item in node.attribute:
            for graph in [item.g] if item.HasField("g") else item.graphs:
                yield from _nested_nodes(graph.node)


def _attributes(model: ModelProto) -> Iterator[tuple[str, AttributeProto]]:
    """(the node's output, attribute) of all nodes, and the functions' attributes with defaults."""
    yield from ((_maker(node), item) for node in _nodes(model) for item in node.attribute)
    yield from (("", item) for function in model.functions for item in function.attribute_proto)


def _maker(node: NodeProto) -> str:
    return node.output[0] if node.output else ""


def _tensors(model: ModelProto) -> Iterator[tuple[str, TensorProto]]:
    """(its name, or its node's output; tensor)."""
    for graph in _graphs(model):
        yield from ((item.name, item) for item in getattr(graph, "initializer", ()))
        yield from ((item.values.name, item.values) for item in getattr(graph, "sparse_initializer", ()))
    for name, item in _attributes(model):
        if item.HasField("t"):
            yield name, item.t
        yield from ((name, one) for one in item.tensors)
        if item.HasField("sparse_tensor"):
            yield name, item.sparse_tensor.values
        yield from ((name, one.values) for one in item.sparse_tensors)


def _types(model: ModelProto) -> Iterator[tuple[str, TypeProto]]:
    """(name, tensor type) of every recorded type; for sequences and optional values, the inner type."""
    for graph in _graphs(model):
        for field in ("input", "output", "value_info"):
            for item in getattr(graph, field):
                if not isinstance(item, str):  # functions only have names
                    yield from ((item.name, kind) for kind in _tensor_types(item.type))
    for name, item in _attributes(model):
        if item.HasField("tp"):
            yield from ((name, kind) for kind in _tensor_types(item.tp))
        for one in item.type_protos:
            yield from ((name, kind) for kind in _tensor_types(one))


def _tensor_types(kind: TypeProto) -> Iterator[TypeProto]:
    which = kind.WhichOneof("value")
    if which in ("tensor_type", "sparse_tensor_type"):
        yield getattr(kind, which)
    elif which in ("sequence_type", "optional_type"):
        yield from _tensor_types(getattr(kind, which).elem_type)


def _other(kind: TypeProto, name: str, stays: Callable[..., Any]) -> bool:
    return any(one.elem_type in _kinds(stays(name)) for one in _tensor_types(kind))


def _widen_tensor(tensor: TensorProto) -> None:
    """Widens one tensor. Values beyond float32, such as the lowest float64 of a mask, are clipped to its range."""
    import numpy
    from onnx import numpy_helper

    values = numpy_helper.to_array(tensor)
    most = numpy.finfo(numpy.float32).max
    if values.dtype == numpy.float64:
        values = numpy.where(numpy.isfinite(values), numpy.clip(values, -most, most), values)
    name = tensor.name
    tensor.CopyFrom(numpy_helper.from_array(numpy.asarray(values, numpy.float32), name))


def _drop_idle_casts(model: ModelProto) -> None:
    """Removes Casts from float32 to float32, in place: they would hide layers from quantisers."""
    import onnx
    from onnx import TensorProto

    graph = model.graph
    results = {item.name for item in graph.output}
    inferred = onnx.shape_inference.infer_shapes(model).graph
    floats = {item.name for item in graph.initializer if item.data_type == TensorProto.FLOAT}
    floats |= {
        item.name
        for item in [*inferred.input, *inferred.value_info, *inferred.output]
        if item.type.tensor_type.elem_type == TensorProto.FLOAT
    }
    instead: dict[str, str] = {}
    left: list[NodeProto] = []
    for node in graph.node:
        to = next((item.i for item in node.attribute if item.name == "to"), 0)
        idle = node.op_type == "Cast" and to == TensorProto.FLOAT and node.input[0] in floats
        if idle and node.output[0] not in results:
            instead[node.output[0]] = instead.get(node.input[0], node.input[0])
        else:
            left.append(node)
    if not instead:
        return
    copies = [type(node).FromString(node.SerializeToString()) for node in left]
    del graph.node[:]
    graph.node.extend(copies)
    for node in _nested_nodes(graph.node):
        node.input[:] = [instead.get(name, name) for name in node.input]
    for inner in _graphs(model):
        for item in getattr(inner, "output", ()):
            if inner is not graph and not isinstance(item, str) and item.name in instead:
                item.name = instead[item.name]
