"""A board's refusals reach the user with a hint from the host: with commands that exist and the board's name."""

from __future__ import annotations

from typing import Any

import pytest

from edgewright.connect.agent import versions
from edgewright.connect.agent.refusals import board_error
from edgewright.deployments.board_record import Trace
from edgewright.deployments.settlement import settled
from edgewright.errors import BoardError, Code
from edgewright_agent.protocol import AgentError
from edgewright_agent.protocol import Code as AgentCode
from edgewright_agent.session.server import Server


def told(code: str, do: str = "verify", **about: Any) -> str:
    return board_error(AgentError(code, "it failed", **about).wire(), do, "kitchen").hint


@pytest.mark.parametrize(
    ("code", "do", "about", "hint"),
    [
        (Code.DISK_FULL, "part", {}, "`edgewright fleet prune kitchen`"),
        (Code.DISK_FULL, "part", {"cause": "inodes"}, "remove small files on the board"),
        (Code.STATE_LOST, "begin", {}, "`edgewright fleet reset kitchen` accepts"),
        (Code.BUSY, "begin", {"left_s": 41.7}, "or wait 42 s for its lease to end"),
        (Code.ACCELERATOR_ABSENT, "bench", {"usable": ["cpu", "cuda"]}, "this runtime can use: cpu, cuda"),
        (
            Code.ACCELERATOR_ABSENT,
            "bench",
            {"advice": "is the stick plugged in?"},
            "is the stick plugged in?",
        ),
        (Code.ACCELERATOR_ABSENT, "bench", {"cause": "elsewhere"}, "convert it for that accelerator"),
        (Code.LOAD_FAILED, "verify", {"log": "no kernel for op 7"}, "last output: no kernel for op 7"),
        (Code.LOAD_FAILED, "rollback", {}, "--to VERSION"),
        (Code.ROOT_REFUSED, "", {"cause": "no-group", "group": "video"}, "`groupadd video`"),
        (Code.ROOT_REFUSED, "", {"cause": "not-in-group", "group": "video"}, "`usermod -a -G video LOGIN`"),
        (Code.ROOT_REFUSED, "", {}, "fleet.toml"),
        (Code.NO_GUARD, "activate", {"cause": "long"}, "`edgewright doctor kitchen --install-guard`"),
        (Code.BAD_ARGUMENT, "provision", {}, "--wheel FILE"),
        (Code.BAD_ARGUMENT, "", {}, "correct `group` of this board in fleet.toml"),
        (Code.IO, "verify", {"cause": "internal"}, "report it with `edgewright logs kitchen`"),
        (Code.REVERTED, "activate", {}, "deploy --deadline"),
        (Code.REVERTED, "rollback", {}, "run this again when the board is less busy"),
        (Code.CONFLICT, "reset", {}, "`edgewright fleet repair kitchen`"),
    ],
)
def test_the_host_gives_the_hint(code: str, do: str, about: dict[str, Any], hint: str) -> None:
    assert hint in told(code, do, **about)


def test_every_code_of_the_agent_has_a_hint() -> None:
    words = [word for name, word in vars(AgentCode).items() if name.isupper()]
    assert len(words) == 29 and all(told(word) for word in words)


@pytest.mark.parametrize(
    ("code", "own"),
    [
        (Code.HOOK_FAILED, "it must begin with a line such as `#!/bin/sh`"),
        (Code.ACCELERATOR_ABSENT, "this runtime can use: cpu"),
        (Code.RUNTIME_DAMAGED, "provision it again"),
    ],
)
def test_an_old_agents_hint_counts(code: str, own: str) -> None:
    assert board_error({"code": code, "message": "no", "hint": own}, "verify", "kitchen").hint == own


@pytest.mark.parametrize(
    ("code", "own"),
    [
        (Code.BUSY, "`begin` again"),
        (Code.CONFLICT, "begin a new one"),
        (Code.CONFLICT, "`verify` it first"),
        (Code.STATE_LOST, "`reset` accepts what `current` points to"),
        (Code.NOT_FOUND, "put it first"),
    ],
)
def test_an_old_agents_hint_in_commands_of_the_wire_does_not(code: Code, own: str) -> None:
    found = board_error({"code": code, "message": "no", "hint": own}, "verify", "kitchen").hint
    assert found == code.cure.replace("BOARD", "kitchen")


def test_a_newer_agents_code_keeps_its_own_hint() -> None:
    error = board_error({"code": "novel", "message": "x", "hint": "do that"}, "verify", "kitchen")
    assert (error.code, error.hint) == ("novel", "do that")


@pytest.mark.parametrize(
    "error",
    [
        *(
            None,
            [],
            "no",
            {},
            {"code": 7},
            {"code": "io", "about": 7},
            {"code": "io", "about": {"usable": 7}},
        ),
        {"code": "io", "message": "x" * 9000, "hint": "y" * 9000, "about": {"log": "z" * 9000}},
    ],
)
def test_a_board_may_say_anything(error: Any) -> None:
    found = board_error(error, "verify", "kitchen")
    assert found.message and found.hint and len(found.message) <= 2000 and len(found.hint) <= 2000
    assert type(found.code) is str


def test_control_characters_of_an_agent_are_removed() -> None:
    error = AgentError(AgentCode.LOAD_FAILED, "it failed", log="\x1b[2Jred\u202e")
    assert board_error(error.wire(), "verify", "kitchen").hint.endswith("last output: [2Jred")


def test_an_administrators_agent_of_another_version_is_named_for_a_newer_schema() -> None:
    refused = BoardError("a newer agent wrote the state", hint="upgrade", code=Code.NEWER_SCHEMA)
    assert "an administrator installed its agent, 0.0.9" in versions.of_another_agent(refused, "0.0.9").hint
    assert "0.0.9" in versions.problem(Code.NEWER_SCHEMA, "kitchen", "0.0.9")[1]
    assert "0.0.9" not in versions.problem(Code.STATE_LOST, "kitchen", "0.0.9")[1]
    assert versions.problem(Code.NEWER_SCHEMA, "kitchen")[1] == Code.NEWER_SCHEMA.cure


@pytest.mark.parametrize(("do", "deadline"), [("activate", True), ("rollback", False)])
def test_a_trial_that_ended_too_early_names_options_of_its_command(do: str, deadline: bool) -> None:
    with pytest.raises(BoardError) as reverted:
        settled(Trace(), "reverted", do, "kitchen")
    assert ("--deadline" in reverted.value.hint) is deadline


def test_a_bug_of_the_agent_is_told_from_a_fault_of_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise KeyError("lost")

    server = object.__new__(Server)
    monkeypatch.setattr(Server, "run", failing)
    monkeypatch.setattr(Server, "note", lambda *_: None)
    error = board_error(server.work("verify", {"model": "m"})["error"], "verify", "kitchen")
    assert (error.code, "a bug of the agent" in error.hint) == ("io", True)
