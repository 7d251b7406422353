"""Releases with a verdict on a board whose releases have a tolerance, with today's agent and with one that knows no verdict."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright.compile.data.evaluation_set import data_sha256
from edgewright.nouns.artifact import Accuracy
from edgewright.nouns.verdict import Limits, OutputVerdict, SliceLimits
from edgewright_agent.checks import verify
from edgewright_agent.lifecycle.agent import Agent

WIDE = {"noise": 1e9, "error": 1e9}


@pytest.fixture(scope="module")
def home(module_old_home: Path) -> Path:
    return module_old_home


def judged(
    kit, store: Path, tag: str, factor: str = "2.0", *, slices: tuple[float | None, ...] = (), **limits: Any
) -> Path:
    """The folder of an artifact with a verdict, of a model that multiplies by a factor; its source doubles."""
    more = limits.pop("accuracy", None)
    rows = (SliceLimits(axis=0, noise=slices),) if slices else ()
    verdict = OutputVerdict(limits=Limits(**{**WIDE, **limits}, slices=rows))
    return kit.toy(store, tag, factor, schema=2, verdict=(verdict,), accuracy=more)


def outcome(ran) -> dict:
    (row,) = ran.json.get("outcomes") or ran.json["boards"]
    return row


def deploy(kit, board, artifact: Path, *more: object):
    return kit.run("deploy", artifact, "--to", board.name, "--name", "doubler", *more, "--json")


def test_releases_of_both_schemas_take_turns(board, kit, tmp_path):
    """Each is judged by its own figures, whichever agent installed it."""
    board.reset()
    old = board.model("doubler")["known_good"]
    exact = judged(kit, tmp_path / "new", "verdict", noise=1e-9, error=1e-6, slices=(1e-9, None, 1e-9, 0.0))
    ran = deploy(kit, board, exact)
    assert ran.code == 0, ran.out
    new = board.current("doubler")
    assert deploy(kit, board, kit.toy(tmp_path / "plain", "plain")).code == 0
    for to in (new, old[1], old[0]):  # a rollback forgets those after it
        ran = kit.run("rollback", "doubler", "--to", to, "--on", board.name, "--json")
        assert ran.code == 0, ran.out
        assert board.current("doubler") == to


def test_an_agent_that_knows_no_verdict_says_so_in_one_line(board, kit, tmp_path):
    board.reset()
    exact = judged(kit, tmp_path / "new", "verdict")
    inputs = tmp_path / "x.npz"
    np.savez(inputs, x=np.ones((1, 4), np.float32))
    with board.forced((kit.OLD / "agent.pyz").read_bytes()):
        refused(deploy(kit, board, exact), "newer-schema", "schema is newer than this agent: 2")
    assert deploy(kit, board, exact).code == 0
    release = board.current("doubler")
    with board.forced((kit.OLD / "agent.pyz").read_bytes()):
        assert "--version" in refused(deploy(kit, board, exact), "release-damaged", "manifest")
        for arguments in (
            ("infer", "doubler", "--input", inputs),
            ("bench", "doubler", "--protocol", "quick"),
        ):
            hint = refused(kit.run(*arguments, "--on", board.name, "--json"), "release-damaged", "manifest")
            assert "newer edgewright" in hint
        ran = kit.run("rollback", "doubler", "--on", board.name, "--json")  # to one that it knows
        assert ran.code == 0, ran.out
    assert board.current("doubler").startswith("2-") and board.current("doubler") != release


def test_an_incumbent_that_nobody_here_understands_is_replaced(board, kit, tmp_path):
    """A manifest of a later schema: nothing is compared with it, and no release that is there is called damaged."""
    board.reset()
    release = board.model("doubler")["current"]
    path = board.root / "models/doubler/versions" / release / "manifest.json"
    data = json.dumps({**json.loads(path.read_text()), "schema": 99}).encode()
    path.unlink()
    path.write_bytes(data)
    store = Agent(str(board.root), "0" * 64).store
    with store.locked() as state:
        state["models"]["doubler"]["releases"][release]["artifact"] = hashlib.sha256(data).hexdigest()
        store.save(state)
    ran = deploy(kit, board, kit.toy(tmp_path / "plain", "plain"))
    checks = outcome(ran)["checks"]
    (note,) = [one["note"] for one in checks if one["name"] == "incumbent"]
    assert f"not compared with {release}" in note and "newer than this agent" in note
    assert ran.code == 0, ran.out


def refused(ran, code: str, word: str) -> str:
    """One line, and a hint that says what to do; returns the hint."""
    row = outcome(ran)
    error = row.get("error") or row
    assert ran.code and error["code"] == code, ran.out
    assert word in error["message"] and "\n" not in error["message"]
    assert "administrator" in error["hint"] and "this one's" in error["hint"]
    return error["hint"]


def answers(ran) -> dict:
    (check,) = [one for one in outcome(ran)["checks"] if one["name"] == "answers"]
    return check


def test_a_lost_slice_is_named_and_refused_whatever_the_evaluation_says(board, kit, tmp_path):
    board.reset()
    before = board.model("doubler")["current"]  # recovery is over
    evaluated, accuracy = evaluation(tmp_path)
    lost = judged(kit, tmp_path / "lost", "lost", "2.5", slices=(1e9, 1e9, 0.01, None), accuracy=accuracy)
    for more in ((), ("--evaluation", evaluated, "--metric", f"{tmp_path}/metric.py:error")):
        ran = deploy(kit, board, lost, *more, *(("--version", "again") if more else ()))
        row = outcome(ran)
        if not more:
            assert ran.code and row["outcome"] == "refused", ran.out
            assert "`y` does not follow its source at index 2 of axis 0" in row["message"]
            assert "after 1 of 8 goldens" in row["message"] and "provision" in row["hint"]
        else:  # it is remembered
            assert ran.code and row["code"] == "failed-before" and "lost slices: 0:0:2" in row["message"], row
    assert board.current("doubler") == before


METRIC = """def error(outputs, labels):
    return ((outputs - labels) ** 2).mean(axis=1)
error.higher_is_better = False
"""


def evaluation(folder: Path, factor: float = 2.5) -> tuple[Path, Accuracy]:
    """A set whose labels are its inputs times a factor, and what the source reached on it."""
    x = np.random.default_rng(3).normal(size=(40, 4)).astype(np.float32)
    path = folder / f"evaluation-{factor}.npz"
    np.savez(path, x=x, labels=x * factor)
    source = float(((2.0 - factor) * x).astype(float).var())
    (folder / "metric.py").write_text(METRIC)
    about = {"evaluation_sha256": data_sha256(path), "n": 40, "higher_is_better": False}
    about.update(metric="metric.py:error", metric_sha256=hashlib.sha256(METRIC.encode()).hexdigest())
    return path, Accuracy(**about, source=source, artifact=source)


def test_what_is_only_less_exact_is_decided_by_the_evaluation(board, kit, tmp_path):
    board.reset()
    before = board.model("doubler")["current"]  # recovery is over
    evaluated, accuracy = evaluation(tmp_path)
    ran = deploy(kit, board, judged(kit, tmp_path / "low", "low", "2.5", noise=0.5, accuracy=accuracy))
    row, check = outcome(ran), answers(ran)
    assert ran.code and row["outcome"] == "refused" and "--evaluation" in row["hint"], ran.out
    assert (
        check["value"] == pytest.approx(12.04, abs=0.01)
        and check["limit"] > check["value"]
        and check["unit"] == "dB"
    )
    assert "`y` is less exact" in row["message"]
    theirs, poor = evaluation(tmp_path, 2.0)
    artifact = judged(kit, tmp_path / "poor", "low", "2.5", noise=0.5, accuracy=poor)
    ran = deploy(kit, board, artifact, "--evaluation", theirs, "--metric", f"{tmp_path}/metric.py:error")
    assert ran.code and outcome(ran)["message"].startswith("accuracy against its source"), ran.out
    decided = ("--evaluation", evaluated, "--metric", f"{tmp_path}/metric.py:error")
    unscored = judged(kit, tmp_path / "unscored", "unscored", "2.5", noise=0.5)
    ran = kit.run("deploy", unscored, "--to", board.name, "--name", "fresh", *decided, "--json")
    assert ran.code and "not compared with its source" in outcome(ran)["message"], ran.out
    assert board.current("doubler") == before
    low = judged(kit, tmp_path / "good", "low", "2.5", noise=0.5, accuracy=accuracy)
    ran = deploy(kit, board, low, *decided)
    assert ran.code == 0, ran.out
    check = answers(ran)
    assert check["ok"] and check["value"] < check["limit"] and "`y`" in check["note"]
    release = board.current("doubler")
    shown = kit.run(
        "deploy", low, "--to", board.name, "--name", "doubler"
    )  # what was accepted is not refused now
    assert shown.code == 0 and "unchanged" in shown.out and "12 dB, the limit is" in shown.out, shown.out
    assert deploy(kit, board, kit.toy(tmp_path / "plain", "plain")).code == 0
    ran = kit.run("rollback", "doubler", "--on", board.name, "--json")
    assert ran.code == 0 and board.current("doubler") == release, ran.out
    store = Agent(str(board.root), "0" * 64).store
    with store.locked() as state:  # as if it had been exact when it was deployed
        del state["models"]["doubler"]["releases"][release]["accepted"]
        store.save(state)
    ran = deploy(kit, board, low, *decided)  # what is current is not evaluated
    assert ran.code and outcome(ran)["outcome"] == "refused" and "--version" in outcome(ran)["hint"], ran.out


OLD_AGENT = """
import io, json, sys, zipfile
data = open(sys.argv[1], "rb").read()
loader = {"__name__": "edgewright_loader"}
with zipfile.ZipFile(io.BytesIO(data)) as archive:
    exec(json.loads(archive.read("sources.json").decode())["edgewright_agent/loader.py"], loader)
loader["install"](data)
from edgewright_agent import work
from edgewright_agent.agent import Agent
for line in sys.stdin:
    print(repr(work.compare(*json.loads(line))))
"""


def test_schema_1_is_judged_bit_for_bit_as_the_old_agent_does(kit, tmp_path):
    asked = []
    for number, (dtype, spec) in enumerate(
        [
            ("float32", {}),
            ("float16", {}),
            ("int8", {"scale": 0.1, "zero_point": 3}),
            ("int64", {}),
            ("bool", {}),
        ]
        * 4
    ):
        random = np.random.default_rng(number)
        scale = 1 if dtype == "bool" else 50
        ref = (random.normal(size=(5, 3, 7)) * scale).astype(dtype)
        out = (ref + random.normal(size=ref.shape) * random.choice([0, 1e-3, 1, 9])).astype(dtype)
        if number % 3 == 1 and dtype.startswith("float"):
            (out if number % 2 else ref)[2, 1, 4] = random.choice([np.nan, np.inf])
        files = [str(tmp_path / f"{name}{number}.npz") for name in ("out", "ref")]
        np.savez(files[0], output_0=out)
        np.savez(files[1], output_0=ref)
        goldens = {"tolerance": {"sqnr_db": 30.0, "relative": 0.05}}
        outputs = [{"name": "y", "shape": [3, 7], "dtype": dtype, **spec}]
        asked.append([*files, {"schema": 1, "goldens": goldens, "outputs": outputs}])
    lines = "".join(json.dumps(one) + "\n" for one in asked)
    command = [sys.executable, "-I", "-S", "-c", OLD_AGENT, str(kit.OLD / "agent.pyz")]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [repr(verify.compare(*one)) for one in asked]
    found = [verify.compare(*one)["ok"] for one in asked]
    assert True in found and False in found
