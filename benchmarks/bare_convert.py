"""Converts a model as a user's own script would: `python bare_convert.py EDGE MODEL CALIBRATION.npz OUTPUT`.

EDGE is `keras-tflite`, `keras-tflite-int8`, `onnx-onnxruntime-int8`, `onnx-openvino` or `onnx-openvino-int8`. It only runs the
converter: nothing is run or compared afterwards.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np


def samples(file: str) -> Iterator[Any]:
    """The calibration inputs, one at a time."""
    yield from (one.astype("float32") for one in np.load(file)["input_0"])


def keras_tflite(model: str, calibration: str, output: str, *, int8: bool = False) -> None:
    """TensorFlow's converter."""
    import keras
    import tensorflow as tf

    loaded = keras.models.load_model(model, compile=False)
    shape = (1, *loaded.inputs[0].shape[1:])
    concrete = tf.function(lambda x: loaded(x, training=False)).get_concrete_function(tf.TensorSpec(shape))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    if int8:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([one] for one in samples(calibration))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    Path(output).write_bytes(converter.convert())


def onnx_onnxruntime(model: str, calibration: str, output: str) -> None:
    """ONNX Runtime's quantiser."""
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.calibrate import CalibrationDataReader
    from onnxruntime.quantization.shape_inference import quant_pre_process

    name = onnx.load(model, load_external_data=False).graph.input[0].name

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.rest = samples(calibration)

        def get_next(self) -> Any:
            found = next(self.rest, None)
            return None if found is None else {name: found}

    quant_pre_process(model, output + ".prepared", skip_symbolic_shape=True)
    quantize_static(
        output + ".prepared", output, Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip


def onnx_openvino(model: str, calibration: str, output: str, *, int8: bool = False) -> None:
    """OpenVINO's converter, NNCF's quantiser."""
    import openvino as ov

    made = ov.convert_model(model)
    if int8:
        import nncf

        made = nncf.quantize(made, nncf.Dataset(list(samples(calibration)), lambda one: one))
    ov.save_model(made, output + ".xml", compress_to_fp16=False)


def main() -> None:
    """Converts one model."""
    edge, model, calibration, output = sys.argv[1:5]
    int8 = edge.endswith("-int8")
    if edge.startswith("keras-tflite"):
        keras_tflite(model, calibration, output, int8=int8)
    elif edge.startswith("onnx-openvino"):
        onnx_openvino(model, calibration, output, int8=int8)
    else:
        onnx_onnxruntime(model, calibration, output)


if __name__ == "__main__":
    main()
