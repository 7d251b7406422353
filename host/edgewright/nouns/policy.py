"""ReleasePolicy: how a release is let onto boards."""

from __future__ import annotations

from edgewright.nouns.base import Noun
from edgewright.nouns.measurement import QUICK, Protocol
from edgewright.nouns.project import Budget

DEADLINE_S = 60.0


class ReleasePolicy(Noun, frozen=True, kw_only=True):
    """What a user decides about a release, beside the model.

    Attributes:
        stage: stop once the release is verified and measured; `current` stays.
        dry_run: report what would be done; change nothing.
        deadline_s: seconds after which the board reverts a trial that nobody commits, in addition to what its hooks may take.
        unguarded: the trial may start although nothing on the board would end it after a reboot.
        allow_synthetic: ship what was calibrated without data.
        accept_interface_change: ship a model whose inputs or outputs differ from the incumbent's.
        accelerator: the one that it has to run on; None: the budget's, else any.
        protocol: how it is measured.
        budget: keys of the gate that win over the project's.
    """

    stage: bool = False
    dry_run: bool = False
    deadline_s: float = DEADLINE_S
    unguarded: bool = False
    allow_synthetic: bool = False
    accept_interface_change: bool = False
    accelerator: str | None = None
    protocol: Protocol = QUICK
    budget: Budget = Budget()
