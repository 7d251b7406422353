"""What failed before: the host's answer before it sends anything, and the board's at the installation, are the same."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgewright.connect.agent import runner_package
from edgewright.deployments import earlier_failures
from edgewright.deployments.earlier_failures import Candidate
from edgewright.errors import GateRefused
from edgewright.wire.answers import StatusModel
from edgewright_agent.lifecycle.agent import Agent
from edgewright_agent.session.commands import Commands

FAILS, OTHER = b"#!/bin/sh\nexit 3\n", b"#!/bin/sh\nexit 4\n"
HOOKS: list[dict[str, bytes]] = [{}, {"health": FAILS}, {"health": OTHER}]


class Installed:
    """A board, and two runners of a target."""

    def __init__(self, wire: Any, kit: Any, root: Path) -> None:
        self.wire, self.kit, self.root, self.artifact = wire, kit, root, kit.artifact()
        sources = {"tflite/runner.py": "# another one\n"}
        self.runners = [
            kit.give(wire),
            kit.give(wire, "tflite", runner_package.packed("tflite", sources).data),
        ]
        self.runtimes = [
            kit.provision(wire),
            kit.provision(wire, kit.wheel({"toy/__init__.py": b"VERSION = 2\n"})),
        ]

    def install(self, wanted: Candidate, hooks: dict[str, bytes], txn: str) -> str:
        """Installs as a deployment does."""
        version = wanted.release.partition("-")[0]
        return str(
            self.kit.install(
                self.wire, self.artifact, txn, version, hooks=hooks, runtime=wanted.runtime,
                hook_s=wanted.hook_s, runner=wanted.runner,
            )
        )  # fmt: skip

    def candidate(
        self, version: str, hooks: dict[str, bytes], hook_s: float = 0, runner: int = 0, runtime: int = 0
    ) -> Candidate:
        return Candidate(
            release=f"{version}-{self.artifact['sha256'][:8]}",
            artifact=self.artifact["sha256"],
            runtime=self.runtimes[runtime],
            version="1.0",
            hooks={kind: self.kit.sha(data) for kind, data in hooks.items()},
            hook_s=hook_s,
            runner=self.runners[runner],
        )

    def judge(self, release: str, code: str) -> None:
        """Records the result of a verification."""
        Commands(Agent(str(self.root), "0" * 64), lambda _: None).judge(
            "digits", release, code, code and "bad"
        )

    def known(self) -> StatusModel:
        return msgspec.convert(self.wire.call("status")["models"]["digits"], StatusModel)

    def both(self, wanted: Candidate, hooks: dict[str, bytes]) -> tuple[bool, bool]:
        """Whether the host refuses it, and whether the board does; the board's state is as before then."""
        kept = {name: (self.root / name).read_bytes() for name in ("state.0.json", "state.1.json")}
        mine, theirs, txn = False, False, self.kit.begun(self.wire)
        try:
            earlier_failures.refuse(self.known(), wanted)
        except GateRefused:
            mine = True
        try:
            self.install(wanted, hooks, txn)
        except self.kit.AgentFailureError as error:
            assert "failed-before" in str(error), error
            theirs = True
        for name, data in kept.items():
            (self.root / name).write_bytes(data)
        return mine, theirs


@pytest.fixture
def board(connect: Any, kit: Any, root: Path) -> Installed:
    return Installed(connect(), kit, root)


def failed(board: Installed) -> None:
    """Its answers were wrong."""
    txn = board.kit.begun(board.wire)
    board.judge(board.install(board.candidate("1", {}), {}, txn), "golden")
    board.wire.call("end", txn=txn)


def reverted(board: Installed) -> None:
    """Its hooks failed."""
    txn, hooks = board.kit.begun(board.wire), HOOKS[1]
    release = board.install(board.candidate("1", hooks), hooks, txn)
    board.judge(release, "")
    ask = {"model": "digits", "release": release, "expected_current": board.kit.current(board.root)}
    with pytest.raises(board.kit.AgentFailureError, match="hook-failed"):
        board.wire.call("activate", txn=txn, deadline_s=30, **ask)
    board.wire.call("end", txn=txn)


def committed(board: Installed, version: str) -> None:
    txn = board.kit.begun(board.wire)
    release = board.install(board.candidate(version, {}), {}, txn)
    board.judge(release, "")
    ask = {"model": "digits", "release": release, "expected_current": board.kit.current(board.root)}
    board.wire.call("activate", txn=txn, deadline_s=30, **ask)
    board.wire.call("commit", txn=txn)
    board.wire.call("end", txn=txn)


def good_and_reverted(board: Installed) -> None:
    """It is known good without hooks, though not current, and failed with some."""
    committed(board, "2")
    committed(board, "9")
    reverted(board)


@pytest.mark.parametrize("history", [failed, reverted, good_and_reverted])
def test_host_and_board_refuse_the_same(board: Installed, history: Any) -> None:
    history(board)
    grid = [(*row, 0.0) for row in itertools.product(("1", "2", "3"), range(3), range(2), range(2))]
    found = []
    for version, number, runner, runtime, hook_s in [*grid, ("1", 1, 0, 0, 5.0), ("2", 2, 0, 0, 5.0)]:
        wanted = board.candidate(version, HOOKS[number], hook_s, runner, runtime)
        mine, theirs = board.both(wanted, HOOKS[number])
        assert mine == theirs, (wanted, mine)
        found.append(mine)
    assert True in found and False in found


def test_a_board_with_its_own_runners_decides_by_itself(board: Installed) -> None:
    failed(board)
    wanted = board.candidate("2", {})
    with pytest.raises(GateRefused, match="this artifact failed on this board before: bad"):
        earlier_failures.refuse(board.known(), wanted)
    earlier_failures.refuse(board.known(), wanted._replace(runner=None))
    earlier_failures.refuse(None, wanted)
