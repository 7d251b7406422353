"""Real runtimes on real old Pythons: resolved, fetched and unpacked by `deploy` itself, then verified and measured."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import pytest

from edgewright.cli.main import main

MODEL = Path(__file__).parents[3] / "examples" / "digits" / "digits-v1.keras"
CASES = [
    ("3.6", "onnxruntime", "onnxruntime 1.10.0"),
    ("3.7", "onnxruntime", "onnxruntime 1.14.1"),
    ("3.8", "onnxruntime", "onnxruntime 1.19.2"),
    ("3.8", "tflite", "tflite-runtime 2.14.0"),
    ("3.9", "tflite", "ai-edge-litert 2.1.0"),
    ("3.8", "openvino", "openvino 2024.4.0"),
    ("3.9", "openvino", "openvino 2025.3"),
    ("3.13", "onnxruntime", "onnxruntime"),
    ("3.13", "tflite", "ai-edge-litert 2.3.0"),
]


def run(*arguments):
    """The JSON document of a command line."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        main([str(argument) for argument in (*arguments, "--json")])
    return json.loads(out.getvalue()), err.getvalue()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("version", "target", "runtime"), CASES, ids=lambda value: str(value).replace(" ", "-")
)
def test_a_real_deployment(make_lab, python_of, survived, version, target, runtime):
    name = f"{target[:2]}{version.replace('.', '')}"
    make_lab(1, name=name, python=str(python_of(version)))
    said, log = run(
        "deploy", MODEL, "--to", f"{name}-1", "--name", "digits", "--target", target, "--precision", "fp32"
    )
    assert "outcomes" in said, (said, log)
    (outcome,) = said["outcomes"]
    assert outcome["outcome"] == "committed", (outcome, log)
    assert outcome["runtime"].startswith(runtime)
    answers = next(check for check in outcome["checks"] if check["name"] == "answers")
    assert answers["ok"]
    survived("pythons: a deployment with the real runtime that this Python gets")
