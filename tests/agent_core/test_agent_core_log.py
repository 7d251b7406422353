"""The log on the board has a clean line for every change and refusal, and stays small."""

import re

import pytest

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \d+\.\d (.*)\Z")


def logged(wire, lines=1000) -> list[str]:
    """The log's texts; each first line has the time and the seconds since boot."""
    text = wire.get(wire.call("logs", lines=lines)["log"]).decode()
    found = []
    for line in text.splitlines():
        if not line.startswith("    "):
            assert LINE.match(line), line
        found.append(line[4:] if line.startswith("    ") else LINE.match(line).group(1))
    return found


def has(lines, *parts):
    """Whether one line has all of these parts."""
    return any(all(part in line for part in parts) for line in lines)


def test_a_deployment_is_logged_step_by_step(connect, kit, root):
    wire = connect()
    release = kit.deployed(wire, root, "a", "1")
    lines = logged(wire)
    assert has(lines, "provisioned toy 1.0")
    assert has(lines, "digits: lease for test")
    assert has(lines, f"digits {release}: installed")
    trial = re.compile(rf"digits {release}: on trial for (\d+) s, guard: watchdog, before it was nothing")
    (left,) = (int(found[1]) for found in map(trial.fullmatch, lines) if found)
    assert 0 < left <= 30  # what was left of 30 s when the board answered
    assert has(lines, f"digits {release}: committed")
    assert not has(lines, "refused")


def test_who_was_refused_and_why_is_logged(connect, kit):
    one, two = connect(), connect()
    kit.begun(one)
    with pytest.raises(kit.AgentFailureError, match=r"busy"):
        two.call("begin", model="other", txn=kit.txn(), host="other", ttl_s=60)
    with pytest.raises(kit.AgentFailureError, match=r"not-found"):
        two.call("commit", txn=kit.txn())
    lines = logged(two)
    assert has(lines, "other: begin refused, busy: another deployment is at work here: digits from test")
    assert has(lines, "commit refused, not-found")


def test_a_revert_and_its_reason_are_logged_whoever_did_it(connect, kit, root):
    wire = connect()
    kit.deployed(wire, root, "a", "1", commit=False)
    txn = wire.call("status")["models"]["digits"]["trial"]["txn"]
    wire.call("revert", txn=txn, reason="the user's word")
    kit.deployed(wire, root, "b", "2", commit=False, deadline_s=3)
    kit.wait_until(lambda: kit.current(root) is None)
    kit.wait_until(lambda: has(logged(wire), "nobody committed it in time"))
    assert has(logged(wire), "digits 1-", "reverted, current is nothing again: the user's word")


def test_discard_prune_and_a_wrong_upload_are_logged(connect, kit, root):
    wire = connect()
    kit.deployed(wire, root, "a", "1")
    txn = kit.begun(wire)
    release = kit.install(wire, kit.artifact("b"), txn, "2")
    wire.call("discard", model="digits", release=release, txn=txn)
    wire.call("end", txn=txn)
    wire.call("prune", keep=1)
    number = wire.send("put", sha256=kit.sha(b"right"), size=5, offset=0)
    wire.send_raw(b"wrong")
    with pytest.raises(kit.AgentFailureError):
        wire.answer(number)
    lines = logged(wire)
    assert has(lines, f"digits {release}: discarded") and has(lines, "pruned,", "bytes:")
    assert has(lines, "put refused, hash-mismatch")


def test_what_a_hook_prints_cannot_pass_for_the_agents_own_lines(connect, kit, root):
    hook = b"#!/bin/sh\nprintf '2026-01-01T00:00:00Z 1.0 forged\\n\\033[2Jgone \\342\\200\\256\\n'\n"
    wire = connect()
    kit.deployed(wire, root, "a", "1", hooks={"activate": hook})
    text = wire.get(wire.call("logs", lines=100)["log"]).decode()
    assert "\n    2026-01-01T00:00:00Z 1.0 forged\n    ?[2Jgone ?\n" in text


def test_the_log_is_two_files_of_limited_size(tmp_path):
    from edgewright_agent.storage.results import LOG_BYTES, SessionFiles

    one, two = SessionFiles(str(tmp_path), "a"), SessionFiles(str(tmp_path), "b")
    for number in range(1500):
        (one, two)[number % 2].note(f"{number:04d} " + "x" * 500)
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert set(sizes) == {"agent.log", "agent.log.old"} and max(sizes.values()) <= LOG_BYTES + 1000
    last = one.last_lines(450).decode().splitlines()
    assert [int(line.split()[2]) for line in last] == list(range(1050, 1500))
