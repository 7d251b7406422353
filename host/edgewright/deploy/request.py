"""DeployRequest: what a deployment is asked to do."""

from __future__ import annotations

from pathlib import Path

from edgewright.nouns.artifact import Artifact
from edgewright.nouns.base import Noun
from edgewright.nouns.board import Board, Fleet
from edgewright.nouns.conversion import Conversion
from edgewright.nouns.measurement import QUICK, Protocol
from edgewright.nouns.metric import DEFAULT
from edgewright.nouns.profile import Profile
from edgewright.nouns.project import Budget, Compare, Preprocessing, Project
from edgewright_agent.protocol import HOOK_SECONDS

DEADLINE_S = 60.0


class DeployRequest(Noun, frozen=True, kw_only=True):
    """A deployment.

    Attributes:
        model: name of the model on the boards.
        source: model file to convert, or `artifact` to ship as it is.
        version: None takes the next whole number.
        evaluation: labelled set that is scored on every board.
        score: name or index of the output that is scored, where there are several.
        budget: keys given on the command line; they win over the project's.
        hooks: kind -> script on this machine.
        hook_s: seconds that each of them may take.
        stage: stop once the release is verified and measured; `current` stays.
        deadline_s: seconds until the board reverts an uncommitted trial, plus the time its hooks may take.
        allow_synthetic: ship what was calibrated without data.
        allow_constant: ship a model that gives the same output for every golden input.
        accept_interface_change: ship a model whose inputs or outputs are not the incumbent's.
        unguarded: the trial may start although nothing on the board would end it after a reboot.
        wheels: files of the runtime's wheels, where none is to be resolved.
        parallel: boards at once.
    """

    fleet: Fleet
    boards: tuple[Board, ...]
    model: str
    source: Path | None = None
    artifact: Artifact | None = None
    version: str | None = None
    project: Project | None = None
    target: str | None = None
    precision: str | None = None
    inputs: dict[str, tuple[int, ...]] = {}
    conversion: Conversion = Conversion()
    calibration: Path | str | None = None
    preprocessing: Preprocessing | None = None
    compare: Compare = Compare()
    labels: Path | None = None
    evaluation: Path | None = None
    metric: str = DEFAULT
    score: str | None = None
    budget: Budget = Budget()
    hooks: dict[str, Path] = {}
    hook_s: float = HOOK_SECONDS
    stage: bool = False
    dry_run: bool = False
    allow_synthetic: bool = False
    unguarded: bool = False
    allow_constant: bool = False
    accept_interface_change: bool = False
    use_cache: bool = True
    deadline_s: float = DEADLINE_S
    protocol: Protocol = QUICK
    accelerator: str | None = None
    wheels: tuple[Path, ...] = ()
    parallel: int = 16

    def budget_of(self, profile: Profile) -> Budget:
        """The project's budget for a profile with the command line's keys over it."""
        base = self.project.budget_for(profile.name) if self.project else Budget()
        keys = Budget.__struct_fields__
        return Budget(
            **{
                k: getattr(self.budget, k) if getattr(self.budget, k) is not None else getattr(base, k)
                for k in keys
            }
        )

    def precision_of(self, profile: Profile) -> str | None:
        """The precision for a profile; None leaves it to the source's own."""
        if self.precision or self.project is None:
            return self.precision
        return self.project.file.precisions.get(profile.name) or self.project.file.precision
