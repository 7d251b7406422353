"""Today's host and agent on a board that commit 8d6a898 left in the middle of a trial, over a real sshd."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
import uuid
from pathlib import Path

import numpy as np
import pytest

from edgewright.connect.agent import package, runner_package
from edgewright.errors import BoardError
from edgewright.wire import commands

RUNNERS = Path(__file__).parent / "runners"


@pytest.fixture(scope="module")
def home(module_old_home: Path) -> Path:
    return module_old_home


def known_good(board, model: str) -> list[str]:
    return board.model(model)["known_good"]


def infer(board, kit, model: str, folder: Path) -> None:
    """What is current doubles its input."""
    np.savez(folder / "x.npz", x=np.full((1, 4), 1.5, np.float32))
    ran = kit.run(
        "infer",
        model,
        "--input",
        folder / "x.npz",
        "--output",
        folder / "y.npz",
        "--on",
        board.name,
        "--json",
    )
    assert ran.code == 0, ran.err
    (answers,) = np.load(next(folder.glob("y*.npz"))).values()
    assert np.array_equal(answers, np.full((1, 4), 3.0, np.float32))


def test_the_first_session_ends_the_trial_and_keeps_all_else(board, kit):
    (first,) = kit.run("status", board.name, "--json").json["boards"]
    models = first["result"]["models"]
    assert set(models) == {"doubler", "stuck"} and not first["result"]["problem"]
    doubler = models["doubler"]
    assert doubler["current"] == doubler["last_good"] == doubler["known_good"][1] and doubler["trial"] is None
    assert [one.partition("-")[0] for one in doubler["known_good"]] == ["1", "2"]
    states = {name.partition("-")[0]: about["state"] for name, about in doubler["releases"].items()}
    assert states == {"1": "committed", "2": "committed", "3": "reverted", "9": "failed"}
    assert (board.root / "models/doubler/current").readlink().name == doubler["current"]
    hooks, deadline = board.root / "hooks.txt", time.monotonic() + 40
    while (last := hooks.read_text().splitlines()[-1]).startswith("health") and time.monotonic() < deadline:
        kit.run(
            "status", board.name
        )  # a session may end before the hook has run beside it; the next one runs it
    assert last == f"activate {doubler['current']}"
    assert "the board booted meanwhile" in kit.run("logs", board.name).out


def test_what_failed_before_is_remembered(board):
    with board.open() as session:
        (failed,) = session.call(commands.Status()).models["doubler"].failed
    assert failed.code == "golden" and failed.release.startswith("9-")


def test_a_deployment_over_it_and_back_to_each_known_good_release(board, kit, tmp_path):
    """The old releases, their runtime and their goldens run as they did: a rollback verifies them first."""
    ran = kit.run(
        "deploy", kit.toy(tmp_path / "new", "new"), "--to", board.name, "--name", "doubler", "--json"
    )
    assert ran.code == 0, ran.out + ran.err
    old = known_good(board, "doubler")
    assert [one.partition("-")[0] for one in old[:2]] == ["1", "2"] and len(old) == 3
    for to in (old[1], old[0]):
        ran = kit.run("rollback", "doubler", "--to", to, "--on", board.name, "--json")
        assert ran.code == 0, ran.out + ran.err
        assert board.current("doubler") == to
    infer(board, kit, "doubler", tmp_path)


@pytest.mark.parametrize("way", ["rollback", "rollback --to", "deploy"])
def test_a_known_good_release_whose_second_trial_nobody_committed_can_be_had_again(board, kit, way):
    """The old agent left it in the state `trial` for ever."""
    board.reset()
    model = board.model("stuck")
    first, second = model["known_good"]
    assert model["current"] == second
    if way == "deploy":
        again(board, first, model["releases"][first])
    else:
        to = ["--to", first] if "--to" in way else []
        ran = kit.run("rollback", "stuck", *to, "--on", board.name, "--json")
        assert ran.code == 0, ran.out + ran.err
    assert board.current("stuck") == first


def again(board, release: str, about: dict) -> None:
    """Deploys a release that is installed, over the wire as `deploy` does."""
    txn = uuid.uuid4().hex
    with board.open() as session:
        session.call(commands.Begin(model="stuck", txn=txn, host="test", ttl_s=60))
        place = board.root / "models/stuck/versions" / release
        for file in place.iterdir():
            session.put(file)
        command = commands.Install(
            model="stuck", version=about["version"], manifest=about["artifact"], runtime=about["runtime"], txn=txn
        )  # fmt: skip
        took = session.call(command)
        assert took.release == release and took.existed
        assert session.call(commands.Verify(model="stuck", release=release, txn=txn)).ok
        current = session.call(commands.Status()).models["stuck"].current
        session.call(
            commands.Activate(
                model="stuck", release=release, expected_current=current, txn=txn, deadline_s=30
            )
        )
        assert session.call(commands.Commit(txn=txn)).outcome == "committed"
        session.call(commands.End(txn=txn))


def test_prune_keeps_what_a_rollback_needs(board, kit):
    with board.open() as session:
        session.call(commands.Prune(keep=3))
        models = session.call(commands.Status()).models
    for name, model in models.items():
        for release in model.known_good:
            assert (board.root / "models" / name / "versions" / release / "manifest.json").is_file()
    assert len(list((board.root / "runtimes").iterdir())) == 1


def test_the_old_agent_goes_on_after_todays_or_says_why_not(board, kit, tmp_path):
    """A downgrade: an agent reads what has its schema, and never writes over a newer one."""
    board.reset()
    ran = kit.run(
        "deploy", kit.toy(tmp_path / "new", "new"), "--to", board.name, "--name", "doubler", "--json"
    )
    assert ran.code == 0, ran.out + ran.err
    before, new = slots(board.root), board.model("doubler")
    for verb in ("status", "guard"):
        ran = kit.local(kit.OLD / "agent.pyz", verb, board.root)
        assert ran.returncode == 0 and "Traceback" not in ran.stderr, ran.stderr
    with board.forced((kit.OLD / "agent.pyz").read_bytes()):
        ran = kit.run("rollback", "doubler", "--on", board.name, "--json")
    assert "Traceback" not in (board.root / "agent.log").read_text()
    if newest(before)["schema"] == 1:
        assert ran.code == 0, ran.out
        assert board.current("doubler") == new["known_good"][-2]
    else:
        assert outcome(ran)["code"] == "newer-schema" and outcome(ran)["hint"]
        assert slots(board.root) == before and board.model("doubler") == new


def slots(root: Path) -> dict[str, bytes]:
    """The state's files."""
    return {path.name: path.read_bytes() for path in sorted(root.glob("state.?.json"))}


def newest(found: dict[str, bytes]) -> dict:
    """The state in them."""
    states = [json.loads(data.partition(b"\n")[2]) for data in found.values()]
    return max(states, key=lambda one: one["sequence"])


def outcome(ran) -> dict:
    """What `--json` says of the one board: its outcome, or its error."""
    (row,) = ran.json.get("outcomes") or ran.json["boards"]
    return row.get("error") or row


def make_newer(root: Path) -> None:
    """The state as an agent of a later schema might have left it."""
    for path in root.glob("state.?.json"):
        state = {
            **json.loads(path.read_bytes().partition(b"\n")[2]),
            "schema": 99,
            "models": ["of another shape"],
        }
        body = json.dumps(state).encode() + b"\n"
        path.write_bytes(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)


def kept(root: Path) -> dict[str, bytes]:
    """All that a newer agent would miss."""
    names = ("models", "runtimes", "hooks")
    files = [path for name in names for path in sorted((root / name).rglob("*")) if path.is_file()]
    return slots(root) | {str(path): path.read_bytes() for path in files}


def test_a_state_that_a_newer_agent_wrote_is_left_alone(board, kit, tmp_path):
    board.reset()
    board.model("doubler")  # recovery is over
    make_newer(board.root)
    before = kept(board.root)
    np.savez(tmp_path / "x.npz", x=np.ones((1, 4), np.float32))
    for arguments in (
        ("deploy", kit.toy(tmp_path / "new", "new"), "--to", board.name, "--name", "doubler"),
        ("rollback", "doubler", "--on", board.name),
        ("infer", "doubler", "--input", tmp_path / "x.npz", "--on", board.name),
        ("bench", "doubler", "--on", board.name, "--protocol", "quick"),
        ("fleet", "prune", board.name),
    ):
        ran = kit.run(*arguments, "--json")
        assert ran.code, (arguments, ran.out)
        assert outcome(ran)["code"] == "newer-schema" and "upgrade" in outcome(ran)["hint"], (
            arguments,
            ran.out,
        )
    with board.open() as session:
        for command in (
            commands.Guard(install=True),
            commands.AskOutcome(txn="0" * 32),
            commands.Commit(txn="0" * 32),
        ):
            with pytest.raises(BoardError) as caught:
                session.call(command)
            assert caught.value.code == "newer-schema", command.do
    assert kit.local(kit.OLD / "agent.pyz", "guard", board.root).returncode == 0
    for arguments in (("logs", board.name), ("doctor", board.name)):
        assert kit.run(*arguments, "--json").code == 0, arguments
    assert kept(board.root) == before
    assert "upgrade" in kit.run("status", board.name).out


def test_a_trial_of_the_old_agent_that_runs_is_watched_and_committed_by_todays(board, kit):
    """The agent is replaced between `activate` and `commit`, as by a host that was upgraded meanwhile."""
    txn = uuid.uuid4().hex
    board.reset()
    old = (kit.OLD / "agent.pyz").read_bytes()
    with board.forced(old), board.open() as session:
        assert session.greeting.sha256 == hashlib.sha256(old).hexdigest()
        release = session.call(commands.Status()).models["doubler"].known_good[0]
        session.call(commands.Begin(model="doubler", txn=txn, host="test", ttl_s=60))
        session.call(commands.Rollback(model="doubler", txn=txn, to=release, deadline_s=30))
    with board.open() as session:
        assert session.greeting.sha256 != hashlib.sha256(old).hexdigest() and not session.greeting.recovered
        assert session.call(commands.AskOutcome(txn=txn)).outcome == "trial"
        assert session.call(commands.Commit(txn=txn)).outcome == "committed"
        assert session.call(commands.Status()).models["doubler"].current == release


def test_a_trial_of_the_old_agent_is_watched_on_when_the_schema_changes(board, kit, tmp_path, monkeypatch):
    """The old watchdog leaves a state that it cannot read: whoever writes that brings another one."""
    sources = shutil.copytree(package.source_folder("edgewright_agent"), tmp_path / "edgewright_agent")
    text = (sources / "storage/state.py").read_text()
    assert text.count("\nSCHEMA = ") == 1
    (sources / "storage/state.py").write_text(text.replace("\nSCHEMA = ", "\nSCHEMA = 1 + "))
    newer = package.build(sources)
    txn = uuid.uuid4().hex
    board.reset()
    with board.forced((kit.OLD / "agent.pyz").read_bytes()), board.open() as session:
        session.call(commands.Begin(model="doubler", txn=txn, host="test", ttl_s=60))
        before = session.call(commands.Rollback(model="doubler", txn=txn, deadline_s=10)).from_
    monkeypatch.setattr(package, "package", lambda: newer)
    with board.open() as session:
        session.call(commands.Begin(model="stuck", txn="1" * 32, host="test", ttl_s=60))
        session.call(commands.End(txn="1" * 32))
        assert board.current("doubler") != before
    limit = time.monotonic() + 60
    while board.current("doubler") != before:
        assert time.monotonic() < limit, "nobody ended the trial"
        time.sleep(0.1)


def test_a_board_whose_state_was_lost_is_reset_by_todays_agent(board):
    board.reset()
    with board.open() as session:
        models = session.call(commands.Status()).models
        current, doubler = models["stuck"].current, models["doubler"].current
    for slot in board.root.glob("state.?.json"):
        slot.write_bytes(b"damaged")
    with board.open() as session:
        assert session.call(commands.Status()).problem == "state-lost"
        (record,) = (board.root / "models/doubler/records").glob(f"{doubler}.json")
        record.write_text(json.dumps({**json.loads(record.read_text()), "schema": 99}))
        with pytest.raises(BoardError, match="newer agent") as caught:
            session.call(commands.Reset())
        assert caught.value.code == "newer-schema"
    with board.open() as session:  # its start removes what the state does not know
        assert board.current("doubler") == doubler
        assert (board.root / "models/doubler/current/manifest.json").exists()
        for damaged in ("[]", "7", '{"schema": "x"}', "{}"):
            record.write_text(damaged)
        (left,) = session.call(commands.Reset()).left
        assert (left.model, left.release) == ("doubler", doubler)
        found = session.call(commands.Status()).models.get("doubler")
        assert found is None or (found.current is None and doubler not in found.releases)
        assert session.call(commands.Status()).models["stuck"].current == current


@pytest.mark.parametrize("frozen", sorted(RUNNERS.glob("*.json")), ids=lambda path: path.stem)
def test_a_recorded_runner_is_called_as_it_was(board, kit, tmp_path, monkeypatch, frozen):
    """Runners outlive agents: those of earlier versions, as boards keep them."""
    board.reset()
    data, target = frozen.read_bytes(), frozen.stem.partition("-")[0]
    kept = runner_package.RunnerPackage(target=target, data=data, sha256=hashlib.sha256(data).hexdigest())
    monkeypatch.setattr(runner_package, "package", lambda _: kept)
    ran = kit.run(
        "deploy", kit.toy(tmp_path / "toy", "frozen"), "--to", board.name, "--name", "frozen", "--json"
    )
    assert ran.code == 0, ran.err
    assert ran.outcome["outcome"] == "committed" and ran.outcome["measurement"]["latency"]["p50"] > 0
    (release,) = board.model("frozen")["releases"].values()
    assert release["runner"] == kept.sha256
