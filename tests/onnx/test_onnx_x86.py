"""The same outputs on any CPU: x86 without VNNI adds pairs of 8-bit products in 16 bits, unless a session option forbids it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import needs
import numpy as np
import onnx
import pytest

from edgewright.precisions import PRECISIONS
from edgewright_targets._x86 import sums
from edgewright_targets.onnxruntime import finish

EMULATOR = "qemu-x86_64-static"
SHAPES = {"x": (8, 64)}, {"y": (8, 16)}
SATURATED = 25  # dB: these models answer with 40 or more where nothing saturates
EXACT = 38


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """What `x86_answers.py` prints on an emulated CPU that has AVX2 and no VNNI."""
    if os.uname().machine != "x86_64":
        pytest.skip("only on x86-64: the emulated CPU runs the Python and the wheels of this machine")
    needs.tool(EMULATOR)
    folder = tmp_path_factory.mktemp("x86")
    make(folder)
    program = Path(__file__).with_name("x86_answers.py")
    done = subprocess.run(
        [EMULATOR, "-cpu", "Haswell", sys.executable, program, folder], capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


def make(folder: Path) -> None:
    """Models in separate folders, with samples that make sums of two products large, and right answers."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    random = np.random.default_rng(0)
    x = random.uniform(0.3, 1, (2, 8, 64)).astype("float32")
    product = network(folder / "product.onnx", "MatMul", w=random.uniform(-1, 1, (64, 16)))
    recurrent = network(
        folder / "recurrent.onnx", "LSTM", w=random.uniform(-1, 1, (1, 64, 64)) / 8, r=random.uniform(-1, 1, (1, 64, 16))
    )  # fmt: skip
    for name, source in (("dynamic", product), ("dynamic lstm", recurrent)):
        place = kept(folder / name, source, x)
        finish.convert(
            SimpleNamespace(path=source, folder=place, entry="model.onnx", precision="int8-dynamic", traits=PRECISIONS["int8-dynamic"], integer_io=False)
        )  # fmt: skip
    tied = network(folder / "tied.onnx", "MatMul", twice=True, w=random.uniform(-1, 1, (64, 16)))
    ways = {
        "static": (product, QuantFormat.QDQ, QuantType.QInt8),
        "tied": (tied, QuantFormat.QDQ, QuantType.QInt8),
        "operators": (product, QuantFormat.QOperator, QuantType.QUInt8),
        "signed operators": (product, QuantFormat.QOperator, QuantType.QInt8),
    }
    for name, (source, style, kind) in ways.items():
        place = kept(folder / name, source, x)
        feed = iter([{"x": one} for one in x])
        quantize_static(
            source, place / "model.onnx", SimpleNamespace(get_next=lambda feed=feed: next(feed, None)),
            quant_format=style, per_channel=True, activation_type=kind, weight_type=QuantType.QInt8,
        )  # fmt: skip


def kept(place: Path, source: Path, x: Any) -> Path:
    """The folder of a model, with samples and the source's answers."""
    from edgewright.compile.sources import onnx_session

    place.mkdir()
    session = onnx_session.session(source)
    np.savez(place / "samples.npz", x=x, wanted=np.stack([session.run(None, {"x": one})[0] for one in x]))
    return place


def network(path: Path, kind: str, *, twice: bool = False, **weights: Any) -> Path:
    """One layer from (8, 64) to (8, 16); twice: the sum of two with the same weights."""
    from onnx import helper, numpy_helper

    floats = [numpy_helper.from_array(array.astype("float32"), name) for name, array in weights.items()]
    nodes = [helper.make_node(kind, ["x", *weights], ["y"], "layer")]
    if twice:
        nodes = [
            helper.make_node(kind, ["x", *weights], ["one"], "layer"),
            helper.make_node("Sqrt", ["x"], ["root"], "root"),
            helper.make_node(kind, ["root", *weights], ["other"], "another"),
            helper.make_node("Add", ["one", "other"], ["y"], "sum"),
        ]
    if kind == "LSTM":  # a sequence of eight
        floats.append(numpy_helper.from_array(np.array([8, 1, 64]), "steps"))
        floats.append(numpy_helper.from_array(np.array([8, 16]), "flat"))
        nodes = [
            helper.make_node("Reshape", ["x", "steps"], ["sequence"], "in"),
            helper.make_node(kind, ["sequence", *weights], ["hidden"], "layer", hidden_size=16),
            helper.make_node("Reshape", ["hidden", "flat"], ["y"], "out"),
        ]
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for end in SHAPES
        for name, shape in end.items()
    ]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], floats)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def test_the_emulated_cpu_saturates(answered):
    """Else this file would prove nothing."""
    for model in ("static", "tied", "operators"):
        assert answered[f"{model}, none, 1, board"] < SATURATED
        assert answered[f"{model}, vnni, , board"] < SATURATED


@pytest.mark.parametrize("model", ["static", "tied", "operators"])
@pytest.mark.parametrize("case", ["none, ", "vnni, 0"])
def test_a_board_sums_exactly_where_flags_or_variable_say_that_there_is_no_vnni(answered, model, case):
    assert answered[f"{model}, {case}, board"] > EXACT


@pytest.mark.parametrize("model", ["static", "tied", "operators"])
@pytest.mark.parametrize("case", ["none, ", "none, 1", "vnni, 0"])
@pytest.mark.parametrize("way", ["host", "verdict", "source"])
def test_the_host_sums_exactly_whatever_the_variable_says(answered, model, case, way):
    assert answered[f"{model}, {case}, {way}"] > EXACT


@pytest.mark.parametrize("case", ["none, ", "vnni, ", "none, 1", "vnni, 0"])
@pytest.mark.parametrize("model", ["dynamic", "dynamic lstm"])
def test_weights_of_int8_dynamic_cannot_saturate(answered, model, case):
    assert answered[f"{model}, {case}, board"] > EXACT


@pytest.mark.parametrize("way", ["board", "host", "verdict", "source"])
def test_operators_that_have_no_exact_kernel_run_as_they_are(answered, way):
    assert answered[f"signed operators, none, , {way}"] > EXACT


@pytest.mark.parametrize(
    ("flags", "forced", "exact", "expected"),
    [
        ("fpu avx2", None, False, True),
        ("fpu avx2 avx_vnni", None, False, False),
        ("fpu avx512f avx512_vnni", None, False, False),
        ("fpu avx512f avx512_vnni_", None, False, True),
        ("fpu avx2", "1", False, False),
        ("fpu avx2", "1", True, True),
        ("fpu avx2", "0", False, True),
        ("fpu avx512_vnni", "1", True, False),
        ("fpu avx512_vnni", "0", False, True),
        ("fpu avx512_vnni", "0", True, True),
        ("fpu avx512_vnni", "yes", False, False),
        (None, None, False, True),
        (None, "1", False, False),
    ],
)
def test_flags_and_the_variable_decide(tmp_path, monkeypatch, flags, forced, exact, expected):
    place = tmp_path / "cpuinfo"
    if flags is not None:
        place.write_text(f"processor\t: 0\nbogomips\t: 5200.00\nflags\t\t: {flags}\nvmx flags\t: vnmi\n")
    monkeypatch.setattr(sums, "_CPUINFO", str(place))
    monkeypatch.setattr(sums.os, "uname", lambda: ("Linux", "board", "6.1", "#1", "x86_64"))
    monkeypatch.delenv("EDGEWRIGHT_X86_VNNI", raising=False)
    if forced is not None:
        monkeypatch.setenv("EDGEWRIGHT_X86_VNNI", forced)
    assert sums.saturate({"exact": exact}) is expected


@pytest.mark.parametrize("forced", [None, "0", "1"])
def test_arm_needs_nothing(monkeypatch, forced):
    monkeypatch.setattr(sums.os, "uname", lambda: ("Linux", "board", "6.1", "#1", "aarch64"))
    if forced is not None:
        monkeypatch.setenv("EDGEWRIGHT_X86_VNNI", forced)
    assert not sums.saturate({"exact": True})
