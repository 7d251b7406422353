"""Today's host and agent on a board that commit 8d6a898 left in the middle of a trial, over a real sshd."""

from __future__ import annotations

import json
import shutil
import uuid
from pathlib import Path

import numpy as np
import pytest

AGENT = "2b74bf48a5cb37763e55e25402cc7a94c22ef58120c1d25328e318a8268abc6c"


def known_good(board, model: str) -> list[str]:
    return board.model(model)["known_good"]


def infer(board, kit, model: str, folder: Path) -> None:
    """What is current doubles its input."""
    np.savez(folder / "x.npz", x=np.full((1, 4), 1.5, np.float32))
    ran = kit.run(
        "infer", model, "--input", folder / "x.npz", "--output", folder / "y.npz", "--on", board.name, "--json"
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
    assert (board.root / "hooks.txt").read_text().splitlines()[-1] == f"activate {doubler['current']}"
    assert "the board booted meanwhile" in kit.run("logs", board.name).out


def test_what_failed_before_is_remembered(board):
    with board.open() as session:
        (failed,) = session.call("status")["models"]["doubler"]["failed"]
    assert failed["code"] == "golden" and failed["release"].startswith("9-")


def test_what_is_installed_answers(board, kit, tmp_path):
    """The old release, its runtime and its goldens run as they did."""
    infer(board, kit, "doubler", tmp_path)


def test_a_deployment_over_it_and_back_to_each_known_good_release(board, kit, tmp_path):
    for tag in ("four", "five"):
        ran = kit.run("deploy", kit.toy(tmp_path / tag, tag), "--to", board.name, "--name", "doubler", "--json")
        assert ran.code == 0, ran.out + ran.err
    old = known_good(board, "doubler")[:2]
    assert [one.partition("-")[0] for one in old] == ["1", "2"] and len(known_good(board, "doubler")) == 4
    for to in reversed(old):
        ran = kit.run("rollback", "doubler", "--to", to, "--on", board.name, "--json")
        assert ran.code == 0, ran.out + ran.err
        assert board.model("doubler")["current"] == to
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
    assert board.model("stuck")["current"] == first


def again(board, release: str, about: dict) -> None:
    """Deploys a release that is installed, over the wire as `deploy` does."""
    txn = uuid.uuid4().hex
    with board.open() as session:
        session.call("begin", model="stuck", txn=txn, host="test", ttl_s=60)
        place = board.root / "models/stuck/versions" / release
        for file in place.iterdir():
            session.put(file)
        took = session.call(
            "install", model="stuck", version=about["version"], manifest=about["artifact"], runtime=about["runtime"], txn=txn
        )  # fmt: skip
        assert took["release"] == release and took["existed"]
        assert session.call("verify", model="stuck", release=release, txn=txn)["ok"]
        current = session.call("status")["models"]["stuck"]["current"]
        session.call("activate", model="stuck", release=release, expected_current=current, txn=txn, deadline_s=30)
        assert session.call("commit", txn=txn) == {"outcome": "committed"}
        session.call("end", txn=txn)


def test_prune_keeps_what_a_rollback_needs(board, kit):
    with board.open() as session:
        session.call("prune", keep=3)
    assert known_good(board, "stuck")
    for model in ("doubler", "stuck"):
        current = board.model(model)["current"]
        assert (board.root / "models" / model / "versions" / current / "manifest.json").is_file()
    assert list((board.root / "runtimes").iterdir())


@pytest.mark.parametrize("verb", ["status", "guard"])
def test_the_old_agent_goes_on_after_todays_or_says_why_not(board, kit, tmp_path, verb):
    """A downgrade: an agent never writes a newer schema."""
    root = tmp_path / "root"
    shutil.copytree(board.root, root, symlinks=True)
    before = {path.name: path.read_bytes() for path in root.glob("state.?.json")}
    ran = kit.local(kit.OLD / "agent.pyz", verb, root)
    assert "Traceback" not in ran.stderr
    newest = max((json.loads(data.partition(b"\n")[2]) for data in before.values()), key=lambda one: one["sequence"])
    if newest["schema"] == 1:
        assert ran.returncode == 0, ran.stderr
        if verb == "status":
            assert json.loads(ran.stdout)["models"]["doubler"]["current"]
    else:
        assert {path.name: path.read_bytes() for path in root.glob("state.?.json")} == before


def test_a_trial_of_the_old_agent_that_runs_is_watched_and_committed_by_todays(board, kit):
    """The agent is replaced between `activate` and `commit`, as by a host that was upgraded meanwhile."""
    txn = uuid.uuid4().hex
    board.reset()
    old = (kit.OLD / "agent.pyz").read_bytes()
    with board.forced(old), board.open() as session:
        assert session.greeting.sha256 == AGENT
        release = session.call("status")["models"]["doubler"]["known_good"][0]
        session.call("begin", model="doubler", txn=txn, host="test", ttl_s=60)
        session.call("rollback", model="doubler", txn=txn, to=release, deadline_s=30)
    with board.open() as session:
        assert session.greeting.sha256 != AGENT and not session.greeting.recovered
        assert session.call("outcome", txn=txn) == {"outcome": "trial"}
        assert session.call("commit", txn=txn) == {"outcome": "committed"}
        assert session.call("status")["models"]["doubler"]["current"] == release


def test_a_board_whose_state_was_lost_is_reset_by_todays_agent(board):
    board.reset()
    with board.open() as session:
        current = session.call("status")["models"]["stuck"]["current"]
    for slot in board.root.glob("state.?.json"):
        slot.write_bytes(b"damaged")
    with board.open() as session:
        assert session.call("status")["problem"] == "state-lost"
        session.call("reset")
        assert session.call("status")["models"]["stuck"]["current"] == current
