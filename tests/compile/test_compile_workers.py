"""Worker processes: crashes, errors, memory, and what they leave behind. The tests kill real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from edgewright.compile.workers import process_group
from edgewright.compile.workers.framework_errors import refused
from edgewright.compile.workers.pool import Workers, as_user
from edgewright.errors import Code, ConversionError


def gone(pid: int) -> bool:
    """Whether a process has ended; those of these tests end by themselves after 30 s."""
    end = time.monotonic() + 15
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def run(workers: Workers, place: Path, program: str) -> None:
    """Runs a program in a worker's job."""
    (place / "program.py").write_text(program)
    workers.call("one", "runpy", "run_path", path_name=str(place / "program.py"))


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGKILL", "SIGABRT"])
def test_a_crash_is_an_error_and_the_next_call_works(tmp_path: Path, name: str) -> None:
    with Workers(tmp_path / "log", writes=[tmp_path]) as workers:
        pid = workers.call("one", "os", "getpid")
        with pytest.raises(
            ConversionError, match=f"one worker died during run path: killed by {name}"
        ) as caught:
            run(workers, tmp_path, f"import os\nos.kill(os.getpid(), {int(signal.Signals[name])})\n")
        assert str(tmp_path / "log") in caught.value.hint
        assert ("memory" in caught.value.hint) == (name == "SIGKILL")
        assert workers.call("one", "os", "getpid") != pid


def test_a_foreign_exception_comes_as_one_line(tmp_path: Path) -> None:
    with Workers(tmp_path / "log", writes=[tmp_path]) as workers:
        with pytest.raises(ConversionError, match="json failed: TypeError: "):
            workers.call("one", "json", "loads", s=5)
        assert workers.call("one", "json", "loads", s="[1]") == [1]
    assert "Traceback" in (tmp_path / "log").read_text()


def test_a_worker_that_outgrows_its_memory_is_ended(tmp_path: Path) -> None:
    with Workers(tmp_path / "log", memory_mb=200, writes=[tmp_path]) as workers:
        pid = workers.call("one", "os", "getpid")
        with pytest.raises(ConversionError, match="outgrew its memory during run path: "):
            run(workers, tmp_path, "import time\nkept = b'x' * 400_000_000\ntime.sleep(30)\n")
        assert gone(pid)


DEADLOCK = """
import threading
lock = threading.Lock()
lock.acquire()
lock.acquire()
"""
BUSY_THEN_WAITS = """
import time
for _ in range(8):
    until = time.process_time() + 0.1
    while time.process_time() < until:
        pass
    time.sleep(0.3)
"""


def test_a_worker_that_is_stuck_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(process_group, "IDLE_SECONDS", 1.0)
    with Workers(tmp_path / "log", writes=[tmp_path]) as workers:
        pid = workers.call("one", "os", "getpid")
        with pytest.raises(ConversionError, match=r"one worker did nothing for .* during run path") as caught:
            run(workers, tmp_path, DEADLOCK)
        assert gone(pid)
        assert caught.value.code == Code.WORKER_TIMEOUT
        busy = [sys.executable, "-c", BUSY_THEN_WAITS]
        assert workers.call("one", "subprocess", "call", args=busy) == 0
        assert workers.call("one", "subprocess", "call", args=busy, start_new_session=True) == 0


def test_without_proc_no_worker_is_taken_for_stuck(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(process_group, "IDLE_SECONDS", 1.0)
    monkeypatch.setattr(process_group, "_PROC", tmp_path / "proc")
    with Workers(tmp_path / "log", writes=[tmp_path]) as workers:
        assert workers.call("one", "subprocess", "call", args=["sleep", "2.5"]) == 0


def test_the_users_own_code_may_wait(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(process_group, "IDLE_SECONDS", 1.0)
    with Workers(tmp_path / "log") as workers:
        assert workers.call(as_user("one"), "subprocess", "call", args=["sleep", "2.5"]) == 0


CONVERTER = "import time; kept = b'x' * int({mb}e6); time.sleep(30)"
STARTS_ONE = """
import pathlib, subprocess, sys
converter = subprocess.Popen([sys.executable, "-c", {converter!r}])
pathlib.Path({place!r}, "pid").write_text(str(converter.pid))
{then}
"""


def starts_one(place: Path, then: str, mb: int = 0) -> str:
    """A job that starts its own converter, then does something."""
    return STARTS_ONE.format(converter=CONVERTER.format(mb=mb), place=str(place), then=then)


@pytest.mark.parametrize(
    ("error", "then"),
    [(KeyboardInterrupt, "converter.wait()"), (ConversionError, "import os; os.kill(os.getpid(), 11)")],
)
def test_what_a_worker_started_ends_with_it(tmp_path: Path, error: type[BaseException], then: str) -> None:
    started = tmp_path / "pid"

    def interrupt() -> None:
        while not started.exists() or not started.read_text():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    if error is KeyboardInterrupt:
        threading.Thread(target=interrupt, daemon=True).start()
    with Workers(tmp_path / "log", writes=[tmp_path]) as workers, pytest.raises(error):
        run(workers, tmp_path, starts_one(tmp_path, then))
    assert gone(int(started.read_text()))


def test_what_a_worker_started_counts_with_it(tmp_path: Path) -> None:
    outgrown = pytest.raises(ConversionError, match="outgrew its memory during run path: ")
    with Workers(tmp_path / "log", memory_mb=200, writes=[tmp_path]) as workers, outgrown:
        run(workers, tmp_path, starts_one(tmp_path, "converter.wait()", mb=400))
    assert gone(int((tmp_path / "pid").read_text()))


def test_two_frameworks_are_two_processes_and_none_is_left(tmp_path: Path) -> None:
    with Workers(tmp_path / "log", writes=[tmp_path]) as workers:
        pids = {workers.call("one", "os", "getpid"), workers.call("two", "os", "getpid")}
        assert len(pids | {os.getpid()}) == 3
    assert all(gone(pid) for pid in pids)


def test_a_worker_ends_with_its_host(tmp_path: Path) -> None:
    program = (
        "import os, sys, pathlib; from edgewright.compile.workers.pool import Workers\n"
        "workers = Workers(pathlib.Path(sys.argv[1]))\n"
        "print(workers.call('one', 'os', 'getpid'), flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "log"], capture_output=True, text=True)
    assert done.returncode == -9
    assert gone(int(done.stdout))


def test_what_a_worker_started_ends_with_its_host(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        starts_one(tmp_path, "import os; os.kill(HOST, 9); converter.wait()")
    )
    program = (
        "import os, sys, pathlib; from edgewright.compile.workers.pool import Workers, as_user\n"
        "place = pathlib.Path(sys.argv[1]); job = place / 'program.py'\n"
        "job.write_text(job.read_text().replace('HOST', str(os.getpid())))\n"
        "Workers(place / 'log').call(as_user('one'), 'runpy', 'run_path', path_name=str(job))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path])
    assert done.returncode == -9
    assert gone(int((tmp_path / "pid").read_text()))


def test_what_a_library_says_of_its_own_sources_is_passed_over() -> None:
    said = "Exception from src/core.cpp:117:\nCheck 'false' failed at src/plugin.cpp:53:\nno reorder available.\n"
    assert refused(RuntimeError(said)).message == "conversion failed: RuntimeError: no reorder available"
    assert (
        "Exception from src/core.cpp" in refused(RuntimeError("Exception from src/core.cpp:117:\n")).message
    )


def test_memory_is_counted_while_processes_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of a process that has just ended is listed, and gone when it is looked at."""

    def gone(*_: object, **__: object) -> None:
        raise ProcessLookupError

    monkeypatch.setattr(Path, "stat", gone)
    monkeypatch.setattr(os, "listdir", lambda _: ["self", "4194305", str(os.getpid())])
    assert process_group.usage(os.getpid()).memory_mb > 0
