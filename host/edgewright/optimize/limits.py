"""The limits of a search: the caller's, and the project's where the caller has none."""

from __future__ import annotations

from edgewright.errors import Code, UsageError
from edgewright.nouns.optimization import EXAMPLE, OptimizeBudget
from edgewright.nouns.project import Budget


def limits_of(
    given: OptimizeBudget | str, project: Budget, *, on_board: bool, evaluated: bool
) -> tuple[OptimizeBudget, list[str]]:
    """The limits, and which of the project's are left out and why.

    Args:
        on_board: there is a board that measures latency. evaluated: there are labelled data.

    Raises:
        UsageError: there are none, or one of the caller's cannot be looked at.
    """
    own = (
        given
        if isinstance(given, OptimizeBudget)
        else OptimizeBudget.of(given)
        if given
        else OptimizeBudget()
    )
    if own.drop is not None and not evaluated:
        raise UsageError(
            "a limit on the drop needs labelled data",
            hint="give --evaluation FILE, or leave drop out of the budget",
            code=Code.EVALUATION_MISSING,
        )
    if own.p95_ms is not None and not on_board:
        raise UsageError(
            "latency is measured on a board", hint="name one with --on, or leave p95 out of the budget"
        )
    others, untried = {"size_mb": project.size_mb}, list[str]()
    for name, limit, known, cure in (
        ("p95_ms", project.p95_ms, on_board, "p95: name boards with --on"),
        ("drop", project.max_drop, evaluated, "max_drop: give labelled data with --evaluation"),
    ):
        others[name] = limit if known else None
        if limit is not None and not known and getattr(own, name) is None:
            untried.append(f"the project's limit on {cure}")
    found = own.over(OptimizeBudget(**others))
    if found == OptimizeBudget():
        raise UsageError("there is no budget", hint=f"give --budget, {EXAMPLE}")
    if on_board and found.p95_ms is None:
        raise UsageError(
            "boards measure latency, and the budget has none", hint="add p95 to --budget, or leave --on out"
        )
    return found, untried
