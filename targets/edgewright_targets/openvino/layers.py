"""Maps a layer's name to operations, and checks whether they really stayed in floats. Host side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openvino import Input, Model, Node


_NO_OPERATIONS = ("Constant", "Parameter", "Result")
_CONVOLUTIONS = (
    "Convolution", "GroupConvolution", "ConvolutionBackpropData", "GroupConvolutionBackpropData",
)  # fmt: skip

_AVERAGES = ("AvgPool", "ReduceMean")
_RESHAPES = ("Reshape", "Transpose", "Squeeze", "Unsqueeze")


def operations_of(
    model: Model, wanted: Sequence[str], made: dict[str, list[str]] | None = None
) -> dict[str, list[str]]:
    """{layer: [friendly names of its operations]}.

    A layer is named by an operation, by one of its outputs, or by a part of the path of the operation or its weights:
    `dense_1` for `net/dense_1/MatMul`, `fc` for the weights `fc.weight`. A layer may consist of several operations,
    but the full name of a convolution or a matrix product means only that one.

    Args:
        made: from `made_by`.

    Raises:
        UsageError: a layer without any operation.
    """
    from edgewright.sdk.graphs import no_such_layer

    known = {one.get_friendly_name(): names_of(one) for one in model.get_ordered_ops() if _computes(one)}
    exact = {
        one.get_friendly_name()
        for one in model.get_ops()
        if one.get_type_name() in (*_CONVOLUTIONS, "MatMul")
    }
    found = {}
    for layer in wanted:
        called = [layer, *(made or {}).get(layer, ())]
        found[layer] = (
            [layer]
            if layer in exact
            else [
                name
                for name, names in known.items()
                if any(_below(one, word) for one in names for word in called)
            ]
        )
        if not found[layer]:
            words = (one for names in known.values() for one in names)
            raise no_such_layer(layer, words, _weighted(model))
    return found


def made_by(path: Path, wanted: Iterable[str]) -> dict[str, list[str]]:
    """{layer: outputs of its nodes, and of batch normalisations behind them} in an ONNX file: these names survive.

    OpenVINO names the last operation after the model's output, and a convolution that a normalisation was folded into after
    that one's output.
    """
    import onnx

    nodes = onnx.load(str(path), load_external_data=False).graph.node
    found = {}
    for layer in wanted:
        made = [
            name
            for node in nodes
            if any(_below(name, layer) for name in (node.name, *node.output, *node.input[1:]))
            for name in node.output
        ]
        found[layer] = made + [
            node.output[0] for node in nodes if node.op_type == "BatchNormalization" and node.input[0] in made
        ]
    return found


def first_of(model: Model, names: list[str]) -> list[str]:
    """The given operations that are convolutions without another convolution between them and an input."""
    found, seen, pending = [], set(), [one.get_node() for one in model.inputs]
    while pending:
        one = pending.pop()
        name = one.get_friendly_name()
        if name in seen:
            continue
        seen.add(name)
        if one.get_type_name() in _CONVOLUTIONS:
            found += [name] if name in names else []
        else:
            pending += [port.get_node() for out in one.outputs() for port in out.get_target_inputs()]
    return found


def averages_before(model: Model, names: set[str]) -> set[str]:
    """The averages that the operations read, through reshapes: the runtime rounds them to their input's 8 bits, which costs 6 dB."""
    by_name = {one.get_friendly_name(): one for one in model.get_ops()}
    found = set()
    for name in names:
        one = by_name[name]
        while one.inputs():
            one = one.input(0).get_source_output().get_node()
            if one.get_type_name() in _AVERAGES:
                found.add(one.get_friendly_name())
            if one.get_type_name() not in _RESHAPES:
                break
    return found


def check_float(model: Model, layers: dict[str, list[str]]) -> None:
    """Raises ConversionError if an operation that should stay in floats is gone, computes in integers or has quantised weights.

    Args:
        layers: {layer: [friendly names of its operations]}.
    """
    from edgewright.sdk import Code, ConversionError

    now = {one.get_friendly_name(): one for one in model.get_ops()}
    for layer, names in layers.items():
        for name in names:
            quantised = name in now and (
                _in_integers(now[name]) or any(_quantised_weights(port) for port in now[name].inputs())
            )
            if name not in now or quantised:
                raise ConversionError(
                    f"layer did not stay in floats: {layer}",
                    hint="name another layer, or take another precision",
                    code=Code.KEEP_FLOAT_IGNORED,
                )


def _computes(operation: Node) -> bool:
    return operation.get_type_name() not in _NO_OPERATIONS


def _weighted(model: Model) -> list[str]:
    """Friendly names of the operations that have weights, in order."""
    return [
        one.get_friendly_name()
        for one in filter(_computes, model.get_ordered_ops())
        if any(origin is not None and len(origin.shape) > 1 for origin in map(_origin, one.inputs()))
    ]


def names_of(operation: Node) -> list[str]:
    """Names of an operation, its outputs and its weights; if a tensor has no name, also those of the bias."""
    found = [operation.get_friendly_name()]
    found += [name for port in operation.outputs() for name in port.get_names()]
    readers = [port.get_node() for port in operation.output(0).get_target_inputs()]
    if len(found) == 1 and len(readers) == 1 and readers[0].get_type_name() == "Add":
        found += [readers[0].get_friendly_name(), *readers[0].output(0).get_names()]
    for port in operation.inputs():
        origin = _origin(port)
        if origin is not None:
            found.append(origin.get_friendly_name())
    return found


def _origin(port: Input) -> Node | None:
    """The constant that feeds a port, through conversions of type or shape; None if there is none."""
    node = port.get_source_output().get_node()
    while node.get_type_name() in ("Convert", "Reshape", "Transpose", "FakeQuantize"):
        node = node.input(0).get_source_output().get_node()
    return node if node.get_type_name() == "Constant" else None


def _quantised_weights(port: Input) -> bool:
    return port.get_source_output().get_node().get_type_name() == "FakeQuantize" and _origin(port) is not None


def _in_integers(one: Node) -> bool:
    """Whether a runtime would run it in 8 bits: all of its inputs and outputs pass through a FakeQuantize.

    Operations that only change a shape do not count: they compute nothing.
    """
    if one.get_type_name() in _RESHAPES:
        return False
    given = [port.get_source_output().get_node() for port in one.inputs() if _origin(port) is None]
    readers = [each.get_node() for port in one.outputs() for each in port.get_target_inputs()]
    return bool(given and readers) and all(
        each.get_type_name() == "FakeQuantize" for each in (*given, *readers)
    )


def _below(name: str, layer: str) -> bool:
    parts = f"/{name.replace('.', '/').replace(':', '/')}/"
    return f"/{layer.replace('.', '/')}/" in parts
