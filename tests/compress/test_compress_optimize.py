"""`edgewright optimize` on real digits: a budget that plain int8 misses is kept by a network with fewer channels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import command_line
from int8_files import calibration
from uneven_channels import uneven_mobile

import edgewright as ew
from edgewright.api.optimization import wanted_of
from edgewright.compile.workers.pool import Workers
from edgewright.errors import Exit
from edgewright.nouns.progress import silent
from edgewright.optimize.candidates import Candidates
from edgewright.optimize.ladder import Kind, move

pytestmark = pytest.mark.slow


def test_a_budget_that_int8_misses_is_kept(digits: Path, lab_up: Any, home: Path) -> None:
    """Size, multiplications and drop on this machine; then latency is measured on the board."""
    lab_up(1)
    data = ("--data", digits / "train.npz", "--evaluation", digits / "test.npz", "--target", "tflite")
    limits = ("--budget", "size=14KiB,drop=8%,p95=1s,macs=0.3M", "--epochs", "6")
    ran = command_line(
        "optimize",
        digits / "digits.keras",
        *data,
        *limits,
        "--on",
        "all",
        "--fleet",
        home / "fleet.toml",
        "--json",
    )
    assert ran.code == 0, ran.err
    found = ran.json
    trials = {trial["move"]["label"]: trial["verdict"] for trial in found["search"]["trials"]}
    assert not trials["tflite int8"]["ok"] and "size" in trials["tflite int8"]["why"]
    assert trials["tflite int8"]["figures"]["p95_ms"] is None, "it is measured only if all else is right"
    best = found["search"]["best"]
    assert best["verdict"]["ok"] and best["move"]["settings"]["rung"] != "precision"
    figures = best["verdict"]["figures"]
    assert figures["size_mb"] < 14 / 1024 and figures["macs"] < 0.3e6 and 0 < figures["p95_ms"] < 1000
    assert figures["drop_low"] <= figures["drop"] <= figures["drop_high"] and figures["drop"] <= 0.08
    assert found["manifest"]["lineage"]["steps"][0]["use"] == "prune-channels"
    assert found["manifest"]["precision"] == "int8"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--budget", "p95=1ms"), "on a board"),
        (("--budget", "drop=1%"), "labelled data"),
        (("--budget", "much"), "not understood"),
        ((), "no budget"),
        (("--budget", "size=1MB", "--on", "all"), "boards measure latency"),
        (("--budget", "size=1MB", "--validation", "none.npz"), "while the network trains"),
        (("--budget", "size=1MB", "--precision", "int7"), "int7"),
    ],
)
def test_what_it_cannot_do_is_said_first(digits: Path, options: tuple[str, ...], message: str) -> None:
    error = command_line("optimize", digits / "digits.keras", *options, "--json").error
    assert message in error["message"] and error["hint"]


PROJECT = """
schema = 2
name = "uneven"
model = "uneven.onnx"
precision = "int8"
calibration = "inputs.npz"
evaluation = "{evaluation}"
[budget]
max_drop = 0.0005
p95_ms = 50.0
"""


def test_what_int8_loses_comes_back_without_labels_and_the_project_sets_the_limits(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    """Of an ONNX file, which cannot be trained. The project names the limits and the precision."""
    monkeypatch.chdir(tmp_path)
    uneven_mobile(digits).save(tmp_path / "uneven.pt2")
    ew.convert("uneven.pt2", target="onnxruntime", precision="fp32", output="floats")
    Path("floats/model.onnx").rename("uneven.onnx")
    np.savez("inputs.npz", x=calibration(digits))
    Path("edgewright.toml").write_text(PROJECT.format(evaluation=digits / "test.npz"))
    ran = command_line("optimize", "--project", "edgewright.toml", "--target", "onnxruntime", "--json")
    first, second = ran.json["search"]["trials"]
    assert first["move"]["label"] == "onnxruntime int8" and "of 0.0005" in first["verdict"]["why"]
    assert second["move"]["label"] == "equalise, correct-bias, onnxruntime int8"
    lost, left = (one["verdict"]["figures"]["drop"] for one in (first, second))
    assert left < 0.5 * lost and ran.code == (Exit.OK if left <= 0.0005 else Exit.SOME_FAILED)
    assert [step["use"] for step in ran.json["manifest"]["lineage"]["steps"]] == ["equalise", "correct-bias"]
    untried = " ".join(ran.json["untried"])
    assert "asks for int8" in untried and "name boards with --on" in untried and "training" in untried


def test_a_candidate_is_compared_with_the_original_even_if_nothing_else_could_be_made(
    digits: Path, tmp_path: Path
) -> None:
    """Not with the network that it was made from; 29 in 30 weights are zero, so the two differ much."""
    request = wanted_of(
        digits / "digits.keras", "drop=1%", profile="generic-x86_64", training=digits / "train.npz",
        evaluation=digits / "test.npz",
    )  # fmt: skip
    steps = [{"use": "prune", "sparsity": 0.967, "epochs": 0}]
    with Workers(tmp_path / "log", reads=[tmp_path]) as workers:
        judge = Candidates(request, workers, tmp_path, silent, None)
        verdict = judge(move(Kind(target="onnxruntime", precision="fp32"), "channels", steps))
    figures = verdict.figures
    assert verdict.artifact and not verdict.ok
    assert figures["drop"] is not None and figures["accuracy"] is not None
    assert figures["drop"] > 0.3
    assert figures["drop"] + figures["accuracy"] > 0.95, "the original answers nearly all of them rightly"
