"""If a host sends or reads nothing for too long, the agent ends and releases everything."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import needs
import pytest

from edgewright_agent.session import channel as channels
from edgewright_agent.session.channel import Channel, Closed

SERVE = """
import sys
sys.path.insert(0, sys.argv[1])
from edgewright_agent.session import server
source, sink = server.take_descriptors()
agent, greeting = server.greet({"root": sys.argv[2], "agent": {"sha256": sys.argv[3]}}, b"")
one = server.Server(agent, source, sink, silence_s=3.0)
one.channel.say(greeting)
one.serve()
one.end_now()
"""


@pytest.fixture
def pipes():
    """(read end, write end) twice: what comes in, what goes out."""
    ends = [*os.pipe(), *os.pipe()]
    yield ends
    for end in ends:
        os.close(end)


@pytest.mark.parametrize("before", [b"", b'{"id":1,"do":"pi'])
def test_silence_closes_the_channel(before, pipes):
    source, host, _, sink = pipes
    channel = Channel(source, sink, None, silence_s=0.3)
    os.write(host, before)
    began = time.monotonic()
    with pytest.raises(Closed, match=r"0\.3 s of silence"):
        channel.line()
    assert 0.25 < time.monotonic() - began < 15


def test_a_word_now_and_then_keeps_it_open(pipes):
    source, host, _, sink = pipes
    channel = Channel(source, sink, None, silence_s=1.5)
    for _ in range(8):
        time.sleep(0.2)
        os.write(host, b"{}\n")
        assert channel.line() == b"{}"


def test_a_host_that_takes_nothing_is_noticed(pipes, kit, monkeypatch):
    source, _, taker, sink = pipes
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(channels, "time", SimpleNamespace(monotonic=lambda: clock.now))
    channel = Channel(source, sink, None, silence_s=10.0)
    os.set_blocking(sink, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(sink, b"x" * 4096):
            pass
    os.set_blocking(sink, True)
    writer = threading.Thread(target=channel.say, args=({"text": "x" * 3_000_000},), daemon=True)
    writer.start()
    kit.wait_until(lambda: channel.began_writing)
    clock.now += 19.9
    assert not channel.stuck()
    clock.now += 0.2
    assert channel.stuck()
    os.set_blocking(taker, False)
    while writer.is_alive():
        with contextlib.suppress(BlockingIOError):
            os.read(taker, 1 << 20)
        writer.join(0.001)


def test_an_agent_whose_host_fell_silent_ends_and_gives_its_lease_back(connect, kit, root):
    agent, other = kit.REPOSITORY / "agent", connect()
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-B", "-c", SERVE, agent, root, "0" * 64],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert "board_id" in json.loads(process.stdout.readline())
        args = {"model": "digits", "txn": kit.txn(), "host": "silent", "ttl_s": 600}
        process.stdin.write(json.dumps({"id": 1, "do": "begin", "args": args}).encode() + b"\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline()) == {"id": 1, "ok": {}}
        assert other.call("status")["lease"]["host"] == "silent"
        assert process.wait(timeout=60) == 0
        assert b"3 s of silence from the host" in process.stderr.read()
    assert other.call("status")["lease"] is None


CHANGE = """
import sys, time
sys.path.insert(0, sys.argv[1])
from edgewright_agent.session import server
hello = {"root": sys.argv[2], "agent": {"sha256": sys.argv[3]}}
work = server.Server.answer
def slowly(self, line):
    with self.agent.store.locked() as state:
        self.channel.say({"in": "the middle of a change"})
        time.sleep(1)
        state["models"]["kept"] = {}
        self.agent.store.save(state)
    work(self, line)
server.Server.answer = slowly
server.main(hello, b"")
"""


def test_a_signal_lets_a_change_be_whole_and_ends_the_agent_at_once(kit, root):
    agent = kit.REPOSITORY / "agent"
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-B", "-c", CHANGE, agent, root, "0" * 64],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        process.stdout.readline()
        process.stdin.write(b'{"id":1,"do":"ping","args":{}}\n')
        process.stdin.flush()
        assert json.loads(process.stdout.readline()) == {"in": "the middle of a change"}
        process.terminate()
        began = time.monotonic()
        assert process.wait(timeout=20) == 0
        assert time.monotonic() - began < 9, "it waited in vain for the change to end"
    newest = max((path.read_bytes() for path in root.glob("state.?.json")), key=len)
    assert b'"kept"' in newest


WORK = """
import sys
sys.path.insert(0, sys.argv[1])
from edgewright_agent.session import server
with open(f"{sys.argv[2]}/agent/{sys.argv[3]}.pyz", "rb") as file:
    data = file.read()
source, sink = server.take_descriptors()
agent, greeting = server.greet({"root": sys.argv[2], "agent": {"sha256": sys.argv[3]}}, data)
one = server.Server(agent, source, sink, silence_s=float(sys.argv[4]))
one.words = True
one.channel.say(greeting)
one.serve()
one.end_now()
"""


@pytest.mark.parametrize("talks", [True, False])
def test_a_command_ends_with_its_hosts_words_and_not_before(talks, kit, root, pyz, connect):
    hook, silence_s = (b"#!/bin/sh\nsleep 5\n", 3) if talks else (b"#!/bin/sh\nsleep 30\n", 2)
    agent = kit.REPOSITORY / "agent"
    wire = connect()
    txn = kit.begun(wire)
    release = kit.install(wire, kit.artifact(), txn, hooks={"activate": hook})
    kit.verified(root, release)
    wire.close()
    args = {"model": "digits", "txn": txn, "host": "h", "ttl_s": 60}
    begin = {"id": 1, "do": "begin", "args": args}
    args = {"model": "digits", "release": release, "expected_current": None, "txn": txn, "deadline_s": 30}
    activate = {"id": 2, "do": "activate", "args": args}
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-B", "-c", WORK, agent, root, kit.sha(pyz), str(silence_s)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        for request in (begin, activate):
            process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        over = threading.Event()

        def talk():
            while talks and not over.wait(0.2):
                process.stdin.write(b"\n")
                process.stdin.flush()
            if talks:
                process.stdin.close()

        talker, answers = threading.Thread(target=talk), []
        talker.start()
        for line in map(json.loads, process.stdout):
            answers += [line] if "ok" in line else []
            if len(answers) == 2:
                over.set()
        over.set()
        talker.join()
        assert process.wait(timeout=60) == 0
        assert [line["id"] for line in answers] == ([1, 2] if talks else [1])
        assert talks or b"fell silent while a command worked" in process.stderr.read()
    assert connect().call("revert", txn=txn) == {"outcome": "reverted"}


BROKEN = """
import json, sys
sys.path.insert(0, sys.argv[1])
from edgewright_agent.session import server
def serve(self):
    raise RuntimeError("can't start new thread")
server.Server.serve = serve
server.main(json.loads(sys.argv[2]), b"")
"""


@pytest.fixture(params=["this", "3.6"])
def python(request):
    return sys.executable if request.param == "this" else str(needs.python(request.param))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, None])
def test_an_agent_says_why_it_ends(number, python, connect):
    """Before Python 3.9 stderr is buffered, and what is buffered is lost when a process ends at once."""
    wire = connect(python=python)
    if number is None:
        wire.process.stdin.close()
    else:
        wire.process.send_signal(number)
    said = f"ended by signal {int(number)}" if number else "the stream ended"
    assert wire.process.wait(timeout=20) == 0
    assert wire.process.stderr.read().decode() == f"edgewright: {said}\n"


def test_a_fault_of_the_agents_own_is_told_and_no_good_end(python, kit, root):
    hello = {"root": str(root), "nonce": "n", "agent": {"sha256": kit.sha(b"")}}
    command = [python, "-I", "-S", "-B", "-c", BROKEN, str(kit.REPOSITORY / "agent"), json.dumps(hello)]
    done = subprocess.run(command, stdin=subprocess.PIPE, capture_output=True, text=True, timeout=30)
    assert json.loads(done.stdout)["nonce"] == "n"
    assert done.returncode == 1 and done.stderr.startswith("edgewright: Traceback")
    assert done.stderr.endswith("RuntimeError: can't start new thread\n\n")


def test_last_words_that_nobody_reads_do_not_keep_an_agent_from_ending(connect):
    wire = connect()
    full = os.open(f"/proc/{wire.process.pid}/fd/2", os.O_WRONLY | os.O_NONBLOCK)
    with pytest.raises(BlockingIOError):
        while os.write(full, b"x" * 4096):
            pass
    os.close(full)
    wire.process.terminate()
    assert wire.process.wait(timeout=20) == 0
