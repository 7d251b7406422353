"""Finding: one problem or piece of advice about a board or this machine, with a hint."""

from __future__ import annotations

from edgewright.nouns.base import Noun

PROBLEM = "problem"
ADVICE = "advice"


class Finding(Noun, frozen=True, kw_only=True):
    """One finding. `level`: `problem` blocks a deployment, `advice` does not."""

    level: str
    message: str
    hint: str = ""
