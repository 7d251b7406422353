"""Makes a float file from fp32 ONNX: the last stage for targets that accept plain ONNX."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from edgewright_targets._onnx.files import LARGE, beside, described, external, save, share
from edgewright_targets._onnx.prepare_for_quantization import opset_of

if TYPE_CHECKING:
    from onnx import ModelProto

    from edgewright.sdk import StageContext, StageResult


# in 16 bits, 1.14 to 1.16 decompose these into operators that they do not have, and 1.14 crashes on it
_WIDE = (
    "Softmax", "LogSoftmax", "LayerNormalization", "GroupNormalization", "MeanVarianceNormalization", "Elu", "Celu",
    "Selu", "HardSigmoid", "HardSwish", "Mish", "Softplus", "Softsign", "ThresholdedRelu",
)  # fmt: skip
_WIDE_RELU = 14  # Relu is one of them from this opset on
_LOOKED_AT = 8  # samples whose activations say how large each tensor becomes
_SHOWN = 8  # names in a note


def copied(work: StageContext) -> StageResult:
    """The same file, with its weights."""
    import onnx

    model = onnx.load(str(work.path), load_external_data=False)
    share(work.path, work.folder / work.entry)
    beside(model, work.path.parent, work.folder)
    return described(work, "")


def halved(work: StageContext, also: Callable[[ModelProto], list[str]] | None = None) -> StageResult:
    """16-bit floats, except at inputs and outputs, in operators that older runtimes crash on or decompose wrongly, and what halves do not hold.

    Args:
        also: names of more nodes that stay in 32 bits, of a model whose nodes have names.
    """
    import onnx
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    from edgewright_targets._onnx.exceed_halves import exceeding
    from edgewright_targets._onnx.join_casts import joined
    from edgewright_targets._onnx.prepare_for_quantization import named
    from edgewright_targets._onnx.quantize_static import ranges, spans

    model = named(_initialised(onnx.load(str(work.path))))
    kinds = {*DEFAULT_OP_BLOCK_LIST, *_WIDE, *(["Relu"] if opset_of(model) >= _WIDE_RELU else [])}
    found = exceeding(model, spans(ranges(work, model, None, "minmax", work.samples(_LOOKED_AT))))
    more = [node.name for node in model.graph.node if node.name in found and node.op_type not in kinds]
    wide = [*more, *(also(model) if also else ())]
    made = convert_float_to_float16(model, keep_io_types=True, op_block_list=kinds, node_block_list=wide)
    save(joined(made), work.folder / work.entry)
    return described(work, "", (_note(more),) if more else ())


def _initialised(model: ModelProto) -> ModelProto:
    """Constants as initialisers, in place: the converter makes halves of a Constant whatever reads it."""
    graph, kept = model.graph, []
    ends = {item.name for item in graph.output}
    for node in graph.node:
        value = next((item.t for item in node.attribute if item.name == "value"), None)
        if node.op_type == "Constant" and value is not None and node.output[0] not in ends:
            value.name = node.output[0]
            graph.initializer.append(value)
        else:
            kept.append(type(node).FromString(node.SerializeToString()))
    del graph.node[:]
    graph.node.extend(kept)
    return model


def _note(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    many = "1 node computes" if len(names) == 1 else f"{len(names)} nodes compute"
    return f"{many} in 32 bits, as 16 do not hold the numbers: {', '.join(names[:_SHOWN])}{more}"


def refuse_large(work: StageContext) -> None:
    """Raises ConversionError for a model that is too large for a converter to hold in one file."""
    import onnx

    from edgewright.sdk import Code, ConversionError

    model = onnx.load(str(work.path), load_external_data=False)
    size = work.path.stat().st_size + sum(
        (work.path.parent / location).stat().st_size for location in external(model)
    )
    if size > LARGE:
        raise ConversionError(
            f"model of {size / 2**30:.1f} GiB is too large to be made {work.precision}",
            hint="above 2 GiB there are fp32 and as-is; quantise it where it was trained, or make it smaller",
            code=Code.MODEL_TOO_LARGE,
        )
