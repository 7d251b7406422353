"""One suite for every target: the contract of `runner.py` with the agent, for every runtime.

Targets are found by themselves. The first part needs no runtime and is for all of them. The second runs real artifacts:
by the runner where its runtime is installed on this machine, else by what stands in for it on the host (`host_runner`).
A target whose every way needs a toolchain takes part in the first alone, unless `reached.INSTALLED` names that: its own tests install it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from reached import way_of

from edgewright import targets
from edgewright.testing import runner_checks as suite
from edgewright.testing import targets as checks

CHECKS = [checks.check_record, checks.check_stages, checks.check_runner, checks.check_runner_alone]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", targets.names())
def test_a_target_is_whole(name: str, check: Callable[[str], None]) -> None:
    check(name)


REACHED = [name for name in targets.names() if way_of(name)]
CELLS = [
    pytest.param(name, check, model, precision, id=f"{name}-{suite.title(check, model, precision)}")
    for name in REACHED
    for check, model, precision in suite.of_artifacts(
        [" ".join(case) for case in suite.CASES if case[1] in targets.load(name).precisions]
    )
]


@pytest.fixture(scope="module")
def made(converted: Callable[[str, str, str], Path]) -> Callable[[str, str, str], suite.Ready]:
    """`made(target, model, precision)`: a Ready."""
    return cache(lambda name, model, precision: checks.ready(name, converted(name, model, precision)))


def test_most_targets_are_reached() -> None:
    assert {"ncnn", "onnxruntime", "openvino", "tflite", "tvm"} <= set(REACHED)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "check", "model", "precision"), CELLS)
def test_the_runner_does_what_the_agent_relies_on(made, name: str, check, model: str, precision: str) -> None:
    ready = made(name, model, precision)
    if check is suite.what_has_nothing_to_prepare_prepares_nothing and not hasattr(ready.runner, "prepare"):
        assert targets.runner(name).prepares(
            {"accelerator": None}
        )  # the target's own runner does, only on the board
    else:
        check(ready)
