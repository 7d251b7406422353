"""Result of `optimize`."""

from __future__ import annotations

from pathlib import Path

from edgewright.measure.search.engine import SearchResult
from edgewright.nouns.artifact import Manifest
from edgewright.nouns.base import Noun
from edgewright.nouns.optimization import OptimizeBudget


class OptimizeResult(Noun, frozen=True, kw_only=True):
    """`edgewright optimize`.

    Attributes:
        plan: what a dry run would try, in order; empty otherwise.
        artifact: id of the best candidate, with its folder and manifest; null in a dry run, as is `search`.
        search: all candidates. Their figures are `size_mb`, `macs`, `p95_ms` (null if not measured), `accuracy`, `drop` with `drop_low` and
            `drop_high`, and `missed`, the number of limits besides the drop that are missed.
        front: labels of the candidates that no other one beats in size and drop.
        untried: what was left out and why.
    """

    budget: OptimizeBudget
    dry_run: bool = False
    plan: tuple[str, ...] = ()
    artifact: str | None = None
    folder: Path | None = None
    manifest: Manifest | None = None
    search: SearchResult | None = None
    front: tuple[str, ...] = ()
    untried: tuple[str, ...] = ()
