"""Journal: where a deployment keeps what it is about to do and how it ended, so that another run can finish it."""

from __future__ import annotations

from typing import Protocol

from edgewright.nouns.deploy_plan import BoardPlan, DeployPlan
from edgewright.nouns.outcome import BoardOutcome


class Journal(Protocol):
    """What a run writes; `store.journal.DeploymentJournal` keeps it in the history's database. Each call is durable when it returns."""

    def begin(self, plan: DeployPlan) -> None:
        """Keeps a plan, before any of its boards is touched."""

    def begun(self, plan: DeployPlan, entry: BoardPlan, txn: str) -> None:
        """Keeps what a board answered and the transaction that is about to touch it."""

    def ended(self, plan: DeployPlan, outcome: BoardOutcome) -> None:
        """Keeps how it ended on a board; an outcome that is unknown leaves the board to be asked."""


class NoJournal:
    """Of a dry run: nothing is touched and nothing is kept."""

    def begin(self, plan: DeployPlan) -> None:
        """Keeps nothing."""

    def begun(self, plan: DeployPlan, entry: BoardPlan, txn: str) -> None:
        """Keeps nothing."""

    def ended(self, plan: DeployPlan, outcome: BoardOutcome) -> None:
        """Keeps nothing."""
