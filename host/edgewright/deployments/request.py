"""DeployRequest: what to deploy, and how."""

from __future__ import annotations

from pathlib import Path

from edgewright.compile.request import ModelRequest
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.base import Noun
from edgewright.nouns.board import Board, Fleet
from edgewright.nouns.policy import ReleasePolicy
from edgewright.nouns.profile import Profile
from edgewright.nouns.project import Budget
from edgewright_agent.protocol import HOOK_SECONDS


class DeployRequest(Noun, frozen=True, kw_only=True):
    """A request for a deployment.

    Attributes:
        wanted: the model and its conversion. policy: how to release it.
        artifact: shipped unchanged instead of a conversion of `wanted.model.source`.
        version: None takes the next whole number.
        hooks: kind -> script on this machine.
        hook_s: seconds that each hook may take.
        wheels: wheel files of the runtime, used instead of resolving one.
        parallel: boards at once.
    """

    fleet: Fleet
    boards: tuple[Board, ...]
    wanted: ModelRequest
    policy: ReleasePolicy = ReleasePolicy()
    artifact: Artifact | None = None
    version: str | None = None
    hooks: dict[str, Path] = {}
    hook_s: float = HOOK_SECONDS
    wheels: tuple[Path, ...] = ()
    parallel: int = 16

    @property
    def name(self) -> str:
        """The model's name on the boards."""
        return self.wanted.model.name

    def budget_of(self, profile: Profile) -> Budget:
        """The budget for a profile: keys from the command line replace the project's."""
        return self.wanted.budget_of(profile, self.policy.budget)
