"""A resume that cannot reach its boards, or lacks something, leaves them to the next one."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import pytest
from plans import BOARD, PLAN

from edgewright.cli.history_notes import HistoryNotes
from edgewright.connect.opener import Opener
from edgewright.deploy.executor import Turns
from edgewright.deploy.incumbent import IncumbentInterfaces
from edgewright.deploy.journal import NoJournal
from edgewright.deploy.resume import ResumeRequest, only_one, resume
from edgewright.deploy.task import BoardTask, Tools
from edgewright.errors import Code, DataError, EdgewrightError, GateRefused, TrustError, UsageError
from edgewright.nouns.board import Board, Fleet
from edgewright.nouns.deploy_plan import DeployPlan
from edgewright.nouns.outcome import BoardOutcome
from edgewright.nouns.progress import silent
from edgewright.store.history import History
from edgewright.store.journal import BoardRecord, DeploymentJournal, this_host

ENTRY = msgspec.structs.replace(BOARD, profile="generic-x86_64", board_id="")
PLANNED = msgspec.structs.replace(
    PLAN, host=this_host(), boards=tuple(msgspec.structs.replace(ENTRY, board=name) for name in ("a", "b"))
)


def fleet(home: Path, *names: str) -> Fleet:
    """Boards at a port where nothing answers."""
    boards = {name: Board(name=name, address="127.0.0.1", port=1) for name in names}
    return Fleet(name="f", path=home / "fleet.toml", boards=boards)


@pytest.fixture
def plan(home: Path) -> DeployPlan:
    """What a killed host left: `a` may have been committed, `b` was not touched."""
    History().record(
        "deploy", "f", "2", [BoardOutcome(board="a", outcome="committed", model="net", release="2-old")]
    )
    journal = DeploymentJournal(History())
    journal.begin(PLANNED)
    journal.begun(PLANNED, msgspec.structs.replace(PLANNED.boards[0], expected_current="2-old"), "t1")
    return PLANNED


def left(plan: DeployPlan) -> list[tuple[str, str]]:
    return [(record.plan.board, record.state) for record in DeploymentJournal(History()).left(plan)]


def test_boards_that_cannot_be_asked_stay_open(home: Path, plan: DeployPlan) -> None:
    found = resume(ResumeRequest(fleet=fleet(home, "a", "b")), history=History()).outcomes
    assert (found[0].outcome, found[0].release) == ("unknown", "3-abababab")
    assert found[1].code == "host-key-unknown"
    assert left(plan) == [("a", "begun"), ("b", "planned")]
    assert History().last_releases("f", ["a", "b"]) == []  # `status` must not advise to put 2-old back


def test_a_board_that_is_missing_in_the_fleet_file_stays_open(home: Path, plan: DeployPlan) -> None:
    found = resume(ResumeRequest(fleet=fleet(home, "a")), history=History()).outcomes
    assert [(one.board, one.outcome, one.code) for one in found][1] == ("b", "refused", "not-found")
    assert "resume" in found[1].hint and left(plan) == [("a", "begun"), ("b", "planned")]


def test_another_fleet_of_the_same_name_is_left_alone(home: Path, plan: DeployPlan) -> None:
    journal = DeploymentJournal(History())
    with pytest.raises(UsageError, match="no unfinished deployment"):
        only_one(journal, fleet(home, "c"))
    assert only_one(journal, fleet(home, "b", "c")) == plan.id


@pytest.mark.parametrize(
    ("state", "resuming", "error", "outcome", "left_open"),
    [
        ("begun", True, TrustError("another key"), "unknown", True),
        ("begun", True, EdgewrightError("reverted", code=Code.REVERTED), "failed", False),
        ("planned", True, TrustError("another key"), "failed", True),
        ("planned", True, GateRefused("changed", code=Code.CONFLICT), "refused", False),
        ("planned", False, TrustError("another key"), "failed", False),
    ],
)
def test_only_what_was_decided_ends_a_board(
    home: Path, state: str, resuming: bool, error: EdgewrightError, outcome: str, left_open: bool
) -> None:
    tools = Tools(Opener(fleet(home)), NoJournal(), IncumbentInterfaces(History()), Turns(), silent,
                  threading.Event(), resuming=resuming)  # fmt: skip
    record = BoardRecord(plan=ENTRY, state=state, txn="t")
    task = BoardTask(PLANNED, record, Board(name="a", address=""), DataError("no artifact"), tools)
    assert (task.ended(error).outcome, task.left_open) == (outcome, left_open)


def test_what_another_machine_began_is_taken_over_only_where_a_person_says_so(home: Path) -> None:
    plan = msgspec.structs.replace(PLANNED, host="there")
    journal = DeploymentJournal(History())
    journal.begin(plan)
    request = ResumeRequest(fleet=fleet(home, "a"), name=plan.id)
    with pytest.raises(EdgewrightError, match="it may be at work on there") as error:
        resume(request, history=History())
    assert error.value.code == "other-host" and "--take-over" in error.value.hint
    notes = HistoryNotes(deployments=tuple(journal.unfinished("f")), host=this_host()).lines()
    assert "on there, is unfinished" in notes[0] and f"--resume {plan.id} --take-over`" in notes[1]
    resume(msgspec.structs.replace(request, take_over=True, dry_run=True), history=History())
    assert journal.host(plan.id) == "there"
    resume(msgspec.structs.replace(request, take_over=True), history=History())
    assert journal.host(plan.id) == this_host() and len(journal.left(plan)) == 2
