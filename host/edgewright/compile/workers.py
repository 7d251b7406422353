"""Workers: one process a framework, so that a converter that crashes takes nothing down with it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

from edgewright.compile.worker import receive, send
from edgewright.config import in_use
from edgewright.errors import ConversionError

# the same bytes for the same model need the same order of sets and the same kernels
_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "CUDA_VISIBLE_DEVICES": "",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_DETERMINISTIC_OPS": "1",
    "KERAS_BACKEND": "tensorflow",
}
_LOOK_SECONDS = 0.25


class Workers:
    """The worker processes of one command. A context manager: none is left when it ends.

    Args:
        log: file that takes what the frameworks print; appended to.
        memory_mb: resident memory at which a worker is ended, MiB; by default nine tenths of the machine's.
    """

    def __init__(self, log: Path, *, memory_mb: int | None = None) -> None:
        self.log = log
        self._limit_mb = memory_mb or _machine_mb() * 9 // 10
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in list(self._running):
            self._end(name)

    def call(self, framework: str, module: str, function: str, /, **kwargs: Any) -> Any:
        """Runs `module.function(**kwargs)` in the framework's process, which is started when absent.

        Raises:
            ConversionError: the process crashed, was killed, or outgrew the memory limit; the next call
                starts anew.
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
            raise value
        return value

    def _start(self, framework: str) -> subprocess.Popen[bytes]:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            in_use.hold(self.log)
            process = subprocess.Popen(
                [sys.executable, "-m", "edgewright.compile.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **_ENVIRONMENT},
            )
        self._running[framework] = process
        return process

    def _wait(self, process: subprocess.Popen[bytes], framework: str, what: str) -> None:
        """Until there is an answer, or the process is gone, or too large."""
        pipe = cast(BinaryIO, process.stdout)
        while not select.select([pipe], [], [], _LOOK_SECONDS)[0]:
            used = _resident_mb(process.pid)
            if used > self._limit_mb:
                self._end(framework)
                raise ConversionError(
                    f"{framework} worker outgrew its memory during {what}: {used} of {self._limit_mb} MiB",
                    hint="use fewer or smaller calibration samples, or a machine with more memory",
                    code="worker-memory",
                )

    def _crashed(self, framework: str, what: str) -> ConversionError:
        process = self._running.pop(framework)
        code = _reap(process)
        if code < 0:
            name = signal.Signals(-code).name
            how = f"killed by {name}"
            hint = "the converter crashed; try another precision or target"
            if name == "SIGKILL":
                hint = "the system may have run out of memory; close other programs or use a larger machine"
        else:
            how, hint = f"exit code {code}", "the converter ended its own process"
        return ConversionError(
            f"{framework} worker died during {what}: {how}",
            hint=f"{hint}; log: {self.log}",
            code="worker-crashed",
        )

    def _end(self, framework: str) -> None:
        process = self._running.pop(framework, None)
        if process is not None:
            process.kill()
            _reap(process)


def _reap(process: subprocess.Popen[bytes]) -> int:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:
                pass
    try:
        return process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _resident_mb(pid: int) -> int:
    """Resident memory of a process, MiB; 0 where /proc cannot tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20


def _machine_mb() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
