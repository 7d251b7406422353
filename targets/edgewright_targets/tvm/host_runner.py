"""The runner on the host, with the runtime's libraries of the toolchain: this machine's Python has no TVM."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright_targets.tvm import runner
from edgewright_targets.tvm.runner import accelerators, prepare
from edgewright_targets.tvm.target import TOOLCHAIN

if TYPE_CHECKING:
    from edgewright_agent import shapes

__all__ = ["accelerators", "load", "prepare"]


def load(folder: str, manifest: shapes.Manifest, options: shapes.Options) -> runner.Session:
    """A Session as in `runner.py`.

    Raises:
        ConversionError: the toolchain is missing.
    """
    from edgewright.sdk import toolchains

    environment = toolchains.python_of(TOOLCHAIN).parents[1]
    runner.library([str(one) for one in environment.glob("lib/python3*/site-packages")])
    return runner.load(folder, manifest, options)
