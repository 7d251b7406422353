"""Runs programs of the board without a terminal, within a time limit, and ends all processes that they start."""

import os
import shutil
import subprocess

from edgewright_agent.board.sensors import TOOL_PATH
from edgewright_agent.processes import spawn

SECONDS = 20.0
OUTPUT_BYTES = 1024 * 1024


def find(name: "str") -> "str | None":
    """The absolute path of a program, or None. Logins over SSH often lack the sbin folders on PATH."""
    return shutil.which(name, path=os.environ.get("PATH", "") + os.pathsep + TOOL_PATH)


def run(
    command: "list[str]",
    data: "bytes" = b"",
    env: "dict[str, str] | None" = None,
    cwd: "str" = "/",
    seconds: "float" = SECONDS,
) -> "tuple[int, str, str]":
    """Run a program to its end.

    Args:
        command: argument list, the program's absolute path first.
        data: bytes for its stdin.

    Returns:
        (exit code, stdout, stderr) as (int, text, text); 127 if it does not start, 124 if it took too
            long. `text.encode("utf-8", "surrogateescape")` restores bytes that are not UTF-8.
    """
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, cwd=cwd, env=env, start_new_session=True
        )
    except OSError as error:
        return 127, "", os.strerror(error.errno or 0)
    spawn.register(process)
    try:
        out, err = process.communicate(data, timeout=seconds)
    except subprocess.TimeoutExpired:
        return 124, "", "no end within %d s" % seconds
    finally:
        code = spawn.finish(process)
    return code, text(out), text(err)


def text(data: "bytes") -> "str":
    """Decode at most 1 MiB of a program's output."""
    return data[:OUTPUT_BYTES].decode("utf-8", "surrogateescape")


def said(code: "int", out: "str", err: "str") -> "str":
    """A short summary of the output of a program that failed."""
    lines = (err.strip() or out.strip() or "exit code %d" % code).splitlines()
    return lines[-1][:200]
