"""Notes about layers that a step left alone."""

from __future__ import annotations

from collections.abc import Mapping

from edgewright.nouns.listing import listed


def by_reason(what: str, left: Mapping[str, str]) -> list[str]:
    """A note per reason.

    Args:
        what: was not done, or was kept.
        left: layer -> why.
    """
    reasons: dict[str, list[str]] = {}
    for layer, reason in left.items():
        reasons.setdefault(reason, []).append(layer)
    return [f"{what}, {reason}: {listed(names, most=5)}" for reason, names in reasons.items()]
