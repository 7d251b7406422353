"""MLPerf Tiny's ResNet-8 through convert, deploy, bench and rollback: every target and precision. It lies beside the
project (`../shared/models`), not in it: where it is not, there is nothing here to run.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
RESNET = Path(__file__).parents[3] / "shared" / "models" / "pretrainedResnet.h5"
WAYS = [
    (target, precision)
    for target in ("tflite", "onnxruntime", "openvino")
    for precision in ("fp32", "fp16", "int8-dynamic", "int8")
    if RESNET.exists()
]


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    ("target", "precision"),
    [
        pytest.param(*way, marks=pytest.mark.slow if way[1] == "int8" else pytest.mark.exhaustive)
        for way in WAYS
    ],
)
def test_resnet_is_deployed_measured_and_rolled_back(run: Run, target: str, precision: str) -> None:
    name = f"resnet8-{target}-{precision}"
    asked = (
        "--target",
        target,
        "--precision",
        precision,
        "--allow-synthetic",
        "--calibration",
        "synthetic",
        "--json",
    )
    made = run("deploy", RESNET, "--to", "e-2", "--name", name, *asked)
    assert made.code == 0, made.out + made.err
    first = made.json["outcomes"][0]
    assert first["outcome"] == "committed"
    assert [check["name"] for check in first["checks"] if not check["ok"]] == []
    again = run(
        "deploy",
        first["artifact"],
        "--to",
        "e-2",
        "--name",
        name,
        "--version",
        "9",
        "--allow-synthetic",
        "--json",
    )
    assert again.code == 0, again.out
    assert again.json["outcomes"][0]["current"] == f"9-{first['artifact'][:8]}"
    measured = run("bench", name, "--on", "e-2", "--protocol", "quick", "--json")
    assert measured.code == 0, measured.out
    figures = measured.json["boards"][0]["result"]["measurements"][0]
    assert figures["latency"]["p50"] > 0
    back = run("rollback", name, "--on", "e-2", "--json")
    assert back.code == 0, back.out
    assert back.json["outcomes"][0]["current"] == first["release"]
    print(f"\n{target} {precision}: p50 {figures['latency']['p50']:.3f} ms, {figures['peak_rss_mb']:.1f} MiB")
