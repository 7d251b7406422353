"""Static quantisation with NNCF: int8, int8-mixed. Host side, in the `openvino` worker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from edgewright_targets._onnx.widen_floats import wide
from edgewright_targets.openvino import layers
from edgewright_targets.openvino.choose_float_nodes import floats, shield
from edgewright_targets.openvino.keep_reduced_axes import keep_reduced_axes

if TYPE_CHECKING:
    import numpy as np
    from nncf import AdvancedQuantizationParameters
    from nncf.quantization.range_estimator import RangeEstimatorParameters

    Array = np.ndarray[Any, Any]
    from openvino import Model

    from edgewright.sdk import StageContext


METHODS = {"minmax": "min-max", "percentile": "percentile 99.99"}
_WORSE_IN_8_BITS = ("GRUSequence", "GRUCell")  # they lose 30 dB in 8 bits, so they stay in floats
_OUTLIERS = 1e-4  # share of a sample's values that `percentile` leaves out at each end


def quantise(model: Model, work: StageContext) -> tuple[Model, str, tuple[str, ...], list[str]]:
    """Quantises to 8-bit weights, per channel, and 8-bit activations.

    Returns:
        (model, method, names of the layers that stayed in floats and types that always do, notes).

    Raises:
        UsageError: an unknown layer.
        ConversionError: a layer did not stay in floats, or none is left to quantise.
    """
    import nncf

    from edgewright.sdk.graphs import FILLS

    keep_reduced_axes(model)
    onnx_file = work.path / "model.onnx"
    named_there = bool(work.keep_float) and onnx_file.is_file()
    made = layers.made_by(onnx_file, work.keep_float) if named_there else {}
    keep = layers.operations_of(model, work.keep_float, made)
    worse = {
        one.get_friendly_name(): one.get_type_name()
        for one in model.get_ops()
        if one.get_type_name() in _WORSE_IN_8_BITS
    }
    names = [spec.name for spec in work.inputs]
    by_default, notes = floats(model, work)
    wanted = {
        *worse,
        *set().union(*by_default.values()),
        *(name for found in keep.values() for name in found),
    }
    ignored = sorted(wanted | layers.averages_before(model, wanted))
    quantised = nncf.quantize(
        model,
        nncf.Dataset(list(range(work.count)), _Feed(work, names)),
        subset_size=work.count,
        preset=nncf.QuantizationPreset.MIXED,  # `PERFORMANCE` ruins recurrent layers
        model_type=nncf.ModelType.TRANSFORMER if _has_attention(model) else None,
        ignored_scope=nncf.IgnoredScope(names=ignored) if ignored else None,
        advanced_parameters=_parameters(work.calibration_method, spare=not layers.first_of(model, ignored)),
    )
    shield(quantised, by_default.get(FILLS, set()))
    _some_quantised(quantised)
    layers.check_float(quantised, keep)
    return quantised, METHODS[work.calibration_method], tuple(sorted({*keep, *worse.values()})), notes


def _parameters(method: str, spare: bool) -> AdvancedQuantizationParameters:
    """Settings that differ from NNCF's defaults, by measurements in dB of SQNR on small networks of each kind.

    Its default range of an activation, the mean of the samples' extremes, costs 12 to 40 dB compared with the overall
    extremes; bias correction costs up to 8 dB and never gains more than 1; SmoothQuant costs about 20 dB with attention.

    Args:
        spare: use only half of the range for weights of the first convolutions (NNCF's default), for CPUs whose
            8-bit sums overflow. If the first one stayed in floats, the next one would lose that bit instead: 7 dB.
    """
    import nncf
    from nncf.quantization.advanced_parameters import AdvancedSmoothQuantParameters, OverflowFix

    return nncf.AdvancedQuantizationParameters(
        overflow_fix=OverflowFix.FIRST_LAYER if spare else OverflowFix.DISABLE,
        disable_bias_correction=True,
        smooth_quant_alphas=AdvancedSmoothQuantParameters(convolution=-1, matmul=-1),
        activations_range_estimator_params=_ranges(method),
    )


def _ranges(method: str) -> RangeEstimatorParameters:
    """How to estimate the range of an activation."""
    from nncf.quantization.range_estimator import (
        AggregatorType,
        RangeEstimatorParameters,
        RangeEstimatorParametersSet,
        StatisticsCollectorParameters,
        StatisticsType,
    )

    if method == "minmax":
        return RangeEstimatorParametersSet.MINMAX
    low, high = (
        StatisticsCollectorParameters(
            statistics_type=StatisticsType.QUANTILE, aggregator_type=furthest, quantile_outlier_prob=_OUTLIERS
        )
        for furthest in (AggregatorType.MIN, AggregatorType.MAX)
    )
    return RangeEstimatorParameters(min=low, max=high)


class _Feed:
    """Turns indexes into samples, so that only one is in memory at a time; the indexes come in order, run after run."""

    def __init__(self, work: StageContext, names: list[str]) -> None:
        self._work, self._names, self._next = work, names, 0
        self._stream: Iterator[list[Array]] = iter(())

    def __call__(self, index: int) -> dict[str, Array]:
        if index != self._next or index == 0:
            self._stream, self._next = self._work.samples(), 0
        while self._next <= index:
            sample = next(self._stream)
            self._next += 1
        return dict(zip(self._names, map(wide, sample), strict=True))


def _has_attention(model: Model) -> bool:
    """Whether there is attention, fused or spelled out, for which NNCF has better rules: they gain 2 to 20 dB."""
    for one in model.get_ops():
        if one.get_type_name() == "ScaledDotProductAttention":
            return True
        readers = [reader.get_node() for port in one.outputs() for reader in port.get_target_inputs()]
        if one.get_type_name() == "Softmax" and any(node.get_type_name() == "MatMul" for node in readers):
            return True
    return False


def _some_quantised(model: Model) -> None:
    from edgewright.sdk import Code, ConversionError

    if not any(one.get_type_name() == "FakeQuantize" for one in model.get_ops()):
        raise ConversionError(
            "nothing of the model was quantised: it has no layer that can be, or all are kept in floats",
            hint="keep fewer layers in floats, or take --precision fp32",
            code=Code.NOTHING_QUANTISED,
        )
