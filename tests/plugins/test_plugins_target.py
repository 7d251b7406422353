"""A target from outside: the example of docs/add-a-target.md from its wheel to a board and back, next to broken ones."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import needs

from edgewright.lab.boards import LabBoard

Edgewright = Callable[..., Any]
OLDEST = """
import sys
from edgewright.testing import targets
targets.check("gemm")
targets.check_runner_alone("gemm", sys.argv[1])
targets.check_answers("gemm", sys.argv[2])
"""


def test_it_is_listed_and_the_broken_ones_are_named(edgewright: Edgewright) -> None:
    found = edgewright("targets")
    names = [target["name"] for target in found["targets"]]
    assert {"gemm", "tflite", "onnxruntime"} <= set(names)
    assert not {"importer", "lacker"} & set(names)
    assert {fault["distribution"]: fault["reason"] for fault in found["plugin_faults"]} == {
        "importer 1.0": "ModuleNotFoundError: No module named 'no_such_module'",
        "lacker 1.0": "lacker.runner lacks the function load",
        "taker 1.0": "edgewright's own target has that name",
    }


def test_a_broken_one_is_refused_by_name_and_an_unknown_one_too(
    edgewright: Edgewright, gemm: Callable[[int], Path]
) -> None:
    error = edgewright("convert", gemm(1), "--target", "lacker", code=64)
    assert error["code"] == "plugin-unusable"
    assert (
        error["message"]
        == "target lacker from lacker 1.0 cannot be used: lacker.runner lacks the function load"
    )
    assert error["hint"] == "update or uninstall lacker"
    error = edgewright("convert", gemm(1), "--target", "gem", code=64)
    assert error["hint"].startswith("targets are gemm, ")


def test_what_it_cannot_convert_is_refused_in_its_own_words(
    edgewright: Edgewright, small_models: Callable[[str], Path]
) -> None:
    error = edgewright("convert", small_models("onnx") / "cnn.onnx", "--target", "gemm", code=1)
    assert error["code"] == "not-a-gemm"
    assert error["hint"] == "take another target, such as --target onnxruntime"


def test_its_layers_are_known_whatever_it_calls_them(
    edgewright: Edgewright, gemm: Callable[[int], Path]
) -> None:
    explained = edgewright("convert", gemm(1), "--target", "gemm", "--explain")["explanation"]
    assert explained["file"] == {"RowByMatrix": 1}
    assert explained["layers"] == [{"name": "row_by_matrix", "operator": "RowByMatrix", "arithmetic": "fp32"}]


def test_it_goes_to_a_board_and_back(
    edgewright: Edgewright,
    installed: Any,
    gemm: Callable[[int], Path],
    lab_up: Callable[..., list[LabBoard]],
    module_home: Path,
) -> None:
    lab_up(1, profiles=("generic-x86_64",))
    to = (
        "--to",
        "f-1",
        "--name",
        "gemm",
        "--target",
        "gemm",
        "--wheel",
        installed.wheel,
        "--allow-synthetic",
    )
    (first,) = edgewright("deploy", gemm(1), *to)["outcomes"]
    assert first["outcome"] == "committed", first
    assert first["runtime"] == "edgewright-gemm 1.0"
    (second,) = edgewright("deploy", gemm(2), *to)["outcomes"]
    assert second["outcome"] == "committed", second
    assert second["measurement"]["latency"]["p50"] > 0

    (measured,) = edgewright("bench", "gemm", "--on", "f-1")["boards"][0]["result"]["measurements"]
    assert measured["latency"]["p50"] > 0
    edgewright("rollback", "gemm", "--on", "f-1")
    link = module_home / "lab/f/f-1/home/.edgewright/models/gemm/current"
    assert link.readlink().name == first["release"] != second["release"]


def test_it_passes_the_suite_that_edgewrights_own_targets_pass(
    installed: Any, gemm: Callable[[int], Path], module_home: Path
) -> None:
    subprocess.run(
        [sys.executable, "-c", OLDEST, needs.python("3.6"), gemm(1)],
        env={**os.environ, "PYTHONPATH": str(installed.site)},
        check=True,
        timeout=200,
    )
