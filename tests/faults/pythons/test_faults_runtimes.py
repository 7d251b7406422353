"""Real runtimes on real old Pythons: resolved, fetched and unpacked by `deploy` itself, then verified and measured."""

from __future__ import annotations

from pathlib import Path

import needs
import pytest
from command_line import command_line

MODEL = Path(__file__).parents[3] / "examples" / "digits" / "digits-v1.keras"
CASES = [
    ("3.6", "onnxruntime", "onnxruntime 1.10.0"),
    ("3.6", "ncnn", "ncnn 1.0.20250503"),
    ("3.7", "onnxruntime", "onnxruntime 1.14.1"),
    ("3.8", "onnxruntime", "onnxruntime 1.19.2"),
    ("3.8", "tflite", "tflite-runtime 2.14.0"),
    ("3.9", "tflite", "ai-edge-litert 2.1.0"),
    ("3.8", "openvino", "openvino 2024.4.0"),
    ("3.9", "openvino", "openvino 2025.3"),
    ("3.13", "onnxruntime", "onnxruntime"),
    ("3.13", "tflite", "ai-edge-litert 2.3.0"),
]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("version", "target", "runtime"), CASES, ids=lambda value: str(value).replace(" ", "-")
)
def test_a_real_deployment(make_lab, survived, version, target, runtime):
    name = f"{target[:2]}{version.replace('.', '')}"
    make_lab(1, name=name, python=str(needs.python(version)))
    ran = command_line(
        "deploy", MODEL, "--to", f"{name}-1", "--name", "digits", "--target", target, "--precision", "fp32", "--json"
    )  # fmt: skip
    assert "outcomes" in ran.json, (ran.out, ran.err)
    assert ran.outcome["outcome"] == "committed", (ran.outcome, ran.err)
    assert ran.outcome["runtime"].startswith(runtime)
    assert ran.check("answers")["ok"]
    survived("pythons: a deployment with the real runtime that this Python gets")
