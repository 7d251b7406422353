"""Workers: one process per framework, so that a converter's crash affects nothing else.

A worker leads its own process session: processes that it starts are counted with it and end with it. It can open only the
files that the command uses, since it opens models by strangers; only the user's own code runs in workers with the user's rights.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self, cast

from msgspec.structs import replace

from edgewright.compile.workers.confinement.rules import Rules, absolute
from edgewright.compile.workers.framework_errors import LOG, LOGGED
from edgewright.compile.workers.messages import MOST_OF_AN_ANSWER, STOPS, receive, send
from edgewright.compile.workers.private_environment import private
from edgewright.compile.workers.process_group import IDLE_SECONDS, POLL_SECONDS, IdleWatch, usage
from edgewright.compile.workers.scratch import PREFIX, environment
from edgewright.config import home, usage_marks
from edgewright.errors import Code, ConversionError, EdgewrightError
from edgewright.nouns.progress import NOTE, Progress, ProgressEvent, silent
from edgewright.scratch_folder import ScratchFolder

if TYPE_CHECKING:
    from edgewright.compile.workers.confinement.confine import InForce

# reproducible bytes need a fixed set order and the same kernels
_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "CUDA_VISIBLE_DEVICES": "",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_DETERMINISTIC_OPS": "1",
    "KERAS_BACKEND": "tensorflow",
}
# modules that its first job needs
_IMPORTS = {
    "tensorflow": ("tensorflow",),
    "torch": ("torch",),
    "onnx": ("onnx", "onnxruntime"),
    "litert": ("ai_edge_litert.interpreter",),
    "openvino": ("openvino",),
}
_PROGRAM = "edgewright.compile.workers.process"
UNCONFINED = "nothing kept the model from {} while it was converted: see `edgewright doctor --host`"
LEFT_OUT = "models could not read {}, which holds all of your HOME: put modules that a converter needs into a separate folder"
_COULD = {"files": "your files", "network": "the network"}
_AS_USER = " as the user"
_STORES = (
    "artifacts",
    "compressions",
    "evaluations",
    "toolchains",
)  # folders of the state folder that workers read
_TOOLCHAINS = _STORES[-1]
_RECHECK_SECONDS = 0.05
_REAP_SECONDS = 10.0


def as_user(framework: str) -> str:
    """The name of the worker that runs the user's own code for a framework. It is not confined, and opens no model by others."""
    return framework + _AS_USER


class Workers:
    """The worker processes of one command. A context manager: all workers end with it.

    Args:
        log: file that the frameworks' output is appended to.
        memory_mb: resident memory, MiB, above which a worker and its children are killed; by default nine tenths of
            the machine's memory.
        reads, writes: what workers may open in addition to what `may_read` and `folder` allow.
        progress: gets a note, once, if a worker opens a model and nothing confines it.

    Attributes:
        in_force: what confines each worker, by its name, as it reported.
    """

    def __init__(
        self,
        log: Path,
        *,
        memory_mb: int | None = None,
        reads: Iterable[Path] = (),
        writes: Iterable[Path] = (),
        progress: Progress = silent,
    ) -> None:
        self.log = log
        self.made: dict[str, str] = {}  # results of user functions, which run once per command
        self._limit_mb = memory_mb or _machine_mb() * 9 // 10
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._scratch: dict[str, ScratchFolder] = {}
        self._rules = Rules(reads=absolute(reads), writes=absolute(writes))
        self._granted: dict[str, Rules] = {}
        self._shared: ScratchFolder | None = None
        self.in_force: dict[str, InForce] = {}
        self._progress, self._noted = progress, set[str]()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in list(self._scratch):
            self._end(name)
        if self._shared is not None:
            self._shared.close()
            self._shared = None

    def may_read(self, paths: Iterable[Path]) -> None:
        """Lets workers read more files and folders. The next call restarts a worker that was started without them."""
        self._rules = replace(self._rules, reads=absolute((*map(Path, self._rules.reads), *paths)))

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """A new folder that all workers may write to, for a `with` block."""
        if self._shared is None:
            self._shared = ScratchFolder(PREFIX)
            for name in _STORES:  # a running worker cannot be given access to files that are created later
                home.folder(name)
            shared = self._shared.path
            self._rules = replace(self._rules, writes=absolute((*map(Path, self._rules.writes), shared)))
        made = Path(tempfile.mkdtemp(dir=self._shared.path))
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def start(self, frameworks: Iterable[str]) -> None:
        """Starts the workers that are not running, so that they import while other work continues."""
        for framework in dict.fromkeys(frameworks):
            self._end_if_narrower(framework)
            if framework not in self._running:
                self._start(framework)

    def call(self, framework: str, module: str, function: str, /, **kwargs: Any) -> Any:
        """Runs `module.function(**kwargs)` in the framework's process, starting it if necessary.

        Raises:
            ConversionError: the process crashed, was killed, or exceeded the memory limit; the next call
                starts a new one.
            EdgewrightError: the function raised it; its other exceptions become ConversionError.
        """
        self._end_if_narrower(framework)
        process = self._running.get(framework) or self._start(framework)
        what = function.replace("_", " ")
        try:
            # read this first, and never have two answers under way: the second would hide in the buffer
            if framework not in self.in_force:
                held = self.in_force[framework] = self._answer(framework, what)[1]
                if not _own(framework):
                    self._note(held)
            send(cast(BinaryIO, process.stdin), (module, function, kwargs))
            state, value = self._answer(framework, what)
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

    def _note(self, held: InForce) -> None:
        """Reports, once for each, what a model was not kept from, and which libraries it could not read."""
        notes = [LEFT_OUT.format(folder) for folder in held.left_out]
        if held.lacks:
            notes.append(UNCONFINED.format(" and ".join(_COULD[what] for what in held.lacks)))
        for note in notes:
            if note not in self._noted:
                self._noted.add(note)
                self._progress(ProgressEvent(stage=NOTE, detail=note))

    def _end_if_narrower(self, framework: str) -> None:
        """Ends a worker that may open less than the command needs now, since a running worker cannot be given more."""
        granted = self._granted.get(framework)
        if framework in self._running and granted is not None and not granted.covers(self._rules):
            self._end(framework)

    def _answer(self, framework: str, what: str) -> tuple[str, Any]:
        """A worker's next answer."""
        from edgewright.compile.workers import plain_answers  # only once a worker runs
        from edgewright.compile.workers.confinement.confine import InForce

        process = self._running[framework]
        self._wait(process, framework, what)
        try:
            state, value = receive(cast(BinaryIO, process.stdout), plain_answers.read, MOST_OF_AN_ANSWER)
            if state != "ok" and not (state == "confined" and isinstance(value, InForce)):
                _check_error(state, value)
        except (plain_answers.StrangeAnswer, TypeError, ValueError) as error:
            raise ConversionError(
                f"{_plain(framework)} worker gave no answer to {what}: {error}",
                hint="a plug-in may return only plain values and records; else the model may have taken the worker over: do not trust it",
                code=Code.WORKER_CRASHED,
            ) from error
        return state, value

    def _start(self, framework: str) -> subprocess.Popen[bytes]:
        home.made(self.log.parent)
        self.in_force.pop(framework, None)
        scratch = self._scratch[framework] = ScratchFolder(PREFIX)
        variables = {**os.environ, **_ENVIRONMENT, **environment(scratch.path)}
        rules, own = self._rules, _own(framework)
        if not own:
            self._granted[framework] = rules
            variables = private(variables, scratch.path)
            rules = Rules(
                reads=absolute((*map(Path, rules.reads), *stores(), *toolchains())),
                writes=(*rules.writes, str(scratch.path)),
                home=os.environ.get("HOME", ""),
            )
        with self.log.open("ab") as log, _blocked():
            usage_marks.hold(self.log)
            process = subprocess.Popen(
                [
                    sys.executable,
                    *(() if own else ("-P",)),
                    "-m",
                    _PROGRAM,
                    *_IMPORTS.get(_plain(framework), ()),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=variables,
                cwd=None if own else scratch.path,
                pass_fds=(scratch.lock,),
                start_new_session=True,
            )
            self._running[framework] = process  # before a pending signal can end this
        with suppress(BrokenPipeError):  # it has already ended: the first call reports that
            send(cast(BinaryIO, process.stdin), None if own else rules)
        return process

    def _wait(self, process: subprocess.Popen[bytes], framework: str, what: str) -> None:
        """Waits until the process answers, dies, grows too large, or does nothing any more."""
        pipe = cast(BinaryIO, process.stdout)
        watch = IdleWatch(process.pid)
        while not select.select([pipe], [], [], POLL_SECONDS)[0]:
            now = usage(process.pid)
            # the user's own code may wait for a network or a person
            if not _own(framework) and watch.idle(now):
                raise self._stuck(framework, what)
            if now.memory_mb <= self._limit_mb:
                continue
            # a child shares its parent's memory, and would count double, until it executes another program
            time.sleep(_RECHECK_SECONDS)
            if (used := usage(process.pid).memory_mb) > self._limit_mb:
                self._end(framework)
                raise ConversionError(
                    f"{_plain(framework)} worker outgrew its memory during {what}: {used} of {self._limit_mb} MiB",
                    hint="use fewer or smaller calibration samples, or a machine with more memory",
                    code=Code.WORKER_MEMORY,
                )

    def _stuck(self, framework: str, what: str) -> ConversionError:
        """Ends a worker that does nothing any more."""
        self._end(framework)
        return ConversionError(
            f"{_plain(framework)} worker did nothing for {IDLE_SECONDS / 60:.0f} minutes during {what}",
            hint=f"run the command again: what is finished is kept; if it happens again, take another target; {LOG}{self.log}",
            code=Code.WORKER_TIMEOUT,
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
            f"{_plain(framework)} worker died during {what}: {how}",
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


@contextmanager
def _blocked() -> Iterator[None]:
    """Blocks the signals that stop the host for processes that are started meanwhile, until these set their own handling."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _check_error(state: Any, value: Any) -> None:
    """Raises StrangeAnswer unless an answer is an error that can be raised and shown."""
    from edgewright.compile.workers.plain_answers import StrangeAnswer  # only once a worker runs

    parts = ("message", "hint", "code")
    if (
        state != "error"
        or not isinstance(value, EdgewrightError)
        or not all(isinstance(getattr(value, part, None), str) for part in parts)
    ):
        raise StrangeAnswer(f"{state!r:.20}, {type(value).__name__}")


def _plain(worker: str) -> str:
    """The framework of a worker."""
    return worker.removesuffix(_AS_USER)


def _own(worker: str) -> bool:
    """Whether a worker runs the user's code."""
    return worker.endswith(_AS_USER)


def stores() -> tuple[Path, ...]:
    """The folders of the state folder that confined workers read."""
    return tuple(home.home() / name for name in _STORES)


def toolchains() -> Iterator[Path]:
    """The real paths of toolchains, and the Pythons that their environments were made with: confined workers read them."""
    for link in (home.home() / _TOOLCHAINS).glob("*/bin/python"):
        yield link.parents[1].resolve()
        if (python := link.resolve()).is_file():
            yield python.parents[1]


def _reap(process: subprocess.Popen[bytes]) -> int:
    """Waits for a worker that is ending and kills its children. Returns its exit code."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:
                pass
    limit = time.monotonic() + _REAP_SECONDS
    look = os.WEXITED | os.WNOWAIT | os.WNOHANG  # do not reap it yet, so that its group id is not reused
    with suppress(ChildProcessError):
        while os.waitid(os.P_PID, process.pid, look) is None and time.monotonic() < limit:
            time.sleep(0.01)
    _kill(process)
    return process.wait()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kills a worker that has not been reaped, and its children."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _machine_mb() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
