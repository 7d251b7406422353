"""The start command: one line that every login shell understands, which finds a Python and boots the agent."""

from __future__ import annotations

import re

from edgewright_agent import protocol

from edgewright.errors import ConfigError

# Run by the board's Python. A forced command starts an installed agent instead and never sees it. Reading raw
# leaves every byte after the line to the loader. No quote but ', no $, !, backslash or line end: see `command`.
BOOT = (
    "import io,json;"
    f"hello=json.loads(io.FileIO(0,closefd=False).readline({protocol.MAX_LINE}).decode());"
    "exec(compile(hello['loader'],'loader','exec'),{'__name__':'__main__','hello':hello})"
)

PYTHONS = ("python3", "/usr/bin/python3", "/usr/local/bin/python3", "/opt/bin/python3", "/opt/python/bin/python3")
PYTHON = re.compile(r"/[A-Za-z0-9._/+-]+\Z")


def command(python: str | None = None, boot: str = BOOT) -> str:
    """The command line that starts the agent.

    sh, bash, dash, zsh, csh, tcsh and fish all read it alike: single quotes around the script keep its `$` from
    every one of them, and `boot` stands in double quotes, so it holds nothing that means something there.
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
    return f"exec sh -c '{script}' \"{boot}\""
