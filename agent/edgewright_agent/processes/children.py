"""Starts a child for one job, follows it, and reports why it ended if it does not answer."""

import os
import re
import select
import signal
import subprocess
import time

from edgewright_agent import shapes
from edgewright_agent.board import system
from edgewright_agent.processes import spawn
from edgewright_agent.protocol import MAX_LINE, PIECE, AgentError, Code, decode, encode

IDLE_SECONDS = 600.0  # of silence: more than the slowest load or single inference
TAIL_BYTES = 8192  # of a child's stderr
TAIL_LINES = 4
NO_MEMORY = re.compile(
    r"bad.?alloc|failed to allocate|cannot allocate|could not be allocated|out.?of.?memory", re.IGNORECASE
)
ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Scratch:
    """A folder for one child's files, among the results of the session; removed at the end of the block."""

    def __init__(self, files: "shapes.SessionFiles") -> "None":
        self._files = files
        self._relative = "results/%s/scratch" % files.session

    def __enter__(self) -> "Scratch":
        self._files.make_folder(self._relative)
        return self

    def __exit__(self, *_: "object") -> "None":
        self._files.remove_tree(self._relative)

    def relative(self, name: "str") -> "str":
        """Path of a file in the folder, relative to the root folder."""
        return self._relative + "/" + name

    def path(self, name: "str") -> "str":
        """Absolute path of a file in the folder."""
        return self._files.path(self.relative(name))

    def result(self, name: "str") -> "shapes.Kept":
        """Turns a file into a result of the session. Returns `{"result","sha256","size"}`."""

        def copy(write: "shapes.Write") -> "None":
            with self._files.open(self.relative(name)) as file:
                for piece in iter(lambda: file.read(PIECE), b""):
                    write(piece)

        return self._files.result(name, copy)


def cleaned(data: "bytes") -> "str":
    """The last lines of a child's stderr as one printable line."""
    text = ESCAPES.sub("", data.decode("ascii", "replace"))
    lines = [re.sub(r"[^\x20-\x7e]", "?", line).strip() for line in text.splitlines()]
    return " | ".join([line for line in lines if line][-TAIL_LINES:])[-600:]


def paths(runtime: "shapes.ImportPlace") -> "list[str]":
    """The folders that a child adds to its import path for a runtime.

    A provisioned runtime without its own numpy (there are no wheels for 32-bit Arm) uses the board's.
    """
    own = runtime.get("path")
    if own is None:
        return system.import_path()
    return [own] + ([] if os.path.isdir(os.path.join(own, "numpy")) else system.import_path())


class Listener:
    """Reads the pipes of a child without threads: answers line by line, and the tail of stderr."""

    def __init__(self, process: "shapes.Process") -> "None":
        self._out, self._err = [spawn.pipe_of(pipe).fileno() for pipe in (process.stdout, process.stderr)]
        self._open, self._buffer, self.tail = {self._out, self._err}, bytearray(), b""

    def next(self, deadline: "float") -> "shapes.Arguments | None":
        """The next message; None if the child ended. Raises AgentError `timeout` after the deadline (monotonic)."""
        while b"\n" not in self._buffer:
            if self._out not in self._open or len(self._buffer) > MAX_LINE:
                return None
            left = deadline - time.monotonic()
            if left <= 0:
                raise AgentError(Code.TIMEOUT, "")
            for descriptor in select.select(list(self._open), [], [], left)[0]:
                self._read(descriptor)
        line, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer = bytearray(rest)
        message: "shapes.Arguments" = decode(line)
        return message

    def _read(self, descriptor: "int") -> "None":
        data = os.read(descriptor, 65536)
        if not data:
            self._open.discard(descriptor)
        elif descriptor == self._err:
            self.tail = (self.tail + data)[-TAIL_BYTES:]
        else:
            self._buffer += data

    def drain(self) -> "None":
        """Reads the rest of stderr, without waiting for other processes that still hold it open."""
        while self._err in self._open and select.select([self._err], [], [], 0.05)[0]:
            self._read(self._err)


def run(
    job: "shapes.Errand",
    request: "shapes.Record",
    say: "shapes.Say",
    limit_s: "float | None" = None,
    idle_s: "float" = IDLE_SECONDS,
) -> "shapes.Unchecked":
    """Runs one job in a fresh process.

    Args:
        job: the server's job: model, folder, manifest, target, runner, runtime, options, root, agent_sha.
        request: what the child does with it: `do`, `path`, `out` and others.
        say: takes events; gets the child's progress.
        limit_s: time limit of the whole job, seconds. idle_s: maximum silence, seconds.

    Returns:
        The child's answer.

    Raises:
        AgentError: `load-failed`, `child-crashed`, `timeout`, `slow-start`, `runtime-damaged`, or the child's error.
    """
    whole = dict(request, paths=paths(job["runtime"]))
    whole.update(folder=job["folder"], manifest=job["manifest"], target=job["target"])
    whole.update(runner=job["runner"], options=job["options"])
    ends = None if limit_s is None else time.monotonic() + limit_s
    process = spawn.start(
        "child", {}, job["root"], job["agent_sha"], stderr=subprocess.PIPE, oom_score_adj=1000
    )
    listener, heard = Listener(process), {"stage": "start"}
    try:
        answer = _listen(process, whole, listener, heard, say, ends, idle_s)
        listener.drain()
        if answer is None:
            raise _crash(_exit_code(process), heard["stage"], listener.tail)
    except AgentError as error:
        if error.code == Code.TIMEOUT and not error.message:
            limited = limit_s is not None and _passed(ends)
            raise _timeout(heard["stage"], limit_s if limit_s is not None and limited else idle_s, limited)
        raise
    finally:
        _kill_group(process)
        spawn.finish(process)
    return _settle(answer, listener.tail)


def _listen(
    process: "shapes.Process",
    whole: "shapes.Record",
    listener: "Listener",
    heard: "dict[str, str]",
    say: "shapes.Say",
    ends: "float | None",
    idle_s: "float",
) -> "shapes.Arguments | None":
    """The last message of a child; None if it ended without one."""
    try:
        data, stdin = memoryview(encode(whole)), spawn.pipe_of(process.stdin)
        while data:
            data = data[stdin.write(data) :]
    except OSError:  # it is already dead: its exit code tells more
        return None
    while True:
        silent = time.monotonic() + idle_s
        message = listener.next(silent if ends is None else min(silent, ends))
        if message is None or not message.keys().isdisjoint(("ok", "error", "failed")):
            return message
        heard["stage"] = message.get("stage", heard["stage"])
        if "progress" in message:
            done, total = message["progress"]
            say({"event": "progress", "what": whole["do"], "done": done, "total": total})


def _passed(ends: "float | None") -> "bool":
    return ends is not None and time.monotonic() >= ends


def _exit_code(process: "shapes.Process") -> "int":
    """The exit code of a child that closed its output; kills a child that still runs.

    Does not reap it until its group is killed: processes that it started must not outlive it.
    """
    ends, flags = time.monotonic() + 2, os.WEXITED | os.WNOHANG | os.WNOWAIT
    while os.waitid(os.P_PID, process.pid, flags) is None and time.monotonic() < ends:
        time.sleep(0.01)
    _kill_group(process)
    return process.wait()


def _kill_group(process: "shapes.Process") -> "None":
    """Kills a child and everything that it started. Its pid cannot be reused yet, since it has not been reaped."""
    if process.returncode is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except OSError:
            pass


def _short(stage: "str", tail: "bytes") -> "bool":
    """Whether memory ran out while files were prepared: a builder logs that and then fails without a specific error."""
    return stage == "prepare" and NO_MEMORY.search(tail.decode("ascii", "replace")) is not None


def _crash(code: "int", stage: "str", tail: "bytes") -> "AgentError":
    """The error for a child that ended without an answer."""
    if code == -signal.SIGKILL:
        return AgentError(Code.CHILD_CRASHED, "the runtime was killed in %s" % stage, cause="killed")
    how = "signal %d" % -code if code < 0 else "exit code %d" % code
    kind, said = Code.LOAD_FAILED if stage in ("prepare", "load") else Code.CHILD_CRASHED, cleaned(tail)
    message = "the runtime crashed in %s: %s" % (stage, how) + (": " + said if said else "")
    if _short(stage, tail):
        return AgentError(Code.CHILD_CRASHED, message, cause="memory")
    return AgentError(kind, message)


def _timeout(stage: "str", seconds: "float", limited: "bool") -> "AgentError":
    code = Code.SLOW_START if limited and stage in ("start", "import", "load") else Code.TIMEOUT
    return AgentError(code, "the runtime did not finish in %s: %.3g s" % (stage, seconds))


def _settle(answer: "shapes.Arguments", tail: "bytes") -> "shapes.Unchecked":
    """Return the answer of a child, or raise its error."""
    if "ok" in answer:
        return answer["ok"]
    if "error" in answer:
        error = answer["error"]
        raise AgentError(error["code"], error["message"], **error.get("about", {}))
    stage, detail = answer["failed"]["stage"], cleaned(answer["failed"]["detail"].encode("utf-8"))
    log = cleaned(tail)[:300]
    if stage in ("start", "import"):
        raise AgentError(Code.RUNTIME_DAMAGED, "the runtime cannot be imported: %s" % detail, log=log)
    if NO_MEMORY.search(detail) or _short(stage, tail):
        message = "memory ran out in %s: %s" % (stage, detail)
        raise AgentError(Code.CHILD_CRASHED, message, cause="memory")
    what = "refused the model" if stage in ("prepare", "load") else "failed to run the model"
    raise AgentError(Code.LOAD_FAILED, "the runtime %s: %s" % (what, detail), log=log)
