"""Runs a converter as a separate program: a crash ends neither the worker nor the command."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from edgewright.errors import Code, ConversionError

SECONDS = 3600.0


def run_converter(
    name: str,
    command: Sequence[Path | str],
    folder: Path | None = None,
    *,
    separate_stderr: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Runs a converter to its end, without an stdin.

    Args:
        name: what the error calls it.
        command: the program and its arguments.
        folder: where it runs; by default where the worker does.
        separate_stderr: otherwise the result has all output as its `stdout`.

    Raises:
        ConversionError: it took more than an hour. It is killed then; what it started itself is not.
        FileNotFoundError: there is no such program.
    """
    stderr = subprocess.PIPE if separate_stderr else subprocess.STDOUT
    try:
        return subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, text=True, errors="replace", check=False,
            timeout=SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise ConversionError(
            f"{name} did not finish within {SECONDS / 60:.0f} minutes",
            hint="convert it on a faster machine",
            code=Code.WORKER_TIMEOUT,
        ) from error
