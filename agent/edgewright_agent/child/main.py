"""The process that runs a runtime: it reads one job, writes JSON lines and exits.

A runtime may print, hang, crash or use up all memory; none of this may affect the session. So descriptor 1 is
moved away before the runtime is imported, and the kernel ends this process when the agent's end of stdin
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
}  # never caused by the model
JOBS: "dict[str, shapes.Do]" = {
    "prepare": jobs.prepare,
    "infer": jobs.infer,
    "evaluate": jobs.evaluate,
    "bench": jobs.bench,
}
JOBS["compile"] = bytecode.compile_imported


class Stage:
    """Reports the child's stage (`import`, `prepare`, `load`, `run`) to the agent, which interprets a crash by it."""

    def __init__(self, say: "shapes.Say") -> "None":
        self.name, self._say = "start", say

    def enter(self, name: "str") -> "None":
        """Starts a stage."""
        self.name = name
        self._say({"stage": name})


def read_job() -> "shapes.Task":
    """Read the job: one JSON line on descriptor 0.

    Raises:
        AgentError: `protocol`, if there is none.
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
    """Makes the kernel end this process once the writer of a pipe closes it.

    SIGIO's default action works even while a runtime holds the interpreter's lock; a thread would not.
    """
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_ASYNC)
    if select.select([descriptor], [], [], 0)[0]:  # closed before SIGIO was set up
        os._exit(1)


def take_descriptors() -> "shapes.Say":
    """Moves stdin and stdout away from the runtime, which gets null and stderr. Returns the output for answers."""
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
    """Sets up the runtime's import path and thread pools; folders already on the import path come first."""
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
    """Does one job and exits without the runtime's clean-up, which may crash or hang."""
    os.umask(0o077)
    job = read_job()
    say = take_descriptors()
    say(work(job, say))
    os._exit(0)
