"""The real agent over a real sshd: greeting, commands, broken uploads, boards that stop answering."""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from edgewright.config import trust as trust_file
from edgewright.connect import transfer
from edgewright.connect.agent import package as agent_package
from edgewright.connect.session import Limits, connect, open_session, start_session
from edgewright.connect.ssh import watch as watching
from edgewright.connect.ssh.watch import Life, Watch
from edgewright.errors import Aborted, BoardError, ProtocolError, TrustError, Unreachable
from edgewright.nouns.board import Pin, TrustFile
from edgewright.wire import commands
from edgewright.wire.answers import Nothing
from edgewright.wire.request import Request
from edgewright.wire.transport import Ended

SSH_CLIENTS = ("paramiko", "openssh")  # every test of a login runs with both


@pytest.fixture
def board(sshd, make_board, fleet, pinned):
    """A board whose Python is the one that runs the tests."""
    pinned(fleet, "pi", sshd.host_key)
    return make_board(sshd, python=sys.executable)


def agents(sshd):
    """The pids of the programs that the server's sessions run."""
    found = []
    for pid in sshd.children():
        try:
            text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        except (FileNotFoundError, ProcessLookupError):  # a session that is over
            continue
        found += [int(child) for child in text.split() if int(child) not in sshd.children()]
    return found


def test_greeting_facts_and_end(board, fleet, sshd, wait_for):
    with open_session(board, fleet) as session:
        package = agent_package.package()
        assert session.greeting.sha256 == package.sha256
        assert session.greeting.root == board.root
        assert session.facts().python.version.startswith("3.")
        assert session.call(commands.Ping()) == Nothing()
        (agent,) = agents(sshd)
        assert (Path(board.root) / "agent" / f"{package.sha256}.pyz").read_bytes() == package.data
    assert wait_for(lambda: not Path(f"/proc/{agent}").exists(), 15)  # by silence it ends after 30 s
    with pytest.raises(Unreachable, match="is over"):
        session.call(commands.Ping())


def test_agent_is_shipped_once(board, fleet, sshd):
    with open_session(board, fleet):
        kept = Path(board.root) / "agent" / f"{agent_package.package().sha256}.pyz"
        first = kept.stat().st_mtime_ns
    with open_session(board, fleet):
        assert kept.stat().st_mtime_ns == first
    kept.chmod(0o600)
    kept.write_bytes(b"damaged")
    with open_session(board, fleet) as session:
        assert session.call(commands.Ping()) == Nothing()


def test_first_session_pins_the_board_and_a_new_root_is_refused(board, fleet):
    with open_session(board, fleet) as session:
        assert trust_file.load(fleet).boards["pi"].board_id == session.greeting.board_id

    with pytest.raises(TrustError) as caught:
        open_session(replace(board, root=board.root + "-other"), fleet)
    assert caught.value.code == "board-replaced"
    assert "fleet trust pi" in caught.value.hint


def test_other_serial_is_refused(board, fleet):
    open_session(board, fleet).close()
    pin = trust_file.load(fleet).boards["pi"]
    assert pin.serial, "the agent found no serial number on this machine"
    changed = Pin(host_key=pin.host_key, board_id=pin.board_id, serial="another")
    trust_file.save(fleet, TrustFile(boards={"pi": changed}))
    with pytest.raises(TrustError) as caught:
        open_session(board, fleet)
    assert caught.value.code == "board-replaced"


def test_noise_before_the_greeting(identity, make_sshd, make_board, fleet, pinned):
    lines = ('ForceCommand echo "Welcome, {"; printf "no line end "; exec sh -c "$SSH_ORIGINAL_COMMAND"',)
    server = make_sshd(identity, lines=lines)
    pinned(fleet, "pi", server.host_key)
    with open_session(make_board(server, python=sys.executable), fleet) as session:
        assert session.call(commands.Ping()) == Nothing()


def test_endless_noise_is_refused(identity, make_sshd, make_board, fleet, pinned):
    server = make_sshd(identity, lines=("ForceCommand yes tralala",))
    pinned(fleet, "pi", server.host_key)
    with pytest.raises(ProtocolError) as caught:
        open_session(make_board(server), fleet)
    assert "tralala" in caught.value.message and "bashrc" in caught.value.hint


def test_no_greeting_in_time(identity, make_sshd, make_board, fleet, pinned):
    server = make_sshd(identity, lines=("ForceCommand exec sleep 60",))
    pinned(fleet, "pi", server.host_key)
    with pytest.raises(BoardError, match=r"did not start the agent within 1 s"):
        open_session(make_board(server), fleet, limits=Limits(greeting_s=1))


def test_no_python(board, fleet):

    with pytest.raises(BoardError) as caught:
        open_session(replace(board, python="/no/python3"), fleet)
    assert caught.value.code == "no-python" and "python" in caught.value.hint


def test_login_without_a_shell(identity, make_sshd, make_board, fleet, pinned):
    server = make_sshd(identity, lines=("ForceCommand echo This account is closed.; exit 1",))
    pinned(fleet, "pi", server.host_key)
    with pytest.raises(BoardError, match="exit code 1: This account is closed"):
        open_session(make_board(server), fleet)


def test_many_boards_at_once(identity, make_sshd, make_board, fleet, pinned):
    from concurrent.futures import ThreadPoolExecutor

    server = make_sshd(identity, lines=("MaxStartups 4:60:8",))
    boards = [make_board(server, f"pi{number}", python=sys.executable) for number in range(10)]
    for board in boards:
        pinned(fleet, board.name, server.host_key)
    data = os.urandom(300_000)

    def work(board):
        with open_session(board, fleet) as session:
            return session.put(data, label="file")

    with ThreadPoolExecutor(len(boards)) as pool:
        assert set(pool.map(work, boards)) == {hashlib.sha256(data).hexdigest()}
    ids = [trust_file.load(fleet).boards[board.name].board_id for board in boards]
    assert len(set(ids)) == len(boards) and all(ids)


class Colourful(commands.Command[Nothing], frozen=True, kw_only=True):
    """A command with an argument that no agent knows."""

    do = "status"
    colour: str


class Fly(commands.Command[Nothing], frozen=True, kw_only=True):
    """A command that no agent knows."""

    do = "fly"


def test_agent_errors_leave_the_session_usable(board, fleet):
    with open_session(board, fleet) as session:
        with pytest.raises(BoardError) as caught:
            session.call(Colourful(colour="blue"))
        assert caught.value.code == "bad-argument"
        with pytest.raises(BoardError) as caught:
            session.call(Fly())
        assert caught.value.code == "unknown-command"
        assert session.call(commands.Ping()) == Nothing()


def test_put_is_complete_and_silent_the_second_time(board, fleet, tmp_path):
    data = os.urandom(3_000_000)
    file = tmp_path / "file"
    file.write_bytes(data)
    steps = []
    with open_session(board, fleet, progress=steps.append) as session:
        assert session.put(file, label="file") == hashlib.sha256(data).hexdigest()
        assert (steps[0].done, steps[-1].done, steps[-1].total) == (0, len(data), len(data))
        assert [step.done for step in steps] == sorted(step.done for step in steps)
        steps.clear()
        session.put(data, label="again")
        assert [step.done for step in steps] == [len(data)]
        assert session.put(b"") == hashlib.sha256(b"").hexdigest()


def test_files_that_are_sent_together_have_one_total(board, fleet):
    files = [(os.urandom(1_500_000), f"file {number}") for number in range(3)]
    steps = []
    with open_session(board, fleet, progress=steps.append) as session:
        session.put_all([files[0]])
        steps.clear()
        session.put_all(files)
    first, *rest = [step for step in steps if step.stage == "upload"]
    assert (first.detail, first.done, first.total) == ("file 0", 1_500_000, 1_500_000)  # it is there already
    assert {step.total for step in rest} == {3_000_000} and rest[-1].done == 3_000_000
    assert [step.done for step in rest] == sorted(step.done for step in rest)


def test_cut_upload_resumes(board, fleet, sshd, tmp_path):
    data = os.urandom(12_000_000)
    file = tmp_path / "file"
    file.write_bytes(data)
    steps = []

    def cut(step):
        if step.stage == "upload" and step.done > 6_000_000:
            for pid in sshd.children():
                os.kill(pid, signal.SIGKILL)

    with open_session(board, fleet, progress=cut) as session, pytest.raises(Unreachable) as caught:
        session.put(file, label="file")
    assert caught.value.exit_code == 4
    with open_session(board, fleet, progress=steps.append) as session:
        sha256 = session.put(file, label="file")
        assert session.call(commands.Part(sha256=sha256, size=len(data))).complete is True
    assert 0 < steps[0].done < len(data)


def test_part_of_another_beginning_is_sent_anew(board, fleet):
    data = os.urandom(2_000_000)
    sha256 = hashlib.sha256(data).hexdigest()
    steps = []
    with open_session(board, fleet, progress=steps.append) as session:
        part = Path(board.root) / "incoming" / f"{sha256}.part"
        part.write_bytes(b"x" * 1000)
        session.put(data, label="file")
        assert steps[0].done == 0
        assert session.call(commands.Part(sha256=sha256, size=len(data))).complete is True


def test_get_checks_and_writes(board, fleet, tmp_path):
    with open_session(board, fleet) as session:
        log = session.call(commands.Logs(lines=5)).log
        assert hashlib.sha256(session.get(log)).hexdigest() == log.sha256
        assert session.get(log, tmp_path / "deep" / "log").read_bytes() == session.get(log)
        with pytest.raises(ProtocolError, match="not those"):
            session.get(replace(log, sha256="0" * 64))


@pytest.mark.parametrize("stopped", ["agent", "sshd"])
def test_board_that_falls_silent_is_a_dead_link(board, fleet, sshd, stopped):
    session = open_session(board, fleet, limits=Limits(silence_s=1.5))
    pids = agents(sshd) if stopped == "agent" else sshd.children()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    try:
        with pytest.raises(Unreachable, match="sent nothing"):
            session.call(commands.Ping())
        assert 1 < time.monotonic() - began < 15
        with pytest.raises(Unreachable):
            session.call(commands.Ping())
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        session.close()


def test_stalled_upload_is_a_dead_link(board, fleet, sshd):
    session = open_session(board, fleet, limits=Limits(silence_s=1.5))
    data = os.urandom(40_000_000)
    pids = []

    def stop(step):
        if step.stage == "upload" and step.done > 3_000_000 and not pids:
            pids.extend(sshd.children())
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)

    session.progress = stop
    began = time.monotonic()
    try:
        with pytest.raises(Unreachable):
            session.put(data, label="file")
        assert time.monotonic() - began < 20
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        session.close()


HEARTBEATS = """
import json, sys, time
hello = json.loads(sys.stdin.readline())
print(json.dumps({"edgewright": 1, "nonce": hello["nonce"], "agent": "9"}), flush=True)
while True:
    print(json.dumps({"id": 1, "event": "heartbeat"}), flush=True)
    time.sleep(0.1)
"""


@pytest.mark.parametrize("what", ["the whole", "a piece"])
def test_upload_to_a_board_that_only_says_it_lives_ends(
    identity, make_sshd, make_board, fleet, pinned, tmp_path, monkeypatch, what
):
    (tmp_path / "board.py").write_text(HEARTBEATS)
    server = make_sshd(identity, lines=(f"ForceCommand exec {sys.executable} -u {tmp_path}/board.py",))
    pinned(fleet, "pi", server.host_key)
    limits = Limits(silence_s=2)
    board = make_board(server)
    session = start_session(board, connect(board, fleet), limits=limits)
    if what == "a piece":
        monkeypatch.setattr(transfer, "PART_SECONDS", 2.5)
        monkeypatch.setattr(transfer, "SLOWEST", 10**9)
    data, ended = bytes(20_000_000), []

    def upload():
        put = commands.Put(sha256="0" * 64, size=len(data), offset=0)
        request = Request(put, transfer.sender(io.BytesIO(data), 0, len(data), lambda _: None))
        try:
            session.exchange_all([request], timeout_s=2.5 if what == "the whole" else 3600)
        except BoardError as error:
            ended.append(error.code)

    thread = threading.Thread(target=upload, daemon=True)
    thread.start()
    thread.join(60)
    alive = thread.is_alive()
    session.close()
    assert not alive and ended == ["timeout"]


def test_a_watch_cuts_at_the_deadline_whatever_is_said():
    """Paramiko may then be stuck in a full TCP buffer, past all of its timeouts."""
    said, cut = itertools.count(), threading.Event()
    deadline = time.monotonic() + 0.3
    with Watch(lambda: Life(0, next(said)), cut.set, 3, deadline) as watch:
        assert cut.wait(60) and watch.late and not watch.cut
    assert time.monotonic() >= deadline


def watched(monkeypatch, idle_s=0.2):
    """A watcher of this test alone."""
    monkeypatch.setattr(watching, "IDLE_S", idle_s)
    monkeypatch.setattr(watching, "_WATCHER", watching.Watcher())
    return watching._WATCHER


def until(done, seconds=30):
    limit = time.monotonic() + seconds
    while not done() and time.monotonic() < limit:
        time.sleep(0.02)
    return done()


def test_one_thread_watches_many_links_and_ends_when_there_are_none(monkeypatch):
    watcher, later = watched(monkeypatch), time.monotonic() + 3600
    cuts, stuck = [threading.Event() for _ in range(5)], threading.Event()
    closes = [lambda: stuck.wait(60), *(cut.set for cut in cuts)]  # the first one's closing hangs
    with contextlib.ExitStack() as stack:
        watches = [
            stack.enter_context(Watch(lambda: Life(0, 0), close, 0.2 + number / 10, later))
            for number, close in enumerate(closes)
        ]
        thread = watcher._thread
        assert all(cut.wait(30) for cut in cuts) and all(one.cut and not one.late for one in watches)
        assert watcher._thread is thread
        stuck.set()
    assert until(lambda: watcher._thread is None) and until(lambda: not thread.is_alive())
    cuts[0].clear()
    with Watch(lambda: Life(0, 0), cuts[0].set, 0.2, later) as again:  # a new thread begins
        assert cuts[0].wait(30) and again.cut


def test_a_link_that_cannot_be_looked_at_leaves_the_others_watched(monkeypatch):
    watched(monkeypatch)
    cut, later = threading.Event(), time.monotonic() + 3600

    def broken():
        raise OSError("no such link")

    with Watch(broken, cut.set, 0.2, later), Watch(lambda: Life(0, 0), cut.set, 0.5, later) as other:
        assert cut.wait(30) and other.cut


def test_a_fork_watches_its_own_links(monkeypatch):
    watched(monkeypatch)
    cut, later = threading.Event(), time.monotonic() + 3600
    with Watch(lambda: Life(0, 0), cut.set, 60, later):
        pid = os.fork()
        if not pid:
            mine = threading.Event()
            with Watch(lambda: Life(0, 0), mine.set, 0.2, later):
                fine = mine.wait(30) and len(watching._WATCHER._open) == 1
            os._exit(0 if fine else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0 and not cut.is_set()


def test_a_link_that_moves_is_not_cut(monkeypatch):
    watched(monkeypatch)
    cut = threading.Event()
    with Watch(lambda: Life(0, 0), cut.set, 0.3, time.monotonic() + 3600) as watch:
        for _ in range(20):
            watch.packets += 1
            assert not cut.wait(0.05)


def test_killed_agent_is_unreachable(board, fleet, sshd):
    with open_session(board, fleet) as session:
        for pid in agents(sshd):
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(Unreachable, match="pi: the link ended during status"):
            session.call(commands.Status())


def test_of_several_commands_the_one_that_is_not_answered_is_named(board, fleet, monkeypatch):
    with open_session(board, fleet) as session:
        both = [Request(commands.Ping()), Request(commands.Status())]
        answered = session._exchange._answer

        def cut(number, do, *rest):
            if do == "status":
                raise Ended("the link broke")
            return answered(number, do, *rest)

        monkeypatch.setattr(session._exchange, "_answer", cut)
        with pytest.raises(Unreachable, match="pi: the link ended during status"):
            session.exchange_all(both)


def test_invoke_is_not_imported_and_stays_usable():
    program = """
import sys
from edgewright.connect.ssh.client import library
paramiko = library()
assert not [name for name in sys.modules if name.partition(".")[0] == "invoke"]
import invoke
found = paramiko.SSHConfig.from_text("Match exec true\\n User bob").lookup("pi")
assert found["user"] == "bob", found
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_callback_must_not_use_the_session(board, fleet):
    with open_session(board, fleet) as session:
        session.progress = lambda _step: session.call(commands.Ping())
        with pytest.raises(RuntimeError, match="must not use the session"):
            session.put(os.urandom(10), label="x")


def test_a_stop_is_not_reported_as_the_boards(board, fleet):
    def stop(_step):
        raise Aborted("stopped by SIGTERM")

    with open_session(board, fleet) as session:
        session.progress = stop
        with pytest.raises(Aborted, match=r"^stopped by SIGTERM$"):
            session.put(os.urandom(10), label="x")
