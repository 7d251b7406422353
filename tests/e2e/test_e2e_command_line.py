"""The output of commands on real boards: artifacts measured in turns, an explained refusal, a pinned key."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def artifacts(models: Path, run: Run) -> list[str]:
    """One model for two runtimes."""
    found = []
    for target in ("onnxruntime", "openvino"):
        made = run("convert", models / "good.onnx", "--target", target, "--precision", "fp32", "--json")
        assert made.code == 0, made.err
        found.append(made.json["artifact"])
    return found


def test_a_key_that_is_pinned_and_still_shown_is_trusted_without_a_terminal(run: Run) -> None:
    ran = run("fleet", "trust", "all")
    assert ran.code == 0, ran.err
    assert ran.out.count("pinned already") == 2 and "next: `edgewright doctor all`" in ran.err


def test_artifacts_are_measured_in_turns_and_named(run: Run, artifacts: list[str]) -> None:
    ran = run(
        "bench", *artifacts, "--on", "e-2", "--protocol", "quick", "--threads", (os.cpu_count() or 1) + 1
    )
    assert ran.code == 0, ran.err + ran.out
    for text in (
        "onnxruntime fp32", "openvino fp32", *(f"bench-{one[:8]}" for one in artifacts), "process MiB", "of it model",
        f"bench-{artifacts[1][:8]} takes", f"times as long as bench-{artifacts[0][:8]}", f"caveat: {(os.cpu_count() or 1) + 1} threads on",
    ):  # fmt: skip
        assert text in ran.out, (text, ran.out)
    status = run("status", "e-2", "--json").json["boards"][0]["result"]["models"]
    assert all(not model["releases"] for model in status.values())  # removed again


def test_bench_of_artifacts_as_a_document(run: Run, artifacts: list[str]) -> None:
    ran = run("bench", *artifacts, "--on", "e-2", "--protocol", "quick", "--json")
    first, second = ran.json["boards"][0]["result"]["measurements"]
    assert [one["artifact"] for one in (first, second)] == artifacts
    assert (first["target"], second["target"]) == ("onnxruntime", "openvino") and first["ratio"] is None
    ratio = second["ratio"]
    assert ratio["reference"] == first["release"] and 0 < ratio["low"] <= ratio["value"] <= ratio["high"]
    for one in (first, second):
        assert one["peak_process_mb"] > one["model_memory_mb"] == one["peak_rss_mb"] > 0


def test_what_cannot_be_measured_together_is_refused(run: Run, artifacts: list[str]) -> None:
    for words, text in (
        ((artifacts[0], artifacts[0]), "was named twice"),
        ((artifacts[0], "nothing"), "not an artifact: nothing"),
        ((artifacts[0], "--release", "1"), "measured by itself"),
    ):
        ran = run("bench", *words, "--on", "e-2")
        assert ran.code == 64 and text in ran.err and "hint:" in ran.err, ran.err


def test_a_refusal_is_told_again_without_the_board(run: Run, models: Path, tmp_path: Path) -> None:
    project = tmp_path / "edgewright.toml"
    project.write_text(
        f'schema = 2\nname = "big"\nmodel = "{models / "good.onnx"}"\n[budget]\npeak_process_mb = 1.0\n'
    )
    ran = run("deploy", "--project", project, "--to", "e-2", "--target", "onnxruntime", "--precision", "fp32")
    assert ran.code == 2 and "peak process memory" in ran.out, ran.err + ran.out
    (shown,) = re.findall(r"`edgewright (history show \w+)`", ran.err)
    told = run(*shown.split())
    assert told.code == 0, told.err
    for text in ("deploy of big", "refused", "peak process memory", "FAILED", "onnxruntime fp32", "verify"):
        assert text in told.out, (text, told.out)
