"""The same artifact, the same version of its runtime, on arm64 and on x86: how much their outputs differ.

`arm64_report.py` writes the results to docs/arm64.md.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import runner_outputs
from arm64_report import note
from emulated import ARCH, PYTHONS, RUNTIME, Emulated, runner_in, unpack
from flat_requests import compile_request

from edgewright import targets
from edgewright.compile.pipeline import compile_model
from edgewright.compile.workers.pool import Workers
from edgewright.nouns.target import RuntimeRow
from edgewright.testing.runner_checks import distance

DIGITS = Path(__file__).parents[2] / "examples/digits"
SELF = Path(runner_outputs.__file__)
DEBIAN = "bookworm"
# least SQNR in dB, greatest difference of a probability, least share of equal first guesses, seen by far better
BOUNDS = {"fp32": (100.0, 1e-4, 1.0), "fp16": (80.0, 1e-3, 1.0), "int8": (40.0, 0.05, 0.99)}


def same_row(name: str) -> RuntimeRow:
    """The best row of a target for which both have wheels, for the Python of the emulated board."""
    python, glibc = PYTHONS[DEBIAN]
    arm, x86 = (targets.load(name).runtimes_for(python, arch, glibc) for arch in (ARCH, platform.machine()))
    return next(row for row in arm if any((one.distribution, one.version) == (row.distribution, row.version) for one in x86))  # fmt: skip


@pytest.fixture(scope="module")
def artifacts(workers: Workers) -> Callable[[str, str], Path]:
    """`artifacts(target, precision)`: the digits model's."""

    def make(name: str, precision: str) -> Path:
        return compile_model(
            compile_request(
                source=DIGITS / "digits-v1.keras", target=name, precision=precision,
                calibration=DIGITS / "calibration.npz",
            ),
            workers=workers,
        ).folder  # fmt: skip

    return cache(make)


def job_in(place: Path, arch: str, name: str, row: RuntimeRow, made: dict[str, Path]) -> list[str]:
    """Writes a job to a folder; returns the arguments that run it."""
    place.mkdir()
    folders = {
        precision: str(shutil.copytree(folder, place / precision)) for precision, folder in made.items()
    }
    job: dict[str, Any] = {
        "runner": runner_in(place, name),
        "runtime": unpack(DEBIAN, row, place / RUNTIME, arch),
        "inputs": shutil.copy(DIGITS / "evaluation.npz", place),
        "artifacts": folders,
    }
    (place / "job.json").write_text(json.dumps(job, default=str))
    return ["-I", "-S", "-B", str(shutil.copy(SELF, place)), str(place / "job.json")]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["onnxruntime", "openvino", "tflite"])
def test_arm64_answers_as_x86_does(artifacts, tmp_path: Path, name: str) -> None:  # type: ignore[no-untyped-def]
    row, board = same_row(name), Emulated(tmp_path / "board", DEBIAN)
    made = {precision: artifacts(name, precision) for precision in BOUNDS}
    native, foreign = tmp_path / "native", board.shared / "foreign"
    command = [sys.executable, *job_in(native, platform.machine(), name, row, made)]
    assert (
        row.version in subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    )
    assert row.version in board.run("/usr/bin/python3", *job_in(foreign, ARCH, name, row, made))
    with np.load(DIGITS / "evaluation.npz") as data:
        labels = data["labels"]
    for precision, (least_db, most, least_same) in BOUNDS.items():
        x86, arm = (
            np.load(place / precision / "answers.npy").reshape(450, 10) for place in (native, foreign)
        )
        sqnr, _ = distance(x86, arm)
        worst, same = float(np.abs(arm - x86).max()), float((arm.argmax(1) == x86.argmax(1)).mean())
        scores = [float((answers.argmax(1) == labels).mean()) for answers in (x86, arm)]
        assert sqnr >= least_db and worst <= most and same >= least_same, (precision, sqnr, worst, same)
        assert min(scores) > 0.95 and abs(scores[0] - scores[1]) <= 1 - least_same + 1e-9
        note(
            kind="parity", target=name, precision=precision, runtime=f"{row.distribution} {row.version}",
            sqnr_db=sqnr, max_abs=worst, same=same, x86=scores[0], arm64=scores[1],
        )  # fmt: skip
