"""If stdout or stderr cannot be written, whatever they are, the result is one line and an exit code. Runs real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgewright.cli import main, output

PROGRAM = [sys.executable, "-c", "from edgewright.cli.main import run; run()"]


def ran(shell: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command with a shell's redirections: `"$@" >...`."""
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", shell, "sh", *PROGRAM, *arguments],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    "arguments", [("targets", "--matrix"), ("profiles", "list", "--json"), ("deploy", "--help")], ids=" ".join
)
@pytest.mark.parametrize(
    ("shell", "words"),
    [
        ('"$@" >/dev/full', "cannot write to stdout: no space left on device"),
        ('"$@" | true', "stdout was closed before everything was written"),
        ('"$@" >&-', "cannot write to stdout: bad file descriptor"),
    ],
    ids=["full", "closed pipe", "closed"],
)
def test_a_stdout_that_takes_nothing_is_one_line(
    home: Path, shell: str, words: str, arguments: tuple[str, ...]
) -> None:
    if "|" in shell:  # else the text fits into the pipe before its reader is gone
        shell = '{ sleep 0.2; "$@"; } | true'
    done = ran(shell, *arguments)
    assert done.returncode == 1, done
    assert done.stderr.splitlines()[0] == f"error: {words}" and len(done.stderr.splitlines()) == 2, (
        done.stderr
    )
    assert (
        done.stderr.splitlines()[1]
        == "hint: the results are lost: run it again with a stdout that can be written"
    )


def test_only_a_command_that_the_history_has_refers_to_it(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    told: list[tuple[str, str]] = []

    def fail(argv: list[str]) -> int:
        raise output.failed(OSError(28, "No space left on device"))

    monkeypatch.setattr(main, "run_command", fail)
    monkeypatch.setattr(output, "discard", lambda: None)
    monkeypatch.setattr(main, "say", lambda argv, error, code: told.append((argv[0], error.hint)) or code)
    for argv in (["rollback", "m"], ["deploy", "x.onnx"], ["deploy", "--help"], ["status"], ["logs", "b"]):
        assert main.main(argv) == 1
    assert [name for name, hint in told if "history" in hint] == ["rollback", "deploy"]
    assert len([name for name, hint in told if "run it again" in hint]) == 3


@pytest.mark.parametrize(
    "shell", ['"$@" 2>/dev/full', '"$@" 2>&-', '"$@" <&-'], ids=["full", "closed", "stdin"]
)
def test_a_stderr_that_takes_nothing_changes_nothing(home: Path, shell: str) -> None:
    done = ran(shell, "convert", "no-such-file.onnx", "--json")
    assert done.returncode == 1 and '"ok": false' in done.stdout, done


def test_a_command_that_failed_keeps_its_exit_code(home: Path) -> None:
    done = ran('"$@" >/dev/full', "status", "--fleet", "no-such-file.toml", "--json")
    assert done.returncode != 0 and "internal error" not in done.stderr and "Traceback" not in done.stderr


def test_no_file_gets_the_number_of_a_closed_stream(home: Path) -> None:
    code = "import os, sys; from edgewright.cli import output; output.guard(); " \
           "number = os.open('/dev/null', os.O_RDONLY); os.write(3, b'%d' % number)"  # fmt: skip
    read, write = os.pipe()
    with os.fdopen(read, "rb") as told:
        subprocess.run(
            ["bash", "-c", '"$@" <&- >&- 2>&-', "sh", sys.executable, "-c", code.replace("write(3", f"write({write}")],
            pass_fds=(write,), check=True, timeout=60,
        )  # fmt: skip
        os.close(write)
        assert int(told.read()) > 2


def test_the_results_of_boards_that_are_done_are_not_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    from edgewright.deployments import executor
    from edgewright.nouns.board import Board

    monkeypatch.setattr(executor, "EARLY_SECONDS", 0.3)
    monkeypatch.setattr(executor, "WAKE_SECONDS", 0.05)
    go_on, seen, failures = threading.Event(), [], []

    def work(board: Board) -> str:
        if board.name == "wedged":
            assert go_on.wait(60)
        if board.name == "broken":
            raise ValueError("x")
        return board.name

    def early(found: list[Any]) -> None:
        seen.append(found)
        go_on.set()

    def failed(board: Board, error: Exception) -> str:
        failures.append(board.name)
        return f"{board.name} failed"

    boards = [Board(name=name, address=name) for name in ("one", "wedged", "broken")]
    fan_out = executor.FanOut(work, failed)
    fan_out.early = early
    assert fan_out.run(boards) == ["one", "wedged", "broken failed"]
    assert seen == [["one", "broken failed"]] and failures == ["broken"]


def test_a_full_disk_is_no_bug(capsys: pytest.CaptureFixture[str]) -> None:
    """An error of a write names no file, other than one of opening it."""
    with pytest.raises(OSError, match="No space left") as caught, Path("/dev/full").open("w") as file:
        file.write("x")
    assert caught.value.filename is None
    assert main.unusable(["compress"], caught.value) == 1
    assert capsys.readouterr().err.startswith("error: no space left on device\nhint: free some space")
