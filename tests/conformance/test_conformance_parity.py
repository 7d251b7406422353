"""The same artifact, the same version of its runtime, on emulated Arm and on x86: how much their outputs differ.

`emulated_report.py` writes the results to docs/emulated.md.
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
from emulated import PYTHONS, RUNTIME, Emulated, runner_in, unpack
from emulated_report import note
from flat_requests import compile_request

from edgewright import targets
from edgewright.compile.pipeline import compile_model
from edgewright.compile.workers.pool import Workers
from edgewright.lab.emulation.architectures import ARM64, ARMV7L, Architecture
from edgewright.nouns.target import RuntimeRow
from edgewright.testing.runner_checks import distance

DIGITS = Path(__file__).parents[2] / "examples/digits"
SELF = Path(runner_outputs.__file__)
DEBIAN = "bookworm"
# least SQNR in dB, greatest difference of a probability, least share of equal first guesses, seen by far better
BOUNDS = {"fp32": (100.0, 1e-4, 1.0), "fp16": (80.0, 1e-3, 1.0), "int8": (40.0, 0.05, 0.99)}


CASES = [
    *[
        (ARM64, name) for name in ("ncnn", "onnxruntime", "openvino", "tflite")
    ],  # not iree and tvm: their code differs by CPU
    *[(ARMV7L, name) for name in ("ncnn", "tflite")],
]


def same_rows(name: str, architecture: Architecture) -> tuple[RuntimeRow, RuntimeRow]:
    """The best version of a target's runtime for which both have wheels, for the Python of the emulated board: its row and x86's."""
    python, glibc = PYTHONS[DEBIAN]
    arm, x86 = (
        targets.load(name).runtimes_for(python, arch, glibc)
        for arch in (architecture.machine, platform.machine())
    )
    return next(
        (row, one) for row in arm for one in x86 if (one.distribution, one.version) == (row.distribution, row.version)
    )  # fmt: skip


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


def job_in(place: Path, arch: str, name: str, row: RuntimeRow, made: dict[str, Path]) -> tuple[str, str]:
    """Writes a job to a folder; returns the program that runs it, and the job's file."""
    place.mkdir()
    folders = {
        precision: str(shutil.copytree(folder, place / precision)) for precision, folder in made.items()
    }
    job: dict[str, Any] = {
        "runner": runner_in(place, name),
        "runtime": unpack(DEBIAN, name, row, place / RUNTIME, arch),
        "inputs": shutil.copy(DIGITS / "evaluation.npz", place),
        "artifacts": folders,
    }
    (place / "job.json").write_text(json.dumps(job, default=str))
    return str(shutil.copy(SELF, place)), str(place / "job.json")


@pytest.mark.slow
@pytest.mark.sampled(3)
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("architecture", "name"), CASES, ids=[f"{architecture.name}-{name}" for architecture, name in CASES]
)
def test_a_board_answers_as_x86_does(  # type: ignore[no-untyped-def]
    artifacts, tmp_path: Path, architecture: Architecture, name: str
) -> None:
    row, x86_row = same_rows(name, architecture)  # which differ in what they require
    board = Emulated(tmp_path / "board", architecture, DEBIAN)
    precisions = [one for one in BOUNDS if one in targets.load(name).precisions]
    made = {precision: artifacts(name, precision) for precision in precisions}
    native, foreign = tmp_path / "native", board.shared / "foreign"
    command = [sys.executable, "-I", "-S", "-B", *job_in(native, platform.machine(), name, x86_row, made)]
    assert (
        row.version in subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    )
    assert row.version in board.python(*job_in(foreign, architecture.machine, name, row, made))
    with np.load(DIGITS / "evaluation.npz") as data:
        labels = data["labels"]
    for precision in precisions:
        least_db, most, least_same = BOUNDS[precision]
        x86, arm = (
            np.load(place / precision / "answers.npy").reshape(450, 10) for place in (native, foreign)
        )
        sqnr, _ = distance(x86, arm)
        worst, same = float(np.abs(arm - x86).max()), float((arm.argmax(1) == x86.argmax(1)).mean())
        scores = [float((answers.argmax(1) == labels).mean()) for answers in (x86, arm)]
        assert sqnr >= least_db and worst <= most and same >= least_same, (precision, sqnr, worst, same)
        assert min(scores) > 0.95 and abs(scores[0] - scores[1]) <= 1 - least_same + 1e-9
        note(
            kind="parity", architecture=architecture.name, target=name, precision=precision, runtime=f"{row.distribution} {row.version}",
            sqnr_db=sqnr, max_abs=worst, same=same, x86=scores[0], board=scores[1],
        )  # fmt: skip
