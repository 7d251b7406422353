"""Compares a model's operators with those of TensorRT's parser (`operator_table`, `limits`), by the names of nodes. Host side, `onnx` worker.

A TensorRT older than 8.2 is not in the table. Plug-ins of TensorRT pass as they are; in the source they are functions of the
model, so that the host can run them too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright_targets.tensorrt import limits
from edgewright_targets.tensorrt.operator_table import FUNCTIONS_SINCE, NEVER, NEWEST, PLUGINS, SINCE

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


KIND = "operators"  # the kind of requirement: `number` of the oldest TensorRT that has all operators
_STANDARD = ("", "ai.onnx")
_SHOWN = 8  # nodes in one line
_OLDEST = "8.2"
_INSTEAD = "export it without them, or take --target onnxruntime"


def number(version: str) -> int:
    """A version as one number, as it is in `requires` and in a target's caps: `8.2` -> 802, `10.13` -> 1013."""
    major, minor = version.split(".")[:2]
    return int(major) * 100 + int(minor)


def refuse(model: ModelProto) -> None:
    """Refuses what no TensorRT has: operators that all lists deny, those of other libraries, float64, and what `limits` denies.

    Args:
        model: a ModelProto; it does not have to include external weights.

    Raises:
        ConversionError: `custom-operators`, with the names of the nodes.
    """
    from edgewright.sdk import Code, ConversionError

    wanting = [node for node in _nodes(model) if _unknown(node, model)]
    if wanting:
        raise ConversionError(
            f"no TensorRT has these operators: {_listed(wanting)}", hint=_INSTEAD, code=Code.CUSTOM_OPERATORS
        )
    types = limits.types_of(model)
    wide = _in_float64(model, types)
    if wide:
        raise ConversionError(
            f"TensorRT does not compute in float64: {_listed(wide)}",
            hint="export the model in float32, or take --target onnxruntime",
            code=Code.CUSTOM_OPERATORS,
        )
    zeros = limits.zeros_of(model)
    inner = {name for one in model.functions for node in one.node for name in (*node.input, *node.output)}
    types = {name: kind for name, kind in types.items() if name not in inner}  # a function reuses names
    denied = [(node, why) for node in reversed(_nodes(model)) if (why := limits.denied(node, types, zeros))]
    if denied:
        names = [f"{_named(node)} with {why}" for node, why in denied]
        raise ConversionError(
            f"no TensorRT up to {NEWEST} takes {_shortened(names)}", hint=_INSTEAD, code=Code.CUSTOM_OPERATORS
        )


def needed(models: list[ModelProto]) -> tuple[int, str]:
    """The oldest TensorRT that has all operators of all files.

    Returns:
        (its `number`, which nodes need it, and what an export may do instead); (0, "") if 8.2 has all of them.
    """
    found = [(_named(node), _since(node, model), node) for model in models for node in _nodes(model)]
    found += [
        (f"{limits.BYTES} at {_named(node)}", limits.BYTES_SINCE, node)
        for model in models
        for node in limits.converts_bytes(model)
    ]
    late = [row for row in found if number(row[1]) > number(_OLDEST)]
    if not late:
        return 0, ""
    versions = sorted({since for _, since, _ in late}, key=number, reverse=True)
    lines = [
        f"TensorRT has {_shortened([name for name, since, _ in late if since == version])} from {version} on"
        for version in versions
    ]
    return number(versions[0]), "; ".join([*lines, *_advice([node for _, _, node in late])])


def _nodes(model: ModelProto) -> list[NodeProto]:
    """All nodes, and those of functions that TensorRT does not replace by its plug-ins."""
    from edgewright_targets._onnx.prepare_for_quantization import every_node

    bare = type(model).FromString(model.SerializeToString())
    kept = [function for function in bare.functions if function.name not in PLUGINS]
    del bare.functions[:]
    bare.functions.extend(kept)
    return list(every_node(bare))


def _function(node: NodeProto, model: ModelProto) -> bool:
    return any((one.domain, one.name) == (node.domain, node.op_type) for one in model.functions)


def _unknown(node: NodeProto, model: ModelProto) -> bool:
    """Whether no TensorRT has this operator. An operator of ONNX that the table does not mention is left to the board."""
    if node.op_type in PLUGINS or _function(node, model):
        return False
    return node.op_type in NEVER or node.domain not in _STANDARD


def _since(node: NodeProto, model: ModelProto) -> str:
    """The first version that has this operator."""
    if node.op_type in PLUGINS:
        return _OLDEST
    if _function(node, model):
        return FUNCTIONS_SINCE
    return SINCE.get(node.op_type, _OLDEST)


def _in_float64(model: ModelProto, types: dict[str, int]) -> list[NodeProto]:
    """The nodes that read or make float64."""
    from onnx import TensorProto

    names = {name for name, kind in types.items() if kind == TensorProto.DOUBLE}
    return [node for node in model.graph.node if names.intersection([*node.input, *node.output])]


def _listed(nodes: list[NodeProto]) -> str:
    """`NonZero (/mask/NonZero), Mod (/mod)` with the number of those left out."""
    return _shortened([_named(node) for node in nodes])


def _shortened(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _named(node: NodeProto) -> str:
    return f"{_title(node)} ({node.name or node.output[0]})"


def _title(node: NodeProto) -> str:
    return node.op_type if node.domain in _STANDARD else f"{node.domain}.{node.op_type}"


def _advice(nodes: list[NodeProto]) -> list[str]:
    """The opset at which an exporter has to write these in other operators; none if all of them are as old as ONNX."""
    from onnx import defs

    first: dict[str, int] = {}
    for schema in defs.get_all_schemas_with_history():
        if schema.domain == "":
            first[schema.name] = min(schema.since_version, first.get(schema.name, schema.since_version))
    young = {
        node.op_type: first[node.op_type]
        for node in nodes
        if node.domain in _STANDARD and first.get(node.op_type, 0) > 13
    }
    return [
        f"an export at opset {opset - 1} writes {name} in other operators"
        for name, opset in sorted(young.items())
    ]
