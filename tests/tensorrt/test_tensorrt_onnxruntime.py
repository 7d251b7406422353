"""ONNX Runtime with NVIDIA's providers as the other way to the GPU: the CPU is the fallback, which is reported."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from edgewright import targets
from edgewright.deployments import gate
from edgewright.nouns.project import Budget
from edgewright.wire.answers import Result, Verdict
from edgewright_targets._cuda import device

RUNNER = targets.runner("onnxruntime")
MANIFEST = {
    "entry": "net.onnx", "precision": "fp32",
    "inputs": [{"name": "x", "shape": [1, 3, 8, 8], "dtype": "float32"}],
    "outputs": [{"name": "y", "shape": [1, 4], "dtype": "float32"}],
}  # fmt: skip


@pytest.fixture
def with_providers(monkeypatch):
    """The runtime says that it has these; the real one of this machine has the CPU alone."""

    def have(*names):
        import onnxruntime

        all_names = dict(RUNNER._PROVIDERS)
        monkeypatch.setattr(
            onnxruntime, "get_available_providers", lambda: [all_names[name] for name in names]
        )

    return have


def ask(session):
    data = np.random.default_rng(1).normal(size=(1, 3, 8, 8)).astype("float32")
    (output,) = session.read(session.infer(session.feed([data.tobytes()])))
    return np.frombuffer(output, "float32")


@pytest.mark.parametrize("accelerator", ["auto", None, "cpu"])
def test_without_a_gpu_it_runs_on_the_cpu_and_says_so_of_every_node(model, tmp_path, accelerator):
    options = {"threads": 1, "accelerator": accelerator, "trace": str(tmp_path / "trace")}
    session = RUNNER.load(str(model.parent), MANIFEST, options)
    first = ask(session)
    placement = session.placement()
    assert session.accelerator == "cpu" and set(placement) == {"cpu"} and placement["cpu"] >= 3
    session.close()
    plain = RUNNER.load(str(model.parent), MANIFEST, {"threads": 1, "accelerator": accelerator})
    assert np.array_equal(ask(plain), first) and plain.placement() == {}  # nothing to split it between


def test_an_accelerator_asked_for_by_name_is_never_replaced(model):
    with pytest.raises(ValueError, match="accelerator not available to this runtime: cuda"):
        RUNNER.load(str(model.parent), MANIFEST, {"threads": 1, "accelerator": "cuda"})


def test_a_provider_that_does_not_start_is_not_what_is_reported(model, with_providers):
    """The runtime really is asked for CUDA, which this build does not have, and really falls back."""
    with_providers("cpu", "cuda")
    with pytest.warns(UserWarning, match="CUDAExecutionProvider"):
        session = RUNNER.load(str(model.parent), MANIFEST, {"threads": 1, "accelerator": "cuda"})
    assert session.accelerator == "cpu" and ask(session).std() > 0


def test_a_tensorrt_that_does_not_start_prepares_nothing_and_says_what_runs(model, tmp_path, with_providers):
    """The same with the real runtime while it would build engines."""
    with_providers("cpu", "cuda", "tensorrt")
    options = {"threads": 1, "accelerator": "auto", "prepared": str(tmp_path)}
    with pytest.warns(UserWarning, match="ExecutionProvider"):
        assert RUNNER.prepare(str(model.parent), MANIFEST, options) == {"accelerator": "cpu"}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("have", "wanted", "chain"),
    [
        (("cpu", "cuda", "tensorrt"), "auto", ["tensorrt", "cuda", "cpu"]),
        (("cpu", "cuda", "tensorrt"), "cuda", ["cuda", "cpu"]),
        (("cpu", "cuda"), "auto", ["cuda", "cpu"]),
        (("cpu", "cuda", "tensorrt"), None, ["cpu"]),
    ],
)
def test_what_the_chosen_one_cannot_do_goes_to_the_next(with_providers, have, wanted, chain):
    with_providers(*have)
    assert RUNNER._chain({"accelerator": wanted}) == chain


def test_engines_are_prepared_for_tensorrt_alone(with_providers):
    with_providers("cpu", "cuda", "tensorrt")
    assert [RUNNER.prepares({"accelerator": name}) for name in (None, "cpu", "cuda", "auto", "tensorrt")] == [
        False, False, False, True, True,
    ]  # fmt: skip
    assert RUNNER.environment({"accelerator": "cuda"}) == {}
    keys = {"make", "onnxruntime", "tensorrt", "compute", "jetpack"}
    assert set(RUNNER.environment({"accelerator": "auto"})) == keys
    provider, settings = RUNNER._configured("tensorrt", {"precision": "int8"}, {"prepared": "/made"})
    assert provider == "TensorrtExecutionProvider"
    assert settings == {
        "trt_fp16_enable": "False", "trt_int8_enable": "True",
        "trt_engine_cache_enable": "True", "trt_engine_cache_path": "/made",
    }  # fmt: skip
    assert RUNNER._configured("cuda", {}, {}) == "CUDAExecutionProvider"


def test_engines_are_for_one_gpu_and_one_version_of_tensorrt(with_providers, monkeypatch):
    """What stands in for CUDA's and TensorRT's own libraries says which they are."""
    with_providers("cpu", "cuda", "tensorrt")
    there = {"libnvinfer.so.8": 8502}

    def library(name):
        if name not in there:
            raise OSError(name)
        return SimpleNamespace(getInferLibVersion=lambda: there[name])

    monkeypatch.setattr("ctypes.CDLL", library)
    found = RUNNER.environment({"accelerator": "tensorrt"})
    assert found["tensorrt"] == [8502] and found["compute"] == ""  # no CUDA here
    monkeypatch.setattr(device, "Cuda", lambda: SimpleNamespace(compute_capability=lambda: "8.7"))
    there["libnvinfer.so.10"] = 100300
    found = RUNNER.environment({"accelerator": "auto"})
    assert found["tensorrt"] == [8502, 100300] and found["compute"] == "8.7"


def verified(**more):
    result = Result(result="1-x", sha256="0" * 64, size=1)
    return Verdict(
        ok=True, goldens=1, sqnr_db=50.0, relative=0.0, failed=(), runtime="x 1", accelerator="cuda", outputs=result, **more
    )  # fmt: skip


def test_the_gate_refuses_a_layer_that_ran_elsewhere_than_the_budget_says():
    budget = Budget(accelerator="cuda")
    refused = gate.placement(verified(placement={"cuda": 40, "cpu": 2}), budget)
    assert (
        not refused.ok and refused.note == "asked cuda for every layer, but layers ran: 2 on cpu, 40 on cuda"
    )
    assert gate.placement(verified(placement={"cuda": 42}), budget) is None
    assert not gate.placement(verified(placement={"cpu": 42}), budget).ok
    told = gate.placement(verified(placement={"cuda": 40, "cpu": 2}), Budget())
    assert told.ok and told.note == "layers ran: 2 on cpu, 40 on cuda"
    assert (
        gate.placement(verified(placement={}), budget) is None and gate.placement(verified(), budget) is None
    )
    unknown = gate.placement(verified(placement=None), budget)
    assert not unknown.ok and "asked cuda for every layer, but the runtime did not tell" in unknown.note
    assert gate.placement(verified(placement=None), Budget()) is None
    measured = SimpleNamespace(
        accelerator="cpu",
        invalid=(),
        latency=SimpleNamespace(p50=1, p95=1),
        peak_process_mb=2.0,
        model_memory_mb=1.0,
    )
    checks = gate.performance(measured, None, 1, budget)
    assert "asked cuda, ran on cpu" in gate.refusal(checks)


def test_a_trace_that_is_cut_short_tells_nothing(model, tmp_path):
    options = {"threads": 1, "accelerator": "cpu", "trace": str(tmp_path / "trace")}
    session = RUNNER.load(str(model.parent), MANIFEST, options)
    ask(session)
    native = session._native
    path = native.end_profiling()
    whole = json.loads(Path(path).read_text())
    assert any(event.get("args", {}).get("provider") for event in whole)
    Path(path).write_text(Path(path).read_text()[:200])
    session._native = SimpleNamespace(end_profiling=lambda: path)
    assert session.placement() == {}  # there is the CPU alone
    session._split = True  # as with NVIDIA's providers, which leave some nodes to the CPU
    assert session.placement() is None
    Path(path).write_text("[]")
    assert session.placement() is None
