"""One deployment to boards with different Pythons: each gets a file that its runtime reads, checked before a byte is sent."""

import json

import needs
import numpy as np
import pytest
from command_line import command_json as run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def fleet(home, monkeypatch):
    """old-1 with Python 3.6, whose newest runtime reads opset 15, and new-1 with this Python."""
    monkeypatch.setenv("EDGEWRIGHT_FLEET", str(home / "fleet.toml"))
    assert run("lab", "up", "--boards", 1, "--name", "old", "--python", needs.python("3.6"))[0] == 0
    assert run("lab", "up", "--boards", 1, "--name", "new")[0] == 0
    yield home
    assert run("lab", "down")[0] == 0


@pytest.fixture
def newer(write):
    """A net of opset 18 with a layer normalisation, which opset 15 does not have."""
    random = np.random.default_rng(8)
    weights = {
        "kernel": random.normal(size=(8, 3, 3, 3)).astype("float32") / 5,
        "w": random.normal(size=(8, 5)).astype("float32"), "axes": np.array([2, 3], np.int64),
        "scale": np.ones(8, np.float32), "shift": random.normal(size=8).astype("float32"),
    }  # fmt: skip
    nodes = [
        ("Conv", ["x", "kernel"], ["c"], {}),
        ("Relu", ["c"], ["r"], {}),
        ("ReduceMean", ["r", "axes"], ["mean"], {"keepdims": 0}),
        ("LayerNormalization", ["mean", "scale", "shift"], ["n"], {}),
        ("MatMul", ["n", "w"], ["y"], {}),
    ]
    return write("newer.onnx", nodes, {"x": (1, 3, 12, 12)}, {"y": (1, 5)}, weights, opset=18)


def test_only_the_old_board_gets_an_older_opset(fleet, newer):
    deploy = (
        "deploy",
        newer,
        "--to",
        "old-1,new-1",
        "--name",
        "net",
        "--target",
        "onnxruntime",
        "--precision",
        "fp32",
    )
    code, planned = run(*deploy, "--dry-run")
    assert code == 0, planned
    assert [one["outcome"] for one in planned["outcomes"]] == ["planned", "planned"]
    old, new = (one["artifact"] for one in planned["outcomes"])
    assert old != new

    code, said = run(*deploy)
    assert code == 0, said
    assert [one["outcome"] for one in said["outcomes"]] == ["committed", "committed"]
    assert [one["artifact"] for one in said["outcomes"]] == [old, new]
    assert said["outcomes"][0]["runtime"] == "onnxruntime 1.10.0"
    for outcome in said["outcomes"]:
        answers = next(check for check in outcome["checks"] if check["name"] == "answers")
        assert answers["ok"]
    assert opset_on(fleet, old) == 15
    assert opset_on(fleet, new) == 18
    assert {one["release"].split("-")[0] for one in said["outcomes"]} == {"1"}

    code, again = run(*deploy)
    assert [one["outcome"] for one in again["outcomes"]] == ["unchanged", "unchanged"]


def opset_on(home, artifact):
    manifest = json.loads((home / "artifacts" / "objects" / artifact / "manifest.json").read_text())
    return manifest["requires"]["opset"]


def test_what_cannot_be_brought_down_fails_on_the_old_board_alone(fleet, write):
    source = write("mish.onnx", [("Mish", ["x"], ["y"], {})], {"x": (1, 8)}, {"y": (1, 8)}, {}, opset=18)
    code, said = run(
        "deploy", source, "--to", "old-1,new-1", "--name", "net", "--target", "onnxruntime", "--dry-run"
    )
    assert code == 2
    old, new = said["outcomes"]
    assert (old["outcome"], old["code"]) == ("failed", "opset-too-new")
    assert "export the model again at opset 15 or older" in old["hint"]
    assert new["outcome"] == "planned"


def test_one_file_for_all_where_the_oldest_runtime_reads_it(fleet, small_models):
    source = small_models("onnx") / "cnn.onnx"
    code, said = run("deploy", source, "--to", "old-1,new-1", "--name", "net", "--target", "onnxruntime",
                     "--precision", "int8-weights", "--dry-run")  # fmt: skip
    assert code == 0, said
    assert len({one["artifact"] for one in said["outcomes"]}) == 1


def test_what_the_old_runtime_never_reads_is_refused_there_and_goes_to_the_other(fleet, small_models):
    source = small_models("onnx") / "attention.onnx"
    deploy = ("deploy", source, "--to", "old-1,new-1", "--name", "net", "--target", "onnxruntime")
    for more in (("--dry-run",), ()):
        code, said = run(*deploy, "--precision", "int4-weights", *more)
        assert code == 2
        old, new = said["outcomes"]
        assert old["outcome"] == "failed" and old["code"] == "runtime-too-old"
        assert "contrib 17 (it reads 9)" in old["message"]
        assert old["sent_bytes"] == 0
        assert new["outcome"] == ("planned" if more else "committed")


def test_half_floats_of_a_new_opset_run_on_the_runtime_of_python_3_7(home, monkeypatch, write):
    """There a 16-bit Relu of this opset ends the process."""
    monkeypatch.setenv("EDGEWRIGHT_FLEET", str(home / "fleet.toml"))
    random = np.random.default_rng(6)
    weights = {
        "kernel": random.normal(size=(8, 3, 3, 3)).astype("float32") / 5,
        "w": random.normal(size=(8, 5)).astype("float32"),
    }
    nodes = [
        ("Conv", ["x", "kernel"], ["c"], {}),
        ("Relu", ["c"], ["r"], {}),
        ("GlobalAveragePool", ["r"], ["mean"], {}),
        ("Flatten", ["mean"], ["flat"], {}),
        ("MatMul", ["flat", "w"], ["m"], {}),
        ("Softmax", ["m"], ["y"], {}),
    ]
    source = write("half.onnx", nodes, {"x": (1, 3, 12, 12)}, {"y": (1, 5)}, weights, opset=18)
    assert run("lab", "up", "--boards", 1, "--name", "seven", "--python", needs.python("3.7"))[0] == 0
    try:
        code, said = run("deploy", source, "--to", "seven-1", "--name", "net", "--target", "onnxruntime",
                         "--precision", "fp16")  # fmt: skip
    finally:
        assert run("lab", "down")[0] == 0
    assert code == 0, said
    (outcome,) = said["outcomes"]
    assert (outcome["outcome"], outcome["runtime"]) == ("committed", "onnxruntime 1.14.1")
