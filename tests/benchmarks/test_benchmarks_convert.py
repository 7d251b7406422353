"""The benchmark of conversions runs, at a size at which its figures mean nothing."""

import pytest

pytestmark = pytest.mark.slow


def test_conversion_runs_beside_the_bare_converter(run_script):
    text, rows = run_script(
        "bench_convert.py", "--small", "--parts", "time", "memory", "--edges", "onnx-onnxruntime-int8", "--rounds", "1",
        "--samples", "5", "9",
    )  # fmt: skip
    assert "Converting digits, onnx-onnxruntime-int8" in text
    assert float(rows["edgewright"][0]) > float(rows["converter alone"][0]) > 0
    assert all(float(rows[count][1]) > 50 for count in ("5", "9"))


def test_accuracy_before_and_after(run_script):
    text, _ = run_script("bench_convert.py", "--parts", "accuracy", "--frameworks", "onnx")
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| onnx")]
    assert {tuple(row[1:3]) for row in rows} >= {("onnxruntime", "int8"), ("openvino", "fp32")}
    for row in rows:
        assert float(row[3]) > 0.9
        assert abs(float(row[3]) - float(row[4])) < 0.05
