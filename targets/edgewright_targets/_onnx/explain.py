"""Lists the operations of an ONNX file. Host side, in the `onnx` worker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright_targets._onnx.constant_magnitudes import constants, magnitudes

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto


_HALVES = {1: "fp32", 10: "fp16", 16: "bf16"}  # by TensorProto.DataType of a layer's weights
_WIDTHS = {2: "int8", 3: "int8", 4: "int16", 5: "int16", 21: "int4", 22: "int4"}
_WEIGHTS_ONLY = {"MatMulNBits": "int4 weights"}
_DYNAMIC = ("ConvInteger", "MatMulInteger", "DynamicQuantizeMatMul", "MatMulIntegerToFloat")


def of_source(model: Any, path: Path) -> list[dict[str, Any]]:  # noqa: ARG001 - one signature for all targets
    """Rows for `edgewright.sdk.Operation` of an opened ONNX source."""
    return _rows(model.model)


def shipped(path: Path) -> list[dict[str, Any]]:
    """Rows for the file."""
    import onnx

    return _rows(onnx.load(str(path), load_external_data=False))


def measured(model: ModelProto, spans: dict[str, tuple[float, float]]) -> list[dict[str, Any]]:
    """Rows for a ModelProto, with widths.

    Args:
        spans: {tensor: (least, greatest value)}.
    """
    widths = {name: max(high, 0.0) - min(low, 0.0) for name, (low, high) in spans.items()}
    rows = {row["name"]: row for row in _rows(model)}
    for node in model.graph.node:
        if node.op_type != "Constant":
            row = rows[node.name]
            row["widths"] = [widths[name] for name in node.input if name in widths]
            row["width"] = max([widths.get(name, 0.0) for name in node.output])
    return list(rows.values())


def _rows(model: ModelProto) -> list[dict[str, Any]]:
    graph = model.graph
    names = [node.name or next((name for name in node.output if name), "") for node in graph.node]
    makers = {
        output: name
        for node, name in zip(graph.node, names, strict=True)
        if node.op_type != "Constant"
        for output in node.output
    }
    nodes = {output: node for node in graph.node for output in node.output}
    weights = {item.name: item.data_type for item in graph.initializer}
    results = {item.name for item in graph.output}
    fixed, held = magnitudes(model), constants(model)
    return [
        {
            "name": name,
            "operator": node.op_type,
            "takes": [makers[item] for item in node.input if item in makers],
            "absorbed": [item.s.decode() for item in node.attribute if item.name == "activation" and item.s],
            "arithmetic": _arithmetic(node, nodes, weights),
            "ends": [item for item in node.output if item in results],
            "largest": max([fixed.get(item, 0.0) for item in node.input], default=0.0),
            "spread": _spread(node, held),
            "fixed": all(item in fixed for item in node.output if item),
        }
        for node, name in zip(graph.node, names, strict=True)
        if node.op_type != "Constant"
    ]


def _spread(node: NodeProto, held: dict[str, TensorProto]) -> float:
    """The spread of the constants that a node scales by or adds; 0 for other nodes."""
    from onnx import numpy_helper

    from edgewright.sdk.graphs import spread

    if node.op_type not in ("Mul", "Div", "Add", "Sub"):
        return 0.0
    return max(
        [spread(node.op_type, numpy_helper.to_array(held[item])) for item in node.input if item in held],
        default=0.0,
    )


def _arithmetic(node: NodeProto, nodes: dict[str, NodeProto], weights: dict[str, int]) -> str:
    """The arithmetic of a node with weights."""
    if node.op_type.startswith("QLinear") or node.op_type in ("QGemm",):
        return "int8"
    if node.op_type in _DYNAMIC:
        return "int8 weights, ranges found while running"
    if node.op_type in _WEIGHTS_ONLY:
        return _WEIGHTS_ONLY[node.op_type]
    if len(node.input) < 2:
        return ""
    data, weight = (_quantised(name, nodes, weights) for name in node.input[:2])
    if data and weight:
        return f"int16x{weight[3:]}" if data == "int16" else weight
    if weight:
        return f"{weight} weights"
    kind = next((weights[name] for name in node.input[1:] if name in weights), None)
    return _HALVES.get(kind, "") if kind else ""


def _quantised(name: str, nodes: dict[str, NodeProto], weights: dict[str, int]) -> str | None:
    """The width of the integers that a tensor was dequantised from; None if it was not."""
    node = nodes.get(name)
    if node is None or node.op_type != "DequantizeLinear":
        return None
    if node.input[0] in weights:
        return _WIDTHS.get(weights[node.input[0]], "int8")
    kind = weights.get(node.input[2]) if len(node.input) > 2 else None
    return "int8" if kind is None else _WIDTHS.get(kind, "int8")
