"""Maps a layer's name to nodes, and checks whether a layer really stayed in floats. Host side."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


def nodes_of(model: ModelProto, layers: tuple[str, ...]) -> dict[str, list[str]]:
    """{layer: [names of its nodes]}.

    A layer is named by a node, by one of a node's outputs, or by a part of the path of a node or of
    its weights: `dense_1` for `net/dense_1/MatMul`, `fc` for the weights `fc.weight`.

    Raises:
        UsageError: a layer without any node.
    """
    from edgewright.sdk.graphs import no_such_layer

    weights = {item.name for item in model.graph.initializer}
    known = {node.name: _names(node, weights) for node in model.graph.node}
    found = {}
    for layer in layers:
        exact = [name for name, names in known.items() if layer in names]
        found[layer] = exact or [
            name for name, names in known.items() if any(_below(one, layer) for one in names)
        ]
        if not found[layer]:
            raise no_such_layer(layer, (one for names in known.values() for one in names))
    return found


def _names(node: NodeProto, weights: set[str]) -> list[str]:
    return [name for name in (node.name, *node.output, *(set(node.input) & weights)) if name]


def _below(name: str, layer: str) -> bool:
    parts = f"/{name.replace('.', '/').replace(':', '/')}/"
    return f"/{layer.replace('.', '/')}/" in parts


def after(source: ModelProto, prepared: ModelProto, wanted: list[str]) -> list[str]:
    """Names in the prepared model of nodes of the source, which folding may have renamed.

    Args:
        wanted: names of nodes of the source.

    Returns:
        Names in the prepared model; nodes that were folded into another one are left out.
    """
    old = {node.name: node for node in source.graph.node}
    names = {node.name for node in prepared.graph.node}
    weights = {item.name for item in prepared.graph.initializer}
    found = []
    for name in wanted:
        if name in names:
            found.append(name)
            continue
        own = set(old[name].output)
        read = set(old[name].input) & weights
        found += [
            node.name
            for node in prepared.graph.node
            if own & set(node.output) or read & set(node.input) or node.name.startswith(name + "/")
        ]
    return sorted(set(found))


def check_float(quantised: ModelProto, prepared: ModelProto, layers: dict[str, list[str]]) -> None:
    """Raises ConversionError if a node that should stay in floats computes in integers or with quantised weights, or is gone.

    Quantisers rename and split nodes, and then silently ignore exclusions by name.

    Args:
        layers: {layer: [names of its nodes in the prepared model]}.
    """
    from edgewright.sdk import Code, ConversionError

    weights = {item.name for item in quantised.graph.initializer}
    from_weights = {
        node.output[0]
        for node in quantised.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in weights
    }
    integers = _in_integers(quantised)
    now = {node.name: node for node in quantised.graph.node}
    before = {node.name: node for node in prepared.graph.node}
    for layer, names in layers.items():
        for name in names:
            node = now.get(name)
            gone = node is None or node.op_type != before[name].op_type
            if node is None or gone or name in integers or set(node.input) & from_weights:
                raise ConversionError(
                    f"layer did not stay in floats: {layer}",
                    hint="the quantiser renamed its nodes; name another layer, or take another precision",
                    code=Code.KEEP_FLOAT_IGNORED,
                )


def _in_integers(model: ModelProto) -> set[str]:
    """Names of the nodes that a runtime would run in 8 bits: all of their inputs are dequantised, and their outputs are quantised."""
    constants = {item.name for item in model.graph.initializer}
    dequantised = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    rounded = {node.input[0] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    return {
        node.name
        for node in model.graph.node
        if node.op_type != "QuantizeLinear" and rounded & set(node.output)
        and any(name in dequantised for name in node.input)
        and all(name in dequantised for name in node.input if name and name not in constants)
    }  # fmt: skip
