"""Host and agent of different versions behind a forced command, where the host cannot bring its own agent."""

from __future__ import annotations

import base64
import json
import select
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgewright.connect.agent import package, runner_package
from edgewright.errors import BoardError, ProtocolError
from edgewright.wire import commands
from edgewright.wire.answers import Nothing

REFUSED = {"protocol", "unknown-command", "bad-argument", "newer-schema", "not-found", "conflict", "busy"}


@pytest.fixture(scope="module")
def home(module_old_home: Path) -> Path:
    return module_old_home


def test_todays_host_works_with_the_old_agent(board, kit, tmp_path):
    board.reset()
    inputs = tmp_path / "inputs.npz"
    np.savez(inputs, input_0=np.ones((1, 4), np.float32))
    with board.forced((kit.OLD / "agent.pyz").read_bytes()):
        for arguments in (
            ("status", board.name),
            ("doctor", board.name),
            ("deploy", kit.toy(tmp_path / "new", "new"), "--to", board.name, "--name", "doubler"),
            ("rollback", "doubler", "--on", board.name),
            ("bench", "doubler", "--on", board.name, "--protocol", "quick"),
            ("infer", "doubler", "--on", board.name, "--input", inputs),
            ("logs", board.name),
            ("fleet", "prune", board.name, "--dry-run"),
        ):
            ran = kit.run(*arguments, "--json")
            assert ran.code == 0, (arguments, ran.out, ran.err)
        planned = kit.run("rollback", "doubler", "--on", board.name, "--dry-run", "--json")
        assert planned.code != 0 and "too old to plan a rollback" in planned.out
    assert board.current("doubler").startswith("2-")


def test_what_the_old_agent_does_not_know_is_refused_with_a_hint(board, kit):
    with board.forced((kit.OLD / "agent.pyz").read_bytes()), board.open() as one:
        for command in (Invented(), Status(invented=1)):
            with pytest.raises(BoardError, match="invented") as caught:
                one.call(command)
            assert caught.value.code in REFUSED and "administrator" in caught.value.hint
        assert not one.call(commands.Status()).problem


@pytest.mark.parametrize(
    "arguments", [("status", "--verify"), ("fleet", "repair"), ("fleet", "repair", "--dry-run")]
)
def test_what_a_user_asks_of_an_agent_too_old_for_it_is_one_line_with_a_hint(board, kit, arguments):
    with board.forced((kit.OLD / "agent.pyz").read_bytes()):
        ran = kit.run(*arguments, board.name)
    assert ran.code != 0 and "administrator" in ran.out + ran.err, ran.out + ran.err
    assert "internal error" not in ran.out + ran.err and "Traceback" not in ran.out + ran.err


class Invented(commands.Command[Nothing], frozen=True, kw_only=True):
    """A command of a newer edgewright."""

    do = "invented"


class Status(commands.Command[Nothing], frozen=True, kw_only=True):
    """With an argument of a newer edgewright."""

    do = "status"
    invented: int


def test_todays_host_reads_what_an_old_agent_answers_and_what_a_newer_one_adds(kit):
    from edgewright.connect.agent.handshake import as_greeting

    known = {one.do: one for one in commands.COMMANDS if one is not commands.Describe}
    for step in recorded(kit):
        asked, answer = json.loads(step["line"]), step["answers"][-1]
        for more in ({}, {"novelty": {"of": ["a newer agent"]}}):
            if "do" not in asked:
                assert as_greeting({**answer, **more}).board_id
                continue
            found = known[asked["do"]].read({**answer["ok"], **more})
            if asked["do"] == "facts":
                assert found.cpus


def recorded(kit) -> list[dict]:
    """The steps of the old host's session."""
    return [json.loads(line) for line in (kit.OLD / "old_host.jsonl").read_text().splitlines()]


class Replay:
    """An old host's end of a session with an agent, over pipes: it sends what was recorded."""

    def __init__(self, program: Path, root: Path) -> None:
        command = [sys.executable, "-I", "-S", "-B", str(program), "serve", "--root", str(root)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )

    def line(self) -> dict:
        """The next line that is not a heartbeat."""
        assert self.process.stdout is not None
        while True:
            assert select.select([self.process.stdout], [], [], 30)[0], "the agent says nothing"
            message = json.loads(self.process.stdout.readline())
            if message.get("event") == "bytes":
                left = message["size"]
                while left:
                    left -= len(self.process.stdout.read(left))
            if message.get("event") != "heartbeat":
                return message

    def step(self, step: dict) -> dict:
        """Sends one step; its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(step["line"].encode() + base64.b64decode(step["raw"]))
        while True:
            answer = self.line()
            if "event" not in answer:
                return answer

    def end(self) -> tuple[int, str]:
        """Its exit code and what it wrote to stderr."""
        _, err = self.process.communicate(timeout=30)
        return self.process.returncode, err.decode()


def shape(value: object) -> object:
    """What an old host reads in an answer: keys and kinds, not figures."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    return (
        "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__
    )


def lacks(old: object, new: object, where: str = "") -> list[str]:
    """Where a new answer lacks what the old one had, or has another kind of it."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [one for key in old for one in lacks(old[key], new.get(key, "nothing"), f"{where}.{key}")]
    same = old == new or "NoneType" in (old, new)  # what a board may lack
    return [] if same else [f"{where}: {old} before, {new} now"]


def test_an_old_hosts_whole_session_works_with_todays_agent(kit, tmp_path):
    """Every request that it sent is understood as it was, and every key that it reads is in the answer."""
    program, root = tmp_path / "agent.pyz", tmp_path / "root"
    runner = runner_package.package(
        "tflite"
    )  # an old host names none: the administrator installed it with the agent
    program.write_bytes(package.for_administrator({"tflite": runner.data}))
    steps = recorded(kit)
    assert len(steps) > 60
    replay = Replay(program, root)
    try:
        for step in steps:
            answer, before = replay.step(step), step["answers"][-1]
            assert "error" not in answer, (step["line"][:200], answer)
            assert not lacks(shape(before), shape(answer)), step["line"][:200]
            for key in ("edgewright", "nonce", "id"):
                assert answer.get(key) == before.get(key)
            same_verdict(before.get("ok", {}), answer.get("ok", {}))
            if '"do":"facts"' in step["line"]:  # its hello names no runtimes: the agent knows what it expects
                assert "onnxruntime" in {one["target"] for one in answer["ok"]["runtimes"] if one["system"]}
    finally:
        code, err = replay.end()
    assert code == 0 and "Traceback" not in err, err


def test_a_newer_hosts_hello_is_answered_with_the_version_that_the_agent_speaks(kit, tmp_path):
    program = tmp_path / "agent.pyz"
    program.write_bytes(package.package().data)
    hello = recorded(kit)[0]
    line = {**json.loads(hello["line"]), "edgewright": 99, "novelty": {"of": "a newer host"}}
    replay = Replay(program, tmp_path / "root")
    greeting = replay.step({"line": json.dumps(line) + "\n", "raw": ""})
    assert greeting["edgewright"] == 1 and "error" not in greeting
    code, err = replay.end()
    assert code == 0 and "Traceback" not in err


def same_verdict(before: dict, now: dict) -> None:
    """The words that an old host acts on."""
    for key in (
        "outcome",
        "state",
        "ok",
        "failed",
        "release",
        "from",
        "complete",
        "existed",
        "keep",
        "n",
        "problem",
    ):
        assert now.get(key) == before.get(key), (key, before, now)
    for name, model in before.get("models", {}).items():
        for key in ("current", "last_good", "known_good"):
            assert now["models"][name][key] == model[key]


def test_a_newer_wire_is_refused_with_a_hint():
    from edgewright.connect.agent.handshake import as_greeting

    for spoken, hint in ((2, "upgrade this one"), (0, "newer one installed"), ("x", "newer one installed")):
        with pytest.raises(ProtocolError, match="wire version") as caught:
            as_greeting({"edgewright": spoken, "nonce": "x", "agent": "9.0", "novelty": {}})
        assert hint in caught.value.hint and "\n" not in caught.value.message
