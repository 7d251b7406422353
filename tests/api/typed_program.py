"""A program that uses every public function: mypy checks it with --strict, here and against an installed wheel. It is not run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import assert_type

import edgewright as ew


def show(event: ew.ProgressEvent) -> None:
    assert_type(event.stage, str)
    assert_type(event.board, str)
    assert_type(event.done, int | None)
    assert_type(event.total, int | None)
    assert_type(event.unit, str)


def ask(prompt: str) -> str | None:
    return prompt or None


progress: ew.Progress = show
ask_password: ew.AskPassword = ask
as_function: Callable[[ew.ProgressEvent], None] = progress

fleet = ew.Fleet.load()
assert_type(fleet, ew.Fleet)
assert_type(ew.Fleet.load("fleet.toml"), ew.Fleet)
assert_type(ew.Fleet.load(Path("fleet.toml")), ew.Fleet)
assert_type(fleet.select("pi4,@lab"), ew.Fleet)
assert_type(fleet.boards, dict[str, ew.Board])

artifact = ew.convert(
    "model.keras",
    profile="pi4b",
    target="tflite",
    precision="int8",
    calibration=Path("samples.npz"),
    input_shapes={"image": (1, 224, 224, 3)},
    keep_float=["head"],
    max_drop=0.01,
    output=Path("out"),
    progress=show,
)
assert_type(artifact, ew.Artifact)
assert_type(artifact.id, str)
assert_type(artifact.manifest, ew.Manifest)
assert_type(ew.load_artifact("0123456789"), ew.Artifact)

options: ew.ModelOptions = {"target": "onnxruntime", "project": "edgewright.toml"}
request = ew.model_request("model.onnx", **options)
assert_type(request, ew.ModelRequest)
assert_type(ew.convert(request), ew.Artifact)

place: os.PathLike[str] = Path("model.onnx")
policy = ew.ReleasePolicy(stage=True, budget=ew.Budget(max_drop=0.01), protocol=ew.QUICK)
planned = ew.plan(fleet, artifact, policy=policy, name="digits", ask_password=ask, progress=show)
assert_type(planned, ew.PlannedDeployment)
assert_type(planned.plan, ew.DeployPlan)
assert_type(planned.plan.boards, tuple[ew.BoardPlan, ...])
assert_type(planned.refused, tuple[ew.BoardOutcome, ...])
assert_type(ew.plan(fleet, place, precision="fp32"), ew.PlannedDeployment)
assert_type(ew.plan(fleet, request), ew.PlannedDeployment)

deployed = ew.deploy(planned, progress=show, ask_password=ask)
assert_type(deployed, ew.DeployResult)
assert_type(deployed.ok, bool)
assert_type(deployed.outcomes, tuple[ew.BoardOutcome, ...])
assert_type(deployed.outcomes[0].checks, tuple[ew.Check, ...])
assert_type(ew.deploy(planned, dry_run=True), ew.DeployResult)
assert_type(ew.resume(fleet, planned.id, take_over=True), ew.DeployResult)

measured = ew.bench(fleet, "digits", releases=["1", "2"], protocol=ew.STANDARD)
assert_type(measured, ew.BenchResult)
assert_type(ew.bench(fleet, artifact, threads=2), ew.BenchResult)
assert_type(ew.bench(fleet, [artifact, ew.load_artifact("0123")]), ew.BenchResult)
assert_type(measured.boards, tuple[ew.BoardAnswer[ew.BoardMeasurements], ...])
assert_type(measured.boards[0].error, ew.ErrorReport | None)
assert_type(measured.not_kept, ew.ErrorReport | None)
if (found := measured.boards[0].result) is not None:
    assert_type(found.measurements, tuple[ew.Measurement, ...])
    assert_type(found.measurements[0].peak_process_mb, float | None)
    if (ratio := found.measurements[1].ratio) is not None:
        assert_type(ratio, ew.Ratio)
        assert_type((ratio.value, ratio.low, ratio.high), tuple[float, float, float])

state = ew.status(fleet)
assert_type(state, ew.StatusResult)
assert_type(state.boards, tuple[ew.BoardAnswer[ew.Status], ...])
assert_type(state.problems, tuple[ew.BoardProblem, ...])
assert_type(state.notes, tuple[str, ...])

assert_type(ew.rollback(fleet.select("pi4"), "digits", to="1"), ew.RollbackResult)

try:
    ew.convert("model.onnx")
except ew.EdgewrightError as error:
    assert_type(error.message, str)
    assert_type(error.hint, str)
    assert_type(error.code, str)

# what is wrong is found: an unused `type: ignore` is an error, too
ew.convert("model.onnx", tarket="tflite")  # type: ignore[call-arg]
ew.plan(fleet, 7)  # type: ignore[arg-type]
ew.deploy(artifact)  # type: ignore[arg-type]
ew.bench(fleet, "digits", protocol="quick")  # type: ignore[arg-type]
ew.bench(fleet, [7])  # type: ignore[list-item]
ew.status("fleet.toml")  # type: ignore[arg-type]
ew.rollback(fleet, "digits", progress=ask)  # type: ignore[arg-type]
ew.nothing  # type: ignore[attr-defined]  # noqa: B018
