"""The start command: one line for every login shell, which finds a Python and boots the agent."""

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


def command(python: str | None = None) -> str:
    """The command line that starts the agent.

    sh, bash, dash, zsh, csh, tcsh and fish all read it the same way: single quotes around the script keep its `$` from
    each of them, and `protocol.BOOT` stands in double quotes, as it holds nothing that means something there.
    Where no Python is found it exits with `protocol.NO_PYTHON_EXIT`.

    Args:
        python: absolute path of the board's Python; only that one is tried then.

    Raises:
        ConfigError: `python` is not a plain absolute path.
    """
    if python is not None and not PYTHON.match(python):
        raise ConfigError(f"not an absolute path of a python: {python!r}", hint="such as /usr/bin/python3")
    places = python or " ".join(PYTHONS)
    script = (
        f'for p in {places}; do command -v "$p" >/dev/null 2>&1 && exec "$p" -I -S -B -c "$0"; done; '
        f"exit {protocol.NO_PYTHON_EXIT}"
    )
    return f"exec sh -c '{script}' \"{protocol.BOOT}\""
