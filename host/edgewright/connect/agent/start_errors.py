"""Explains why no greeting came: the login, the Python, a forced command, or the link."""

from __future__ import annotations

import re
from typing import NamedTuple

from edgewright.connect.agent import bootstrap
from edgewright.connect.agent.login_check import Login
from edgewright.connect.agent.sanitize import clean
from edgewright.errors import BoardError, Code, EdgewrightError, Unreachable
from edgewright_agent import protocol

FILES = "~/.bashrc, ~/.profile, ~/.cshrc or config.fish"
NOISE_HINT = f"a start-up file of the login ({FILES}) prints or runs something: make it silent for SSH"
NO_PYTHON_HINT = "install python3 (3.6 or newer) there, or name it with `python` in the fleet file"
STDIN_HINT = f"in the login's start-up file ({FILES}), add </dev/null to the command that reads stdin, or run it only in interactive shells"
EXEC_HINT = (
    f"let the login's start-up file ({FILES}) run exec, exit or another shell only in interactive shells; "
    "a forced command (sshd_config, authorized_keys) must run the agent: see docs/ssh.md"
)
HANGS_HINT = f"`ssh BOARD true` must end at once: see what the login's start-up file ({FILES}) or its forced command waits for"
NO_SHELL = re.compile(
    r"not (currently )?available|nologin|restricted|not allowed|sftp|unrecognized command|interactive"
)
NO_SHELL_HINT = "the account may not run commands: give it a shell on the board (`sudo chsh -s /bin/sh USER`), or log in as another user"
MOST_WORDS = 300  # characters of each stream in a message


class Failure(NamedTuple):
    """A Python that does not work on the board: its exit code, its path, its version if it gave one."""

    code: int
    python: str
    version: str

    def __str__(self) -> str:
        if self.version and self.code == bootstrap.OLD_PYTHON_EXIT:
            return f"{self.python} is Python {self.version}"
        return f"{self.python} ends with exit code {self.code}"


class Ending(NamedTuple):
    """A start command that ended, or had to be given up.

    Attributes:
        code: exit code; None if there is none.
        python: the Python that was started last; empty if the login did not run the script.
        failures: the Pythons that were tried and do not work.
        output, log: what came on stdout, without the script's own lines, and on stderr; both without the hello.
    """

    code: int | None
    python: str
    failures: tuple[Failure, ...]
    output: bytes
    log: bytes

    @property
    def words(self) -> str:
        """The end of both outputs, for a message."""
        return quoted(self.output) + quoted(self.log)

    @property
    def python_failed(self) -> bool:
        """Whether the login is in order and another Python may work."""
        return bool(self.python) and self.code not in (protocol.NO_HELLO_EXIT, protocol.NO_PYTHON_EXIT)


def ended(ending: Ending) -> EdgewrightError:
    """The error for a command that ended before it greeted."""
    code, words = ending.code, ending.words
    if code == protocol.NO_PYTHON_EXIT:
        return no_python(ending)
    if code == protocol.NO_HELLO_EXIT and ending.python:
        return takes_stdin(ending)
    if code is None:
        return Unreachable(f"the link to the board ended before its greeting{words}", hint="try again")
    if ending.python:
        return start_failed(
            f"the agent's start with {ending.python} ended with exit code {code}{words}",
            "check that `ssh BOARD python3 --version` works, or name another Python with `python` in the fleet file",
        )
    hint = NO_SHELL_HINT if NO_SHELL.search(words.lower()) else EXEC_HINT
    return start_failed(
        f"the login ended before it started the agent, with exit code {code}{words or ': no output'}", hint
    )


def no_python(ending: Ending) -> EdgewrightError:
    """The error for a board without a Python that works."""
    message = "the board has no python3 in the usual places"
    if ending.failures:
        tried = "; ".join(map(str, ending.failures))
        message = f"no Python on the board works, 3.6 or newer is needed: {tried}{ending.words}"
    return BoardError(message, hint=NO_PYTHON_HINT, code=Code.NO_PYTHON)


def takes_stdin(ending: Ending) -> EdgewrightError:
    """The error for a login that consumes what the host sends to the agent."""
    return start_failed(
        f"a start-up file of the login reads stdin, so the agent gets nothing{ending.words}", STDIN_HINT
    )


def refused_login(result: Login, ending: Ending) -> EdgewrightError | None:
    """The error for a login that certainly never starts the agent; None if it may still do."""
    if result is Login.TAKES_STDIN:
        return takes_stdin(ending)
    if result is Login.RUNS_ANOTHER and not ending.python:
        message = f"a start-up file of the login runs something else in place of the agent{ending.words or ': no output'}"
        return start_failed(message, EXEC_HINT)
    return None


def silent(result: Login, ending: Ending, within_s: float) -> EdgewrightError:
    """The error for a start without a greeting at the time limit."""
    if ending.python and ending.code == protocol.NO_HELLO_EXIT:
        return takes_stdin(ending)
    if ending.python:
        return Unreachable(
            f"{ending.python} started on the board, and sent no greeting within {within_s:g} s{ending.words}",
            hint="check that the board is not overloaded, or name another Python with `python` in the fleet file",
        )
    if result is Login.CUT_OFF:
        return Unreachable(
            f"the board sent no greeting within {within_s:g} s{ending.words}",
            hint="check that it is not overloaded and that its login asks for nothing",
        )
    return start_failed(f"the login did not start the agent within {within_s:g} s{ending.words}", HANGS_HINT)


def start_failed(message: str, hint: str) -> BoardError:
    """An error of a login that answers, where the agent does not start."""
    return BoardError(message, hint=hint, code=Code.START_FAILED)


def quoted(noise: bytes) -> str:
    """The end of some output, for a message."""
    words = " ".join(str(clean(noise.decode("utf-8", "replace"))).split())
    return f": {words[-MOST_WORDS:]}" if words else ""
