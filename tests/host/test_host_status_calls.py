"""How hosts use the command `status`: once per deployment, and only with arguments that agents of other versions know."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from edgewright.api.results import BoardAnswer, StatusResult
from edgewright.cli.commands.status import ending
from edgewright.cli.views.damage import lines
from edgewright.connect.agent.versions import whole_status
from edgewright.deployments.incumbent import Incumbent, incumbent_of
from edgewright.errors import BoardError, Code
from edgewright.wire.answers import About, Damage, Status, StatusModel, StatusRelease, StatusTrial
from edgewright.wire.commands import Command

TRIAL = StatusTrial(txn="1" * 32, to="2-00000000", deadline_s=9.0)
MODEL = StatusModel(current="1-00000000", releases={"1-00000000": StatusRelease(artifact="art")}, trial=TRIAL)


class Board:
    """A session whose agent knows some arguments of `status`."""

    board = SimpleNamespace(name="b")

    def __init__(self, *known: str) -> None:
        self.known, self.asked = known, list[dict[str, object]]()

    def call(self, command: Command[Status], timeout_s: float | None = None) -> Status:
        self.asked.append(command.arguments())
        if not set(command.arguments()) <= set(self.known):
            raise BoardError("unknown argument", code=Code.BAD_ARGUMENT)
        return Status(models={"m": MODEL}, lease=None, problem="")


def test_a_deployment_asks_once_for_the_incumbent_and_for_trials() -> None:
    session: Any = Board()
    assert incumbent_of(session, "m", TRIAL.txn) == Incumbent("1-00000000", "art", known=MODEL)
    assert session.asked == [{}]
    with pytest.raises(BoardError, match="another release of m is on trial on b") as refused:
        incumbent_of(session, "m", "2" * 32)
    assert refused.value.code == Code.BUSY and session.asked == [{}, {}]
    assert incumbent_of(session, "m").release == "1-00000000"  # a rollback goes on beside a trial


@pytest.mark.parametrize("hooks", [None, {}, {"health": "a" * 64}])
def test_the_hooks_of_the_incumbent_are_known_unless_its_agent_is_older(hooks: dict[str, str] | None) -> None:
    about = {"artifact": "art"} | ({} if hooks is None else {"hooks": hooks})
    release = msgspec.convert(about, StatusRelease)
    model = msgspec.structs.replace(MODEL, releases={"1-00000000": release}, trial=None)
    session: Any = SimpleNamespace(
        call=lambda _: Status(models={"m": model}, lease=None, problem=""),
        board=SimpleNamespace(name="b"),
    )
    assert incumbent_of(session, "m").hooks == hooks


@pytest.mark.parametrize(
    ("known", "asked"),
    [
        (("verify", "files"), [{"files": True}]),
        (("verify",), [{"files": True}, {}]),
        ((), [{"files": True}, {}]),
    ],
)
def test_an_agent_that_does_not_know_the_argument_is_asked_without_it(
    known: tuple[str, ...], asked: list[dict[str, object]]
) -> None:
    session: Any = Board(*known)
    assert whole_status(session, verify=False).models == {"m": MODEL}
    assert session.asked == asked


def test_hashes_need_one_question() -> None:
    session: Any = Board("verify")
    whole_status(session, verify=True)
    assert session.asked == [{"verify": True}]


def test_damage_is_not_the_end_of_a_status_that_says_all_is_well() -> None:
    damage = Damage(code=Code.RELEASE_DAMAGED, message="a file is damaged", model="m", release="1-00000000")
    status = Status(models={"m": MODEL}, lease=None, problem="")
    shown = [
        ending(StatusResult(boards=(BoardAnswer(board="b", result=one),)))
        for one in (
            status,
            msgspec.structs.replace(status, damage=(damage,)),
        )
    ]
    assert "on trial on b" in shown[0] and "follow the lines above" in shown[1]


def test_a_damaged_release_is_advised_back_by_what_works_there() -> None:
    """Its own version if it is not current: the same artifact may be current under another; a rollback if one is left."""
    releases = {f"{n}-00000000": StatusRelease(version=str(n), artifact="art") for n in (1, 2)}
    model = StatusModel(current="2-00000000", known_good=tuple(releases), releases=releases)
    old, new = (
        Damage(code=Code.RELEASE_DAMAGED, message="it is damaged", model="m", release=name)
        for name in releases
    )
    strange = msgspec.structs.replace(old, about=About(cause="strange"))
    for found, hints in (
        ((old,), ["deploy it again: --version 1"]),
        ((new,), ["deploy it under another version: --version VERSION; or `edgewright rollback m --on b`"]),
        ((old, new), ["deploy it again: --version 1", "deploy it under another version: --version VERSION"]),
        ((strange,), ["`edgewright fleet repair b` moves the link aside; then deploy it again"]),
    ):
        shown = lines("b", found, {"m": model})
        assert [line[6:] for line in shown if line.startswith("hint: ")] == hints
