"""The bytecode of a userland's Python, which Debian's packages make in the scripts that are not run here.

Without it each program on an emulated machine compiles what it imports, as the board's user may not write to /usr: half of
its start.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from pathlib import Path

from edgewright.lab.emulation.architectures import Architecture

# what the agent, the runners and numpy import; each brings more
MODULES = (
    "argparse", "array", "ast", "contextvars", "ctypes", "datetime", "fcntl", "glob", "hashlib", "heapq", "importlib.util",
    "inspect", "json", "math", "pickle", "platform", "py_compile", "select", "shutil", "signal", "subprocess", "sysconfig",
    "tempfile", "textwrap", "threading", "traceback", "typing", "zipfile",
)  # fmt: skip
LIMIT_SECONDS = 120


def keep(root: Path, architecture: Architecture) -> None:
    """Lets the userland's own Python compile `MODULES`. Without it, or if it fails, programs on the boards start more slowly."""
    emulator = next(filter(None, map(shutil.which, architecture.emulators)), None)
    if emulator is None:
        return
    program = f"import {', '.join(MODULES)}"
    command = [emulator, "-L", str(root), str(root / "usr/bin/python3"), "-I", "-c", program]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(
            command, env={"QEMU_CPU": architecture.cpu}, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=LIMIT_SECONDS, check=False,
        )  # fmt: skip
