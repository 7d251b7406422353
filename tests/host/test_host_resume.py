"""A resume that cannot reach its boards, or lacks something, leaves them to the next one."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from command_line import command_line
from msgspec import UNSET
from plans import BOARD, ORDER, PLAN

from edgewright.api.history_notes import HistoryNotes
from edgewright.compile.quality import metrics
from edgewright.connect.opener import Opener
from edgewright.deployments.board_record import Trace
from edgewright.deployments.board_scoring import Scoring
from edgewright.deployments.deployment import Deployment
from edgewright.deployments.executor import Turns
from edgewright.deployments.incumbent import IncumbentInterfaces
from edgewright.deployments.journal import NoJournal
from edgewright.deployments.release import BoardRelease
from edgewright.deployments.resume import ResumeRequest, check_scoring, only_one, resume
from edgewright.deployments.rollback import RollbackRequest, rollback
from edgewright.deployments.task import BoardTask, Tools
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
    """Boards at a port that nothing answers."""
    boards = {name: Board(name=name, address="127.0.0.1", port=1) for name in names}
    return Fleet(name="f", path=home / "fleet.toml", boards=boards)


@pytest.fixture
def plan(home: Path) -> DeployPlan:
    """The journal of a killed host: `a` may be committed, `b` is unchanged."""
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


def task_of(home: Path, *, resuming: bool) -> BoardTask:
    """The task of a board that no earlier run changed and whose artifact is missing; the plan expects `2-old`."""
    tools = Tools(Opener(fleet(home)), NoJournal(), IncumbentInterfaces(History()), Turns(), silent,
                  threading.Event(), resuming=resuming)  # fmt: skip
    record = BoardRecord(plan=msgspec.structs.replace(ENTRY, expected_current="2-old"))
    return BoardTask(PLANNED, record, Board(name="a", address=""), DataError("no artifact"), tools)


@pytest.mark.parametrize(
    ("resuming", "current", "code"),
    [(True, "9-newer", "conflict"), (True, "2-old", "data"), (False, "9-newer", "data")],
)
def test_only_a_resume_refuses_another_release_than_the_history_has(
    home: Path, resuming: bool, current: str, code: str
) -> None:
    session: Any = SimpleNamespace(greeting=SimpleNamespace(board_id="x"))
    with pytest.raises(GateRefused) as error:
        task_of(home, resuming=resuming).still_wanted(session, current)
    assert error.value.code == code


def test_a_plan_expects_what_the_history_has_of_the_same_board(home: Path) -> None:
    done = BoardOutcome(board="a", outcome="committed", model="net", release="2-old", board_id="x")
    other = msgspec.structs.replace(done, board="b", board_id="y")
    History().record("deploy", "f", "2", [done, other, msgspec.structs.replace(done, model="another")])
    boards = fleet(home, "a", "b", "c")
    request: Any = SimpleNamespace(fleet=boards, boards=tuple(boards.boards.values()), name="net")
    deployment = Deployment(request, History(), None, silent, None)
    assert deployment.last_releases({"a": "x", "b": "replaced"}) == {"a": "2-old"}


def test_a_rollback_is_recorded_board_by_board(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, record = [], History.record

    def watched(self: History, action: str, name: str, version: str, outcomes: list[BoardOutcome]) -> None:
        rows.append(len(outcomes))
        record(self, action, name, version, outcomes)

    monkeypatch.setattr(History, "record", watched)
    boards = fleet(home, "a", "b", "c")
    request = RollbackRequest(fleet=boards, boards=tuple(boards.boards.values()), model="net")
    found = rollback(request, history=History())
    assert rows == [1, 1, 1] and not any("not kept" in one.message for one in found)
    assert sorted(event["board"] for event in History().events()) == ["a", "b", "c"]


def test_a_hook_that_changed_before_its_upload_is_not_installed() -> None:
    session: Any = SimpleNamespace(
        board=SimpleNamespace(name="a"), sent_bytes=0, put_all=lambda sources: ["0" * 64] * len(sources)
    )
    manifest = SimpleNamespace(files=(), canonical=lambda: b"{}", target="onnxruntime")
    shipment: Any = (SimpleNamespace(id="ab" * 32, manifest=manifest, folder=Path()), None, None)
    transaction: Any = SimpleNamespace(session=session, txn="t")
    release = BoardRelease(ORDER, shipment, None, transaction, Trace(), silent)  # type: ignore[arg-type]
    with pytest.raises(GateRefused, match=r"health\.sh was changed"):
        release.install("system")


def test_status_names_what_is_unfinished_although_no_board_answers(home: Path, plan: DeployPlan) -> None:
    file = home / "fleet.toml"
    file.write_text('name = "f"\n[boards.a]\naddress = "127.0.0.1"\nport = 1\n')
    shown = command_line("status", "--fleet", file)
    assert f"deploy --resume {plan.id}" in shown.out
    result = command_line("status", "--fleet", file, "--json").json
    assert (result["history_silent"], result["accepted"]) == (False, [])
    assert [one["id"] for one in result["deployments"]] == [plan.id]


def test_a_metric_that_was_changed_since_is_refused(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text("def score(outputs, labels):\n    return labels == 0\n")
    metric = f"{own}:score"
    given: Any = SimpleNamespace(inputs=own, sha256=PLAN.evaluation_sha256)

    def scoring() -> Scoring:
        return Scoring(metrics.load(metric), given, np.zeros(1), ())

    model = msgspec.structs.replace(PLAN.model, metric=metric)
    plan = msgspec.structs.replace(PLAN, model=model, metric_sha256=scoring().metric_sha256)
    check_scoring(plan, scoring())
    own.write_text("def score(outputs, labels):\n    return labels == 1\n")
    with pytest.raises(DataError, match=r"^the metric own\.py:score changed since") as error:
        check_scoring(plan, scoring())
    assert error.value.code == "data-changed" and "deploy again" in error.value.hint
    check_scoring(msgspec.structs.replace(plan, metric_sha256=UNSET), scoring())  # an earlier version's
