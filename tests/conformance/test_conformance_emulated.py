"""The runners' suite on emulated boards: every target on every Python that it supports and that Debian has, by every runtime row.

A row is one of a target's `runtimes`; its real wheels are resolved as for a board and run in an emulated userland.
Debian's archive has no Arm build of Python 3.6 to 3.8, 3.10 and 3.12: what is for those alone does not run here.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from emulated import NO_NUMPY, OWN_NUMPY, PYTHONS, RUNTIME, Emulated, fits, runner_in, unpack
from emulated_report import note
from reached import way_of

from edgewright import targets
from edgewright.lab.emulation.architectures import ARCHITECTURES, ARM64, Architecture
from edgewright.nouns.cpu import CPUS
from edgewright.nouns.target import RuntimeRow
from edgewright.testing import runner_checks as suite

SELF = Path(suite.__file__)
TELL = (
    "import platform, struct; print(platform.machine(), 8 * struct.calcsize('P'), *platform.python_version_tuple()[:2], "
    "platform.libc_ver()[1])"
)
# What a runtime reports that it cannot do on a Cortex-A72: a board refuses the release with these words.
KNOWN = {
    # its int8 convolutions need the dot products of a Cortex-A76; those of 2024.4 do not
    ("openvino", "2026.4.1"): {
        "goldens_are_answered_in_order_and_type-cnn-int8": "object is not initialized",
    }
}


IN_CI = "bookworm"  # the runners run on the other suites in the exhaustive tests


BITS = {"aarch64": "64", "armv7l": "32"}
# what each suite's Python has wheels of
REACHED = {
    "arm64": {
        debian: {
            "ncnn",
            "onnxruntime",
            "openvino",
            "tflite",
            "tvm",
            *([] if debian == "bullseye" else ["iree"]),
        }
        for debian in PYTHONS
    },
    "armv7l": {
        "bullseye": {"ncnn"},  # its numpy is too old for TFLite
        "bookworm": {"ncnn", "tflite"},
        "trixie": {"ncnn"},
        "forky": {"ncnn"},
    },
}
BOARDS = [
    pytest.param(
        architecture, debian, id=f"{architecture.name}-{debian}",
        marks=pytest.mark.slow if debian == IN_CI else pytest.mark.exhaustive,
    )
    for architecture in ARCHITECTURES
    for debian in architecture.suites
]  # fmt: skip
CELLS = [
    pytest.param(
        architecture, debian, name, row, id=f"{architecture.name}-{debian}-{row.distribution}-{row.version}",
        marks=pytest.mark.slow if debian == IN_CI else pytest.mark.exhaustive,
    )
    for architecture in ARCHITECTURES
    for debian in architecture.suites
    for name in targets.names()
    if way_of(name)
    for row in targets.load(name).runtimes_for(PYTHONS[debian][0], architecture.machine, PYTHONS[debian][1])
    if fits(row, debian)
]  # fmt: skip


def made(name: str) -> list[tuple[str, str]]:
    """(model, precision) of the suite's artifacts that a target can make."""
    return [case for case in suite.CASES if case[1] in targets.load(name).precisions]


def checks_of(name: str) -> list[Any]:
    """The checks of those artifacts."""
    return suite.of_artifacts([f"{model} {precision}" for model, precision in made(name)])


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Architecture, str], Emulated]:
    """`board(architecture, suite)`: an emulated board of a suite, made once."""
    return cache(lambda architecture, debian: Emulated(tmp_path_factory.mktemp(debian), architecture, debian))


def test_every_target_for_boards_has_cells_on_every_python() -> None:
    found = {name: {debian: set() for debian in PYTHONS} for name in REACHED}
    for cell in CELLS:
        architecture, debian, name, _ = cell.values
        found[architecture.name][debian].add(name)
    assert found == REACHED


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("architecture", "debian"), BOARDS)
def test_a_userland_is_what_the_rows_are_chosen_by(board, architecture: Architecture, debian: str) -> None:  # type: ignore[no-untyped-def]
    said = board(architecture, debian).run("/usr/bin/python3", "-I", "-c", TELL).split()
    machine, (python, glibc) = architecture.machine, PYTHONS[debian]
    assert said == [machine, BITS[machine], *python.split("."), glibc]
    if machine in NO_NUMPY and debian in OWN_NUMPY:
        program = "import numpy; print(numpy.__version__)"
        said = board(architecture, debian).run("/usr/bin/python3", "-I", "-c", program).split()
        assert said == [OWN_NUMPY[debian]]


@pytest.fixture(scope="module")
def ran(board, converted) -> Callable[..., tuple[dict[str, Any], dict[str, str]]]:  # type: ignore[no-untyped-def]
    """`ran(board, target, row, **more)`: the checks that ran there, and those that failed, with their errors."""

    def run(
        where: tuple[Architecture, str], name: str, row: RuntimeRow, cpu: str = ""
    ) -> tuple[dict[str, Any], dict[str, str]]:
        architecture, debian = where
        here = board(architecture, debian)
        place = here.shared / f"{row.distribution}-{row.version}"
        place.mkdir()
        try:
            artifacts = {}
            for model, precision in made(name):
                made_for = CPUS.get((architecture.machine, cpu or architecture.cpu))
                folder = shutil.copytree(
                    converted(name, model, precision, made_for), place / f"{model}-{precision}"
                )
                manifest = json.loads((folder / "manifest.json").read_bytes())
                assert row.lacks(manifest["requires"]) == {}, model
                artifacts[f"{model} {precision}"] = str(folder)
            job = {
                "runner": runner_in(place, name),
                "runtime": unpack(debian, name, row, place / RUNTIME, architecture.machine),
                "accelerators": targets.load(name).accelerators,
                "artifacts": artifacts,
            }
            (place / "job.json").write_text(json.dumps(job, default=str))
            said = here.python(str(shutil.copy(SELF, place)), str(place / "job.json"), cpu=cpu)
        finally:
            shutil.rmtree(place)
        first, *lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        assert [line["check"] for line in lines] == [suite.title(*check) for check in checks_of(name)]
        return first, {line["check"]: line["error"] for line in lines if line["error"]}

    return run


@pytest.mark.timeout(600)
@pytest.mark.sampled(5)
@pytest.mark.parametrize(("architecture", "debian", "name", "row"), CELLS)
def test_the_runner_passes_the_suite_on_an_emulated_board(  # type: ignore[no-untyped-def]
    ran, architecture: Architecture, debian: str, name: str, row: RuntimeRow
) -> None:
    first, failed = ran((architecture, debian), name, row)
    assert first["machine"] == architecture.machine and first["python"].startswith(f"{PYTHONS[debian][0]}.")
    assert row.version in first["runtime"]
    why = KNOWN.get((row.distribution, row.version), {})
    assert set(failed) == set(why), failed
    assert all(text in failed[check] for check, text in why.items())
    note(
        kind="suite", architecture=architecture.name, target=name, runtime=f"{row.distribution} {row.version}", python=first["python"], debian=debian,
        checks=len(checks_of(name)), failed=sorted(failed),
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_fails_on_a_cortex_a72_passes_where_there_are_dot_products(ran) -> None:  # type: ignore[no-untyped-def]
    rows = targets.load("openvino").runtimes_for(
        PYTHONS["bookworm"][0], ARM64.machine, PYTHONS["bookworm"][1]
    )
    (row,) = [row for row in rows if (row.distribution, row.version) in KNOWN]
    assert ran((ARM64, "bookworm"), "openvino", row, cpu="cortex-a76")[1] == {}
