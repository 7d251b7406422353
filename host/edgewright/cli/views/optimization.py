"""Shows what `optimize` tried, what each candidate bought, and what was left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright.cli import render
from edgewright.cli.views.artifact import show_artifact
from edgewright.cli.views.search import show_trials

if TYPE_CHECKING:
    from edgewright.api.optimization import OptimizedModel
    from edgewright.cli.results.optimize import OptimizeResult
    from edgewright.nouns.artifact import Artifact

FIGURES = (
    ("accuracy", ">accuracy"),
    ("drop", ">drop"),
    ("size_mb", ">MiB"),
    ("macs", ">MACs"),
    ("p95_ms", ">p95 ms"),
)


def show_plan(planned: OptimizeResult) -> None:
    """Prints what would be tried."""
    for number, label in enumerate(planned.plan, 1):
        render.line(f"{number}  {label}")
    for one in planned.untried:
        render.line(f"not tried: {one}")
    render.ending("nothing was tried: leave out --dry-run to begin")


def show(best: OptimizedModel, artifact: Artifact) -> None:
    """Prints the candidates and the best one."""
    found = best.found
    show_trials(found.result, FIGURES)
    if len(found.front) > 1:
        render.line(f"no other candidate beats, by size and drop: {'; '.join(found.front)}")
    for one in found.untried:
        render.line(f"not tried: {one}")
    show_artifact(artifact)
    if best.ok:
        made = artifact.id[:12]
        render.ending(
            f"next: `edgewright deploy {made} --to SELECTOR`, or `edgewright bench {made} --on SELECTOR`"
        )
    else:
        why = found.result.best.verdict.why if found.result.best else ""
        render.note(f"the best candidate misses the budget: {why}")
        render.ending(
            "raise the budget, give more --epochs or --data, or take away more by `edgewright compress`"
        )
