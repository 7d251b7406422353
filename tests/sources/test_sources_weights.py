"""A source that answers NaN: which of its weights is not a number, in every format."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from flat_requests import compile_request

from edgewright.compile.pipeline import compile_model
from edgewright.compile.workers.pool import Workers
from edgewright.errors import ConversionError

MAKE = """
import numpy as np, openvino as ov, pathlib, sys, tensorflow as tf
place = pathlib.Path(sys.argv[1])
weight = np.load(place / "weight.npy")
with tf.Graph().as_default() as graph:
    x = tf.compat.v1.placeholder(tf.float32, (None, 8), name="x")
    tf.matmul(x, tf.constant(weight, name="kernel"), name="y")
(place / "net.pb").write_bytes(graph.as_graph_def().SerializeToString())
call = tf.function(lambda x: tf.matmul(x, tf.constant(weight, name="kernel")), input_signature=[tf.TensorSpec((1, 8), name="x")])
(place / "net.tflite").write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([call.get_concrete_function()]).convert())
ov.save_model(ov.convert_model(place / "net.onnx"), place / "net.xml", compress_to_fp16=False)
"""


def write(folder: Path) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weight = np.ones((8, 4), np.float32)
    weight[0, 0] = np.nan
    np.save(folder / "weight.npy", weight)
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, size))
        for name, size in (("x", 8), ("y", 4))
    ]
    dense = helper.make_node("MatMul", ["x", "kernel"], ["y"])
    graph = helper.make_graph([dense], "net", ends[:1], ends[1:], [numpy_helper.from_array(weight, "kernel")])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        folder / "net.onnx",
    )


def refused(source: Path, target: str, workers: Workers) -> str:
    with pytest.raises(ConversionError, match="is not finite in the source: NaN") as caught:
        compile_model(compile_request(source=source, target=target), workers=workers)
    return caught.value.hint


def test_weights_of_onnx(workers: Workers, tmp_path: Path) -> None:
    write(tmp_path)
    assert refused(tmp_path / "net.onnx", "onnxruntime", workers).startswith(
        "weights are not a number: kernel;"
    )


@pytest.mark.slow
def test_weights_of_other_formats(workers: Workers, tmp_path: Path) -> None:
    write(tmp_path)
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MAKE, tmp_path], check=True, capture_output=True, timeout=200
    )
    for file, target, name in (
        ("net.pb", "onnxruntime", "kernel"),
        ("net.tflite", "tflite", "MatMul"),
        ("net.xml", "openvino", "y"),
    ):
        assert refused(tmp_path / file, target, workers).startswith(f"weights are not a number: {name};")
