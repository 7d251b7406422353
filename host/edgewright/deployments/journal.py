"""Journal: records what a deployment is about to do and how it ended, so that another run can finish it."""

from __future__ import annotations

from typing import Protocol

from edgewright.nouns.deploy_plan import BoardPlan, DeployPlan
from edgewright.nouns.outcome import BoardOutcome


class Journal(Protocol):
    """The journal that a run writes; `store.journal.DeploymentJournal` stores it in the history's database. A call's data is durable when it returns."""

    def begin(self, plan: DeployPlan, *, numbered: bool = False) -> None:
        """Records a plan before any of its boards is changed.

        Args:
            numbered: the version was assigned, not given by the user: no other artifact may have it.
        """

    def begun(self, plan: DeployPlan, entry: BoardPlan, txn: str) -> None:
        """Records what a board answered, and the transaction that is about to change it."""

    def ended(self, plan: DeployPlan, outcome: BoardOutcome) -> None:
        """Records how the deployment ended on a board; after an unknown outcome, a resume asks the board."""


class NoJournal:
    """The journal of a dry run: records nothing."""

    def begin(self, plan: DeployPlan, *, numbered: bool = False) -> None:
        """Records nothing."""

    def begun(self, plan: DeployPlan, entry: BoardPlan, txn: str) -> None:
        """Records nothing."""

    def ended(self, plan: DeployPlan, outcome: BoardOutcome) -> None:
        """Records nothing."""
