"""The user's hooks: programs run on the board, each with its own time limit, process group and
capped log."""

import os
import select
import subprocess
import time

from edgewright_agent import clock, shapes
from edgewright_agent.processes import spawn
from edgewright_agent.protocol import HOOK_SECONDS, AgentError, Code

KINDS = ("activate", "health", "quiesce", "resume")
OUTPUT_BYTES = 16 * 1024  # of one hook's output, kept in the log
MAX_BYTES = 1024 * 1024  # of a hook's file


def name(sha256: "str") -> "str":
    """The relative path of a hook's file."""
    return "hooks/" + sha256


def whole(agent: "shapes.Agent", sha256: "str") -> "bool":
    """Whether a hook's file is there and unchanged."""
    path = agent.files.path(name(sha256))
    size = os.path.getsize(path) if os.path.isfile(path) else -1
    return size <= MAX_BYTES and agent.checked.matches(path, sha256, size)


def environment(root: "str", kind: "str", model: "str", release: "str | None") -> "dict[str, str]":
    """The environment of a hook. `EDGEWRIGHT_RELEASE` is empty if no release is current."""
    kept = {
        key: os.environ[key]
        for key in ("PATH", "HOME", "USER", "LOGNAME", "LANG", "XDG_RUNTIME_DIR")
        if key in os.environ
    }
    kept.setdefault("PATH", "/usr/local/bin:/usr/bin:/bin")
    kept.update(EDGEWRIGHT_HOOK=kind, EDGEWRIGHT_MODEL=model, EDGEWRIGHT_RELEASE=release or "")
    kept["EDGEWRIGHT_CURRENT"] = os.path.join(root, "models", model, "current")
    return kept


def collect(process: "shapes.Process", limit: "float") -> "tuple[bytes, bool]":
    """Wait for a hook. Returns (its output, capped; whether it finished in time).

    Waits only for the hook itself: processes that it leaves running may hold the pipe open.
    """
    output, pipe, open_ = bytearray(), spawn.pipe_of(process.stdout).fileno(), True
    while True:
        ended = process.poll() is not None
        ready = select.select([pipe] if open_ else [], [], [], 0 if ended else 0.05)[0]
        if ready:
            piece = os.read(pipe, 65536)
            open_ = bool(piece)
            output += piece[: max(0, OUTPUT_BYTES - len(output))]
        elif ended:
            return bytes(output), True
        if time.monotonic() > limit:
            return bytes(output), ended


def run(
    agent: "shapes.Agent", kind: "str", sha256: "str", model: "str", release: "str | None", limit: "float" = 0
) -> "None":
    """Run a hook to its end.

    Args:
        agent: Agent.
        kind: one of KINDS. sha256: of the hook's file.
        model, release: the current release of a model; None if there is none.
        limit: seconds; 0 for HOOK_SECONDS.

    Raises:
        AgentError: `hook-failed`: it did not start, was too slow, or did not exit with 0.
    """
    limit = limit or HOOK_SECONDS
    path = agent.files.path(name(sha256))
    if not whole(agent, sha256):
        raise AgentError(Code.HOOK_FAILED, "the hook's file is gone or damaged: %s" % kind)
    try:
        process = subprocess.Popen(
            [path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            close_fds=True,
            start_new_session=True,
            cwd=agent.files.root,
            env=environment(agent.files.root, kind, model, release),
        )
    except OSError as error:
        raise AgentError(
            Code.HOOK_FAILED,
            "the hook %s cannot be run: %s" % (kind, error.strerror),
        )
    spawn.register(process)
    in_time = False
    try:
        output, in_time = collect(process, time.monotonic() + limit)
    finally:
        code = spawn.finish(process, kill=not in_time)
    text = output.decode("utf-8", "replace").strip()
    agent.files.note("hook %s of %s: exit code %d%s%s" % (kind, model, code, "\n" if text else "", text))
    if not in_time:
        raise AgentError(Code.HOOK_FAILED, "the hook %s took longer than %d s" % (kind, limit))
    if code:
        last = text.splitlines()[-1][:200] if text else "it printed nothing"
        raise AgentError(
            Code.HOOK_FAILED,
            "the hook %s failed with exit code %d: %s" % (kind, code, last),
        )


def run_pending(agent: "shapes.Agent") -> "None":
    """Run the hooks that recovery or a revert left pending. A failure is only logged: there is nothing to
    revert to."""
    while True:
        with agent.store.locked() as state:
            free = [one for one in state["pending"] if not one["owner"] or not clock.alive(one["owner"])]
            if not free or agent.store.problem:
                return
            todo = free[0].copy()
            free[0]["owner"] = clock.owner()
            agent.store.save(state)
        try:
            run(agent, todo["kind"], todo["sha256"], todo["model"], todo["release"], todo.get("hook_s", 0))
        except AgentError as error:
            agent.files.note("pending hook: " + error.message)
        with agent.store.locked() as state:
            state["pending"] = [one for one in state["pending"] if one["id"] != todo["id"]]
            agent.store.save(state)


def leave(state: "shapes.State", kind: "str", model: "str", release: "str | None") -> "None":
    """Mark a hook of a release as pending, if it has one of that kind. The caller saves the state."""
    about = state["models"][model]["releases"].get(release or "")
    if release and about and kind in about["hooks"]:
        todo: "shapes.PendingHook" = {
            "id": "%d-%s-%s" % (state["sequence"], model, kind),
            "kind": kind,
            "model": model,
            "release": release,
            "sha256": about["hooks"][kind],
            "hook_s": about.get("hook_s", 0),
            "owner": None,
        }
        state["pending"].append(todo)
