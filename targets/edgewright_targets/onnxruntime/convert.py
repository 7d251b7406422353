"""Makes .onnx files. Host side; each function runs in the worker of the framework that its route names."""

import shutil


def from_tensorflow(work):
    """TensorFlow's function -> fp32 ONNX at the opset that was asked for."""
    import tf2onnx
    from tensorflow import TensorSpec

    from edgewright_targets.onnxruntime.tidy import tidy

    signature = [TensorSpec(spec.shape, spec.dtype, name=spec.name) for spec in work.inputs]
    model, _ = tf2onnx.convert.from_function(
        work.source.module.serve, input_signature=signature, opset=work.opset
    )
    tidy(model)
    _rename(model, [spec.name for spec in work.inputs], [spec.name for spec in work.outputs])
    _save(model, work.folder / work.entry)


def from_onnx(work):
    """The source with its static shapes, before any quantisation."""
    import onnx

    _save(work.source.model, work.folder / work.entry)
    onnx.checker.check_model(str(work.folder / work.entry))


def as_is(work):
    """The .onnx source itself, unless its shapes had to be made static."""
    import onnx

    if work.source.model == onnx.load(str(work.path)):
        shutil.copyfile(work.path, work.folder / work.entry)
    else:
        from_onnx(work)
    return _described(work, "")


def finish(work):
    """fp32 ONNX -> the precision that was asked for."""
    method = {"fp32": _copy, "fp16": _half, "int8-dynamic": _dynamic, "int8": _static}[work.precision](work)
    return _described(work, method)


def _copy(work):
    shutil.copyfile(work.path, work.folder / work.entry)
    return ""


def _half(work):
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = convert_float_to_float16(onnx.load(str(work.path)), keep_io_types=True)
    _save(model, work.folder / work.entry)
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
    _save(model, work.folder / work.entry)
    made.unlink()
    (work.folder / "prepared.onnx").unlink()


def _save(model, path):
    """Saves deterministically, at the least IR version that the opset needs: old runtimes want it."""
    from onnx import helper

    least = helper.find_min_ir_version_for(list(model.opset_import), ignore_unknown=True)
    model.ir_version = max(least, 7)
    del model.metadata_props[:]
    model.doc_string = ""
    for node in model.graph.node:
        node.doc_string = ""
    path.write_bytes(model.SerializeToString(deterministic=True))


def _rename(model, inputs, outputs):
    """Gives the graph's inputs and outputs the source's names."""
    graph = model.graph
    names = dict(zip([item.name for item in graph.input], inputs, strict=True))
    wanted = dict(zip([item.name for item in graph.output], outputs, strict=True))
    taken = {name for node in graph.node for name in node.output} - set(wanted)
    names.update(
        {old: new if new not in taken and new not in inputs else "out_" + new for old, new in wanted.items()}
    )
    for item in [*graph.input, *graph.output]:
        item.name = names.get(item.name, item.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    del graph.value_info[:]


def _described(work, method):
    """Names and dtypes, and the opset and IR version that were really written."""
    import onnx
    from onnx import helper

    model = onnx.load(str(work.folder / work.entry), load_external_data=False)
    opset = max(item.version for item in model.opset_import if item.domain in ("", "ai.onnx"))
    weights = {item.name for item in model.graph.initializer}

    def spec(item):
        dtype = helper.tensor_dtype_to_np_dtype(item.type.tensor_type.elem_type).name
        return {"name": item.name, "dtype": dtype}

    return {
        "inputs": [spec(item) for item in model.graph.input if item.name not in weights],
        "outputs": [spec(item) for item in model.graph.output],
        "requires": {"opset": opset, "ir": model.ir_version},
        "method": method,
    }
