"""Finding: one thing to know about a board or about this machine, with what to do."""

from __future__ import annotations

from edgewright.nouns.base import Noun

PROBLEM = "problem"
ADVICE = "advice"


class Finding(Noun, frozen=True, kw_only=True):
    """One thing to know. `level`: `problem` stops a deployment, `advice` does not."""

    level: str
    message: str
    hint: str = ""
