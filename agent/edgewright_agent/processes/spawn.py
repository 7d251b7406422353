"""Starts processes that run the agent's own code, from the same verified bytes as their parent.

Every process started here, including hooks, is registered for `end_all`, so that none outlives the session.
"""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading

from edgewright_agent import shapes
from edgewright_agent.protocol import BOOT, AgentError, Code

RUNNING: "set[shapes.Process]" = set()
_LOCK = threading.Lock()


def command(executable: "str | None" = None, site: "bool" = False) -> "list[str]":
    """The argument list that starts BOOT; with `site`, it can import the board's own site-packages."""
    flags = ["-I", "-B"] if site else ["-I", "-S", "-B"]
    return [executable or sys.executable] + flags + ["-c", BOOT]


def loader_text() -> "str":
    """The source of the loader, wherever this agent was loaded from."""
    name = "edgewright_agent.loader"
    spec = importlib.util.find_spec(name)
    loader = spec.loader if spec else None
    if not loader or not hasattr(loader, "get_source"):
        raise ImportError(name)
    text: "str" = loader.get_source(name)
    return text


def hello_line(entry: "str", extra: "shapes.Record", root: "str", sha256: "str") -> "bytes":
    """The hello line for a process of the agent, as bytes with the newline."""
    hello = dict(extra)
    hello.update(edgewright=1, nonce="0" * 32, entry=entry, root=root, loader=loader_text())
    hello["agent"] = {"sha256": sha256, "size": 0}
    return json.dumps(hello).encode("ascii") + b"\n"


def start(
    entry: "str",
    extra: "shapes.Record",
    root: "str",
    sha256: "str",
    executable: "str | None" = None,
    site: "bool" = False,
    stdout: "shapes.Pipe" = None,
    stderr: "shapes.Pipe" = None,
    oom_score_adj: "int | None" = None,
    env: "dict[str, str] | None" = None,
) -> "shapes.Process":
    """Start `edgewright_agent.<entry>.main(hello, pyz)` in a separate process and session.

    Args:
        entry: `child` or `guard`.
        extra: more keys of the hello; keep them small: it is read byte by byte.
        root: absolute root folder; the agent's bytes are at `<root>/agent/<sha256>.pyz`.
        site: let the process import the board's own site-packages.
        stdout, stderr: as for Popen; by default a pipe, and null.
        oom_score_adj: -1000..1000; 1000 makes the kernel kill it first when memory runs out.

    Returns:
        subprocess.Popen with unbuffered pipes; its stdin is still open after the hello. Give it to `finish`.

    Raises:
        AgentError: `child-crashed`, if the process does not read its hello.
    """
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    process = subprocess.Popen(
        command(executable, site),
        stdin=pipe,
        stdout=pipe if stdout is None else stdout,
        bufsize=0,
        stderr=nothing if stderr is None else stderr,
        close_fds=True,
        start_new_session=True,
        cwd=root,
        env=env,
    )
    register(process)
    try:
        if oom_score_adj is not None:
            set_oom_score(process.pid, oom_score_adj)
        pipe_of(process.stdin).write(hello_line(entry, extra, root, sha256))
    except OSError as error:
        finish(process)
        raise AgentError(Code.CHILD_CRASHED, "a process of the agent did not start: %s" % error)
    return process


def pipe_of(stream: "shapes.Stream | None") -> "shapes.Stream":
    """Return a pipe of a process that was started with one."""
    if stream is None:
        raise OSError("no pipe")
    return stream


def set_oom_score(pid: "int", value: "int") -> "None":
    """Set how readily the kernel kills a process when memory runs out; ignored by kernels without the file."""
    try:
        with open("/proc/%d/oom_score_adj" % pid, "w") as file:
            file.write(str(value))
    except OSError:
        pass


def register(process: "shapes.Process") -> "None":
    """Register a process for `end_all`."""
    with _LOCK:
        RUNNING.add(process)


def kill_group(process: "shapes.Process") -> "None":
    """Kill a process and all that it started. Its group exists until the process is reaped."""
    if process.poll() is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except OSError:
            pass


def finish(process: "shapes.Process", kill: "bool" = True) -> "int":
    """Close a process's pipes, wait for it and unregister it; with `kill`, kill its group first. Returns
    its exit code."""
    if kill:
        kill_group(process)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:
                pass
    code = process.wait()
    with _LOCK:
        RUNNING.discard(process)
    return code


def end_all() -> "None":
    """Kill every process that is still registered."""
    with _LOCK:
        processes = list(RUNNING)
    for process in processes:
        kill_group(process)
