"""Runs an artifact on the host by the runner itself, with the runtime's libraries of the toolchain: this machine's Python has no TVM."""

from __future__ import annotations

from typing import Any

from edgewright_targets.tvm import runner
from edgewright_targets.tvm.target import TOOLCHAIN

Session = runner.Session


def load(folder: str, manifest: dict[str, Any], options: dict[str, Any]) -> Session:
    """A Session as in `runner.py`.

    Raises:
        ConversionError: the toolchain is missing.
    """
    from edgewright.sdk import toolchains

    environment = toolchains.python_of(TOOLCHAIN).parents[1]
    runner.library([str(one) for one in environment.glob("lib/python3*/site-packages")])
    return runner.load(folder, manifest, options)
