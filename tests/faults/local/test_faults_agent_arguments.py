"""Each argument of each command gets any value while the others are valid: there is one answer, and the agent survives."""

from __future__ import annotations

import copy
import json
import sys
import time

import pytest

from edgewright_agent import protocol
from edgewright_agent.session import arguments

TEXTS = [
    "9" * 309,
    "-" + "9" * 309,
    "9" * 5000,
    str(2**63),
    str(-(2**63)),
    "1e400",
    "-1e400",
    "NaN",
    "Infinity",
]
VALUES = [
    None,
    True,
    -1,
    0,
    1,
    0.5,
    2**62,
    -(2**62),
    1e308,
    5e-324,
    "",
    "x" * 70_000,
    "\0",
    "\ud800",
    [],
    [[]],
    {},
    {"x": None},
]
SECONDS = 14.0  # less than the agent ever waits for a lock or another session
TXN = "a" * 32


@pytest.fixture
def agent(start, tmp_path):
    return start(tmp_path / "root", command=(sys.executable,))


@pytest.fixture
def valid(agent, kit):
    """Valid arguments of every command that has some: a release is installed, verified and known good."""
    built, wheel = kit.artifact("a"), kit.wheel()
    row = {"file": "toy-1.0-py3-none-any.whl", "sha256": kit.sha(wheel), "size": len(wheel)}
    hook = b"#!/bin/sh\n"
    for data in (*built.files.values(), built.manifest, wheel, hook):
        assert "ok" in agent.put(data, kit.sha(data))
    runner = agent.give_runner()
    provision = {"name": "toy", "target": "tflite", "version": "1", "wheels": [row], "runner": runner}
    ref = agent.call("provision", **provision)["ok"]["ref"]
    begin = {"model": "m", "txn": TXN, "host": "h", "ttl_s": 3600}
    assert agent.call("begin", **begin)["ok"] == {}
    install = {
        "model": "m", "version": "1", "manifest": built.sha256, "runtime": ref, "hooks": {"health": kit.sha(hook)},
        "hook_s": 5, "runner": runner, "txn": TXN,
    }  # fmt: skip
    release = agent.call("install", **install)["ok"]["release"]
    work = {"model": "m", "release": release, "threads": 1, "accelerator": None}
    trial = {"model": "m", "txn": TXN, "deadline_s": 60, "unguarded": True}
    assert agent.call("verify", txn=TXN, **work)["ok"]["ok"]
    assert agent.call("activate", release=release, expected_current=None, **trial)["ok"]
    assert agent.call("commit", txn=TXN)["ok"] == {"outcome": "committed"}
    goldens = kit.sha(built.files["goldens.npz"])
    bench = {"rounds": 1, "warmup_s": 0.01, "steady_s": 0.01, "min_samples": 1, "limit_s": 5}
    return {
        "part": {"sha256": goldens, "size": 1},
        "put": {"sha256": kit.sha(b""), "size": 0, "offset": 0},
        "get": {"result": "1-log.txt"},
        "begin": begin,
        "runner": {"target": "tflite", "sha256": runner},
        "provision": provision,
        "install": install,
        "verify": {**work, "txn": TXN, "lenient": False},
        "evaluate": {**work, "evaluation": goldens, "keep": "all"},
        "bench": {"model": "m", "releases": [release], "protocol": bench, "threads": 1, "accelerator": None},
        "infer": {**work, "inputs": goldens},
        "activate": {**trial, "release": release, "expected_current": None},
        "rollback": {**trial, "to": release, "threads": 1, "accelerator": None, "dry_run": True},
        "commit": {"txn": TXN},
        "revert": {"txn": TXN, "reason": "slow"},
        "outcome": {"txn": TXN},
        "discard": {"model": "m", "release": release, "txn": TXN},
        "status": {"verify": True, "files": True},
        "repair": {"dry_run": True},
        "prune": {"keep": 1000, "dry_run": True},
        "logs": {"lines": 5},
        "end": {"txn": "b" * 32},
        "guard": {"install": "never"},  # a test must not change this machine's cron
    }


def places(value, path=()):
    """The paths of all values below arguments, each argument itself included."""
    if path:
        yield path
    for key, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from places(inner, (*path, key))


def put_in(args, path, value):
    """The arguments with a value put at a path."""
    changed = inner = copy.deepcopy(args)
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


def answered(agent, line):
    """The only answer to a line."""
    agent.process.stdin.write(line)
    began, answer = time.monotonic(), agent.line()
    while "event" in answer:
        answer = agent.line()
    assert time.monotonic() - began < SECONDS, line[:300]
    return answer


def works(do, args):
    """Whether the command would do something slow, or something to this machine, or wait for bytes."""
    try:
        arguments.check(do, args)
    except protocol.AgentError:
        return False
    return do in ("verify", "evaluate", "bench", "infer", "provision", "guard", "put")


def test_each_argument_takes_any_value(agent, valid, survived):
    assert set(valid) == {do for do, expected in arguments.COMMANDS.items() if expected}
    tried = 0
    for do, args in valid.items():
        assert set(args) == set(arguments.COMMANDS[do])
        for path in places(args):
            for value in (*VALUES, *TEXTS):
                text = value in TEXTS if isinstance(value, str) else False
                changed = put_in(args, path, "NUMBER" if text else value)
                if not text and works(do, changed):
                    continue
                agent.last += 1
                line = protocol.encode({"id": agent.last, "do": do, "args": changed})
                answer = answered(agent, line.replace(b'"NUMBER"', value.encode()) if text else line)
                tried += 1
                assert set(answer) in ({"id", "ok"}, {"id", "error"}), answer
                if "error" in answer:
                    assert answer["id"] == (None if text else agent.last), (do, path, value, answer)
                    assert "the agent failed in" not in answer["error"]["message"], (do, path, value, answer)
                assert not text or answer["error"]["code"] == "protocol", (do, path, value, answer)
    assert agent.call("ping")["ok"] == {}
    survived("hostile hosts: each argument of each command with any value, the others valid", tried)


@pytest.mark.parametrize("text", TEXTS)
def test_numbers_out_of_range_are_refused_where_they_are_parsed(text):
    with pytest.raises(ValueError, match="out of range"):
        protocol.loads(f'{{"x": [{text}]}}')


def test_numbers_in_range_are_as_they_were():
    kept = [2**63 - 1, -(2**63 - 1), 0, -0.0, 1e308, 5e-324, 0.1]
    assert protocol.loads(json.dumps(kept)) == kept
