"""Safeguards whose loss no other test notices: each has its entry in tests/reliability/mutations.py."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from edgewright_agent.protocol import BOOT, AgentError


def prepared(wire, kit, hooks=None, **more) -> dict:
    """A release that may be activated: the arguments of `activate`."""
    txn = kit.begun(wire)
    release = kit.install(wire, kit.artifact(), txn, hooks=hooks, **more)
    kit.verified(wire.root, release)
    return {"model": "digits", "release": release, "expected_current": None, "txn": txn, "deadline_s": 30}


@pytest.fixture
def wire(connect, root):
    one = connect()
    one.root = root
    return one


def test_a_commit_while_hooks_run_is_refused_and_the_trial_reverted(wire, connect, kit, root):
    begun, go = root.parent / "begun", root.parent / "go"
    hook = f"#!/bin/sh\ntouch {begun}\nwhile [ ! -e {go} ]; do sleep 0.05; done\n".encode()
    arguments = prepared(wire, kit, {"health": hook}, hook_s=30)
    number = wire.send("activate", **arguments)
    kit.wait_until(begun.exists)
    assert connect().call("commit", txn=arguments["txn"]) == {"outcome": "reverted"}
    go.touch()
    with pytest.raises(kit.AgentFailureError, match="reverted: the trial ended while its hooks ran"):
        wire.answer(number)
    assert kit.current(root) is None


def test_a_hook_that_changes_during_the_trial_is_not_run(wire, kit, root):
    mark = root.parent / "ran"
    health = b"#!/bin/sh\nexit 0\n"
    path = root / "hooks" / kit.sha(health)
    change = f"#!/bin/sh\nprintf '#!/bin/sh\\ntouch {mark}\\n' > {path}\n".encode()
    with pytest.raises(
        kit.AgentFailureError, match="hook-failed: the hook's file is gone or damaged: health"
    ):
        wire.call("activate", **prepared(wire, kit, {"activate": change, "health": health}))
    assert not mark.exists() and kit.current(root) is None


def test_a_hook_that_is_gone_begins_no_trial(wire, kit, root):
    health = b"#!/bin/sh\nexit 0\n"
    arguments = prepared(wire, kit, {"health": health})
    (root / "hooks" / kit.sha(health)).unlink()
    with pytest.raises(kit.AgentFailureError, match=r"release-damaged: the hook health of digits .* is gone"):
        wire.call("activate", **arguments)
    assert wire.call("outcome", txn=arguments["txn"]) == {"outcome": "unknown"}


def test_a_hook_that_was_never_uploaded_is_not_installed(wire, kit):
    txn, artifact = kit.begun(wire), kit.artifact()
    for data in (*artifact["files"].values(), artifact["manifest"]):
        wire.put(data)
    wanted = {
        "model": "digits",
        "version": "1",
        "manifest": artifact["sha256"],
        "runtime": kit.provision(wire),
    }
    with pytest.raises(kit.AgentFailureError, match="not-found: no such file was put"):
        wire.call("install", hooks={"health": "0" * 64}, txn=txn, runner=kit.give(wire), **wanted)
    assert wire.call("status")["models"].get("digits", {"releases": {}})["releases"] == {}


def test_a_lease_is_for_one_model(wire, kit, root):
    txn = kit.begun(wire, model="other")
    with pytest.raises(kit.AgentFailureError, match="bad-argument: the lease is for another model: other"):
        kit.install(wire, kit.artifact(), txn)
    assert kit.current(root) is None


def test_an_upload_without_room_is_refused_before_its_first_byte(tmp_path, monkeypatch):
    from edgewright_agent.storage.files import Files
    from edgewright_agent.storage.incoming import Incoming
    from edgewright_agent.storage.integrity import Integrity

    files = Files(str(tmp_path))
    (tmp_path / "incoming").mkdir()
    disk = SimpleNamespace(f_bavail=1000, f_frsize=4096, f_files=0, f_favail=0)
    monkeypatch.setattr(os, "statvfs", lambda _: disk)

    def pieces():
        pytest.fail("a byte was taken")
        yield b""

    with pytest.raises(AgentError, match="not enough space") as refused:
        Incoming(files, Integrity()).put("0" * 64, 64 * 2**20, 0, pieces())
    assert refused.value.code == "disk-full" and list((tmp_path / "incoming").iterdir()) == []


def test_the_exit_codes_that_wire_md_promises(kit):
    from edgewright.connect.agent import bootstrap

    words = (kit.REPOSITORY / "docs/wire.md").read_text()
    assert "The exit code is 93 if there is no Python, and 92 if the stream ends within the line." in words
    early = subprocess.run([sys.executable, "-I", "-S", "-c", BOOT], input=b'{"edgewright":1', timeout=60)
    assert early.returncode == 92
    absent = subprocess.run(["sh", "-c", bootstrap.command("/no/python3")], input=b"", timeout=60)
    assert absent.returncode == 93
