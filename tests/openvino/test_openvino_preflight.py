"""What a stick refuses is named on the host: in `convert --explain`, in `doctor`, and before a deployment sends anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from command_line import command_line
from onnx import TensorProto, helper, numpy_helper

from edgewright.cli.views import doctor as view
from edgewright.deployments import preflight
from edgewright.doctor.board import diagnose
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.board import Board
from edgewright.nouns.facts import Facts, LibcFacts, PythonFacts

LISTED = "1 of 2 layers do not run there: y (Cos)"
STICK = Facts(
    arch="x86_64", accelerators=("myriad",), libc=LibcFacts(name="glibc", version="2.31"),
    python=PythonFacts(version="3.8.10", executable="/usr/bin/python3", platform="linux-x86_64", tag="cp38"),
)  # fmt: skip


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A convolution, and a cosine, which the stick has no kernel for."""
    import numpy as np

    kernel = np.random.default_rng(5).normal(size=(6, 3, 3, 3)).astype("float32") / 5
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "kernel"], ["c"], pads=[1] * 4, name="conv"),
            helper.make_node("Cos", ["c"], ["y"], name="cosine"),
        ],
        "odd",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 6, 8, 8])],
        [numpy_helper.from_array(kernel, "kernel")],
    )
    path = tmp_path_factory.mktemp("odd") / "odd.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7), path)
    return path


@pytest.mark.slow
def test_explain_lists_each_layer_with_the_sticks_answer(
    toolchain: Path, odd: Path, edgewright: Callable[..., Any]
) -> None:
    said, _ = edgewright("convert", odd, "--profile", "intel-ncs2", "--explain")
    placement = said["explanation"]["placement"]
    assert placement["accelerator"] == "myriad"
    assert placement["layers"] == [
        {"name": "conv", "operator": "Convolution", "taken": True},
        {"name": "y", "operator": "Cos", "taken": False},
    ]
    assert f"myriad: {LISTED}" in said["explanation"]["notes"]
    (asked,) = [note for note in said["explanation"]["notes"] if "plugin was asked" in note]
    assert "2 layers" in asked and "static shapes x [1, 3, 8, 8]" in asked and "opset 1" in asked
    shown = command_line("convert", odd, "--profile", "intel-ncs2", "--explain").out
    assert "What myriad runs, by its plugin on this machine" in shown
    rows = [line.split() for line in shown.splitlines()]
    assert ["conv", "Convolution", "yes"] in rows and ["y", "Cos", "no"] in rows


@pytest.mark.slow
def test_an_artifact_carries_what_the_stick_refuses(
    toolchain: Path, compiled: Callable[..., Artifact], odd: Path, small_models: Callable[[str], Path]
) -> None:
    refused = compiled(odd, "openvino2021", "fp16").manifest
    assert refused.causes == {"myriad": LISTED}
    with pytest.raises(
        preflight.NoFit, match=r"myriad of kitchen does not run this model: .* y \(Cos\)"
    ) as caught:
        preflight.check_taken("myriad", refused, board="kitchen")
    assert caught.value.code == "accelerator-unsupported"
    preflight.check_taken("cpu", refused, board="kitchen")
    model = small_models("onnx") / "cnn.onnx"
    wide = compiled(model, "openvino2021", "fp32").manifest
    assert wide.causes == {"myriad": "the stick computes in fp16 only, the artifact is fp32"}
    preflight.check_taken("myriad", compiled(model, "openvino2021", "fp16").manifest, board="kitchen")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_such_an_artifact_is_not_sent_to_the_stick(
    toolchain: Path, odd: Path, lab_up: Callable[..., list[Any]], edgewright: Callable[..., Any]
) -> None:
    lab_up(1, name="refused", profiles=("intel-ncs2",))
    made, _ = edgewright("convert", odd, "--profile", "intel-ncs2")
    deploy = ("deploy", made["artifact"], "--to", "refused-1", "--name", "odd", "--accelerator", "myriad")
    said, _ = edgewright(*deploy)
    (outcome,) = said["outcomes"]
    assert (outcome["outcome"], outcome["code"]) == ("failed", "accelerator-unsupported")
    assert LISTED in outcome["message"] and outcome["sent_bytes"] == 0


def test_doctor_says_that_layers_are_asked_about_and_what_that_needs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EDGEWRIGHT_HOME", str(tmp_path))
    board = Board(name="kitchen", address="192.0.2.7", profile="intel-ncs2")
    found = diagnose(board, STICK)
    (asked,) = found.preflights
    assert (asked.accelerator, asked.target, asked.ready) == ("myriad", "openvino2021", False)
    (advice,) = [one for one in found.findings if "which layers myriad refuses" in one.message]
    assert advice.hint == "edgewright toolchain install openvino-2021"
    row = dict(view.rows(found))["pre-flight"]
    assert "myriad is asked about each layer at conversion (openvino-2021 absent)" in row
    assert "static shapes, ONNX opset 12 or rewritten to it" in row
    none = diagnose(Board(name="pi", address="192.0.2.8", profile="pi4b"), Facts(arch="aarch64"))
    assert none.preflights == () and "pre-flight" not in dict(view.rows(none))


@pytest.mark.slow
def test_doctor_has_no_advice_once_the_toolchain_is_there(toolchain: Path) -> None:
    found = diagnose(Board(name="kitchen", address="192.0.2.7", profile="intel-ncs2"), STICK)
    assert found.preflights[0].ready
    assert not [one for one in found.findings if "which layers" in one.message]
