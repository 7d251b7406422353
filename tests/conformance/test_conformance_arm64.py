"""The runners' suite on arm64: every target on every Python that it supports and that Debian has, by every runtime row.

A row is one of a target's `runtimes`; its real wheels are resolved as for a board and run in an emulated userland.
No arm64 build of Python 3.6 to 3.8, 3.10 and 3.12 is in Debian's archive: what is for those alone does not run here.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from arm64_report import note
from emulated import ARCH, PYTHONS, RUNTIME, Emulated, runner_in, unpack
from reached import way_of

from edgewright import targets
from edgewright.nouns.target import RuntimeRow
from edgewright.testing import runner_checks as suite

SELF = Path(suite.__file__)
TELL = (
    "import platform; print(platform.machine(), *platform.python_version_tuple()[:2], platform.libc_ver()[1])"
)
# What a runtime reports that it cannot do on a Cortex-A72: a board refuses the release with these words.
KNOWN = {
    # its int8 convolutions need the dot products of a Cortex-A76; those of 2024.4 do not
    ("openvino", "2026.4.1"): {
        "goldens_are_answered_in_order_and_type-cnn-int8": "object is not initialized",
    }
}

IN_CI = ("bookworm",)  # every runtime there, and TFLite on the other suites
CELLS = [
    pytest.param(
        debian,
        name,
        row,
        id=f"{debian}-{row.distribution}-{row.version}",
        marks=pytest.mark.slow if debian in IN_CI or name == "tflite" else pytest.mark.exhaustive,
    )
    for debian, (python, glibc) in PYTHONS.items()
    for name in targets.names()
    if way_of(name)
    for row in targets.load(name).runtimes_for(python, ARCH, glibc)
]


def made(name: str) -> list[tuple[str, str]]:
    """(model, precision) of the suite's artifacts that a target can make."""
    return [case for case in suite.CASES if case[1] in targets.load(name).precisions]


def checks_of(name: str) -> list[Any]:
    """The checks of those artifacts."""
    return suite.of_artifacts([f"{model} {precision}" for model, precision in made(name)])


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Emulated]:
    """`board(suite)`: an emulated board of a suite, made once."""
    return cache(lambda debian: Emulated(tmp_path_factory.mktemp(debian), debian))


def test_every_target_for_boards_has_cells_on_every_python() -> None:
    found = {(cell.values[0], cell.values[1]) for cell in CELLS}
    assert {
        (debian, name) for debian in PYTHONS for name in ("ncnn", "onnxruntime", "openvino", "tflite")
    } == found


@pytest.mark.slow
@pytest.mark.parametrize("debian", PYTHONS)
def test_a_userland_is_what_the_rows_are_chosen_by(board: Callable[[str], Emulated], debian: str) -> None:
    said = board(debian).run("/usr/bin/python3", "-I", "-c", TELL).split()
    assert said == [ARCH, *PYTHONS[debian][0].split("."), PYTHONS[debian][1]]


@pytest.fixture(scope="module")
def ran(board, converted) -> Callable[..., tuple[dict[str, Any], dict[str, str]]]:  # type: ignore[no-untyped-def]
    """`ran(suite, target, row, **more)`: the checks that ran there, and those that failed, with their errors."""

    def run(debian: str, name: str, row: RuntimeRow, **more: str) -> tuple[dict[str, Any], dict[str, str]]:
        place = board(debian).shared / f"{row.distribution}-{row.version}"
        place.mkdir()
        try:
            artifacts = {}
            for model, precision in made(name):
                folder = shutil.copytree(converted(name, model, precision), place / f"{model}-{precision}")
                manifest = json.loads((folder / "manifest.json").read_bytes())
                assert row.lacks(manifest["requires"]) == {}, model
                artifacts[f"{model} {precision}"] = str(folder)
            job = {
                "runner": runner_in(place, name),
                "runtime": unpack(debian, row, place / RUNTIME),
                "accelerators": targets.load(name).accelerators,
                "artifacts": artifacts,
            }
            (place / "job.json").write_text(json.dumps(job, default=str))
            program = ["-I", "-S", "-B", str(shutil.copy(SELF, place)), str(place / "job.json")]
            said = board(debian).run("/usr/bin/python3", *program, **more)
        finally:
            shutil.rmtree(place)
        first, *lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        assert [line["check"] for line in lines] == [suite.title(*check) for check in checks_of(name)]
        return first, {line["check"]: line["error"] for line in lines if line["error"]}

    return run


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("debian", "name", "row"), CELLS)
def test_the_runner_passes_the_suite_on_arm64(ran, debian: str, name: str, row: RuntimeRow) -> None:  # type: ignore[no-untyped-def]
    first, failed = ran(debian, name, row)
    assert first["machine"] == ARCH and first["python"].startswith(f"{PYTHONS[debian][0]}.")
    assert row.version in first["runtime"]
    why = KNOWN.get((row.distribution, row.version), {})
    assert set(failed) == set(why), failed
    assert all(text in failed[check] for check, text in why.items())
    note(
        kind="suite", target=name, runtime=f"{row.distribution} {row.version}", python=first["python"], debian=debian,
        checks=len(checks_of(name)), failed=sorted(failed),
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_fails_on_a_cortex_a72_passes_where_there_are_dot_products(ran) -> None:  # type: ignore[no-untyped-def]
    rows = targets.load("openvino").runtimes_for(PYTHONS["bookworm"][0], ARCH, PYTHONS["bookworm"][1])
    (row,) = [row for row in rows if (row.distribution, row.version) in KNOWN]
    assert ran("bookworm", "openvino", row, cpu="cortex-a76")[1] == {}
