"""Turns fp32 ONNX into the requested precision."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgewright_targets._onnx.files import described, save
from edgewright_targets._onnx.finish import copied, halved, refuse_large

if TYPE_CHECKING:
    from onnx import ModelProto

    from edgewright.sdk import StageContext, StageResult


def convert(work: StageContext) -> StageResult:
    """Makes the artifact's file.

    Raises:
        ConversionError: the model has nothing to quantise or is too large, or a layer does not stay in floats as requested.
    """
    if not (work.traits.exact or work.traits.as_is):
        refuse_large(work)
    return _STEPS[work.precision](work)


def _dynamic(work: StageContext) -> StageResult:
    """8-bit weights, unsigned: the runtime has no signed kernel for convolutions, and on x86 without VNNI it sums other layers wrongly."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    from edgewright_targets._onnx.prepare_for_quantization import prepared
    from edgewright_targets.onnxruntime.unsigned_recurrent_weights import unsigned

    ready, made = work.folder / "prepared.onnx", work.folder / "quantised.onnx"
    onnx.save(prepared(work), str(ready))
    quantize_dynamic(str(ready), str(made), weight_type=QuantType.QUInt8)
    _some_quantised(made)
    save(unsigned(onnx.load(str(made))), work.folder / work.entry)
    made.unlink()
    ready.unlink()
    return described(work, "")


def _some_quantised(path: Path) -> None:
    from edgewright.sdk import Code, ConversionError
    from edgewright.sdk.onnx import look

    if not look(path).quantised:
        raise ConversionError(
            "nothing of the model was quantised: no convolution, MatMul, Gemm, LSTM or table has a separate weight",
            hint="take --precision int8-weights, which knows GRU and RNN too, or fp32",
            code=Code.NOTHING_QUANTISED,
        )


def _static(work: StageContext) -> StageResult:
    from edgewright_targets._onnx.quantize_static import quantise

    model, method, kept, notes = quantise(work)
    return {**_saved(work, model, method), "kept_float": kept, "notes": notes}


def _weights(work: StageContext) -> StageResult:
    import onnx

    from edgewright_targets.onnxruntime.quantize_weights import eight_bits, four_bits

    make = four_bits if work.traits.weight_bits == 4 else eight_bits
    return _saved(work, make(onnx.load(str(work.path))), "")


def _saved(work: StageContext, model: ModelProto, method: str) -> StageResult:
    """Writes the model, with integer inputs and outputs if requested."""
    from edgewright_targets.onnxruntime.integer_io import narrow

    scales = narrow(model) if work.integer_io else {}
    save(model, work.folder / work.entry)
    found = described(work, method)
    for item in [*found["inputs"], *found["outputs"]]:
        if item["name"] in scales:
            item["scale"], item["zero_point"] = scales[item["name"]]
    return found


_STEPS = {
    "fp32": copied,
    "as-is": copied,
    "fp16": halved,
    "int8-dynamic": _dynamic,
    "int8": _static,
    "int8-mixed": _static,
    "int16x8": _static,
    "int8-weights": _weights,
    "int4-weights": _weights,
}
