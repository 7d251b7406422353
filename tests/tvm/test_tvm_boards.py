"""A release's whole life on a board that runs TVM's code. What is refused before it is sent stands in tests/iree: it is the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import needs
import pytest
from command_line import command_line
from compiled_graphs import network
from flat_requests import deploy_request
from old_pythons import DEPLOYED_BY_TVM

from edgewright.compile.workers.pool import Workers
from edgewright.config import fleet as fleets
from edgewright.deployments.deployment import deploy
from edgewright.lab.boards import LabBoard
from edgewright.nouns.measurement import Protocol
from edgewright.nouns.project import Budget
from edgewright.store.history import History
from edgewright_targets.tvm.target import VERSION

# the test checks outcomes, not speed
BRIEF = Protocol(name="brief", rounds=1, warmup_s=0.01, steady_s=0.05, min_samples=11, limit_s=60.0)
SMALL = 6_500_000  # bytes: two libraries, unpacked


@pytest.mark.slow
def test_releases_on_a_board_that_runs_them_and_one_that_does_not(
    lab_up: Callable[..., list[LabBoard]],
    module_home: Path,
    workers: Workers,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Two boards run it: this Python's, and one whose Python is older than any that TVM has wheels for.

    A board that poses as a Pi 5 has this machine's CPU: code for a Cortex-A76 must not reach it.
    """
    python, _, runtime = DEPLOYED_BY_TVM
    monkeypatch.chdir(module_home)
    lab_up(2, name="t", profiles=("generic-x86_64", "pi5"))
    lab_up(1, name="old", python=str(needs.python(python)))
    fleet = fleets.load(Path("fleet.toml"))
    releases, sent = [], []
    for seed in (1, 2):
        request = deploy_request(
            fleet=fleet, boards=tuple(fleet.boards.values()), name="net", source=network(tmp_path / f"net{seed}.onnx", seed),
            target="tvm", precision="fp32", protocol=BRIEF, budget=Budget(max_slowdown=50.0),
        )  # fmt: skip
        good, refused, old = deploy(request, history=History(), workers=workers)
        for one in (good, old):
            assert one.outcome == "committed", one.message
            assert one.measurement is not None and one.measurement.latency.n >= BRIEF.min_samples
            assert one.runtime == f"apache-tvm {VERSION}" and one.runtime.startswith(runtime)
        assert (
            refused.outcome == "failed" and "lacks fp, asimd" in refused.message and refused.sent_bytes == 0
        )
        releases.append(good.release)
        sent.append(good.sent_bytes)
    assert sent[1] < sent[0] < SMALL, "no more than the two libraries that the runner calls"
    ran = command_line("rollback", "net", "--on", "t-1", "--json")
    assert ran.code == 0 and ran.json["outcomes"][0]["current"] == releases[0] != releases[1]
    ran = command_line("bench", "net", "--on", "t-1,old-1", "--protocol", "quick", "--json")
    assert ran.code == 0, ran.out
