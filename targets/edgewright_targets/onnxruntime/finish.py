"""fp32 ONNX -> the precision that was asked for."""

import shutil

from edgewright_targets.onnxruntime.files import described, save


def convert(work):
    """Makes the artifact's file."""
    method = {"fp32": _copy, "fp16": _half, "int8-dynamic": _dynamic, "int8": _static}[work.precision](work)
    return described(work, method)


def _copy(work):
    shutil.copyfile(work.path, work.folder / work.entry)
    return ""


def _half(work):
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = convert_float_to_float16(onnx.load(str(work.path)), keep_io_types=True)
    save(model, work.folder / work.entry)
    return ""


def _dynamic(work):
    """8-bit weights; unsigned where there are convolutions, for which the runtime has no signed kernel."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    path = _prepared(work)
    convolutions = any(node.op_type == "Conv" for node in onnx.load(str(path)).graph.node)
    made = work.folder / "quantised.onnx"
    quantize_dynamic(str(path), str(made), weight_type=QuantType.QUInt8 if convolutions else QuantType.QInt8)
    _settle(made, work)
    return ""


def _static(work):
    """QDQ, per channel, signed on both sides: unsigned activations saturate on x86 without VNNI."""
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.calibrate import CalibrationDataReader

    names = [spec.name for spec in work.inputs]

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.rewind()

        def get_next(self):
            sample = next(self.stream, None)
            return None if sample is None else dict(zip(names, sample, strict=True))

        def rewind(self):
            self.stream = work.samples()

    made = work.folder / "quantised.onnx"
    quantize_static(
        str(_prepared(work)),
        str(made),
        Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
    )
    _settle(made, work)
    return "min-max"


def _prepared(work):
    """Shapes inferred and batch normalisations folded, which quantisation wants."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    path = work.folder / "prepared.onnx"
    quant_pre_process(str(work.path), str(path), skip_symbolic_shape=True)
    return path


def _settle(made, work):
    """Keeps only the opset domains that are used: older runtimes refuse the others."""
    import onnx

    model = onnx.load(str(made))
    used = {node.domain for node in model.graph.node} | {""}
    domains = [item for item in model.opset_import if item.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(domains)
    save(model, work.folder / work.entry)
    made.unlink()
    (work.folder / "prepared.onnx").unlink()
