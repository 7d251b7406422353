"""Converts TensorFlow's ConcreteFunction to .tflite with TensorFlow's own converter.

The converter quantises to fp16, int8-dynamic, int8 and int16x8 itself; for other precisions the next stage gets floats.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from edgewright_targets.tflite import exclude_from_quantization, layers
from edgewright_targets.tflite.copy_keras_model import kinds, renamed, unrolled
from edgewright_targets.tflite.finish import FLOATS, QUANTISED
from edgewright_targets.tflite.widen_floats import wide, widened

if TYPE_CHECKING:
    from types import ModuleType

    from tensorflow.lite.python.lite import TFLiteConverterV2

    from edgewright.sdk import StageContext, StageResult


_NONDETERMINISTIC = {
    "Split",
    "SplitV",
}  # a model with one of these gives varying files when TensorFlow calibrates it
_JOINS = {"ConcatV2", "Pack"}
_NAMED = re.compile(r'fused\["(\w+):", "([^"@]+)@')  # operator, and the scope that it comes from
_LACKING = re.compile(r"(?:TF Select|Flex|Custom) ops: (.+)")


def convert(work: StageContext) -> StageResult:
    """TensorFlow's ConcreteFunction -> .tflite.

    Raises:
        ConversionError: operators that LiteRT lacks, a loop that cannot be calibrated.
    """
    from edgewright.sdk import Code, ConversionError

    calibrated = work.traits.calibrated
    source = unrolled(work.source) if calibrated else work.source
    own = work.traits.half or work.traits.kind in ("dynamic", "calibrated")
    own = own and work.calibration_method == "minmax" and not work.keep_float
    if calibrated and kinds(source.concrete) & _NONDETERMINISTIC:
        own = False
    if own and calibrated and exclude_from_quantization.masked(source):
        own = False  # TensorFlow's own quantiser leaves no operator in floats
    if work.keep_float:
        source, names, outputs = renamed(source)
        layers.save(work.folder, names, outputs)
    source, notes = widened(source, work.path)
    if own:
        try:
            data = _converted(source, work)
            (work.folder / QUANTISED).touch()
            if calibrated and not work.integer_io and kinds(source.concrete) & _JOINS:
                (work.folder / FLOATS).write_bytes(_converted(source, None))
        except ConversionError as error:
            if not _has_16_bit_activations(work) or error.code == Code.CUSTOM_OPERATORS:
                raise
            # some operators have no 16-bit form here; the next stage leaves them in floats
            data = _converted(source, None)
    else:
        data = _converted(source, None)
    (work.folder / work.entry).write_bytes(data)
    return {"notes": notes}


def _has_16_bit_activations(work: StageContext) -> bool:
    """Whether activations are 16-bit integers."""
    return work.traits.calibrated and work.traits.activation_bits == 16


def _configure(converter: TFLiteConverterV2, work: StageContext, tf: ModuleType) -> None:
    """Configures the converter's quantisation."""
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    # otherwise dense layers get an operator version that tflite-runtime 2.14 refuses
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    if work.traits.half:
        converter.target_spec.supported_types = [tf.float16]
    if work.traits.kind == "calibrated":
        sixteen = _has_16_bit_activations(work)
        sets = tf.lite.OpsSet
        kernels = (
            sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
            if sixteen
            else sets.TFLITE_BUILTINS_INT8
        )
        converter.representative_dataset = lambda: (list(map(wide, sample)) for sample in work.samples())
        converter.target_spec.supported_ops = [kernels]
        if work.integer_io:
            converter.inference_input_type = converter.inference_output_type = (
                tf.int16 if sixteen else tf.int8
            )


def _converted(source: Any, work: StageContext | None) -> bytes:
    """The converted bytes; in floats if `work` is None."""
    import tensorflow as tf

    from edgewright.sdk import Code, ConversionError
    from edgewright.sdk.failures import telling

    # one argument: with a second one (a Keras 3 model), the file silently lacks its weights
    converter = tf.lite.TFLiteConverter.from_concrete_functions([source.concrete])
    if work is not None:
        _configure(converter, work, tf)
    try:
        return bytes(converter.convert())
    except Exception as error:
        said = str(error)
        lacking = sorted({name.strip() for names in _LACKING.findall(said) for name in names.split(",")})
        layers_of = {kind: name for kind, name in reversed(_NAMED.findall(said))}
        lacking = [f"{kind} ({layers_of[kind]})" if kind in layers_of else kind for kind in lacking]
        if lacking:
            raise ConversionError(
                f"model needs operators that LiteRT does not have: {', '.join(lacking)}",
                hint="replace those layers",
                code=Code.CUSTOM_OPERATORS,
            ) from error
        raise ConversionError(
            f"TensorFlow's converter refused the model: {telling(error)}",
            hint="try another precision",
            code=Code.CONVERSION_FAILED,
        ) from error
