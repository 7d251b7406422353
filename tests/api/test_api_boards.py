"""The Python API on a real board: the example in the docs, the same results as on the command line, and callbacks that raise or take long."""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from command_line import command_line

import edgewright as ew
from edgewright.store.history import History

pytestmark = pytest.mark.slow  # a board gets a runtime first
PAGE = Path(__file__).parents[2] / "docs/python-api.md"
KITCHEN = "kitchen-1"
SHORT = msgspec.structs.replace(ew.QUICK, rounds=1, warmup_s=0.0, steady_s=0.05)


def convert(place: Path, name: str = "digits", **more: Any) -> ew.Artifact:
    return ew.convert(place / f"{name}.onnx", target="onnxruntime", precision="fp32", **more)


@pytest.fixture(scope="module")
def fleet(place: Path) -> ew.Fleet:
    """The board, and one that does not answer."""
    loaded = ew.Fleet.load()
    away = ew.Board(name="away", address="127.0.0.1", port=1, profile="generic-x86_64")
    return ew.Fleet(name=loaded.name, path=loaded.path, boards={**loaded.boards, "away": away})


@pytest.fixture
def board(fleet: ew.Fleet) -> ew.Fleet:
    return fleet.select(KITCHEN)


@pytest.fixture(scope="module")
def story(place: Path, fleet: ew.Fleet) -> Iterator[dict[str, Any]]:
    """Deploys the first version, then runs the example in the docs with a limit that no board meets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setitem(vars(ew), "QUICK", SHORT)
        policy = ew.ReleasePolicy(protocol=SHORT)
        first = ew.deploy(ew.plan(fleet, convert(place, "old"), name="digits", policy=policy))
        (text,) = re.findall(r"a test runs this -->\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
        assert "LIMIT_MS = 20.0" in text and '"kitchen"' in text
        text = text.replace("LIMIT_MS = 20.0", "LIMIT_MS = 0.0").replace('"kitchen"', f'"{KITCHEN}"')
        told: dict[str, Any] = {"first": first}
        exec(compile(text, str(PAGE), "exec"), told)  # noqa: S102 - our own page
        yield told


def test_the_example_of_the_docs_runs(story: dict[str, Any], fleet: ew.Fleet) -> None:
    assert [one.outcome for one in story["deployed"].outcomes] == ["committed"]
    new, old = story["deployed"].outcomes[0].current, story["first"].outcomes[0].current
    assert new != old and new.endswith(story["artifact"].id[:8])
    (measured,) = story["measured"].boards
    assert measured.result.measurements[0].release == new
    assert [(one.outcome, one.current) for one in story["undone"].outcomes] == [("committed", old)]
    assert story["undone"].ok and story["deployed"].ok and story["measured"].ok
    events = History().events(fleet=fleet.name, model="digits", limit=9)
    assert {row["outcome"] for row in events if row["board"] == KITCHEN} == {"committed"}


def test_a_board_that_cannot_be_reached_is_an_outcome_and_raises_nothing(
    story: dict[str, Any], fleet: ew.Fleet
) -> None:
    first = story["first"]
    assert [(one.board, one.outcome) for one in first.outcomes] == [
        (KITCHEN, "committed"),
        ("away", "failed"),
    ]
    assert not first.ok and first.outcomes[1].code == "host-key-unknown" and first.outcomes[1].hint
    state = ew.status(fleet)
    assert [(one.board, one.result is None) for one in state.boards] == [(KITCHEN, False), ("away", True)]
    assert not state.ok and state.boards[1].error and state.boards[1].error.code == "host-key-unknown"


def test_results_are_those_of_the_command_line(
    story: dict[str, Any], board: ew.Fleet, capfd: pytest.CaptureFixture[str]
) -> None:
    def plain(result: Any) -> Any:
        return json.loads(msgspec.json.encode(result, enc_hook=str))

    assert plain(ew.status(board)) == command_line("status", KITCHEN, "--json").json
    new = story["deployed"].outcomes[0].current
    back = ew.rollback(board, "digits", to=new, dry_run=True)
    typed = command_line("rollback", "digits", "--on", KITCHEN, "--to", new, "--dry-run", "--json").json
    for found in (mine := plain(back)), typed:
        found["outcomes"][0].pop("seconds")
    assert mine == typed and mine["outcomes"][0]["outcome"] == "planned"
    assert capfd.readouterr() == ("", "")  # the command line's output is caught elsewhere


def test_a_dry_run_changes_nothing_and_the_plan_can_be_begun_afterwards_once(
    story: dict[str, Any], place: Path, board: ew.Fleet
) -> None:
    seen: list[ew.ProgressEvent] = []
    before = ew.status(board).boards
    planned = ew.plan(board, convert(place), name="once", policy=ew.ReleasePolicy(stage=True, protocol=SHORT))
    (asked,) = ew.deploy(planned, dry_run=True, progress=seen.append).outcomes
    assert asked.outcome == "planned" and "activate" in asked.steps
    assert ew.status(board).boards == before and {event.board for event in seen} == {KITCHEN}
    assert ew.deploy(planned).outcomes[0].outcome == "staged"
    with pytest.raises(ew.UsageError, match="was begun already") as error:
        ew.deploy(planned)
    assert error.value.code == "conflict" and error.value.hint
    with pytest.raises(ew.EdgewrightError, match="has ended on all of its boards"):
        ew.resume(board, planned.id)


def test_of_two_plans_with_one_number_the_second_is_refused(place: Path, fleet: ew.Fleet) -> None:
    away = fleet.select("away")
    first, second = (ew.plan(away, convert(place, name), name="raced") for name in ("old", "digits"))
    assert first.plan.version == second.plan.version == "1"
    again = ew.plan(away, convert(place, "old"), name="raced")
    named = ew.plan(away, convert(place), name="raced", version="1")
    assert not ew.deploy(first).ok
    with pytest.raises(ew.EdgewrightError, match="version 1 of raced is another artifact's"):
        ew.deploy(second, dry_run=True)
    with pytest.raises(ew.EdgewrightError, match="version 1 of raced is another artifact's") as error:
        ew.deploy(pickle.loads(pickle.dumps(second)))  # noqa: S301 - our own
    assert error.value.code == "conflict" and "new plan" in error.value.hint
    for planned in again, named:
        assert ew.deploy(planned).outcomes[0].code == "host-key-unknown"
    assert ew.plan(away, convert(place), name="raced").plan.version == "2"


PROGRAM = """
import pickle, sys
import edgewright as ew
from edgewright.measure import validity
validity.CONTENTION_INVALID = 2.0  # as conftest.py has it
open("begun", "a").write("x")
artifact = ew.convert("digits.onnx", target="onnxruntime", precision="fp32", use_cache=False)
planned = pickle.loads(open("plan", "rb").read())
(outcome,) = ew.deploy(planned).outcomes
assert outcome.outcome == "staged", outcome
assert outcome.artifact == artifact.id
"""


def test_a_plan_is_begun_by_another_process_whose_script_has_no_guard(
    story: dict[str, Any], place: Path, board: ew.Fleet
) -> None:
    policy = ew.ReleasePolicy(stage=True, protocol=SHORT)
    planned = ew.plan(board, convert(place), name="elsewhere", policy=policy)
    assert planned.kept is not None
    (place / "plan").write_bytes(pickle.dumps(planned))
    again = pickle.loads((place / "plan").read_bytes())  # noqa: S301 - our own
    assert again == planned and again.kept is None  # no password leaves this process
    (place / "job.py").write_text(PROGRAM)
    done = subprocess.run([sys.executable, "job.py"], cwd=place, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (place / "begun").read_text() == "x"  # a worker does not run the script again


def test_it_works_within_an_event_loop_and_in_several_threads(
    story: dict[str, Any], place: Path, board: ew.Fleet
) -> None:
    async def notebook() -> tuple[ew.StatusResult, ew.Artifact, ew.Artifact]:
        here = ew.status(board)
        both = [asyncio.to_thread(convert, place, name, use_cache=False) for name in ("old", "digits")]
        return (here, *await asyncio.gather(*both))

    here, old, new = asyncio.run(notebook())
    assert here.ok and (old.id, new.id) == (convert(place, "old").id, story["artifact"].id)


def test_a_progress_display_that_fails_stops_nothing(
    story: dict[str, Any], board: ew.Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[str] = []

    def broken(event: ew.ProgressEvent) -> None:
        calls.append(event.stage)
        raise ValueError("the display is gone")

    with caplog.at_level(logging.ERROR, "edgewright"):
        assert ew.status(board, progress=broken).ok
    assert len(calls) == 1 and "progress callback" in caplog.text


def test_a_callback_stops_a_conversion_and_no_board(
    story: dict[str, Any], board: ew.Fleet, place: Path
) -> None:
    def stop(event: ew.ProgressEvent) -> None:
        raise ew.Aborted("stopped by the scheduler")

    assert ew.status(board, progress=stop).ok
    with pytest.raises(ew.Aborted, match="by the scheduler"):
        convert(place, progress=stop)


def test_callbacks_are_called_one_at_a_time(fleet: ew.Fleet, story: dict[str, Any]) -> None:
    at_once, most, lock = 0, 0, threading.Lock()
    slow = threading.Event()

    def watched(event: ew.ProgressEvent) -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        slow.wait(0.05)
        with lock:
            at_once -= 1

    ew.status(fleet, progress=watched)
    assert most == 1


def test_no_project_file_is_read_unless_it_is_named(
    place: Path, board: ew.Fleet, monkeypatch: pytest.MonkeyPatch, story: dict[str, Any]
) -> None:
    monkeypatch.chdir(place)
    Path("edgewright.toml").write_text('name = "Digits"\nmodel = "digits.onnx"\n')
    try:
        assert ew.model_request("digits.onnx").model.name == "digits"
        with pytest.raises(ew.UsageError, match="no model"):
            ew.convert()
        with pytest.raises(ew.ConfigError, match="not a model's name"):
            ew.convert(project="edgewright.toml")
    finally:
        Path("edgewright.toml").unlink()


def test_a_request_stands_for_a_model_and_its_options(
    place: Path, story: dict[str, Any], board: ew.Fleet
) -> None:
    request = ew.model_request(place / "digits.onnx", target="onnxruntime", precision="fp32", name="digits")
    assert ew.convert(request).id == story["artifact"].id
    with pytest.raises(TypeError, match="has its options already: precision"):
        ew.convert(request, precision="int8")
    planned = ew.plan(board, request)
    assert [entry.artifact for entry in planned.plan.boards] == [story["artifact"].id]
    assert planned.model == "digits" and planned.plan.version.isdecimal()


def test_an_artifact_is_copied_and_found_again(place: Path, story: dict[str, Any], tmp_path: Path) -> None:
    copy = convert(place, output=tmp_path / "copy")
    assert copy.folder == tmp_path / "copy" and copy.manifest == story["artifact"].manifest
    assert ew.load_artifact(copy.folder) == copy
    assert ew.load_artifact(copy.id[:12]) == story["artifact"]
    with pytest.raises(ew.ArtifactError, match="no such artifact: nothing"):
        ew.load_artifact("nothing")
    with pytest.raises(ew.UsageError, match="there is something already"):
        convert(place, output=tmp_path / "copy")
