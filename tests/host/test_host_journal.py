"""The journal: what remains of a deployment whose host was killed, and what it refuses."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from plans import PLAN

from edgewright.errors import EdgewrightError
from edgewright.nouns.deploy_plan import DeployPlan
from edgewright.nouns.outcome import BoardOutcome
from edgewright.store import history_schema
from edgewright.store.history import History, journal_tables
from edgewright.store.journal import DeploymentJournal, at_work, working_on


def ended(board: str, kind: str) -> BoardOutcome:
    return BoardOutcome(board=board, outcome=kind, model="net", release="3-abababab", deployment=PLAN.id)


@pytest.fixture
def journal() -> DeploymentJournal:
    """The journal of a killed host: both boards planned, `a` begun."""
    first = DeploymentJournal(History())
    first.begin(PLAN)
    first.begun(PLAN, msgspec.structs.replace(PLAN.boards[0], expected_current="2-x"), "t1")
    return DeploymentJournal(History())


def sql(home: Path, statement: str) -> None:
    with closing(sqlite3.connect(home / "history.sqlite3")) as database, database:
        assert database.execute(statement).rowcount


def test_what_is_left_is_read_by_another_process(journal: DeploymentJournal) -> None:
    plan = journal.plan(PLAN.id)
    assert plan == PLAN
    a, b = journal.left(plan)
    assert (a.state, a.txn, a.plan.expected_current) == ("begun", "t1", "2-x")
    assert (b.state, b.txn, b.plan) == ("planned", "", PLAN.boards[1])
    (one,) = journal.unfinished("f")
    assert (one.id, one.model, one.version, one.boards, one.running) == (
        PLAN.id,
        "net",
        "3",
        ("a", "b"),
        False,
    )
    assert journal.unfinished("g") == []


def test_an_outcome_is_in_the_history_at_once(journal: DeploymentJournal) -> None:
    before = History().events(fleet="f")
    assert [(event["board"], event["outcome"]) for event in before] == [
        ("b", "unfinished"),
        ("a", "unfinished"),
    ]
    journal.ended(PLAN, ended("a", "committed"))
    assert [(event["board"], event["outcome"]) for event in History().events(fleet="f")] == [
        ("b", "unfinished"), ("a", "committed"),
    ]  # fmt: skip
    assert [one.plan.board for one in journal.left(PLAN)] == ["b"]
    journal.ended(PLAN, ended("b", "refused"))
    assert journal.left(PLAN) == [] and journal.unfinished("f") == []


def test_an_outcome_that_is_unknown_stays_to_be_asked(journal: DeploymentJournal) -> None:
    journal.ended(PLAN, ended("a", "unknown"))
    assert [one.state for one in journal.left(PLAN)] == ["begun", "planned"]
    assert History().events(boards=["a"])[0]["outcome"] == "unknown"


def test_the_last_release_is_the_one_that_was_committed_last(home: Path) -> None:
    journal, later = DeploymentJournal(History()), msgspec.structs.replace(PLAN, nonce="later")
    journal.begin(PLAN)
    journal.begin(later)
    for plan, release in ((later, "4-x"), (PLAN, "3-abababab")):
        outcome = msgspec.structs.replace(ended("a", "committed"), release=release)
        journal.ended(plan, outcome)
    assert [(one.board, one.release) for one in History().last_releases("f", ["a", "b"])] == [
        ("a", "3-abababab")
    ]


def test_a_number_that_another_artifact_took_since_is_refused_and_nothing_is_kept(home: Path) -> None:
    entry = msgspec.structs.replace(PLAN.boards[0], artifact="cd" * 32)
    other = msgspec.structs.replace(PLAN, nonce="other", boards=(entry,))
    journal = DeploymentJournal(History())
    journal.begin(other, numbered=True)
    with pytest.raises(EdgewrightError, match="version 3 of net is another artifact's by now: cdcd") as error:
        journal.begin(PLAN, numbered=True)
    assert (error.value.code, journal.host(PLAN.id), len(History().events())) == ("conflict", "", 1)
    with pytest.raises(EdgewrightError, match="version 3 of net is another artifact's by now: cdcd"):
        journal.forecast(PLAN)  # a dry run
    journal.forecast(msgspec.structs.replace(other, nonce="again"))
    assert len(History().events()) == 1
    again = msgspec.structs.replace(other, nonce="again")
    journal.begin(again, numbered=True)  # the same artifact
    journal.begin(PLAN)  # a version that somebody named
    journal.ended(PLAN, msgspec.structs.replace(ended("a", "committed"), artifact="ab" * 32))
    journal.begin(msgspec.structs.replace(PLAN, nonce="back"), numbered=True)  # it had that number before


def test_a_forecast_without_a_history_makes_none(home: Path) -> None:
    DeploymentJournal(History()).forecast(PLAN)
    assert not (home / "history.sqlite3").exists()


@pytest.mark.parametrize("url", ["postgresql+nosuch://u:p@h/d", "mysql+asyncmy://u:p@h/d", "nonsense"])
def test_a_database_that_cannot_be_opened_is_one_line(home: Path, url: str) -> None:
    with pytest.raises(EdgewrightError) as error:
        DeploymentJournal(History(url)).begin(PLAN)
    assert error.value.code == "history" and "\n" not in error.value.message


def test_what_a_later_deployment_reached_is_superseded(journal: DeploymentJournal) -> None:
    History().record("deploy", "f", "4", [ended("a", "refused"), ended("b", "committed")])
    assert [one.superseded for one in journal.left(PLAN)] == [False, True]
    assert journal.unfinished("f")[0].boards == ("a",)
    History().record("rollback", "f", "", [ended("a", "committed")])
    assert journal.unfinished("f") == []


def test_what_is_left_is_one_query_however_many_boards(journal: DeploymentJournal) -> None:
    from sqlalchemy import event

    history, asked = History(), []
    with history.reading() as connection:
        assert connection is not None
        event.listen(connection.engine, "before_cursor_execute", lambda *a: asked.append(a[2]))
    other = DeploymentJournal(history)
    assert other.unfinished("f")[0].boards == ("a", "b") and len(other.left(PLAN)) == 2
    assert (
        sum("EXISTS" in text for text in asked)
        == 2
        == sum("FROM deployment_boards" in text for text in asked)
    )
    assert not [text for text in asked if text.startswith("SELECT events")]


@pytest.mark.parametrize(
    "statement",
    [
        """update deployments set plan = replace(plan, '"version":"3"', '"version":"4"')""",
        "update deployments set sha256 = 'f'",
        """update deployment_boards set plan = replace(plan, '"board":"b"', '"board":"a"') where board = 'b'""",
        "update deployment_boards set plan = (select plan from deployment_boards where board = 'a'), "
        "sha256 = (select sha256 from deployment_boards where board = 'a') where board = 'b'",
    ],
)
def test_a_plan_that_was_edited_by_hand_is_refused(
    journal: DeploymentJournal, home: Path, statement: str
) -> None:
    sql(home, statement)
    with pytest.raises(EdgewrightError) as error:
        journal.left(journal.plan(PLAN.id))
    assert error.value.code == "plan-changed" and "deploy again" in error.value.hint


def test_a_newer_plan_is_refused_and_the_rest_works(journal: DeploymentJournal, home: Path) -> None:
    sql(home, """update deployments set plan = replace(plan, '"schema":1', '"schema":2')""")
    with pytest.raises(EdgewrightError) as error:
        journal.plan(PLAN.id)
    assert error.value.code == "newer-schema"
    assert journal.unfinished("f")[0].id == PLAN.id and len(History().events()) == 2


def test_no_journal_is_no_error(home: Path) -> None:
    assert DeploymentJournal(History()).unfinished("f") == []
    assert not (home / "history.sqlite3").exists()
    with pytest.raises(EdgewrightError, match="no such deployment"):
        DeploymentJournal(History()).plan("abc")


def test_a_database_from_before_the_journal_is_read_and_kept(home: Path) -> None:
    History().record("deploy", "f", "1", [ended("a", "committed")])
    journal = DeploymentJournal(History())
    assert journal.unfinished("f") == []
    with closing(sqlite3.connect(home / "history.sqlite3")) as database:
        names = {row[0] for row in database.execute("select name from sqlite_master where type = 'table'")}
    assert "deployments" not in names  # nothing is written where nothing is deployed
    journal.begin(PLAN)
    assert len(History().events()) == 3 and journal.unfinished("f")


def test_one_process_works_on_a_deployment(home: Path) -> None:
    program = (
        "import sys\nfrom edgewright.store.journal import working_on\n"
        "with working_on('abc'):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout and other.stdout.readline() == b"held\n"
        assert at_work("abc")
        with pytest.raises(EdgewrightError) as error, working_on("abc"):
            pass
        assert error.value.code == "deployment-running"
        other.kill()
        other.wait()
    assert not at_work("abc")
    with working_on("abc"):
        assert at_work("abc")
    assert not list((home / "deployments").iterdir())


def test_a_plan_of_a_thousand_boards_is_kept(home: Path) -> None:
    boards = tuple(msgspec.structs.replace(PLAN.boards[0], board=f"b{number}") for number in range(1000))
    large, journal = msgspec.structs.replace(PLAN, boards=boards), DeploymentJournal(History())
    journal.begin(large)
    assert journal.plan(large.id) == large and len(journal.left(large)) == 1000


def test_no_database_cuts_a_plan_off() -> None:
    from sqlalchemy.dialects import mysql, oracle, postgresql, sqlite

    kinds = {
        engine.name: {table.c.plan.type.compile(engine) for table in journal_tables()}
        for engine in (mysql.dialect(), oracle.dialect(), postgresql.dialect(), sqlite.dialect())
    }
    longest = "TEXT(4294967295)"  # MySQL makes a LONGTEXT of it; its TEXT holds 64 KiB
    assert kinds == {"mysql": {longest}, "oracle": {"CLOB"}, "postgresql": {"TEXT"}, "sqlite": {"TEXT"}}


def test_columns_that_an_earlier_version_made_are_widened() -> None:
    from sqlalchemy import Integer, String
    from sqlalchemy.dialects import mysql

    deployments, boards = journal_tables()
    there = {"id": Integer(), "plan": mysql.TEXT(), "sha256": String(64)}
    found = [history_schema.widening(mysql.dialect(), table, there) for table in (deployments, boards)]
    assert found == [
        [f"ALTER TABLE {name} MODIFY plan TEXT(4294967295) NOT NULL"]
        for name in ("deployments", "deployment_boards")
    ]
    assert history_schema.widening(mysql.dialect(), boards, {"plan": mysql.LONGTEXT()}) == []


def superseded(plan: DeployPlan) -> dict[str, bool]:
    return {one.plan.board: one.superseded for one in DeploymentJournal(History()).left(plan)}


def test_what_began_before_and_ended_after_is_later(home: Path) -> None:
    one, other = DeploymentJournal(History()), DeploymentJournal(History())  # of two machines
    before = msgspec.structs.replace(PLAN, nonce="before")
    other.begin(before)
    one.begin(PLAN)
    one.begun(PLAN, PLAN.boards[0], "t1")
    assert superseded(PLAN) == {"a": False, "b": False}
    other.ended(before, ended("a", "committed"))
    other.ended(before, ended("b", "refused"))
    assert superseded(PLAN) == {"a": True, "b": False}
    assert one.unfinished("f")[0].boards == ("b",)


def test_what_began_after_and_ended_before_the_board_was_touched_is_not_later(home: Path) -> None:
    one, other = DeploymentJournal(History()), DeploymentJournal(History())
    after = msgspec.structs.replace(PLAN, nonce="after")
    one.begin(PLAN)
    other.begin(after)
    for board in ("a", "b"):
        other.ended(after, ended(board, "committed"))
    one.begun(PLAN, PLAN.boards[0], "t1")  # it saw what the other had put there
    assert superseded(PLAN) == {"a": False, "b": True}


def test_a_clock_that_is_slow_hides_no_later_deployment_of_a_board_that_was_not_touched(home: Path) -> None:
    one, other = DeploymentJournal(History()), DeploymentJournal(History())
    after = msgspec.structs.replace(PLAN, nonce="after")
    one.begin(PLAN)
    other.begin(after)
    other.ended(after, ended("b", "committed"))
    sql(home, "update events set at = '2020-01-01 00:00:00.000000' where outcome = 'committed'")
    assert superseded(PLAN) == {"a": False, "b": True}
