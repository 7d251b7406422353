import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import needs
import pytest

from edgewright.connect.agent import package, runner_package


def test_the_agent_is_asked_for_once_and_then_kept(connect, root, pyz, kit):
    first = connect()
    assert first.asked and first.greeting["sha256"] == kit.sha(pyz) and first.greeting["root"] == str(root)
    second = connect()
    assert not second.asked and second.greeting["board_id"] == first.greeting["board_id"]
    kept = root / "agent" / f"{kit.sha(pyz)}.pyz"
    kept.write_bytes(pyz[:-1] + b"x")
    assert connect().asked and kept.read_bytes() == pyz


def test_bytes_with_another_hash_are_never_run(connect, pyz, kit):
    wire = connect(hello={"agent": {"sha256": kit.sha(b"other"), "size": len(pyz)}})
    assert wire.asked and wire.greeting["error"]["code"] == "hash-mismatch"
    assert wire.close() == 1


@pytest.mark.parametrize("version", ["3.6", "3.13"])
def test_the_oldest_and_the_newest_python_deploy(version, connect, kit, root):
    wire = connect(python=str(needs.python(version)))
    assert wire.greeting["python"].startswith(f"{version}.")
    release = kit.deployed(wire, root, "a", "1")
    assert kit.current(root) == release
    data = kit.artifact("a")["files"]["goldens.npz"]
    assert wire.call("part", sha256=kit.sha(data), size=len(data))["complete"]
    assert wire.call("guard", install=False)["guard"] == wire.call("facts")["guard"] == "none"
    assert b": committed" in wire.get(wire.call("logs", lines=100)["log"])
    kit.deployed(wire, root, "b", "2", commit=False, deadline_s=3)
    wire.close()
    kit.wait_until(lambda: kit.current(root) == release)


def test_boot_needs_no_quoting():
    from edgewright_agent.protocol import BOOT

    assert not set(BOOT) & set("'\"\\$`!\n")


def test_descriptor_0_ending_early_has_an_exit_code_of_its_own():
    from edgewright_agent.protocol import BOOT, NO_HELLO_EXIT

    done = subprocess.run([sys.executable, "-I", "-S", "-c", BOOT], input=b'{"edgewright":1', timeout=60)
    assert done.returncode == NO_HELLO_EXIT


@pytest.mark.parametrize(
    ("do", "args", "code"),
    [
        ("shell", {}, "unknown-command"),
        ("__init__", {}, "unknown-command"),
        ("ping", {"x": 1}, "bad-argument"),
        ("part", {"sha256": "../../etc/passwd", "size": 1}, "bad-argument"),
        ("part", {"sha256": "a" * 64}, "bad-argument"),
        ("part", {"sha256": "a" * 64, "size": True}, "bad-argument"),
        ("begin", {"model": "../x", "txn": "a" * 32, "host": "h", "ttl_s": 1}, "bad-argument"),
        ("begin", {"model": "x", "txn": "a" * 32, "host": "h", "ttl_s": 1e308}, "bad-argument"),
        ("get", {"result": "../../state.0.json"}, "not-found"),
        ("prune", {"keep": -1}, "bad-argument"),
        ("install", {"model": "m"}, "bad-argument"),
    ],
)
def test_what_is_not_listed_is_refused(connect, kit, do, args, code):
    wire = connect()
    with pytest.raises(kit.AgentFailureError) as refused:
        wire.call(do, **args)
    assert refused.value.code == code
    assert wire.call("ping") == {}


def test_lines_that_are_no_requests_are_answered_and_the_session_goes_on(connect):
    wire = connect()
    for line in (b"no json\n", b"[]\n", b'{"id":"x","do":"ping"}\n', b"\xff\xfe\n", b"[" * 100000 + b"\n"):
        wire.send_raw(line)
        assert wire.line()["error"]["code"] == "protocol"
    assert wire.call("ping") == {}


def test_an_endless_number_is_refused_at_once_on_the_oldest_python_too(connect):
    def spent():
        user, system = Path(f"/proc/{wire.process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    wire = connect(python=str(needs.python("3.6")))
    began = spent()
    for number in (b"9" * 900_000, b"-" + b"1" * 900_000) * 2:  # 3 s each where they are read
        wire.send_raw(b'{"id":' + number + b',"do":"ping"}\n')
        assert wire.line()["error"]["code"] == "protocol"
    assert spent() - began < 6
    assert wire.call("ping") == {}


def test_an_endless_line_ends_the_session(connect):
    wire = connect()
    with pytest.raises(BrokenPipeError):
        wire.send_raw(b"x" * 20_000_000)
    assert wire.line()["error"]["code"] == "protocol"
    assert wire.process.wait(timeout=20) == 0


def test_an_upload_goes_on_where_it_broke(connect, kit, root):
    data = os.urandom(3_000_000)
    wire = connect()
    wire.send("put", sha256=kit.sha(data), size=len(data), offset=0)
    wire.send_raw(data[:1_000_000])
    wire.close()
    wire = connect()
    part = wire.call("part", sha256=kit.sha(data), size=len(data))
    assert part == {"complete": False, "offset": 1_000_000, "prefix_sha256": kit.sha(data[:1_000_000])}
    number = wire.send("put", sha256=kit.sha(data), size=len(data), offset=part["offset"])
    wire.send_raw(data[part["offset"] :])
    assert wire.answer(number) == {}
    assert (root / "incoming" / kit.sha(data)).read_bytes() == data
    assert wire.call("part", sha256=kit.sha(data), size=len(data))["complete"]


def test_wrong_bytes_are_dropped_and_the_stream_stays_in_step(connect, kit, root):
    wire = connect()
    number = wire.send("put", sha256=kit.sha(b"right"), size=5, offset=0)
    wire.send_raw(b"wrong")
    with pytest.raises(kit.AgentFailureError, match=r"hash-mismatch"):
        wire.answer(number)
    number = wire.send("put", sha256=kit.sha(b"right"), size=5, offset=2)
    wire.send_raw(b"ght")
    with pytest.raises(kit.AgentFailureError, match=r"bad-argument"):
        wire.answer(number)
    assert wire.put(b"right") == kit.sha(b"right")
    assert [path.name for path in (root / "incoming").iterdir()] == [kit.sha(b"right")]


def test_an_upload_that_cannot_fit_is_refused_before_it_is_written(connect, kit, root):
    disk = os.statvfs(root.parent)
    size = disk.f_blocks * disk.f_frsize  # all of it: what is free may grow meanwhile
    wire = connect()
    wire.send("put", sha256="a" * 64, size=size, offset=0)
    wire.send_raw(b"x" * 100_000)
    wire.close()
    assert [path.name for path in (root / "incoming").iterdir()] == []


def test_results_are_gone_with_their_session(connect, root):
    wire = connect()
    result = wire.call("logs", lines=10)["log"]
    assert wire.get(result) == b"" and len([path.name for path in (root / "results").iterdir()]) == 1
    wire.close()
    assert [path.name for path in (root / "results").iterdir()] == []


def taken(kit, wire, **lease) -> bool:
    """Whether the board gives out a lease now."""
    try:
        return wire.call("begin", **lease) == {}
    except kit.AgentFailureError as error:
        assert "busy" in str(error)
        return False


def test_two_hosts_at_once(connect, kit, root):
    one, two = connect(), connect()
    txn = kit.begun(one)
    with pytest.raises(kit.AgentFailureError, match=r"busy.*digits from test"):
        two.call("begin", model="digits", txn=kit.txn(), host="other", ttl_s=60)
    assert two.call("begin", model="digits", txn=txn, host="test", ttl_s=0.2) == {}
    # the session that took it may prolong it once: it looks every second, and then finds it expired
    kit.wait_until(lambda: taken(kit, two, model="other", txn=kit.txn(), host="other", ttl_s=60))
    with pytest.raises(kit.AgentFailureError, match=r"busy.*other holds it"):
        kit.install(one, kit.artifact(), txn)
    assert two.call("status")["lease"]["host"] == "other"


def test_a_hook_that_works_for_long_is_accompanied_by_heartbeats(connect, kit, root):
    wire = connect()
    txn, events = kit.begun(wire), []
    release = kit.install(wire, kit.artifact(), txn, hooks={"activate": b"#!/bin/sh\nsleep 5\n"})
    kit.verified(root, release)
    args = {"model": "digits", "release": release, "expected_current": None, "txn": txn, "deadline_s": 30}
    assert wire.answer(wire.send("activate", **args), events)["state"] == "trial"
    assert [event["event"] for event in events].count("heartbeat") == len(events) > 0
    wire.call("revert", txn=txn)


def test_hooks_get_none_of_the_sessions_descriptors(connect, kit, root):
    seen = root.parent / "seen"
    hook = f"#!/bin/sh\nls -l /proc/self/fd > {seen}\n".encode()
    wire = connect()
    kit.deployed(wire, root, "a", "1", hooks={"activate": hook})
    lines = [line.split() for line in seen.read_text().splitlines() if "->" in line]
    held = {line[-3]: line[-1] for line in lines}
    assert held["0"] == "/dev/null" and held["1"] == str(seen) and held["2"].startswith("pipe:")
    assert set(held) == {"0", "1", "2", "3"} and held["3"].startswith("/proc/")


def test_no_process_is_left_but_the_watchdog_during_a_trial(connect, kit, root):
    mark = f"EDGEWRIGHT_TEST_ROOT={root}".encode()

    def ours() -> list[int]:
        found = []
        for pid in filter(str.isdigit, [path.name for path in Path("/proc").iterdir()]):
            try:
                if mark in Path(f"/proc/{pid}/environ").read_bytes():
                    found.append(int(pid))
            except OSError:
                pass
        return found

    wire = connect()
    kit.deployed(wire, root, "a", "1", commit=False, deadline_s=60)
    txn = wire.call("status")["models"]["digits"]["trial"]["txn"]
    wire.close()
    kit.wait_until(lambda: len(ours()) == 1)  # the child that verified may take a moment longer to end
    (watchdog,) = ours()
    assert Path(f"/proc/{watchdog}/cwd").readlink() == Path("/")
    assert {str(Path(f"/proc/{watchdog}/fd/{n}").readlink()) for n in (0, 1, 2)} == {"/dev/null"}
    wire = connect()
    assert wire.call("commit", txn=txn) == {"outcome": "committed"}
    wire.close()
    kit.wait_until(lambda: watchdog not in ours())


def test_a_trial_whose_watchdog_was_killed_gets_another(connect, kit, root):
    wire = connect()
    kit.deployed(wire, root, "a", "1", commit=False, deadline_s=4)
    slots = [json.loads(path.read_bytes().partition(b"\n")[2]) for path in root.glob("state.?.json")]
    newest = max(slots, key=lambda slot: slot["sequence"])
    os.kill(newest["models"]["digits"]["trial"]["watchdog"]["pid"], signal.SIGKILL)
    wire.close()
    connect().close()
    kit.wait_until(lambda: kit.current(root) is None)


def test_a_forced_command_ignores_loader_and_agent(connect, kit, root, tmp_path):
    pyz = package.for_administrator({"tflite": runner_package.package("tflite").data})
    installed = tmp_path / "agent.pyz"
    installed.write_bytes(pyz)
    command = [sys.executable, "-I", "-S", "-B", str(installed), "serve", "--root", str(root)]
    hello = {"loader": "raise SystemExit(9)", "agent": {"sha256": "b" * 64, "size": 1}, "root": "/elsewhere"}
    wire = connect(command=command, hello=hello)
    assert wire.greeting["root"] == str(root) and wire.greeting["sha256"] == kit.sha(pyz)
    kit.deployed(wire, root, "a", "1", commit=False, deadline_s=3)
    wire.close()
    kit.wait_until(lambda: kit.current(root) is None)
    done = subprocess.run([*command[:-3], "status", "--root", str(root)], capture_output=True, timeout=60)
    assert json.loads(done.stdout)["models"]["digits"]["current"] is None
    done = subprocess.run([*command[:-3], "guard", "--root", str(root)], capture_output=True, timeout=60)
    assert json.loads(done.stdout) == {"recovered": []}


def test_purge_leaves_nothing_and_ends_the_agent(connect, kit, root):
    wire = connect()
    kit.deployed(wire, root, "a", "1")
    txn = kit.begun(wire)
    with pytest.raises(kit.AgentFailureError, match=r"busy"):
        wire.call("purge")
    wire.call("end", txn=txn)
    assert wire.call("purge") == {}
    assert wire.process.wait(timeout=20) == 0 and not root.exists()
