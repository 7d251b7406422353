"""The command lines that the host runs in a login: the start of the agent, the search for a Python, the check of the login."""

from __future__ import annotations

import re

from edgewright.errors import ConfigError
from edgewright_agent import protocol

PYTHONS = (
    "python3",
    "/usr/bin/python3",
    "/usr/local/bin/python3",
    "/opt/bin/python3",
    "/opt/python3/bin/python3",
)
PYTHON = re.compile(r"/[A-Za-z0-9._/+-]+\Z")
OLD_PYTHON_EXIT = 94  # exit code of a Python before 3.6

# The lines that our scripts write to stdout. An older host skips them as noise. Each must end its line, so that
# a login which prints the command line itself is not mistaken for one that ran it.
STARTED = re.compile(rb"edgewright-start ([A-Za-z0-9._/+-]+)\s*\Z")  # which Python is about to start
FAILED = re.compile(rb"edgewright-failed (\d+) ([A-Za-z0-9._/+-]+)(?: ([0-9][A-Za-z0-9.+]*))?\s*\Z")
LOGIN_RAN = re.compile(rb"edgewright-login\s*\Z")
STDIN_CAME = re.compile(rb"edgewright-stdin #\s*\Z")
CHECK_INPUT = b"#"  # a comment in every shell, in case one reads it as a command

_TOO_OLD = "sys.version_info<(3,6)and sys.exit({code})"
_BOOT = f"import sys;{_TOO_OLD.format(code=OLD_PYTHON_EXIT)};{protocol.BOOT}"
_NONE = f"exit {protocol.NO_PYTHON_EXIT}"
# Python 2 has no -I, which keeps the working folder out of sys.path.
_TRY = (
    "-E -s -S -B -c "
    f'"import sys;del sys.path[0];print(sys.version.split()[0]);{_TOO_OLD.format(code=OLD_PYTHON_EXIT)};'
    'import hashlib,json,zipfile,zlib"'
)


def command(python: str | None = None) -> str:
    """The command line that starts the agent with the first Python that exists.

    sh, bash, dash, zsh, csh, tcsh and fish all read it the same way: single quotes around the script protect its `$`,
    and the program is in double quotes, as it contains nothing that is special there.

    It does not try whether the Python works: that would cost every session a second start of Python, 200 ms on a
    small board. A shell that stays and waits for the exit code would cost every session a process and its memory, and
    could not tell whether the Python consumed the hello. If the Python fails before the greeting, the host runs `search` on the
    same link, where stdin is complete again. Then only boards with a broken Python pay.

    It writes a line (`STARTED`) before Python starts. It exits with `protocol.NO_PYTHON_EXIT` if it finds no Python,
    and with `OLD_PYTHON_EXIT` if that is too old.

    Args:
        python: absolute path of the board's Python; if given, no other is tried.

    Raises:
        ConfigError: `python` is not a plain absolute path.
    """
    return _script(
        f"for p in {_places(python)}; do "
        'if command -v "$p" >/dev/null 2>&1; then echo "edgewright-start $p"; exec "$p" -I -S -B -c "$0"; fi; '
        f"done; {_NONE}"
    )


def search(python: str | None = None) -> str:
    """The command line that starts the agent with the first Python that works.

    It writes a line (`FAILED`: exit code, Python, version if known) for each Python that does not, and exits with
    `protocol.NO_PYTHON_EXIT` if none does. Arguments and errors are those of `command`.
    """
    return _script(
        f"for p in {_places(python)}; do "
        'if command -v "$p" >/dev/null 2>&1; then echo "edgewright-start $p"; '
        f'v=$("$p" {_TRY} </dev/null); e=$?; '
        'if [ "$e" = 0 ]; then exec "$p" -I -S -B -c "$0"; fi; echo "edgewright-failed $e $p $v"; fi; '
        f"done; {_NONE}"
    )


def check() -> str:
    """The command line that reports whether the login runs it (`LOGIN_RAN`) and leaves it its stdin (`STDIN_CAME`)."""
    return "exec sh -c 'echo edgewright-login; read x; echo \"edgewright-stdin $x\"'"


def _places(python: str | None) -> str:
    """The Pythons to look for, as words of a script."""
    if python is not None and not PYTHON.match(python):
        raise ConfigError(f"not an absolute path of a python: {python!r}", hint="such as /usr/bin/python3")
    return python or " ".join(PYTHONS)


def _script(text: str) -> str:
    """The command line for a script that runs the agent's first program as `$0`."""
    return f"exec sh -c '{text}' \"{_BOOT}\""
