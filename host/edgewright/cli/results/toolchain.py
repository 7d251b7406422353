"""Results of `toolchain`."""

from __future__ import annotations

from edgewright.compile.toolchains.environments import Installed
from edgewright.compile.toolchains.pythons import Python
from edgewright.nouns.base import Noun


class ToolchainInstallResult(Noun, frozen=True, kw_only=True):
    """`edgewright toolchain install`.

    Attributes:
        changed: this command installed it.
        python, requirements: what a dry run would build it with.
    """

    dry_run: bool = False
    changed: bool = False
    toolchain: Installed
    python: Python | None = None
    requirements: tuple[str, ...] = ()


class ToolchainListResult(Noun, frozen=True, kw_only=True):
    """`edgewright toolchain list`."""

    toolchains: tuple[Installed, ...]


class ToolchainRemoveResult(Noun, frozen=True, kw_only=True):
    """`edgewright toolchain remove`: names of the toolchains that were removed, or would be."""

    dry_run: bool
    removed_toolchains: tuple[str, ...]
