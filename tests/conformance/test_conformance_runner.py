"""One suite for every target: what `runner.py` owes the agent, whatever runtime is behind it.

Targets are found by themselves. The first part needs no runtime and is for all of them. The second runs real artifacts:
by the runner where its runtime is installed on this machine, else by what stands in for it on the host (`host_runner`).
A target whose every way needs a toolchain takes part in the first alone: its own tests install that.
"""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import runner_suite as suite
from reached import way_of

from edgewright import targets
from edgewright.compile.formats import FORMATS
from edgewright.precisions import PRECISIONS

FUNCTIONS = {
    "import_runtime": [],
    "accelerators": [],
    "prepare": ["folder", "manifest", "options"],
    "load": ["folder", "manifest", "options"],
}
OPTIONAL = {"prepares": ["options"], "environment": ["options"]}
SESSION = {"feed": ["tensors"], "infer": ["feed"], "read": ["outputs"], "close": []}
ALONE = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("runner", sys.argv[1])
runner = importlib.util.module_from_spec(spec)
spec.loader.exec_module(runner)
try:
    runner.import_runtime()
except (ImportError, OSError) as error:
    print("absent", error)
assert runner.prepare.__doc__
"""


def parameters(function: Any) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]


@pytest.mark.parametrize("name", targets.names())
def test_the_runner_has_the_functions_that_the_agent_calls(name: str) -> None:
    runner = targets.runner(name)
    for function, wanted in FUNCTIONS.items():
        assert parameters(getattr(runner, function)) == wanted, function
    for function, wanted in OPTIONAL.items():
        assert not hasattr(runner, function) or parameters(getattr(runner, function)) == wanted, function
    assert hasattr(runner, "prepares") == hasattr(runner, "environment")
    for method, wanted in SESSION.items():
        assert parameters(getattr(runner.Session, method)) == wanted, method


@pytest.mark.parametrize("name", targets.names())
def test_the_runner_imports_by_the_standard_library_alone_and_says_what_is_missing(name: str) -> None:
    """As on a board: no site-packages. Where the runtime is missing, that is an ImportError or an OSError."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", ALONE, targets.folder(name) / "runner.py"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("absent")


@pytest.mark.parametrize("name", targets.names())
def test_the_metadata_name_what_there_is(name: str) -> None:
    target = targets.load(name)
    assert set(target.precisions) <= set(PRECISIONS)
    assert set(target.sources) <= set(FORMATS)
    assert target.calibration_methods[0] == "minmax"
    assert "cpu" not in target.accelerators[1:]
    assert set(target.hardware) <= set(target.accelerators)
    assert find_spec(targets.module_name(f"{name}.{target.host_runner}"))
    for ways in (target.routes, target.as_is):
        for way in ways.values():
            assert {worker for worker, _ in way.stages} <= {one.framework for one in FORMATS.values()}
            assert set(way.precisions or ()) <= set(target.precisions)
            for _, module in way.stages:
                assert find_spec(targets.module_name(module)), module
    assert ("as-is" in target.precisions) == bool(target.as_is)
    for row in target.runtimes:
        assert target.caps_of(row.distribution, row.version) == row.caps


def runs(name: str) -> Any:
    """The runner, or its stand-in on the host where the runtime is not installed here."""
    try:
        targets.runner(name).import_runtime()
    except (ImportError, OSError):
        return importlib.import_module(targets.module_name(f"{name}.{targets.load(name).host_runner}"))
    return targets.runner(name)


REACHED = [name for name in targets.names() if way_of(name)]


@pytest.fixture(scope="module")
def made(converted: Callable[[str, str, str], Path]) -> Callable[[str, str, str], suite.Ready]:
    """`made(target, model, precision)`: a Ready."""
    return cache(
        lambda name, model, precision: suite.Ready(
            runs(name), converted(name, model, precision), targets.load(name).accelerators
        )
    )


def test_most_targets_are_reached() -> None:
    assert {"onnxruntime", "openvino", "tflite"} <= set(REACHED)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("check", "model", "precision"), suite.CHECKS, ids=[suite.title(*row) for row in suite.CHECKS]
)
@pytest.mark.parametrize("name", REACHED)
def test_the_runner_does_what_the_agent_relies_on(made, name: str, check, model: str, precision: str) -> None:
    ready = made(name, model, precision)
    if check is suite.what_has_nothing_to_prepare_prepares_nothing and ready.runner is not targets.runner(
        name
    ):
        assert targets.runner(name).prepares({"accelerator": None})  # its own does, on the board alone
    else:
        check(ready)
