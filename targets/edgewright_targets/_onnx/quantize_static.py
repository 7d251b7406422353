"""Static quantisation: int8, int8-mixed, int16x8. Host side, in the `onnx` worker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from edgewright_targets._onnx import layers
from edgewright_targets._onnx.choose_float_nodes import floats, notes
from edgewright_targets._onnx.flatten_gemm_biases import flat_biases
from edgewright_targets._onnx.keep_float_at_runtime import shield
from edgewright_targets._onnx.prepare_for_quantization import named, prepared, reads
from edgewright_targets._onnx.share_grouped_scales import with_biases, without_biases
from edgewright_targets._onnx.widen_floats import float64_inputs, wide

if TYPE_CHECKING:
    import numpy as np
    from onnx import ModelProto
    from onnxruntime.quantization.calibrate import CalibrationDataReader, TensorsData

    from edgewright.sdk import StageContext

    Array = np.ndarray[Any, Any]


METHODS = {"minmax": "min-max", "entropy": "entropy", "percentile": "percentile 99.999"}
_LOOKED_AT = 32  # samples that are run to find the width of each tensor
_CHUNK = 8  # samples held in memory at a time for the methods that need whole tensors


def quantise(work: StageContext) -> tuple[ModelProto, str, list[str], list[str]]:
    """QDQ, per channel, signed on both sides, as all other runtimes of such files require. x86 without VNNI saturates
    whatever the signs are, so sessions are opened with the runner's `opened`.

    Returns:
        (ModelProto, method, names of the layers that stayed in floats, notes).

    Raises:
        UsageError: an unknown layer.
        ConversionError: a layer did not stay in floats, or none is left to quantise.
    """
    import onnx
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    wide = work.traits.activation_bits == 16
    model = prepared(work)
    flat_biases(model)
    source = named(onnx.load(str(work.path)))
    keep = kept(source, model, work.keep_float)
    kinds = _kinds()
    wanted = {name for names in keep.values() for name in names}
    idle, found = measured(work, model, kinds, wanted)
    clip(model, found)
    kept_too = {name for names in idle.values() for name in names}
    made = onnx.load_from_string(model.SerializeToString())
    biases = without_biases(made)
    quantiser = QDQQuantizer(
        made,
        True,  # per channel
        False,  # full range
        QuantType.QInt8,
        QuantType.QInt16 if wide else QuantType.QInt8,
        found,
        [],
        sorted(wanted | kept_too),
        kinds,
        # ONNX has 16 bits only from opset 21 on; the runtime's own operators of that name support them since 1.17
        {"UseQDQContribOps": wide},
    )
    quantiser.quantize_model()
    quantiser.model.topological_sort()
    made = quantiser.model.model
    with_biases(made, biases, model)
    _some_quantised(made)
    shield(made, wanted | kept_too)
    layers.check_float(made, model, keep)
    return made, METHODS[work.calibration_method], sorted(keep), notes(model, idle, kinds)


def kept(source: ModelProto, model: ModelProto, wanted: tuple[str, ...]) -> dict[str, list[str]]:
    """{layer: names of its nodes in the prepared model}. Errors as in `quantise`."""
    from edgewright.sdk import Code, ConversionError

    found = {}
    for layer, names in layers.nodes_of(source, wanted).items():
        found[layer] = layers.after(source, model, names)
        if not found[layer]:
            raise ConversionError(
                f"layer is folded away before quantisation, it cannot stay in floats: {layer}",
                hint="name the layer that it is folded into, such as the convolution before a normalisation",
                code=Code.KEEP_FLOAT_IGNORED,
            )
    return found


def _kinds() -> list[str]:
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    return sorted({*QLinearOpsRegistry, *QDQRegistry})


def measured(
    work: StageContext, model: ModelProto, kinds: list[str] | None, wanted: set[str]
) -> tuple[dict[str, set[str]], TensorsData]:
    """The nodes that stay in floats by default, from `floats`, and the ranges of the activations.

    Args:
        kinds: operators whose tensors get ranges; None for all.
        wanted: nodes that the user keeps in floats.
    """
    plain = work.calibration_method == "minmax"
    found = ranges(work, model, kinds, "minmax", work.samples() if plain else work.samples(_LOOKED_AT))
    idle = floats(model, spans(found), work.integer_io)
    idle = {why: names - wanted for why, names in idle.items()}
    if not plain:
        inside = inner(model, wanted.union(*idle.values()))
        found = ranges(work, model, kinds, work.calibration_method, work.samples(), inside)
    return idle, found


def ranges(
    work: StageContext,
    model: ModelProto,
    kinds: list[str] | None,
    method: str,
    samples: Iterator[Any],
    without: frozenset[Any] | set[str] = frozenset(),
) -> TensorsData:
    """The ranges of the activations, from samples in chunks, so that memory does not grow with their number.

    Args:
        without: tensors that need no range; those of masks are too wide to be counted in bins.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod
    from onnxruntime.quantization.calibrate import create_calibrator

    method = {
        "minmax": CalibrationMethod.MinMax,
        "entropy": CalibrationMethod.Entropy,
        "percentile": CalibrationMethod.Percentile,
    }[method]
    place, augmented = work.folder / "calibrated.onnx", work.folder / "augmented.onnx"
    onnx.save(model, str(place))
    calibrator = create_calibrator(place, kinds, augmented_model_path=str(augmented), calibrate_method=method)
    if without:
        calibrator.tensors_to_calibrate -= without
    for chunk in _chunks(work, samples, float64_inputs(model)):
        calibrator.collect_data(chunk)
    found = calibrator.compute_data()
    del calibrator
    for path in (place, augmented):
        path.unlink(missing_ok=True)
    return found


def spans(found: TensorsData) -> dict[str, tuple[float, float]]:
    """{tensor: (least, greatest value)} from the result of `ranges`."""
    pairs = [(name, one.range_value) for name, one in found.items()]
    return {name: (float(low.min()), float(high.max())) for name, (low, high) in pairs}


def clip(model: ModelProto, found: TensorsData) -> None:
    """Takes from the ranges what a bound behind them cuts off, through what only moves values: integers are cut off there too."""
    from onnxruntime.quantization.calibrate import TensorData

    from edgewright.sdk.graphs import narrowed

    fixed = {item.name for item in model.graph.initializer}
    steps = [
        (
            node.op_type,
            [name for name in reads(node) if name and name not in fixed],
            [name for name in node.output if name],
        )
        for node in model.graph.node
        if node.op_type != "Constant"
    ]
    for name, (low, high) in narrowed(
        steps, spans(found), {item.name for item in model.graph.output}
    ).items():
        kind = found[name].range_value[0].dtype
        found[name] = TensorData(lowest=kind.type(low), highest=kind.type(high))


def inner(model: ModelProto, names: set[str]) -> set[str]:
    """Tensors that only the named nodes write and read."""
    made = {name for node in model.graph.node if node.name in names for name in node.output}
    return made - {name for node in model.graph.node if node.name not in names for name in reads(node)}


def _chunks(work: StageContext, stream: Iterator[Any], double: set[str]) -> Iterator[CalibrationDataReader]:
    from itertools import chain, islice

    from onnxruntime.quantization.calibrate import CalibrationDataReader

    names = [spec.name for spec in work.inputs]

    class Chunk(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self, samples: Iterator[Any]) -> None:
            self.samples = samples

        def get_next(self) -> dict[str, Array] | None:
            sample = next(self.samples, None)
            return (
                None
                if sample is None
                else {
                    name: one if name in double else wide(one)
                    for name, one in zip(names, sample, strict=True)
                }
            )

    for first in stream:
        yield Chunk(chain([first], islice(stream, _CHUNK - 1)))


def _some_quantised(model: ModelProto) -> None:
    from edgewright.sdk import Code, ConversionError

    if not any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        raise ConversionError(
            "nothing of the model was quantised: it has no layer that can be, or all are kept in floats",
            hint="keep fewer layers in floats, or take --precision fp32",
            code=Code.NOTHING_QUANTISED,
        )
