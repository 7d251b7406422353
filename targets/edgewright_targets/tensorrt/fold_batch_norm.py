"""Folds batch normalisations into the convolutions before them, in the file.

Those of Keras are a product and a sum.

Host side, in the `onnx` worker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgewright_targets._onnx.prepare_for_quantization import reads

if TYPE_CHECKING:
    import numpy as np
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

    from edgewright.sdk import StageContext

    Array = np.ndarray[Any, Any]


_KINDS = ("Conv", "ConvTranspose")
_EPSILON = 1e-5  # ONNX's default


def fold_file(work: StageContext) -> list[str]:
    """Points the stage at a file with its batch normalisations folded. Returns notes, such as one that the model is too large for that."""
    import onnx

    from edgewright_targets._onnx.files import LARGE, external, save

    model = onnx.load(str(work.path), load_external_data=False)
    size = (
        sum((work.path.parent / name).stat().st_size for name in external(model)) + work.path.stat().st_size
    )
    if size > LARGE:
        return ["batch normalisations are folded by TensorRT alone: the model is too large for it here"]
    model = onnx.load(str(work.path))
    if not fold(model):
        return []
    place = work.path.with_name("folded.onnx")
    save(model, place)
    work.path = place
    return []


def fold(model: ModelProto) -> int:
    """Folds, in place, nodes that scale or shift a convolution's channels by constants, if nothing else reads its result.

    Returns:
        int: number of nodes removed.
    """
    gone = 0
    while _fold_one(model):
        gone += 1
    if gone:
        _drop_unread(model.graph)
    return gone


def _fold_one(model: ModelProto) -> bool:
    """Folds one node. Returns whether there was one to fold."""
    from edgewright_targets._onnx.rewrite_for_opset import constants_of

    graph, constants = model.graph, constants_of(model)
    convs = {node.output[0]: node for node in graph.node if _constant(node, constants)}
    read = [name for node in graph.node for name in reads(node)] + [item.name for item in graph.output]
    for node in graph.node:
        conv = next((convs[name] for name in node.input if name in convs), None)
        change = _change(node, conv, constants) if conv is not None else None
        if conv is not None and change is not None and read.count(conv.output[0]) == 1:
            _merge(model, conv, node, change, constants)
            _set(
                graph.node, [one for one in graph.node if one.output != conv.output or one.op_type in _KINDS]
            )
            return True
    return False


def _constant(conv: NodeProto, constants: dict[str, TensorProto]) -> bool:
    """Whether it is a convolution with constant weights."""
    return conv.op_type in _KINDS and all(name in constants for name in conv.input[1:])


def _change(
    node: NodeProto, conv: NodeProto, constants: dict[str, TensorProto]
) -> tuple[Array, Array] | None:
    """(factor, shift), a value per channel each, that a node applies to a convolution's result; None for other nodes."""
    import numpy

    others = [name for name in node.input if name != conv.output[0]]
    if len(others) != len(node.input) - 1 or not all(name in constants for name in others):
        return None
    if node.op_type == "BatchNormalization" and node.input[0] == conv.output[0] and not _trains(node):
        scale, shift, mean, variance = (_array(constants[name]) for name in others)
        epsilon = next((item.f for item in node.attribute if item.name == "epsilon"), _EPSILON)
        factor = scale / numpy.sqrt(variance + epsilon)
        return factor, shift - mean * factor
    if node.op_type not in ("Mul", "Add"):
        return None
    values = _channels(_array(constants[others[0]]), conv, constants)
    if values is None:
        return None
    return (values, numpy.zeros_like(values)) if node.op_type == "Mul" else (numpy.ones_like(values), values)


def _channels(values: Array, conv: NodeProto, constants: dict[str, TensorProto]) -> Array | None:
    """One value per channel; None if the values differ within a channel, or add axes to the result."""
    import numpy

    dims = constants[conv.input[1]].dims
    groups = next((item.i for item in conv.attribute if item.name == "group"), 1)
    count = dims[0] if conv.op_type == "Conv" else dims[1] * groups
    if values.ndim > len(dims):
        return None
    wide = values.reshape((1,) * (len(dims) - values.ndim) + values.shape)
    if wide.shape[1] not in (1, count) or wide.size != wide.shape[1]:
        return None
    return numpy.broadcast_to(wide.reshape(-1), (count,)).copy()


def _merge(
    model: ModelProto,
    conv: NodeProto,
    node: NodeProto,
    change: tuple[Array, Array],
    constants: dict[str, TensorProto],
) -> None:
    import numpy
    from onnx import numpy_helper

    factor, shift = change
    weight = constants[conv.input[1]]
    kind = numpy_helper.to_array(weight).dtype
    bias = _array(constants[conv.input[2]]) if len(conv.input) > 2 else numpy.zeros_like(shift)
    made = {
        "weight": _scaled(conv, _array(weight), factor).astype(kind),
        "bias": (bias * factor + shift).astype(kind),
    }
    names = [f"{node.output[0]}/{part}" for part in made]
    for name, array in zip(names, made.values(), strict=True):
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    del conv.input[1:]
    conv.input.extend(names)
    conv.output[0] = node.output[0]


def _array(tensor: TensorProto) -> Array:
    import numpy
    from onnx import numpy_helper

    values: Array = numpy_helper.to_array(tensor).astype(numpy.float64)
    return values


def _scaled(conv: NodeProto, weight: Array, factor: Array) -> Array:
    """The weights, multiplied by a factor per output channel; a transposed convolution's are (in, out / groups, ...)."""
    wide = (1,) * (weight.ndim - 2)
    if conv.op_type == "Conv":
        return weight * factor.reshape(-1, 1, *wide)
    groups = next((item.i for item in conv.attribute if item.name == "group"), 1)
    split = weight.reshape(groups, weight.shape[0] // groups, *weight.shape[1:])
    return (split * factor.reshape(groups, 1, -1, *wide)).reshape(weight.shape)


def _trains(norm: NodeProto) -> bool:
    return any(item.name == "training_mode" and item.i for item in norm.attribute) or len(norm.output) > 1


def _drop_unread(graph: GraphProto) -> None:
    """Removes constants that nothing reads any more, in place."""
    read = {name for node in graph.node for name in reads(node)} | {item.name for item in graph.output}
    _set(graph.initializer, [item for item in graph.initializer if item.name in read])
    _set(graph.node, [node for node in graph.node if node.op_type != "Constant" or node.output[0] in read])


def _set(field: Any, items: list[NodeProto | TensorProto]) -> None:
    copies = [type(item).FromString(item.SerializeToString()) for item in items]
    del field[:]
    field.extend(copies)
