"""A net of which one layer does not stand 8 bits, through real converters and runtimes."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from command_line import result_of
from flat_requests import compile_request

from edgewright.cli.main import main
from edgewright.compile.explain import explain
from edgewright.compile.inspection import code_fingerprint
from edgewright.compile.pipeline import compile_model
from edgewright.compile.request import CompileRequest
from edgewright.compile.workers.pool import Workers
from edgewright.config import home
from edgewright.deployments.preflight import NoFit
from edgewright.errors import ConversionError, UsageError
from edgewright.measure.search import engine, fallback
from edgewright.measure.search.engine import Limits, SearchResult
from edgewright.measure.search.judge import Judge, fall_back
from edgewright.nouns.artifact import Artifact, Manifest
from edgewright.nouns.conversion import Conversion
from edgewright.store.artifacts import ArtifactStore

LIMIT = 0.04


def request(folder: Path, target: str, **more: object) -> CompileRequest:
    given = {
        "source": folder / "outlier.onnx", "target": target, "precision": "int8", "calibration": folder / "images.npz",
        "evaluation": folder / "labelled.npz", "max_drop": LIMIT, **more,
    }  # fmt: skip
    return compile_request(**given)  # type: ignore[arg-type]


def best_of(found: SearchResult) -> Artifact:
    assert found.best is not None
    return ArtifactStore(home.folder("artifacts")).get(found.best.verdict.artifact)


@pytest.mark.parametrize("target", ["onnxruntime", pytest.param("openvino", marks=pytest.mark.slow)])
def test_int8_fails_and_one_layer_in_floats_passes(outlier: Path, workers: Workers, target: str) -> None:
    one_layer_will_do(request(outlier, target), workers)


@pytest.mark.slow
def test_so_it_does_on_litert(outlier_tflite: Path, workers: Workers) -> None:
    source = outlier_tflite / "outlier.tflite"
    artifact = one_layer_will_do(request(outlier_tflite, "tflite", source=source, max_drop=0.1), workers)
    assert "conv1" in artifact.manifest.kept_float[0]


def one_layer_will_do(wanted: CompileRequest, workers: Workers) -> Artifact:
    """The search's best artifact, after all that has to be true of such a search."""
    limit = wanted.max_drop
    assert limit is not None
    with pytest.raises(ConversionError, match="accuracy falls") as refused:
        compile_model(wanted, workers=workers)
    assert refused.value.code == "max-drop"
    found = fall_back(wanted, Limits(), workers)
    assert found.stopped == engine.SATISFIED
    assert found.best is not None
    first = found.trials[0]
    assert first.move.settings["precision"] == "int8"
    assert first.verdict.figures["drop"] > limit  # type: ignore[operator]
    assert f"by more than {limit:g}" in first.verdict.why
    artifact = best_of(found)
    assert artifact.manifest.precision == "int8-mixed"
    assert len(artifact.manifest.kept_float) == 1
    assert artifact.manifest.accuracy is not None
    assert artifact.manifest.accuracy.source - artifact.manifest.accuracy.artifact <= limit
    assert artifact.manifest.parity.sqnr_db > first.verdict.figures["sqnr_db"] + 5  # type: ignore[operator]
    return artifact


@pytest.mark.slow
def test_the_first_layer_in_floats_costs_the_next_one_nothing(outlier: Path, workers: Workers) -> None:
    def made(precision: str, *kept: str) -> float:
        wanted = request(
            outlier, "openvino", precision=precision, max_drop=None, conversion=Conversion(keep_float=kept)
        )
        return compile_model(wanted, workers=workers).manifest.parity.sqnr_db

    whole = made("int8")
    assert made("int8-mixed", "conv0") > whole - 1
    assert made("int8-mixed", "dense") > whole - 1  # the runtime calls it by the model's output


def test_what_stays_in_floats_does_so_in_the_runtime_too(outlier: Path, workers: Workers) -> None:
    wanted = request(
        outlier, "onnxruntime", precision="int8-mixed", conversion=Conversion(keep_float=("conv1",))
    )
    artifact = compile_model(wanted, workers=workers)
    found = explain(wanted, artifact, workers)
    assert found.runtime is not None
    assert (found.runtime["Conv"], found.runtime["QLinearConv"]) == (1, 3)
    assert {layer.name: layer.arithmetic for layer in found.layers} == {
        "conv0": "int8", "conv1": "fp32", "conv2": "int8", "conv3": "int8", "dense": "int8",
    }  # fmt: skip


def test_a_search_cut_short_goes_on_where_it_was(
    outlier: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = request(outlier, "onnxruntime")
    cut = fall_back(wanted, Limits(trials=4), workers)
    assert cut.stopped == engine.TRIALS
    assert best_of(cut).manifest.precision == "fp32"
    whole = fall_back(wanted, Limits(), workers)
    assert [trial.move for trial in whole.trials[:4]] == [trial.move for trial in cut.trials]
    assert [trial.verdict for trial in whole.trials[:4]] == [trial.verdict for trial in cut.trials]
    called: list[str] = []
    call = Workers.call

    def counted(self: Workers, framework: str, module: str, function: str, /, **kwargs: object) -> object:
        called.append(function)
        return call(self, framework, module, function, **kwargs)

    monkeypatch.setattr(Workers, "call", counted)
    again = fall_back(wanted, Limits(), workers)
    assert [trial.verdict for trial in again.trials] == [trial.verdict for trial in whole.trials]
    assert set(called) == {"read_the_artifact"}  # the names of the layers; nothing is converted again


def test_what_the_tolerance_refuses_is_remembered_with_its_figures(shattered: Path, workers: Workers) -> None:
    wanted = request(shattered, "onnxruntime", evaluation=None, max_drop=None)
    with pytest.raises(ConversionError) as refused:
        compile_model(wanted, workers=workers)
    assert refused.value.code == "parity"
    found = fall_back(wanted, Limits(), workers)
    assert found.trials[0].verdict.artifact == ""
    assert found.trials[0].verdict.figures["sqnr_db"] < 9  # type: ignore[operator]
    assert list(home.folder("trials").iterdir())
    assert best_of(found).manifest.kept_float == ("conv1",)
    known = Judge(wanted, workers)(found.trials[0].move)
    assert known == found.trials[0].verdict


@pytest.mark.parametrize(
    ("code", "edited", "kept"),
    [
        ("nothing-quantised", False, True),
        ("nothing-quantised", True, False),  # code that changed meanwhile
        ("conversion-failed", False, False),
        ("worker-crashed", False, False),
    ],
)
def test_what_may_have_been_the_machines_fault_is_tried_again(
    outlier: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch, code: str, edited: bool, kept: bool
) -> None:
    if edited:
        monkeypatch.setattr(code_fingerprint, "read", lambda: "other code")
    tried: list[str] = []

    def fails(self: Workers, framework: str, module: str, function: str, /, **kwargs: object) -> object:
        tried.append(function)
        raise ConversionError(
            "onnx2tf cannot convert the model: no space left on device", hint="-", code=code
        )

    monkeypatch.setattr(Workers, "call", fails)
    judge, move = Judge(request(outlier, "onnxruntime"), workers), fallback.move("int8", "minmax")
    verdicts = [judge(move), judge(move)]
    assert [verdict.why for verdict in verdicts] == [verdicts[0].why] * 2
    assert "no space left" in verdicts[0].why
    assert len(tried) == (1 if kept else 2)
    assert len(list(home.folder("trials").iterdir())) == (1 if kept else 0)


def test_what_no_layer_can_mend_ends_the_search(
    outlier: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(code: str) -> Callable[..., object]:
        def call(self: Workers, framework: str, module: str, function: str, /, **kwargs: object) -> object:
            raise UsageError("the target has no integer inputs and outputs", hint="-", code=code)

        return call

    judge, move = Judge(request(outlier, "onnxruntime"), workers), fallback.move("int8", "minmax")
    monkeypatch.setattr(Workers, "call", fails("no-such-layer"))
    assert not judge(move).ok
    monkeypatch.setattr(Workers, "call", fails("usage"))
    with pytest.raises(UsageError, match="no integer inputs"):
        fall_back(request(outlier, "onnxruntime", goldens=9), Limits(), workers)


@pytest.mark.slow
def test_integer_ends_are_not_given_up(outlier: Path, workers: Workers) -> None:
    wanted = request(outlier, "onnxruntime", conversion=Conversion(integer_io=True))
    found = fall_back(wanted, Limits(trials=6), workers)
    tried = {trial.move.settings["precision"] for trial in found.trials}
    assert tried == {"int8", "int8-mixed"}
    artifact = best_of(found)
    assert {spec.dtype for spec in (*artifact.manifest.inputs, *artifact.manifest.outputs)} <= {
        "int8",
        "uint8",
    }
    assert artifact.manifest.kept_float == ("conv1",)


def test_the_best_is_read_by_the_profiles_runtime(
    outlier: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = onnx.load(outlier / "outlier.onnx")
    model.opset_import[0].version, model.ir_version = 19, 9
    onnx.save(model, tmp_path / "new.onnx")
    arguments = [
        "convert", str(tmp_path / "new.onnx"), "--profile", "jetson-nano", "--target", "onnxruntime", "--calibration",
        str(outlier / "images.npz"), "--fallback", "--max-trials", "1", "--json",
    ]  # fmt: skip
    assert main(arguments) == 0
    said = result_of(capsys.readouterr().out)
    assert said["search"]["best"]["move"]["label"] == "int8, minmax"
    assert said["manifest"]["requires"]["opset"] <= 15


def test_what_the_boards_cannot_read_is_no_candidate(outlier: Path, workers: Workers) -> None:
    def fits(manifest: Manifest) -> None:
        if manifest.precision == "int8":
            raise NoFit("the artifact needs opset 99, onnxruntime of it reads up to 15", hint="-")

    wanted = request(outlier, "onnxruntime", evaluation=None, max_drop=None)
    found = fall_back(wanted, Limits(trials=4), workers, fits=fits)
    assert [trial.verdict.artifact for trial in found.trials[:3]] == ["", "", ""]
    assert "needs opset 99" in found.trials[0].verdict.why
    assert best_of(found).manifest.precision == "fp32"


def test_without_a_limit_the_gates_own_holds(outlier: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "convert", str(outlier / "outlier.onnx"), "--target", "onnxruntime", "--calibration", str(outlier / "images.npz"),
        "--evaluation", str(outlier / "labelled.npz"), "--fallback", "--max-trials", "1",
    ]  # fmt: skip
    assert main(arguments) == 2
    assert "by more than 0.02" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_prints_what_was_tried(outlier: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "convert", str(outlier / "outlier.onnx"), "--target", "onnxruntime", "--calibration", str(outlier / "images.npz"),
        "--evaluation", str(outlier / "labelled.npz"), "--max-drop", str(LIMIT), "--fallback",
    ]  # fmt: skip
    assert main([*arguments, "--max-trials", "1"]) == 2
    shown = capsys.readouterr()
    assert "stopped after 1 trials: all trials are used up" in shown.out
    assert "the best candidate misses the limit: top1 is worse by" in shown.err
    assert main(arguments) == 0
    shown = capsys.readouterr()
    assert ", in floats: conv1" in shown.out
    assert "a candidate meets the limit" in shown.out
    assert main([*arguments, "--json", "--explain"]) == 0
    said = result_of(capsys.readouterr().out)
    assert said["search"]["stopped"] == "a candidate meets the limit"
    assert said["search"]["best"]["verdict"]["artifact"] == said["artifact"]
    assert said["manifest"]["kept_float"] == ["conv1"]
    assert said["explanation"]["kept_float"] == ["conv1"]


@pytest.mark.slow
def test_ctrl_c_ends_with_the_best_so_far(outlier: Path) -> None:
    program = "import sys; from edgewright.cli.main import main; sys.exit(main(sys.argv[1:]))"
    arguments = [
        "convert", str(outlier / "outlier.onnx"), "--target", "onnxruntime", "--calibration", str(outlier / "images.npz"),
        "--evaluation", str(outlier / "labelled.npz"), "--max-drop", "0", "--fallback", "--json",
    ]  # fmt: skip
    running = subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stderr is not None
    for line in running.stderr:  # the fourth trial is fp32, which loses nothing
        if "try 6:" in line:
            running.send_signal(signal.SIGINT)
            break
    out, _ = running.communicate(timeout=60)
    assert running.returncode == 8
    said = result_of(out)
    assert said["search"]["stopped"] == engine.STOPPED
    assert len(said["search"]["trials"]) in (5, 6)  # the sixth may end before the signal comes
    assert said["manifest"]["precision"] == "fp32"


def test_what_the_search_decides_cannot_be_asked_for(
    outlier: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["convert", str(outlier / "outlier.onnx"), "--target", "onnxruntime", "--fallback"]
    data = ["--calibration", str(outlier / "images.npz")]
    assert main([*arguments, *data, "--precision", "fp16"]) == 64
    assert "--fallback starts from int8, not from fp16" in capsys.readouterr().err
    assert main([*arguments, *data, "--keep-float", "conv1"]) == 64
    assert main(arguments) == 64
    assert "int8 needs calibration data" in capsys.readouterr().err
