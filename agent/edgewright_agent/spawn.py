"""Processes of the agent's own code: children and guards run the same verified bytes as their parent.

Every process started here, hooks included, is known to `end_all`, so that none outlives the session.
"""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading

from edgewright_agent.protocol import BOOT, AgentError, Code

RUNNING = set()
_LOCK = threading.Lock()


def command(executable=None, site=False):
    """The argument list that starts BOOT; with `site`, the board's own site-packages can be imported."""
    flags = ["-I", "-B"] if site else ["-I", "-S", "-B"]
    return [executable or sys.executable] + flags + ["-c", BOOT]


def loader_text():
    """The source of the loader, from wherever this agent was loaded."""
    name = "edgewright_agent.loader"
    return importlib.util.find_spec(name).loader.get_source(name)


def hello_line(entry, extra, root, sha256):
    """The hello of a process of ours, as bytes with the newline."""
    hello = dict(extra)
    hello.update(edgewright=1, nonce="0" * 32, entry=entry, root=root, loader=loader_text())
    hello["agent"] = {"sha256": sha256, "size": 0}
    return json.dumps(hello).encode("ascii") + b"\n"


def start(
    entry,
    extra,
    root,
    sha256,
    executable=None,
    site=False,
    stdout=None,
    stderr=None,
    oom_score_adj=None,
    env=None,
):
    """Start `edgewright_agent.<entry>.main(hello, pyz)` in a process and session of its own.

    Args:
        entry: `child` or `guard`.
        extra: more keys of the hello; small, for it is read byte by byte.
        root: absolute root folder; the agent's bytes are at `<root>/agent/<sha256>.pyz`.
        site: let the process import the board's own site-packages.
        stdout, stderr: as for Popen; a pipe, and nothing.
        oom_score_adj: -1000..1000; 1000 makes the kernel kill it first when memory runs out.

    Returns:
        subprocess.Popen with unbuffered pipes; its stdin is still open after the hello. Give it to `finish`.

    Raises:
        AgentError: `child-crashed`, when the process does not even take its hello.
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
        process.stdin.write(hello_line(entry, extra, root, sha256))
    except OSError as error:
        finish(process)
        raise AgentError(Code.CHILD_CRASHED, "a process of the agent did not start: %s" % error)
    return process


def set_oom_score(pid, value):
    """Tell the kernel how readily to kill a process; kernels without the file are left alone."""
    try:
        with open("/proc/%d/oom_score_adj" % pid, "w") as file:
            file.write(str(value))
    except OSError:
        pass


def register(process):
    """Make a process known to `end_all`."""
    with _LOCK:
        RUNNING.add(process)


def kill_group(process):
    """Kill a process and all it started. The group still exists while the process is not waited for."""
    if process.poll() is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except OSError:
            pass


def finish(process, kill=True):
    """Close a process's pipes, end it (its group too, with `kill`), wait for it and forget it. Returns
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


def end_all():
    """Kill every process that is still known."""
    with _LOCK:
        processes = list(RUNNING)
    for process in processes:
        kill_group(process)
