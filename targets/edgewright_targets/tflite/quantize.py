"""The recipes of ai-edge-quantizer for edgewright's precisions. Host side; does not import TensorFlow."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any

from edgewright_targets.tflite import graph, layers, repeated_outputs
from edgewright_targets.tflite.activation_ranges import ranges
from edgewright_targets.tflite.exclude_from_quantization import spared
from edgewright_targets.tflite.halve_weights import halved
from edgewright_targets.tflite.widen_floats import wide

if TYPE_CHECKING:
    import numpy as np
    from ai_edge_quantizer.qtyping import OpQuantizationConfig, TFLOperationName
    from ai_edge_quantizer.quantizer import Quantizer

    from edgewright.sdk import StageContext
    from edgewright_targets.tflite.exclude_from_quantization import Spared

    Array = np.ndarray[Any, Any]


# per channel, except for these: tflite-runtime 2.14 computes wrong results if their weights have per-channel scales and their
# activations are floats, and no runtime accepts that for an integer BATCH_MATMUL
_ONE_SCALE = ("FULLY_CONNECTED", "BATCH_MATMUL", "EMBEDDING_LOOKUP")


def needs_floats(data: bytes, work: StageContext) -> tuple[dict[str, dict[str, Array]] | None, list[Spared]]:
    """(ranges of a float file's activations, operators that have to stay in floats); (None, []) if the precision is not calibrated."""
    if not work.traits.calibrated:
        return None, []
    found = ranges(
        data, lambda: (list(map(wide, sample)) for sample in work.samples()), work.calibration_method
    )
    repeated = repeated_outputs.load(work.path.parent)
    there = [spec.name for spec in work.outputs if spec.name not in repeated]
    names = None if work.integer_io else there
    return found, spared(data, found, names)


def quantised(
    data: bytes, work: StageContext, calibration: dict[str, dict[str, Array]] | None, without: list[str]
) -> tuple[bytes, list[str]]:
    """(the bytes in the requested precision, the operators that were kept in floats on the user's request).

    Args:
        calibration: ranges of the activations, if the precision needs them.
        without: names of other operators to leave in floats.

    Raises:
        UsageError: `no-such-layer`.
        ConversionError: `nothing-quantised`, `conversion-failed`.
    """
    from ai_edge_quantizer import quantizer

    kept = layers.matches(data, work.keep_float, work.path.parent)
    data = graph.with_signature(data)
    if work.traits.calibrated:
        data = graph.with_ranks(data)
    tool = quantizer.Quantizer(bytearray(data))
    add_recipe(tool, work)
    if work.traits.calibrated:
        _leave_packed_constants(tool, data)
    for name in dict.fromkeys((*kept, *without)):
        _leave(tool, f"^{re.escape(name)};?$")  # an operator's scope is the names of its outputs
    made = bytes(_run(tool, calibration if tool.need_calibration else None, data))
    made = graph.inlined(halved(made) if work.traits.half else made)
    if not graph.quantised(made):
        from edgewright.sdk import Code, ConversionError

        raise ConversionError(
            f"nothing in the model can be made {work.precision}",
            hint="it has no weights of the kinds that are quantised; use fp32",
            code=Code.NOTHING_QUANTISED,
        )
    check_kept(made, [*kept, *without])
    return made, kept


def add_recipe(tool: Quantizer, work: StageContext) -> None:
    """Adds the rules of one precision; later rules win."""
    from ai_edge_quantizer import qtyping

    names = qtyping.TFLOperationName
    everything, traits = names.ALL_SUPPORTED, work.traits
    if traits.half:
        tool.update_quantization_recipe(".*", everything, _halves(qtyping), "float_casting")
    elif traits.kind == "dynamic":
        tool.add_dynamic_config(".*", everything, 8)
        for kind in _ONE_SCALE:
            tool.add_dynamic_config(".*", names[kind], 8, qtyping.QuantGranularity.TENSORWISE)
    elif traits.weights_only:
        tool.add_weight_only_config(".*", everything, traits.weight_bits)
    else:
        bits = traits.activation_bits
        tool.add_static_config(".*", everything, bits, 8)
        tool.add_static_config(".*", names.BATCH_MATMUL, bits, 8, qtyping.QuantGranularity.TENSORWISE)
        _leave(tool, ".*", (names.SPLIT,))  # XNNPACK does not load one whose outputs have different scales
        if not work.integer_io:
            _leave(tool, ".*", (names.INPUT, names.OUTPUT))


def check_kept(data: bytes, kept: list[str]) -> None:
    """Raises ConversionError if an operator that should stay in floats has integer tensors, or is gone."""
    from edgewright.sdk import Code, ConversionError

    found = graph.operators(data)
    gone = set(kept) - {tensor.name for operator in found for tensor in operator.outputs}
    if gone:
        raise ConversionError(
            f"layer is not in the quantised file: {min(gone)}",
            hint="the quantiser renamed it; name another layer, or take another precision",
            code=Code.NOT_KEPT_FLOAT,
        )
    for operator in found:
        names = {tensor.name for tensor in operator.outputs}
        integers = [
            tensor
            for tensor in (*operator.inputs, *operator.outputs)
            if tensor.type in graph.INTEGERS and tensor.scales
        ]
        if names & set(kept) and integers and operator.kind not in ("QUANTIZE", "DEQUANTIZE"):
            raise ConversionError(
                f"layer was quantised though it was to stay in floats: {sorted(names)[0]}",
                hint="name also the layers around it",
                code=Code.NOT_KEPT_FLOAT,
            )


def _run(tool: Quantizer, calibration: dict[str, dict[str, Array]] | None, data: bytes) -> bytearray:
    from edgewright.sdk import Code, ConversionError
    from edgewright.sdk.failures import telling

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # from an interpreter that it opens
            return bytearray(tool.quantize(calibration, enable_progress_report=False).quantized_model)
    except ValueError as error:
        loops = {operator.kind for operator in graph.operators(data)} & {"WHILE", "IF", "CALL_ONCE"}
        if not loops:
            raise ConversionError(
                f"ai-edge-quantizer cannot quantise the model: {telling(error)}",
                hint="take int8-dynamic, or leave the operator in floats: --precision int8-mixed --keep-float LAYER",
                code=Code.CONVERSION_FAILED,
            ) from error
        raise ConversionError(
            "model has a loop, such as an LSTM or a GRU, whose inside cannot be calibrated",
            hint="use int8-dynamic or int8-weights, or build the layer with unroll=True",
            code=Code.LOOP_NOT_CALIBRATED,
        ) from error


def _leave_packed_constants(tool: Quantizer, data: bytes) -> None:
    """Leaves PACKs with a constant part in floats: the quantiser writes scales of another rank than the constant's."""
    from ai_edge_quantizer import qtyping

    for operator in graph.operators(data):
        if operator.kind == "PACK" and any(tensor.constant for tensor in operator.inputs):
            scope = f"^{re.escape(operator.outputs[0].name)};?$"
            _leave(tool, scope, (qtyping.TFLOperationName.PACK,))


def _leave(tool: Quantizer, scope: str, kinds: tuple[TFLOperationName, ...] | None = None) -> None:
    """Excludes the operators whose scope matches from quantisation."""
    from ai_edge_quantizer import qtyping

    for kind in kinds or (qtyping.TFLOperationName.ALL_SUPPORTED,):
        tool.update_quantization_recipe(scope, kind, algorithm_key="no_quantize")


def _halves(qtyping: Any) -> OpQuantizationConfig:
    return qtyping.OpQuantizationConfig(
        weight_tensor_config=qtyping.TensorQuantizationConfig(
            num_bits=16, dtype=qtyping.TensorDataType.FLOAT
        ),
        compute_precision=qtyping.ComputePrecision.FLOAT,
        explicit_dequantize=True,
    )
