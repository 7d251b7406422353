"""Prepares an fp32 ONNX file for quantisation: names, shapes, folding. Host side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

    from edgewright.sdk import StageContext


_CLASSICAL = "ai.onnx.ml"
LEAST_OPSET = 13  # the first opset in which DequantizeLinear supports per-channel scales


def prepared(work: StageContext) -> ModelProto:
    """A ModelProto: shapes inferred, batch normalisations folded, every node named, opset 13 or above.

    Raises:
        ConversionError: the opset is too old for per-channel scales and cannot be raised.
    """
    import onnx
    from onnxruntime.quantization.shape_inference import quant_pre_process

    given, made = work.folder / "named.onnx", work.folder / "prepared.onnx"
    onnx.save(named(raised(onnx.load(str(work.path)), LEAST_OPSET)), str(given))
    quant_pre_process(str(given), str(made), skip_symbolic_shape=True)
    model = named(onnx.load(str(made)))
    for path in (given, made):
        path.unlink()
    return model


def raised(model: ModelProto, least: int) -> ModelProto:
    """The model, converted to `least` if its opset is older. Raises ConversionError if that fails."""
    import onnx
    from onnx import version_converter

    from edgewright.sdk import Code, ConversionError
    from edgewright.sdk.failures import telling

    if opset_of(model) >= least:
        return model
    try:
        made = version_converter.convert_version(model, least)
        onnx.checker.check_model(made)
    except Exception as error:
        raise ConversionError(
            f"opset {opset_of(model)} is too old to quantise, and {least} cannot be made of it: {telling(error)}",
            hint=f"export the model again at opset {least} or newer",
            code=Code.OPSET_TOO_OLD,
        ) from error
    return made


def opset_of(model: ModelProto) -> int:
    """The version of the standard operator set."""
    return max(int(item.version) for item in model.opset_import if item.domain in ("", "ai.onnx"))


def named(model: ModelProto) -> ModelProto:
    """The same model with a unique name for each node: nodes without a name cannot be excluded by name."""
    taken = {node.name for node in model.graph.node}
    seen = set()
    for index, node in enumerate(model.graph.node):
        if not node.name or node.name in seen:
            base = node.name or node.output[0] or f"node_{index}"
            name, number = base, 0
            while name in taken or name in seen:
                number += 1
                name = f"{base}__{number}"
            node.name = name
        seen.add(node.name)
    return model


def used_domains(model: ModelProto) -> None:
    """Removes opset domains that are not used, in place: older runtimes refuse them."""
    nodes = {"ai.onnx" if node.domain == "" else node.domain for node in every_node(model)}
    used = nodes | {"ai.onnx"} | {function.domain for function in model.functions}
    domains = [item for item in model.opset_import if (item.domain or "ai.onnx") in used]
    del model.opset_import[:]
    model.opset_import.extend(domains)


def every_node(model: ModelProto) -> Iterator[NodeProto]:
    """The nodes of all graphs and functions, including inner graphs."""
    pending = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    while pending:
        node = pending.pop()
        yield node
        for attribute in node.attribute:
            pending.extend(attribute.g.node)
            for graph in attribute.graphs:
                pending.extend(graph.node)


def refuse_classical(model: ModelProto, title: str) -> None:
    """Raises ConversionError, naming the operators, for a model with operators that only ONNX Runtime has: trees, scalers, encoders."""
    from edgewright.sdk import Code, ConversionError

    found = sorted({node.op_type for node in every_node(model) if node.domain == _CLASSICAL})
    if found:
        raise ConversionError(
            f"model needs operators that {title} does not have: {', '.join(f'{_CLASSICAL}.{name}' for name in found)}",
            hint="take --target onnxruntime, or write them in operators of ai.onnx before exporting (hummingbird-ml does so for trees)",
            code=Code.CUSTOM_OPERATORS,
        )


def reads(node: NodeProto) -> list[str]:
    """Names of everything that a node reads: its inputs, and what its inner graphs read and return."""
    inner = [item.g for item in node.attribute if item.HasField("g")]
    inner += [graph for item in node.attribute for graph in item.graphs]
    below = [name for graph in inner for one in graph.node for name in reads(one)]
    return [*node.input, *below, *(item.name for graph in inner for item in graph.output)]
