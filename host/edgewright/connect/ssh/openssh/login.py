"""One login by the `ssh` program: a process in the background that holds it, and a control socket by which commands share it."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from edgewright.connect.ssh import limits
from edgewright.connect.ssh.openssh.askpass import Prompts
from edgewright.connect.ssh.openssh.failure import Attempt, authenticated, failure, telling
from edgewright.connect.ssh.openssh.private_config import Entry
from edgewright.errors import Unreachable
from edgewright.files import write_atomic
from edgewright.nouns.base import Noun
from edgewright.wire.transport import AskPassword

KEPT_SECONDS = 60  # after its last command; the login of a killed edgewright ends by itself
CONTROL_SECONDS = 5.0
MOST_LOG = 1 << 20
_LOOK_SECONDS = 0.01  # between looks for the end of the program


class Login(Noun, frozen=True, kw_only=True):
    """A way to a server, as files that the `ssh` program reads.

    Attributes:
        program: path of the OpenSSH client.
        entries: the servers on the way; the last one is logged in to.
        config: the private configuration.
        socket: the control socket.
    """

    program: str
    entries: tuple[Entry, ...]
    config: Path
    socket: Path

    @property
    def name(self) -> str:
        """What the configuration calls the last server."""
        return self.entries[-1].name

    def command(self, options: Sequence[str], *words: str) -> list[str]:
        """The arguments that run a command line of the last server's shell."""
        return [
            self.program,
            "-F",
            str(self.config),
            "-S",
            str(self.socket),
            *options,
            "--",
            self.name,
            *words,
        ]

    def alive(self) -> bool:
        """Whether it is logged in."""
        return self.socket.exists() and self._control("check")

    def end(self) -> None:
        """Logs out, and cuts what still runs over this login."""
        if self.socket.exists():
            self._control("exit")
        self.socket.unlink(missing_ok=True)

    def _control(self, what: str) -> bool:
        try:
            done = subprocess.run(
                self.command(["-O", what]), stdin=subprocess.DEVNULL, capture_output=True, timeout=CONTROL_SECONDS, check=False
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    def begin(self, ask: AskPassword | None) -> None:
        """Logs in.

        Raises:
            TrustError, AuthError, Unreachable: as `failure` says.
        """
        options = ["-v", "-M", "-N", "-f", "-T", "-o", f"ControlPersist={KEPT_SECONDS}"]
        attempt = run_until_done(self, options, ask)
        if attempt.code:
            raise failure(attempt, self.entries)


def write_config(login: Login, text: str, ask: AskPassword | None) -> None:
    """Writes the configuration; without `ask`, `ssh` asks for nothing."""
    batch = "" if ask else "Host *\n  BatchMode yes\n"
    write_atomic(login.config, (batch + text).encode("utf-8", "surrogateescape"))


def run_until_done(login: Login, options: Sequence[str], ask: AskPassword | None, *words: str) -> Attempt:
    """Runs the program until it ends, and again while a server is too busy.

    Raises:
        Unreachable: it takes too long, or it writes too much.
    """
    for number in range(limits.ATTEMPTS):
        found = run_once(login, options, ask, *words)
        if not found.busy or number == limits.ATTEMPTS - 1:
            break
        limits.pause(number)
    return found


def run_once(login: Login, options: Sequence[str], ask: AskPassword | None, *words: str) -> Attempt:
    """Runs the program once. What stays in the background gets no more readers of its log."""
    place = Path(tempfile.mkdtemp(dir=login.config.parent))
    prompts = Prompts(place, login.entries, ask)
    process = subprocess.Popen(
        login.command(options, *words), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env=prompts.environment(), start_new_session=True,
    )  # fmt: skip
    assert process.stderr  # noqa: S101  (for mypy)
    run = Run(process, login, prompts)
    try:
        run.attend()
    finally:
        kill(process)
        prompts.close()
        process.stderr.close()
        shutil.rmtree(place, ignore_errors=True)
    return Attempt(
        code=process.returncode, log=run.log(), answered=tuple(prompts.answered), locked=prompts.locked,
        asks=ask is not None, refused=prompts.refused,
    )  # fmt: skip


class Run:
    """One run of the program: its log, its prompts and its time."""

    def __init__(self, process: subprocess.Popen[bytes], login: Login, prompts: Prompts) -> None:
        assert process.stderr  # noqa: S101  (for mypy)
        self._process, self._login, self._prompts = process, login, prompts
        self._stderr = process.stderr
        self._log = b""
        self._read = 0  # up to the last prompt
        os.set_blocking(self._stderr.fileno(), False)

    def attend(self) -> None:
        """Answers prompts until the program ends, or a server has refused the answers."""
        # without the time for which a person thinks
        limit_s = (limits.START_SECONDS + limits.STEP_SECONDS) * len(self._login.entries)
        deadline = time.monotonic() + limit_s
        last = self._login.entries[-1].endpoint
        where = f"{last.label} ({last.host})"
        errors, asked = self._stderr.fileno(), self._prompts.fileno()
        while self._process.poll() is None and not self._prompts.refused:
            before = time.monotonic()
            if before > deadline:
                raise Unreachable(
                    f"cannot reach {where}: no answer to the login within {limit_s:g} s",
                    hint="is it overloaded?",
                )
            ready = select.select([errors, asked], [], [], _LOOK_SECONDS)[0]
            if errors in ready and not self._take():  # it closed its log before its end
                time.sleep(_LOOK_SECONDS)
            if len(self._log) > MOST_LOG:
                raise Unreachable(f"{where} says too much before the login", hint="shorten its banner")
            if asked in ready:
                self._prompts.answer(self._about(), authenticated(self.log()))
                deadline += time.monotonic() - before
        while self._take() and len(self._log) <= MOST_LOG:
            pass

    def _take(self) -> bool:
        """Reads what there is of the log. Returns whether there was something."""
        try:
            piece = os.read(self._stderr.fileno(), 65536)
        except BlockingIOError:
            return False
        self._log += piece
        return bool(piece)

    def log(self) -> str:
        """What it wrote to stderr."""
        return _text(self._log)

    def _about(self) -> str:
        """What the server wrote with its latest questions."""
        piece, self._read = _text(self._log[self._read :]), len(self._log)
        _, method, after = piece.rpartition("Next authentication method: ")  # what precedes it is the banner
        return telling(after.partition("\n")[2] if method else piece)


def _text(log: bytes) -> str:
    return log.decode("utf-8", "replace").replace("\r\n", "\n")


def kill(process: subprocess.Popen[bytes]) -> None:
    """Ends a program that leads its process group, with all that it started."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
