"""Workers: one process a framework, so that a converter's crash affects nothing else.

A worker leads its own process session: what it starts belongs to it, is counted with it, and ends with it.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

from edgewright.compile.workers.framework_errors import LOG, LOGGED
from edgewright.compile.workers.process import receive, send
from edgewright.compile.workers.scratch import Scratch, environment
from edgewright.config import home, usage_marks
from edgewright.errors import Code, ConversionError

# the same bytes for the same model need the same order of sets and the same kernels
_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "CUDA_VISIBLE_DEVICES": "",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_DETERMINISTIC_OPS": "1",
    "KERAS_BACKEND": "tensorflow",
}
# what its first job will want
_IMPORTS = {
    "tensorflow": ("tensorflow",),
    "torch": ("torch",),
    "onnx": ("onnx", "onnxruntime"),
    "litert": ("ai_edge_litert.interpreter",),
    "openvino": ("openvino",),
}
_LOOK_SECONDS = 0.25
_AGAIN_SECONDS = 0.05
_REAP_SECONDS = 10.0


class Workers:
    """The worker processes of one command. A context manager: none is left when it ends.

    Args:
        log: file that takes what the frameworks print; appended to.
        memory_mb: resident memory at which a worker and what it started are ended, MiB; by default nine tenths of
            the machine's.
    """

    def __init__(self, log: Path, *, memory_mb: int | None = None) -> None:
        self.log = log
        self.made: dict[str, str] = {}  # what functions of the user's gave: they run once a command
        self._limit_mb = memory_mb or _machine_mb() * 9 // 10
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._scratch: dict[str, Scratch] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in list(self._scratch):
            self._end(name)

    def start(self, frameworks: Iterable[str]) -> None:
        """Starts those that are absent, so that they import while others work."""
        for framework in dict.fromkeys(frameworks):
            if framework not in self._running:
                self._start(framework)

    def call(self, framework: str, module: str, function: str, /, **kwargs: Any) -> Any:
        """Runs `module.function(**kwargs)` in the framework's process, which is started when absent.

        Raises:
            ConversionError: the process crashed, was killed, or outgrew the memory limit; the next call
                starts another one.
            EdgewrightError: whatever the function raised; other exceptions come as ConversionError.
        """
        process = self._running.get(framework) or self._start(framework)
        what = function.replace("_", " ")
        try:
            send(cast(BinaryIO, process.stdin), (module, function, kwargs))
            self._wait(process, framework, what)
            state, value = receive(cast(BinaryIO, process.stdout))
        except (EOFError, BrokenPipeError) as error:
            raise self._crashed(framework, what) from error
        except BaseException:
            self._end(framework)
            raise
        if state == "error":
            if isinstance(value, ConversionError) and value.code in LOGGED:
                value.hint = "; ".join(filter(None, (value.hint, f"{LOG}{self.log}")))
            raise value
        return value

    def _start(self, framework: str) -> subprocess.Popen[bytes]:
        home.made(self.log.parent)
        scratch = self._scratch[framework] = Scratch()
        with self.log.open("ab") as log:
            usage_marks.hold(self.log)
            process = subprocess.Popen(
                [sys.executable, "-m", "edgewright.compile.workers.process", *_IMPORTS.get(framework, ())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **_ENVIRONMENT, **environment(scratch.path)},
                pass_fds=(scratch.lock,),
                start_new_session=True,
            )
        self._running[framework] = process
        return process

    def _wait(self, process: subprocess.Popen[bytes], framework: str, what: str) -> None:
        """Until there is an answer, or the process is gone, or too large."""
        pipe = cast(BinaryIO, process.stdout)
        while not select.select([pipe], [], [], _LOOK_SECONDS)[0]:
            if _resident_mb(process.pid) <= self._limit_mb:
                continue
            # what was started just now counts like its parent until it is another program
            time.sleep(_AGAIN_SECONDS)
            if (used := _resident_mb(process.pid)) > self._limit_mb:
                self._end(framework)
                raise ConversionError(
                    f"{framework} worker outgrew its memory during {what}: {used} of {self._limit_mb} MiB",
                    hint="use fewer or smaller calibration samples, or a machine with more memory",
                    code=Code.WORKER_MEMORY,
                )

    def _crashed(self, framework: str, what: str) -> ConversionError:
        process = self._running.pop(framework)
        code = _reap(process)
        self._scratch.pop(framework).close()
        if code < 0:
            name = signal.Signals(-code).name
            how = f"killed by {name}"
            hint = "the converter crashed; try another precision"
            if name == "SIGKILL":
                hint = "the system may have run out of memory; close other programs or use a larger machine"
        else:
            how, hint = f"exit code {code}", "the converter ended its own process"
        return ConversionError(
            f"{framework} worker died during {what}: {how}",
            hint=f"{hint}; {LOG}{self.log}",
            code=Code.WORKER_CRASHED,
        )

    def _end(self, framework: str) -> None:
        process = self._running.pop(framework, None)
        if process is not None:
            _kill(process)
            _reap(process)
        if (scratch := self._scratch.pop(framework, None)) is not None:
            scratch.close()


def _reap(process: subprocess.Popen[bytes]) -> int:
    """Waits for a worker that is ending, and ends what it started. Returns its exit code."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:
                pass
    limit = time.monotonic() + _REAP_SECONDS
    look = os.WEXITED | os.WNOWAIT | os.WNOHANG  # not waited for: the group's number stays its own
    with suppress(ChildProcessError):
        while os.waitid(os.P_PID, process.pid, look) is None and time.monotonic() < limit:
            time.sleep(0.01)
    _kill(process)
    return process.wait()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Ends a worker that nobody waited for yet, and what it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _resident_mb(group: int) -> int:
    """Resident memory of the processes of a group, MiB; 0 where /proc cannot tell."""
    pages = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue  # it has just ended
        if int(fields[2]) == group:
            pages += int(fields[21])
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20


def _machine_mb() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
