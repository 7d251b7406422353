"""Several inputs and outputs of one shape: each value is at its own name, in the manifest and in the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import natively
import numpy as np
import pytest
from flat_requests import compile_request

from edgewright.compile.pipeline import compile_model
from edgewright.compile.workers.pool import Workers
from edgewright.nouns.artifact import Artifact

Named = dict[str, np.ndarray[Any, Any]]
Made = Callable[..., Artifact]
INPUTS = ("zeta:0", "größe", "a/b")
SAMPLE = {
    name: np.array([[0.1, 0.2, 0.3, 0.4]], np.float32) * factor
    for name, factor in zip(INPUTS, (1, -2, 4), strict=True)
}


def right(feed: Named) -> Named:
    """What `odd.onnx` computes."""
    zeta, size, other = (feed[name] for name in INPUTS)
    return {"zeta": zeta + size, "a_b": other - zeta, "out:ö,1": size * 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """odd.onnx: names against the alphabet, and of letters that some framework does not take."""
    import onnx
    from onnx import helper, numpy_helper

    place = tmp_path_factory.mktemp("names")
    node, value = helper.make_node, helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            node("Add", ["zeta:0", "größe"], ["zeta"]), node("Sub", ["a/b", "zeta:0"], ["a_b"]),
            node("Mul", ["größe", "two"], ["out:ö,1"]),
        ],
        "odd", [value(name, 1, [1, 4]) for name in INPUTS], [value(name, 1, [1, 4]) for name in right(SAMPLE)],
        [numpy_helper.from_array(np.array(2, np.float32), "two")],
    )  # fmt: skip
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8),
        place / "odd.onnx",
    )
    return place


@pytest.fixture(scope="module")
def made(folder: Path, workers: Workers, module_home: Path) -> Made:
    """`made(source, target, precision="fp32")`: the artifact."""

    def convert(source: str | Path, target: str, precision: str = "fp32") -> Artifact:
        synthetic = "synthetic" if precision == "int8" else None
        request = compile_request(
            source=folder / source, target=target, precision=precision, calibration=synthetic
        )
        return compile_model(request, workers=workers)

    return convert


@pytest.mark.parametrize(
    ("target", "precision"),
    [
        ("onnxruntime", "fp32"),
        ("onnxruntime", "int8"),
        ("tensorrt", "fp32"),
        ("openvino", "fp32"),
        ("openvino", "int8"),
    ],
)
def test_odd_names_stay_at_their_values(made: Made, target: str, precision: str) -> None:
    artifact = made("odd.onnx", target, precision)
    manifest = artifact.manifest
    assert [spec.name for spec in manifest.inputs] == list(INPUTS)
    assert [spec.name for spec in manifest.outputs] == list(right(SAMPLE))
    assert b'"tensor"' not in manifest.canonical()  # the file has the same names
    assert b'"labels"' not in manifest.canonical()
    assert b'"labels":["a"]' in msgspec.structs.replace(manifest, labels=("a",)).canonical()
    found, wanted = natively.answers(artifact, SAMPLE), right(SAMPLE)
    assert set(found) == set(wanted)
    for name in wanted:
        assert np.allclose(found[name], wanted[name], atol=1e-5 if precision == "fp32" else 0.08), name


KERAS = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
layers = keras.layers
zeta, size = keras.Input((4,), name="zeta"), keras.Input((4,), name="größe")
total = layers.Add(name="scores")([zeta, size])
twice = layers.Rescaling(2.0, name="zz")(size)
keras.Model([zeta, size], {"zeta": total, "Identity": twice, "a/b:0": layers.Subtract()([zeta, size])}).save(sys.argv[1] + "/odd.keras")
q, b = keras.Input((4,), name="q"), keras.Input((4,), name="b")
keras.Model({"q": q, "b": b}, [layers.Rescaling(2.0, name="output_1")(q), layers.Rescaling(3.0, name="output_0")(b)]).save(sys.argv[1] + "/crossed.keras")
import tensorflow as tf
class Module(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec((None, 4), name="zz"), tf.TensorSpec((None, 4), name="aa")])
    def run(self, zz, aa):
        return {"Identity_1": zz + aa, "Identity": zz * 2.0, "zz": aa - 1.0}
module = Module()
tf.saved_model.save(module, sys.argv[1] + "/saved", signatures={"serving_default": module.run})
converter = tf.lite.TFLiteConverter.from_saved_model(sys.argv[1] + "/saved")
open(sys.argv[1] + "/signed.tflite", "wb").write(converter.convert())
"""
TORCH = """
from collections import namedtuple
from dataclasses import dataclass
import torch
Pair = namedtuple("Pair", "zeta boxes")
@dataclass
class Record:
    zeta: torch.Tensor
    boxes: torch.Tensor
class Net(torch.nn.Module):
    def __init__(self, give):
        super().__init__()
        self.give = give
    def forward(self, zeta, größe):
        return self.give(zeta + größe, größe * 2)
EXAMPLE = torch.ones(1, 4), torch.zeros(1, 4)
def keyed(): return Net(lambda one, two: {"mul": one, "add": two, "zeta": one - two, "a/b": two - 1}), EXAMPLE
def pair(): return Net(Pair), EXAMPLE
def record(): return Net(Record), EXAMPLE
def plain(): return Net(lambda one, two: (one, two)), EXAMPLE
"""


@pytest.fixture(scope="module")
def frameworks(folder: Path) -> None:
    """odd.keras, crossed.keras, saved, signed.tflite and net.py, beside odd.onnx."""
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KERAS, str(folder)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (folder / "net.py").write_text(TORCH, "utf-8")


def _keras(feed: Named) -> Named:
    zeta, size = feed["zeta"], feed["größe"]
    return {"Identity": size * 2, "a/b:0": zeta - size, "zeta": zeta + size}


def _keyed(feed: Named) -> Named:
    one, two = feed["zeta"] + feed["größe"], feed["größe"] * 2
    return {"mul": one, "add": two, "zeta": one - two, "a/b": two - 1}


SOURCES: dict[str, tuple[tuple[str, ...], Callable[[Named], Named]]] = {
    "odd.keras": (("zeta", "größe"), _keras),
    "crossed.keras": (("b", "q"), lambda feed: {"output_1": feed["q"] * 2, "output_0": feed["b"] * 3}),
    "saved": (
        ("aa", "zz"),
        lambda feed: {
            "Identity": feed["zz"] * 2,
            "Identity_1": feed["zz"] + feed["aa"],
            "zz": feed["aa"] - 1,
        },
    ),
    "net.py:keyed": (("zeta", "größe"), _keyed),
    "net.py:pair": (
        ("zeta", "größe"),
        lambda feed: {"zeta": feed["zeta"] + feed["größe"], "boxes": feed["größe"] * 2},
    ),
}


@pytest.mark.slow
@pytest.mark.usefixtures("frameworks")
@pytest.mark.parametrize("target", ["onnxruntime", "tflite", "openvino"])
@pytest.mark.parametrize("source", list(SOURCES))
def test_names_of_frameworks_stay_at_their_values(made: Made, source: str, target: str) -> None:
    """Outputs called as an input, as the file's other tensors, as an output elsewhere; keys of dicts and fields of records."""
    inputs, wanted = SOURCES[source]
    artifact = made(source, target)
    manifest = artifact.manifest
    feed = {name: np.array([[1, 2, 3, 4]], np.float32) * 10**at for at, name in enumerate(inputs)}
    values = wanted(feed)
    assert tuple(spec.name for spec in manifest.inputs) == inputs
    assert [spec.name for spec in manifest.outputs] == list(values)
    found = natively.answers(artifact, {spec.bound: feed[spec.name] for spec in manifest.inputs})
    assert set(found) == {spec.bound for spec in manifest.outputs}
    for spec in manifest.outputs:
        assert np.allclose(found[spec.bound], values[spec.name], rtol=1e-5), spec.name
        # a graph of ONNX or OpenVINO cannot have one name for an input and an output
        assert spec.bound == ("out_" + spec.name if spec.name in inputs and target != "tflite" else spec.name)


@pytest.mark.slow
@pytest.mark.usefixtures("frameworks")
def test_records_and_tuples(made: Made) -> None:
    names = {
        one: [spec.name for spec in made(f"net.py:{one}", "onnxruntime").manifest.outputs]
        for one in ("record", "plain")
    }
    assert names == {"record": ["zeta", "boxes"], "plain": ["output_0", "output_1"]}


@pytest.mark.slow
@pytest.mark.usefixtures("frameworks")
def test_values_in_a_tflite_file_begin_where_the_schema_wants_them(made: Made) -> None:
    from ai_edge_litert import schema_py_generated as schema

    artifact = made("odd.keras", "tflite")
    data = (artifact.folder / artifact.manifest.entry).read_bytes()
    model, start = schema.Model.GetRootAsModel(data, 0), np.frombuffer(data, np.uint8).ctypes.data
    buffers = [model.Buffers(at) for at in range(model.BuffersLength())]
    places = [one.DataAsNumpy().ctypes.data - start for one in buffers if one.DataLength()]
    assert places and not any(place % 16 for place in places)


@pytest.mark.slow
@pytest.mark.usefixtures("frameworks")
def test_a_signature_names_a_tflite_source(made: Made) -> None:
    """The bytes of an artifact as it is are the source's: its tensors have other names there, and runners go by those."""
    inputs, wanted = SOURCES["saved"]
    for precision in ("as-is", "fp32"):
        manifest = made("signed.tflite", "tflite", precision).manifest
        assert {spec.name for spec in manifest.inputs} == set(inputs)
        feed = {name: np.full((1, 4), 7, np.float32) for name in inputs}
        assert {spec.name for spec in manifest.outputs} == set(wanted(feed))
        assert manifest.parity.sqnr_db > 100
        assert [spec.bound == spec.name for spec in manifest.outputs] == [precision == "fp32"] * 3
