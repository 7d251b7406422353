"""Builds the virtual environment of a toolchain."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from edgewright.compile.toolchains.pythons import Python
from edgewright.compile.workers import scratch
from edgewright.errors import Code, ConversionError
from edgewright.nouns.progress import Progress, ProgressEvent
from edgewright.runtimes.wheels import OFFLINE

_PIP = ("-I", "-m", "pip", "install", "--no-deps", "--no-input", "--disable-pip-version-check")
_ELSEWHERE = (
    "VIRTUAL_ENV",
    "PIP_TARGET",
    "PIP_USER",
    "PIP_PREFIX",
    "PIP_REQUIRE_VIRTUALENV",
    "PIP_CONSTRAINT",
)


def python_in(environment: Path) -> Path:
    """The Python of a virtual environment."""
    return environment / "bin" / "python"


def build(
    made: Path, python: Python, requirements: Sequence[str], pip_version: str, progress: Progress
) -> None:
    """Builds the environment in the new folder `made`.

    Args:
        requirements: everything to install, exactly pinned; pip does not follow dependencies.
        pip_version: the pip to install first; empty to use the one bundled with the Python.

    Raises:
        ConversionError: `index-unreachable`, `toolchain-failed`.
    """
    total = len(requirements)
    progress(
        ProgressEvent(
            stage="toolchain",
            detail=f"environment with Python {python.version}",
            done=0,
            total=total,
            unit="packages",
        )
    )
    checked([str(python.path), "-I", "-m", "venv", str(made)], "venv")
    pip = [str(python_in(made)), *_PIP]
    if pip_version:
        checked([*pip, f"pip=={pip_version}"], "pip")
    command = [*pip, "--only-binary=:all:", "--progress-bar", "off", *requirements]
    _collect(command, total, progress)
    for script in (made / "bin").iterdir():
        if not script.name.startswith("python"):
            script.unlink()


def _collect(command: Sequence[str], total: int, progress: Progress) -> None:
    """Runs pip and reports each distribution as it is collected."""
    with tempfile.TemporaryFile("w+") as errors, scratch.folder() as place:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL, text=True, errors="replace", env=_environment(place)
        )  # fmt: skip
        try:
            done = 0
            for line in process.stdout or ():
                if line.startswith("Collecting "):
                    progress(
                        ProgressEvent(
                            stage="toolchain", detail=line.split()[1], done=done, total=total, unit="packages"
                        )
                    )
                    done += 1
                elif line.startswith("Installing collected"):
                    progress(
                        ProgressEvent(
                            stage="toolchain", detail="unpacking", done=total, total=total, unit="packages"
                        )
                    )
            code = process.wait()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            if process.stdout:
                process.stdout.close()
        errors.seek(0)
        if code:
            raise _failed("pip", errors.read())


def checked(command: Sequence[str], what: str) -> None:
    """Runs one build step. Raises ConversionError if it fails."""
    done = run(command, None)
    if done.returncode:
        raise _failed(what, done.stderr or done.stdout)


def run(command: Sequence[str], seconds: float | None) -> subprocess.CompletedProcess[str]:
    """Runs one program without input; its output is captured. Raises OSError, TimeoutExpired."""
    with scratch.folder() as place:
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, timeout=seconds, env=_environment(place)
        )  # fmt: skip


def _environment(temporary: Path) -> dict[str, str]:
    """This process's environment without variables that would redirect pip or venv; their temporary files go to `temporary`."""
    kept = {key: value for key, value in os.environ.items() if key not in _ELSEWHERE}
    return {**kept, **scratch.environment(temporary)}


def _failed(what: str, said: str) -> ConversionError:
    if any(sign in said for sign in OFFLINE):
        return ConversionError(
            "package index cannot be reached", hint="check the network, or pip's settings", code=Code.INDEX_UNREACHABLE
        )  # fmt: skip
    lines = [line.removeprefix("ERROR: ").strip() for line in said.splitlines() if line.startswith("ERROR:")]
    lines = lines or [line.strip() for line in said.splitlines() if line.strip()] or ["no message"]
    return ConversionError(
        f"{what} failed: {lines[0][:300].rstrip('.')}",
        hint="try another --python, or look at pip's settings",
        code=Code.TOOLCHAIN_FAILED,
    )
