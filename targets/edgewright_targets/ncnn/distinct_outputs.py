"""Makes the outputs of an ONNX graph distinct tensors, since pnnx crashes on an output that only passes another one on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto


def made_distinct(model: ModelProto) -> list[int]:
    """Drops, in place, Identity nodes at the outputs, and outputs that repeat an earlier one.

    Returns:
        For each of the former outputs, the index of the output that has its values.

    Raises:
        ConversionError: an output is an input, unchanged.
    """
    graph = model.graph
    behind = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Identity"}
    inputs = {item.name for item in graph.input}
    origins = [_origin(item.name, behind) for item in graph.output]
    for item, origin in zip(graph.output, origins, strict=True):
        _refuse_input(item.name, origin, inputs)
    kept = list(dict.fromkeys(origins))
    if kept != [item.name for item in graph.output]:
        first = [graph.output[origins.index(name)] for name in kept]
        copies = [type(item).FromString(item.SerializeToString()) for item in first]
        for copy, name in zip(copies, kept, strict=True):
            copy.name = name
        del graph.output[:]
        graph.output.extend(copies)
        _drop_unread(model)
    return [kept.index(origin) for origin in origins]


def _origin(name: str, behind: dict[str, str]) -> str:
    while name in behind:
        name = behind[name]
    return name


def _refuse_input(output: str, origin: str, inputs: set[str]) -> None:
    from edgewright.sdk import Code, ConversionError

    if origin in inputs:
        raise ConversionError(
            f"output {output} is the input {origin}, unchanged, which pnnx does not convert",
            hint="export the model without that output, or take another target, such as --target onnxruntime",
            code=Code.CONVERSION_FAILED,
        )


def _drop_unread(model: ModelProto) -> None:
    """Removes, in place, Identity nodes that nothing reads any more."""
    from edgewright_targets._onnx.prepare_for_quantization import reads

    graph = model.graph
    while True:
        read = {item.name for item in graph.output} | {name for node in graph.node for name in reads(node)}
        kept = [node for node in graph.node if node.op_type != "Identity" or node.output[0] in read]
        if len(kept) == len(graph.node):
            return
        copies = [type(node).FromString(node.SerializeToString()) for node in kept]
        del graph.node[:]
        graph.node.extend(copies)
