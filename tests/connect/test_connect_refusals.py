"""What a board refused reaches the user with a hint that the host gives: in commands that can be typed, with the board's name."""

from __future__ import annotations

from typing import Any

import pytest

from edgewright.connect.agent.refusals import board_error
from edgewright.errors import Code
from edgewright_agent.protocol import AgentError
from edgewright_agent.protocol import Code as AgentCode


def told(code: str, do: str = "verify", **about: Any) -> str:
    return board_error(AgentError(code, "it failed", **about).wire(), do, "kitchen").hint


@pytest.mark.parametrize(
    ("code", "do", "about", "hint"),
    [
        (Code.DISK_FULL, "part", {}, "`edgewright fleet prune kitchen`"),
        (Code.DISK_FULL, "part", {"cause": "inodes"}, "remove small files on the board"),
        (Code.STATE_LOST, "begin", {}, "`edgewright fleet reset kitchen` accepts"),
        (Code.BUSY, "begin", {"left_s": 41.7}, "or 42 s for its lease to end"),
        (Code.ACCELERATOR_ABSENT, "bench", {"usable": ["cpu", "cuda"]}, "this runtime can use: cpu, cuda"),
        (
            Code.ACCELERATOR_ABSENT,
            "bench",
            {"advice": "is the stick plugged in?"},
            "is the stick plugged in?",
        ),
        (Code.ACCELERATOR_ABSENT, "bench", {"cause": "elsewhere"}, "convert it for that accelerator"),
        (Code.LOAD_FAILED, "verify", {"log": "no kernel for op 7"}, "last words: no kernel for op 7"),
        (Code.LOAD_FAILED, "rollback", {}, "--to VERSION"),
        (Code.ROOT_REFUSED, "", {"cause": "no-group", "group": "video"}, "`groupadd video`"),
        (Code.ROOT_REFUSED, "", {"cause": "not-in-group", "group": "video"}, "`usermod -a -G video LOGIN`"),
        (Code.ROOT_REFUSED, "", {}, "fleet.toml"),
        (Code.NO_GUARD, "activate", {"cause": "long"}, "`edgewright doctor kitchen --install-guard`"),
        (Code.BAD_ARGUMENT, "provision", {}, "--wheel FILE"),
        (Code.CONFLICT, "reset", {}, "`edgewright fleet remove kitchen --purge`"),
    ],
)
def test_the_host_gives_the_hint(code: str, do: str, about: dict[str, Any], hint: str) -> None:
    assert hint in told(code, do, **about)


def test_every_code_of_the_agent_has_a_hint() -> None:
    words = [word for name, word in vars(AgentCode).items() if name.isupper()]
    assert len(words) == 29 and all(told(word) for word in words)


def test_an_old_agents_hint_counts_only_where_it_says_what_it_found() -> None:
    old = {"code": "busy", "message": "no lease", "hint": "`begin` again"}
    assert "`begin`" not in board_error(old, "verify", "kitchen").hint
    old = {"code": "accelerator-absent", "message": "no", "hint": "this runtime can use: cpu"}
    assert board_error(old, "bench", "kitchen").hint == "this runtime can use: cpu"


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
    assert board_error(error.wire(), "verify", "kitchen").hint.endswith("last words: [2Jred")
