"""Static quantisation: int8, int8-mixed, int16x8. Host side, in the `onnx` worker."""

from edgewright_targets.onnxruntime import layers
from edgewright_targets.onnxruntime.prepare import named, prepared
from edgewright_targets.onnxruntime.shield import shield
from edgewright_targets.onnxruntime.spared import at_ends, spared
from edgewright_targets.onnxruntime.widen import wide

METHODS = {"minmax": "min-max", "entropy": "entropy", "percentile": "percentile 99.999"}
_CHUNK = 8  # samples whose activations are held at a time by the methods that need whole tensors
_SHOWN = 8  # names in a note


def quantise(work):
    """QDQ, per channel, signed on both sides, as every other runtime of such files wants it. x86 without VNNI saturates
    at that whatever the signs are, so sessions are opened by `opened` of the runner.

    Returns:
        (ModelProto, method, names of the layers that stayed in floats, notes).

    Raises:
        UsageError: an unknown layer.
        ConversionError: a layer did not stay in floats, or none is left to quantise.
    """
    import onnx
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    wide = work.precision == "int16x8"
    model = prepared(work)
    source = named(onnx.load(str(work.path)))
    keep = kept(source, model, work.keep_float)
    kinds = _kinds()
    wanted = {name for names in keep.values() for name in names}
    idle = spared(model) - wanted - (at_ends(model) if work.integer_io else set())
    quantiser = QDQQuantizer(
        onnx.load_from_string(model.SerializeToString()),
        True,  # per channel
        False,  # full range
        QuantType.QInt8,
        QuantType.QInt16 if wide else QuantType.QInt8,
        ranges(work, model, kinds),
        [],
        sorted(wanted | idle),
        kinds,
        # 16 bits are no ONNX before opset 21, the runtime's own operators of that name know them since 1.17
        {"UseQDQContribOps": wide},
    )
    quantiser.quantize_model()
    quantiser.model.topological_sort()
    made = quantiser.model.model
    _some_quantised(made)
    shield(made, wanted)
    layers.check_float(made, model, keep)
    notes = _notes([node.name for node in model.graph.node if node.name in idle])
    return made, METHODS[work.calibration_method], sorted(keep), notes


def _notes(names):
    if not names:
        return []
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    many = "1 node stays" if len(names) == 1 else f"{len(names)} nodes stay"
    return [f"{many} in floats, where integers would only round again: {', '.join(names[:_SHOWN])}{more}"]


def kept(source, model, wanted):
    """{layer: names of its nodes in the prepared model}. Errors as in `quantise`."""
    from edgewright.errors import ConversionError

    found = {}
    for layer, names in layers.nodes_of(source, wanted).items():
        found[layer] = layers.after(source, model, names)
        if not found[layer]:
            raise ConversionError(
                f"layer is folded away before quantisation, it cannot stay in floats: {layer}",
                hint="name the layer that it is folded into, such as the convolution before a normalisation",
                code="keep-float-ignored",
            )
    return found


def _kinds():
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    return sorted({*QLinearOpsRegistry, *QDQRegistry})


def ranges(work, model, kinds):
    """The ranges of all activations, from the calibration samples in chunks: memory does not grow with them."""
    import onnx
    from onnxruntime.quantization import CalibrationMethod
    from onnxruntime.quantization.calibrate import create_calibrator

    method = {
        "minmax": CalibrationMethod.MinMax,
        "entropy": CalibrationMethod.Entropy,
        "percentile": CalibrationMethod.Percentile,
    }[work.calibration_method]
    place, augmented = work.folder / "calibrated.onnx", work.folder / "augmented.onnx"
    onnx.save(model, str(place))
    calibrator = create_calibrator(place, kinds, augmented_model_path=str(augmented), calibrate_method=method)
    for chunk in _chunks(work):
        calibrator.collect_data(chunk)
    found = calibrator.compute_data()
    del calibrator
    for path in (place, augmented):
        path.unlink(missing_ok=True)
    return found


def _chunks(work):
    from itertools import chain, islice

    from onnxruntime.quantization.calibrate import CalibrationDataReader

    names = [spec.name for spec in work.inputs]

    class Chunk(CalibrationDataReader):
        def __init__(self, samples):
            self.samples = samples

        def get_next(self):
            sample = next(self.samples, None)
            return None if sample is None else dict(zip(names, map(wide, sample), strict=True))

    stream = work.samples()
    for first in stream:
        yield Chunk(chain([first], islice(stream, _CHUNK - 1)))


def _some_quantised(model):
    from edgewright.errors import ConversionError

    if not any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        raise ConversionError(
            "nothing of the model was quantised: it has no layer that can be, or all are kept in floats",
            hint="keep fewer layers in floats, or take --precision fp32",
            code="nothing-quantised",
        )
