"""OpenVINO 2021.4 on boards: on the CPU of every Python that it has a wheel for, and on a stick that is not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import needs
import old_pythons
import pytest


@pytest.mark.slow
@pytest.mark.sampled(3)
@pytest.mark.timeout(300)
@pytest.mark.parametrize("version", old_pythons.STICK)
def test_a_deployment_and_a_missing_stick(
    version: str,
    toolchain: Path,
    lab_up: Callable[..., list[Any]],
    edgewright: Callable[..., Any],
    small_models: Callable[[str], Path],
) -> None:
    name = f"ncs{version.replace('.', '')}"
    lab_up(1, name=name, python=str(needs.python(version)), profiles=("intel-ncs2",))
    model = small_models("onnx") / "cnn.onnx"
    deploy = ("deploy", model, "--to", f"{name}-1", "--name", "cnn")

    said, log = edgewright(*deploy)
    (outcome,) = said["outcomes"]
    assert outcome["outcome"] == "committed", (outcome, log)
    assert outcome["runtime"] == "openvino 2021.4.2"
    assert next(check for check in outcome["checks"] if check["name"] == "answers")["ok"]
    assert outcome["measurement"]["accelerator"] == "cpu"
    assert outcome["measurement"]["latency"]["p50"] > 0

    said, log = edgewright(*deploy, "--version", "stick", "--accelerator", "myriad")
    (outcome,) = said["outcomes"]
    assert outcome["outcome"] == "failed"
    assert outcome["code"] == "accelerator-absent"
    assert (
        outcome["message"]
        == "the neural compute stick cannot be opened: Can not init Myriad device: NC_ERROR"
    )
    assert "is the stick plugged in, and does a udev rule" in outcome["hint"]
    assert outcome["current"].startswith("1-")
