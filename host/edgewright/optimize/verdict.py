"""The verdict on a candidate: which limits it keeps, and how near it comes to the others."""

from __future__ import annotations

from edgewright.measure.search.engine import Verdict
from edgewright.nouns.optimization import OptimizeBudget

_FARTHEST = 1e9  # rank of a figure that is missing


def verdict_of(
    artifact: str, figures: dict[str, float | None], budget: OptimizeBudget, why: str = ""
) -> Verdict:
    """The verdict on a candidate. Latency is only measured if all other limits are kept, so its absence then says nothing more.

    Adds to the figures how many limits other than that on the drop are missed (`missed`), whether that one is (`dropped`), and whether
    that on multiplications is the only one (`heavy`; no if latency is limited too, which then was not measured).

    Args:
        why: it could not be measured.
    """
    broken = budget.broken(figures)
    if figures.get("p95_ms") is None and len(broken) > 1:
        broken.pop("p95_ms", None)
    others = {name: factor for name, factor in broken.items() if name != "drop"}
    figures["missed"], figures["dropped"] = float(len(others)), float("drop" in broken)
    figures["heavy"] = float(set(broken) == {"macs"} and budget.p95_ms is None)
    said = why or "; ".join(_said(name, figures.get(name), budget) for name in broken)
    drop, size = figures.get("drop") or 0.0, figures["size_mb"] or 0.0
    if not broken and not why:
        return Verdict(ok=True, rank=(-drop, -size), figures=figures, artifact=artifact)
    # multiplications are left out at first: they are the same in all kinds of files
    worst = max((factor for name, factor in others.items() if name != "macs"), default=0.0)
    rank = (-min(worst, _FARTHEST), -min(others.get("macs", 0.0), _FARTHEST), -drop, -size)
    return Verdict(ok=False, rank=rank, figures=figures, artifact=artifact, why=said)


def _said(name: str, value: float | None, budget: OptimizeBudget) -> str:
    limit = getattr(budget, name)
    words = {
        "size_mb": "size {} of {} MiB",
        "p95_ms": "p95 {} of {} ms",
        "macs": "{} of {} MACs",
        "drop": "drop {} of {}",
    }
    return words[name].format("unknown" if value is None else f"{value:.3g}", f"{limit:.3g}")
