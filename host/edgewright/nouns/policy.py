"""ReleasePolicy: how a release is put on boards."""

from __future__ import annotations

from edgewright.nouns.base import Noun
from edgewright.nouns.measurement import QUICK, Protocol
from edgewright.nouns.project import Budget

DEADLINE_S = 60.0


class ReleasePolicy(Noun, frozen=True, kw_only=True):
    """The user's decisions about a release, apart from the model.

    Attributes:
        stage: stop once the release is verified and measured; do not change `current`.
        dry_run: report what would be done; change nothing.
        deadline_s: seconds after which the board reverts an uncommitted trial, in addition to the time limits of its hooks.
        unguarded: allow a trial although nothing on the board would end it after a reboot.
        allow_synthetic: ship an artifact that was calibrated without data.
        accept_interface_change: ship a model whose inputs or outputs differ from the incumbent's.
        accelerator: the accelerator to run on; None for the budget's, or else any.
        protocol: how to measure the release.
        budget: keys of the gate that override the project's.
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
