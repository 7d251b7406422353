"""fp32 ONNX -> the precision that was asked for."""

from edgewright_targets.onnxruntime.files import LARGE, beside, described, external, save, share
from edgewright_targets.onnxruntime.prepare import opset_of

# in 16 bits 1.14 to 1.16 take these apart into operators that they do not have, and 1.14 crashes at that
_WIDE = (
    "Softmax", "LogSoftmax", "LayerNormalization", "GroupNormalization", "MeanVarianceNormalization", "Elu", "Celu",
    "Selu", "HardSigmoid", "HardSwish", "Mish", "Softplus", "Softsign", "ThresholdedRelu",
)  # fmt: skip
_WIDE_RELU = 14  # the opset from which on Relu is one of them


def convert(work):
    """Makes the artifact's file.

    Raises:
        ConversionError: the model has nothing to quantise, is too large for it, or does not stay as was asked for.
    """
    if not (work.traits.exact or work.traits.as_is):
        refuse_large(work)
    return _STEPS[work.precision](work)


def _copy(work):
    import onnx

    model = onnx.load(str(work.path), load_external_data=False)
    share(work.path, work.folder / work.entry)
    beside(model, work.path.parent, work.folder)
    return described(work, "")


def _half(work):
    """16-bit floats but at the ends, and but for what older runtimes crash on or take apart wrongly."""
    import onnx
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    model = onnx.load(str(work.path))
    wide = [*DEFAULT_OP_BLOCK_LIST, *_WIDE, *(["Relu"] if opset_of(model) >= _WIDE_RELU else [])]
    made = convert_float_to_float16(model, keep_io_types=True, op_block_list=wide)
    save(made, work.folder / work.entry)
    return described(work, "")


def _dynamic(work):
    """8-bit weights, unsigned: the runtime has no signed kernel for convolutions, and sums others wrongly on x86 without VNNI."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    from edgewright_targets.onnxruntime.prepare import prepared
    from edgewright_targets.onnxruntime.unsigned import unsigned

    ready, made = work.folder / "prepared.onnx", work.folder / "quantised.onnx"
    onnx.save(prepared(work), str(ready))
    quantize_dynamic(str(ready), str(made), weight_type=QuantType.QUInt8)
    _some_quantised(made)
    save(unsigned(onnx.load(str(made))), work.folder / work.entry)
    made.unlink()
    ready.unlink()
    return described(work, "")


def _some_quantised(path):
    from edgewright.compile import onnxfile
    from edgewright.errors import ConversionError

    if not onnxfile.look(path).quantised:
        raise ConversionError(
            "nothing of the model was quantised: no convolution, MatMul, Gemm, LSTM or table has a weight of its own",
            hint="take --precision int8-weights, which knows GRU and RNN too, or fp32",
            code="nothing-quantised",
        )


def _static(work):
    from edgewright_targets.onnxruntime.calibrated import quantise

    model, method, kept, notes = quantise(work)
    return {**_saved(work, model, method), "kept_float": kept, "notes": notes}


def _weights(work):
    import onnx

    from edgewright_targets.onnxruntime.weights_only import eight_bits, four_bits

    make = four_bits if work.traits.weight_bits == 4 else eight_bits
    return _saved(work, make(onnx.load(str(work.path))), "")


def _saved(work, model, method):
    """Writes the model, with integers at its ends where they were asked for."""
    from edgewright_targets.onnxruntime.integer_io import narrow

    scales = narrow(model) if work.integer_io else {}
    save(model, work.folder / work.entry)
    found = described(work, method)
    for item in [*found["inputs"], *found["outputs"]]:
        if item["name"] in scales:
            item["scale"], item["zero_point"] = scales[item["name"]]
    return found


def refuse_large(work):
    import onnx

    from edgewright.errors import ConversionError

    model = onnx.load(str(work.path), load_external_data=False)
    size = work.path.stat().st_size + sum(
        (work.path.parent / location).stat().st_size for location in external(model)
    )
    if size > LARGE:
        raise ConversionError(
            f"model of {size / 2**30:.1f} GiB is too large to be made {work.precision}",
            hint="above 2 GiB there are fp32 and as-is; quantise it where it was trained, or make it smaller",
            code="model-too-large",
        )


_STEPS = {
    "fp32": _copy,
    "as-is": _copy,
    "fp16": _half,
    "int8-dynamic": _dynamic,
    "int8": _static,
    "int8-mixed": _static,
    "int16x8": _static,
    "int8-weights": _weights,
    "int4-weights": _weights,
}
