"""The result of `provision`: runtimes on boards, or a bundle."""

from __future__ import annotations

from pathlib import Path

from edgewright.api.results import BoardAnswer
from edgewright.nouns.base import Noun
from edgewright.runtimes.bundle.plan import Missing
from edgewright.runtimes.install import RuntimeChoice
from edgewright.runtimes.wheel_sets import Kit


class BundledWheel(Noun, frozen=True, kw_only=True):
    """A wheel in a bundle."""

    file: str
    sha256: str
    size: int


class PlannedRuntime(Noun, frozen=True, kw_only=True):
    """A runtime to put into a bundle. `own`: requirements that the board itself must meet."""

    target: str
    distribution: str
    version: str
    python: str
    arch: str
    glibc: str
    own: tuple[str, ...]


class BundleResult(Noun, frozen=True, kw_only=True):
    """A bundle that was written, planned or read.

    Attributes:
        size: bytes of the file; null if a dry run wrote none.
        planned_runtimes, missing_runtimes: only for a bundle that is written or planned.
    """

    path: Path
    size: int | None = None
    kits: tuple[Kit, ...] = ()
    wheels: tuple[BundledWheel, ...] = ()
    planned_runtimes: tuple[PlannedRuntime, ...] = ()
    missing_runtimes: tuple[Missing, ...] = ()


class ProvisionResult(Noun, frozen=True, kw_only=True):
    """`edgewright provision`: the boards, or a bundle without boards."""

    dry_run: bool = False
    boards: tuple[BoardAnswer[RuntimeChoice], ...] = ()
    bundle: BundleResult | None = None
