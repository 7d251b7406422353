"""plan, deploy and resume: ship models to boards, measure them there, and activate or refuse them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from edgewright.api.arguments import StrPath, boards_of, several
from edgewright.api.callbacks import guarded, one_at_a_time
from edgewright.api.conversion import requested
from edgewright.api.fleets import whole
from edgewright.api.models import ModelOptions, model_request
from edgewright.api.on_boards import PARALLEL
from edgewright.api.results import DeployResult
from edgewright.compile.request import ModelRequest, check_limit
from edgewright.connect.opener import Opener
from edgewright.deployments import deployment
from edgewright.deployments import resume as resuming
from edgewright.deployments.planned_deployment import Kept, PlannedDeployment, carry_out
from edgewright.deployments.request import DeployRequest
from edgewright.errors import ConfigError, UsageError
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.board import Fleet
from edgewright.nouns.policy import ReleasePolicy
from edgewright.nouns.progress import Progress
from edgewright.nouns.project import HOOKS, Project
from edgewright.store.history import History
from edgewright.wire.transport import AskPassword
from edgewright_agent.protocol import HOOK_SECONDS, NAME

DEFAULT_POLICY = ReleasePolicy()


def plan(
    fleet: Fleet,
    model: Artifact | StrPath | ModelRequest | None = None,
    *,
    policy: ReleasePolicy = DEFAULT_POLICY,
    version: str | None = None,
    wheels: Sequence[StrPath] = (),
    parallel: int = PARALLEL,
    ask_password: AskPassword | None = None,
    progress: Progress | None = None,
    **options: Unpack[ModelOptions],
) -> PlannedDeployment:
    """Plans what a deployment does on each board of a fleet. Sends nothing.

    A model is converted once for each target and precision that the boards need. Before a conversion, its boards are asked
    whether the model is on trial there. If nothing has to be converted, only boards without a profile in the fleet file are
    contacted, to find their profile.

    Args:
        model: an artifact, which needs a `name`; or as for `convert`.
        policy: how the model is released.
        version: None: the next whole number.
        wheels: wheels of the runtime, such as a Jetson build.
        parallel, ask_password, progress: as for `status`.
        options: see `ModelOptions`. For an artifact, only `project`, `name`, `evaluation`, `metric` and `score` apply.

    Returns:
        The plan for `deploy`, and the boards that cannot be in it: a board's failure never raises.

    Raises:
        EdgewrightError: the model, the data or the options cannot be used on any board.
    """
    request = request_of(
        fleet, model, options, policy=policy, version=version, wheels=wheels, parallel=parallel
    )
    return deployment.prepare(
        request, history=History(), ask_password=one_at_a_time(ask_password), progress=guarded(progress)
    )


def deploy(
    planned: PlannedDeployment,
    *,
    dry_run: bool = False,
    parallel: int = PARALLEL,
    ask_password: AskPassword | None = None,
    progress: Progress | None = None,
) -> DeployResult:
    """Ships a planned model to its boards, measures it there, and activates or refuses it on each.

    Args:
        dry_run: ask each board what would happen, and change nothing.
        parallel, ask_password, progress: as for `status`.

    Returns:
        An outcome for each board: a board's failure never raises.

    Raises:
        EdgewrightError: nothing was sent: the deployment was already begun, another artifact took its version number since it
            was planned, or the history cannot be written.
    """
    if not isinstance(planned, PlannedDeployment):
        raise TypeError(f"not a PlannedDeployment, which `plan` returns: {type(planned).__name__}")
    chosen = planned.as_dry_run() if dry_run else planned
    report = guarded(progress)
    kept = planned.kept or Kept()
    opener = Opener(planned.fleet, one_at_a_time(ask_password), report, kept.logins)
    outcomes = carry_out(chosen, opener, kept.history or History(), report, parallel)
    return DeployResult(model=planned.model, outcomes=tuple(outcomes))


def resume(
    fleet: Fleet,
    deployment: str = "",
    *,
    take_over: bool = False,
    dry_run: bool = False,
    parallel: int = PARALLEL,
    ask_password: AskPassword | None = None,
    progress: Progress | None = None,
) -> DeployResult:
    """Finishes a deployment whose host was stopped, on the remaining boards.

    Args:
        fleet: the whole fleet file counts, even if some of its boards were selected.
        deployment: its id, such as `PlannedDeployment.id`; empty: the fleet's only unfinished one.
        take_over: also resume a deployment that another machine began and has stopped working on.
        dry_run: ask each board what would happen, and change nothing.
        parallel, ask_password, progress: as for `status`.

    Raises:
        EdgewrightError: nothing was done: there is no such deployment, it has no boards left, or another process is working on it.
    """
    request = resuming.ResumeRequest(
        fleet=whole(fleet), name=deployment, take_over=take_over, dry_run=dry_run, parallel=parallel
    )
    found = resuming.resume(
        request, history=History(), ask_password=one_at_a_time(ask_password), progress=guarded(progress)
    )
    return DeployResult(model=found.model, outcomes=tuple(found.outcomes))


def request_of(
    fleet: Fleet,
    model: Artifact | StrPath | ModelRequest | None,
    options: ModelOptions,
    *,
    policy: ReleasePolicy,
    version: str | None,
    wheels: Sequence[StrPath],
    parallel: int,
) -> DeployRequest:
    """The request for a deployment, with all checks that need no board and no converter."""
    check_version(version)
    artifact = model if isinstance(model, Artifact) else None
    wanted = requested(model, options) if not isinstance(model, Artifact) else model_request(model, **options)
    project = wanted.project
    if artifact is not None and project is None and not options.get("name"):
        raise UsageError("an artifact has no name on the boards", hint="give one: --name NAME")
    if not NAME.match(wanted.model.name):
        raise UsageError(
            f"not a model's name: {wanted.model.name!r}",
            hint="lower-case letters, digits, dot, dash and underscore",
        )
    check_limit(policy.budget.max_drop, wanted.model)
    return DeployRequest(
        fleet=fleet,
        boards=boards_of(fleet),
        wanted=wanted,
        policy=policy,
        artifact=artifact,
        version=version or (project.file.version if project else None),
        hooks=hooks_of(project),
        hook_s=project.file.hooks.timeout_s if project else HOOK_SECONDS,
        wheels=tuple(Path(wheel) for wheel in several(wheels)),
        parallel=parallel,
    )


def check_version(version: str | None) -> None:
    """Raises UsageError for a version that cannot be a folder's name on a board."""
    if version is not None and not NAME.match(version):
        raise UsageError(
            f"not a version: {version!r}",
            hint="lower-case letters, digits, dot, dash and underscore, at most 64",
        )


def hooks_of(project: Project | None) -> dict[str, Path]:
    """The project's hook scripts by kind; each must exist."""
    found: dict[str, Path] = {}
    for kind in HOOKS if project else ():
        path = project.resolve(getattr(project.file.hooks, kind)) if project else None
        if path is None or project is None:
            continue
        if not path.is_file():
            raise ConfigError(
                f"no such hook script: {path}", hint=f"correct hooks.{kind} in {project.path.name}"
            )
        found[kind] = path
    return found
