"""ONNX Runtime's providers: an engine of TensorRT is kept, and a missing one is not a failure.

ONNX Runtime has to be in the Python that runs the agent.
"""

import json

import pytest

ONNXRUNTIME = """
import os
__version__ = "1.16.0"
NAMES = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
get_available_providers = lambda: NAMES

class SessionOptions: pass

class Tensor:
    def __init__(self, name):
        self.name = name

class InferenceSession:
    def __init__(self, path, sess_options=None, providers=None):
        self.providers = [one if isinstance(one, str) else one[0] for one in providers]
        if self.providers[0] == NAMES[0]:
            folder = providers[0][1].get("trt_engine_cache_path", "")
            file = os.path.join(folder, "TensorrtExecutionProvider_TRTKernel_graph_g_1_0_0_sm72.engine")
            if not os.path.exists(file):
                open(file, "wb").write(b"engine")
    get_providers = lambda self: self.providers
    get_inputs = lambda self: [Tensor("x")]
    get_outputs = lambda self: [Tensor("y")]
    run = lambda self, names, feed: [feed["x"] * 2]
"""


@pytest.fixture
def with_tensorrt(connect, kit):
    """Opens a session with a release on what stands in for the runtime, changed so; what to `verify` it with."""

    def install(*change):
        wire = connect()
        txn = kit.begun(wire)
        wheel = kit.wheel({"onnxruntime/__init__.py": ONNXRUNTIME.replace(*change or ("", "")).encode()})
        row = {"file": "onnxruntime-1.16.0-py3-none-any.whl", "sha256": wire.put(wheel), "size": len(wheel)}
        runtime = wire.call(
            "provision", name="onnxruntime", target="onnxruntime", version="1.16.0", wheels=[row]
        )["ref"]
        release = kit.install(wire, kit.artifact(target="onnxruntime"), txn, runtime=runtime)
        return wire, {"model": "digits", "release": release, "txn": txn}

    return install


@pytest.mark.parametrize(
    ("change", "took"),
    [
        (("for one in providers]", "for one in providers if one[0] != NAMES[0]]"), "cuda"),
        (("if not os.path.exists(file)", "if False"), "tensorrt"),
    ],
    ids=["it does not start", "no part of the model is for it"],
)
def test_a_tensorrt_that_makes_no_engine_falls_back_and_is_remembered_by_nobody(
    with_tensorrt, kit, root, change, took
):
    wire, ask = with_tensorrt(*change)
    verdict = wire.call("verify", accelerator="auto", **ask)
    assert verdict["ok"] and verdict["accelerator"] == took and verdict["placement"] is None
    with pytest.raises(
        kit.AgentFailureError, match=r"accelerator-absent: .* not run on tensorrt: .* took cuda"
    ):
        wire.call("verify", accelerator="tensorrt", **ask)
    for accelerator in ("cuda", None, "auto"):
        assert wire.call("verify", accelerator=accelerator, **ask)["ok"]
    assert wire.call("status")["models"]["digits"]["failed"] == []
    assert not (root / "models/digits/prepared").exists()


def test_the_engines_of_onnx_runtimes_tensorrt_are_kept(with_tensorrt, root):
    """The agent's and the runner's side of it: what stands in for the runtime writes a file where it is asked to."""
    wire, ask = with_tensorrt()
    for accelerator, told in ((None, "cpu"), ("cuda", "cuda")):
        assert wire.call("verify", accelerator=accelerator, **ask)["accelerator"] == told
    assert not (root / "models/digits/prepared").exists()
    for accelerator in ("tensorrt", "auto"):
        assert wire.call("verify", accelerator=accelerator, **ask)["accelerator"] == "tensorrt"
        assert wire.call("verify", accelerator=accelerator, **ask)["ok"]
    names = [path.name for path in (root / "models/digits/prepared").rglob("*.engine")]
    assert names == ["TensorrtExecutionProvider_TRTKernel_graph_g_1_0_0_sm72.engine"] * 2


def test_auto_on_a_board_without_a_gpu_is_the_cpu_and_says_so(connect, kit, root):
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "g", ends[:1], ends[1:])
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7
    ).SerializeToString()
    built = kit.artifact(target="onnxruntime")
    manifest = json.loads(built["manifest"])
    for entry in manifest["files"]:
        if entry["path"] == "model.tflite":
            entry.update(sha256=kit.sha(model), size=len(model))
    data = json.dumps(manifest).encode()
    files = {**built["files"], "model.tflite": model}
    wire = connect()
    txn = kit.begun(wire)
    release = kit.install(
        wire, {"manifest": data, "files": files, "sha256": kit.sha(data)}, txn, runtime="system:onnxruntime"
    )
    ask = {"model": "digits", "release": release, "txn": txn}
    verdict = wire.call("verify", accelerator="auto", **ask)
    assert verdict["ok"] and verdict["accelerator"] == "cpu" and verdict["placement"] == {"cpu": 1}
    with pytest.raises(kit.AgentFailureError, match="accelerator-absent: the accelerator is not there: cuda"):
        wire.call("verify", accelerator="cuda", **ask)
    assert not (root / "models/digits/prepared").exists()
