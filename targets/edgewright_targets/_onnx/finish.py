"""fp32 ONNX -> a file in floats, the last stage of a target that takes ONNX as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright_targets._onnx.files import LARGE, beside, described, external, save, share
from edgewright_targets._onnx.prepare_for_quantization import opset_of

if TYPE_CHECKING:
    from edgewright.sdk import StageContext, StageResult


# in 16 bits 1.14 to 1.16 take these apart into operators that they do not have, and 1.14 crashes at that
_WIDE = (
    "Softmax", "LogSoftmax", "LayerNormalization", "GroupNormalization", "MeanVarianceNormalization", "Elu", "Celu",
    "Selu", "HardSigmoid", "HardSwish", "Mish", "Softplus", "Softsign", "ThresholdedRelu",
)  # fmt: skip
_WIDE_RELU = 14  # the opset from which on Relu is one of them


def copied(work: StageContext) -> StageResult:
    """The same file, its weights beside it."""
    import onnx

    model = onnx.load(str(work.path), load_external_data=False)
    share(work.path, work.folder / work.entry)
    beside(model, work.path.parent, work.folder)
    return described(work, "")


def halved(work: StageContext) -> StageResult:
    """16-bit floats but at the ends, and but for what older runtimes crash on or take apart wrongly."""
    import onnx
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    model = onnx.load(str(work.path))
    wide = [*DEFAULT_OP_BLOCK_LIST, *_WIDE, *(["Relu"] if opset_of(model) >= _WIDE_RELU else [])]
    made = convert_float_to_float16(model, keep_io_types=True, op_block_list=wide)
    save(made, work.folder / work.entry)
    return described(work, "")


def refuse_large(work: StageContext) -> None:
    """Raises ConversionError for a model that no converter can hold in one file."""
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
