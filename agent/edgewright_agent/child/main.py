"""The process in which a runtime runs: one job in, JSON lines out, then it ends.

A runtime may print, hang, crash or eat all memory; none of it may reach the session. So descriptor 1 is moved
away before the runtime is imported, and the kernel itself ends this process when the agent's end of stdin
closes.
"""

import errno
import fcntl
import importlib
import os
import select
import signal
import sys
import time

from edgewright_agent import shapes
from edgewright_agent.child import jobs
from edgewright_agent.installed import bytecode, runners
from edgewright_agent.protocol import AgentError, Code, decode, encode

MAX_JOB = 16 * 1024 * 1024  # bytes of the job line
TRANSIENT = {
    errno.ENOSPC: Code.DISK_FULL,
    errno.EDQUOT: Code.DISK_FULL,
    errno.EIO: Code.IO,
}  # never the model's fault
JOBS: "dict[str, shapes.Do]" = {
    "prepare": jobs.prepare,
    "infer": jobs.infer,
    "evaluate": jobs.evaluate,
    "bench": jobs.bench,
}
JOBS["compile"] = bytecode.compile_imported


class Stage:
    """Reports to the agent what the child is doing (`import`, `prepare`, `load`, `run`), which decides what a crash means."""

    def __init__(self, say: "shapes.Say") -> "None":
        self.name, self._say = "start", say

    def enter(self, name: "str") -> "None":
        """Starts a stage."""
        self.name = name
        self._say({"stage": name})


def read_job() -> "shapes.Task":
    """The job: one JSON line on descriptor 0.

    Raises:
        AgentError: `protocol`, when there is none.
    """
    line = bytearray()
    while not line.endswith(b"\n"):
        piece = os.read(0, 65536)
        if not piece or len(line) > MAX_JOB:
            raise AgentError(Code.PROTOCOL, "a child got no job")
        line += piece
    job: "shapes.Task" = decode(bytes(line))
    return job


def follow(descriptor: "int") -> "None":
    """Ends this process, by the kernel's hand, once the writer of a pipe closes it.

    SIGIO's default action does it even while a runtime holds the interpreter's lock: a thread could not.
    """
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_ASYNC)
    if select.select([descriptor], [], [], 0)[0]:  # it closed before the line above
        os._exit(1)


def take_descriptors() -> "shapes.Say":
    """Moves stdin and stdout away from the runtime, which gets null and stderr. Returns what answers."""
    answers, commands, null = os.dup(1), os.dup(0), os.open(os.devnull, os.O_RDONLY)
    os.dup2(2, 1)
    os.dup2(null, 0)
    follow(commands)

    def say(message: "shapes.Record") -> "None":
        data = encode(message)
        while data:
            data = data[os.write(answers, data) :]

    return say


def set_up(job: "shapes.Task") -> "None":
    """Import path and thread pools of the runtime; what the board's Python itself has comes first."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(job["options"].get("threads") or 1)
    sys.path.extend(path for path in job["paths"] if path not in sys.path)
    importlib.invalidate_caches()


def work(job: "shapes.Task", say: "shapes.Say") -> "shapes.Result":
    """Imports the runtime, does the job. Returns the answer."""
    stage = Stage(say)
    try:
        set_up(job)
        stage.enter("import")
        start = time.perf_counter()
        runner = runners.load(job["runner"], job["target"])
        runtime = runner.import_runtime()
        import_ms = (time.perf_counter() - start) * 1000.0
        answer: "shapes.Result" = dict(JOBS[job["do"]](runner, job, stage, say))
        answer.update(runtime=runtime, import_ms=import_ms)
        return {"ok": answer}
    except AgentError as error:
        return {"error": error.wire()}
    except MemoryError:
        crash = AgentError(Code.CHILD_CRASHED, "memory ran out in %s" % stage.name, cause="memory")
        return {"error": crash.wire()}
    except Exception as error:
        if isinstance(error, OSError) and error.errno in TRANSIENT:
            message = "%s: %s" % (stage.name, os.strerror(error.errno))
            return {"error": AgentError(TRANSIENT[error.errno], message).wire()}
        detail = "%s: %s" % (type(error).__name__, error)
        return {"failed": {"stage": stage.name, "detail": detail[:2000]}}


def main(hello: "shapes.Hello", pyz: "bytes") -> "None":  # noqa: ARG001 - the loader's signature
    """Does one job and ends the process, without the runtime's own clean-up: it may crash or hang there."""
    os.umask(0o077)
    job = read_job()
    say = take_descriptors()
    say(work(job, say))
    os._exit(0)
