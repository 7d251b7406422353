"""edgewright deploy: converts a model, ships it, measures it on boards, and activates or refuses it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from edgewright.cli import options, render

if TYPE_CHECKING:
    from edgewright.deploy.request import DeployRequest
    from edgewright.nouns.outcome import BoardOutcome

app = typer.Typer(rich_markup_mode=None)


@app.command()
def deploy(
    context: typer.Context,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL|ARTIFACT]",
            help="Model file, folder or module.py:function, or an artifact's id or folder; with --resume a deployment's id.",
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="SELECTOR", help="Boards: names, @label, name[01-20], all, comma-joined."
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Finish a deployment whose host was stopped, on the boards that are left."
        ),
    ] = False,
    take_over: Annotated[
        bool,
        typer.Option(
            "--take-over", help="With --resume: also one that another machine began, which has stopped."
        ),
    ] = False,
    name: Annotated[str | None, typer.Option("--name", help="Name of the model on the boards.")] = None,
    version: Annotated[
        str | None, typer.Option("--version", help="Version; default: the next whole number.")
    ] = None,
    target: options.TARGET = None,
    precision: options.PRECISION = None,
    calibration: options.CALIBRATION = None,
    evaluation: options.EVALUATION = None,
    metric: options.METRIC = None,
    score: options.SCORE = None,
    max_drop: options.MAX_DROP = None,
    input_shape: options.INPUT_SHAPE = None,
    inputs: options.ENDS_INPUTS = None,
    outputs: options.ENDS_OUTPUTS = None,
    signature: options.SIGNATURE = None,
    keep_float: options.KEEP_FLOAT = None,
    calibration_method: options.CALIBRATION_METHOD = None,
    integer_io: options.INTEGER_IO = None,
    allow_constant: options.ALLOW_CONSTANT = False,
    accept_interface_change: options.ACCEPT_INTERFACE = False,
    accelerator: Annotated[
        str | None,
        typer.Option(
            "--accelerator",
            help="Refuse boards where it is absent or not used; `auto`: the fastest available.",
        ),
    ] = None,
    stage: Annotated[
        bool, typer.Option("--stage", help="Verify and measure, but do not change `current`.")
    ] = False,
    protocol: Annotated[
        str,
        typer.Option(
            "--protocol", help="quick (15 s per board) or standard (60 s); longer if a runtime starts slowly."
        ),
    ] = "quick",
    deadline: Annotated[
        float,
        typer.Option(
            "--deadline",
            min=5,
            max=86400,
            help="Seconds until a trial reverts unless it is committed, plus the time its hooks may take.",
        ),
    ] = 60.0,
    allow_synthetic: Annotated[
        bool, typer.Option("--allow-synthetic", help="Ship an artifact that was calibrated without data.")
    ] = False,
    unguarded: Annotated[
        bool,
        typer.Option(
            "--unguarded", help="Accept boards without a guard, where nothing ends a trial after a reboot."
        ),
    ] = False,
    wheel: Annotated[
        list[Path] | None,
        typer.Option("--wheel", help="Wheel of the runtime, such as a Jetson build; may be repeated."),
    ] = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Convert again even if nothing changed.")
    ] = False,
    parallel: options.PARALLEL = 16,
    fleet: options.FLEET = None,
    project: options.PROJECT = None,
    dry_run: options.DRY_RUN = False,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Convert a model, ship it, measure it on boards, activate or refuse it."""
    from edgewright.cli.progress import Passwords, shown
    from edgewright.compile.request import check_limit
    from edgewright.config import fleet as fleets
    from edgewright.deploy.deployment import deploy as run
    from edgewright.errors import UsageError
    from edgewright.nouns.measurement import PROTOCOLS
    from edgewright.nouns.policy import ReleasePolicy
    from edgewright.nouns.project import Budget
    from edgewright.nouns.selector import select
    from edgewright.store.history import History

    given = dict(locals())
    if resume:
        check_resumed(context)
        resume_and_show(
            model or "", fleet, take_over=take_over, parallel=parallel, dry_run=dry_run, as_json=as_json
        )
    if take_over:
        raise UsageError("--take-over without --resume", hint="leave it out, or add --resume")
    if to is None:
        raise UsageError("no boards", hint="name them: --to SELECTOR, such as --to all")
    loaded = fleets.load(options.fleet_path(fleet))
    boards = select(loaded, to)
    policy = ReleasePolicy(
        stage=stage, dry_run=dry_run, deadline_s=deadline, unguarded=unguarded, allow_synthetic=allow_synthetic,
        accept_interface_change=accept_interface_change, accelerator=accelerator, budget=Budget(max_drop=max_drop),
        protocol=options.known("protocol", protocol, PROTOCOLS),
    )  # fmt: skip
    common = {
        "fleet": loaded, "boards": tuple(boards), "version": checked_version(version), "policy": policy,
        "wheels": tuple(wheel or ()), "parallel": parallel,
    }  # fmt: skip
    request = deploy_request(common, model, name, project, given)
    check_limit(max_drop, request.wanted.model)
    with shown() as progress:
        outcomes = run(request, history=History(), ask_password=Passwords(progress), progress=progress)
    finish(request.name, outcomes, dry_run=dry_run, as_json=as_json)


RESUMED = ("context", "model", "resume", "take_over", "parallel", "fleet", "dry_run", "as_json", "debug")


def check_resumed(context: typer.Context) -> None:
    """Raises UsageError for an option that a deployment which is resumed has decided already."""
    from click.core import ParameterSource

    from edgewright.errors import UsageError

    for name in context.params:
        if name not in RESUMED and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UsageError(
                f"--{name.replace('_', '-')} was decided when the deployment began",
                hint="give it to a new deployment, or leave it out to finish this one",
            )


def resume_and_show(
    name: str, fleet: Path | None, *, take_over: bool, parallel: int, dry_run: bool, as_json: bool
) -> NoReturn:
    """Finishes a deployment and ends the command."""
    from edgewright.cli.progress import Passwords, shown
    from edgewright.config import fleet as fleets
    from edgewright.deploy.resume import ResumeRequest, resume
    from edgewright.store.history import History

    request = ResumeRequest(
        fleet=fleets.load(options.fleet_path(fleet)),
        name=name,
        take_over=take_over,
        dry_run=dry_run,
        parallel=parallel,
    )
    with shown() as progress:
        found = resume(request, history=History(), ask_password=Passwords(progress), progress=progress)
    finish(found.model, found.outcomes, dry_run=dry_run, as_json=as_json)


def finish(model: str, outcomes: list[BoardOutcome], *, dry_run: bool, as_json: bool) -> NoReturn:
    """Prints the outcomes, and ends with their exit code."""
    from edgewright.cli.views import boards
    from edgewright.nouns.outcome import exit_code

    code = exit_code(outcomes)
    if as_json:
        from edgewright.cli.results.releases import DeployResult

        result = DeployResult(model=model, outcomes=tuple(outcomes))
        render.result("deploy", result, ok=code == 0)
    else:
        boards.outcomes(f"deploy {model}", outcomes)
        if dry_run:
            for outcome in outcomes:
                render.line(f"{outcome.board}: {'; '.join(outcome.steps) or outcome.outcome}")
    raise typer.Exit(int(code))


def checked_version(version: str | None) -> str | None:
    """The version, when it can be a folder's name on a board."""
    from edgewright.errors import UsageError
    from edgewright_agent.protocol import NAME

    if version is not None and not NAME.match(version):
        raise UsageError(
            f"not a version: {version!r}",
            hint="lower-case letters, digits, dot, dash and underscore, at most 64",
        )
    return version


def deploy_request(
    common: dict[str, Any],
    model: str | None,
    name: str | None,
    project_file: Path | None,
    given: dict[str, Any],
) -> DeployRequest:
    """The request for a model or an artifact, with what the project file adds.

    Args:
        common: the fields that the model does not decide. given: the command's arguments.
    """
    from edgewright.cli import project_source
    from edgewright.deploy.request import DeployRequest
    from edgewright.errors import UsageError
    from edgewright_agent.protocol import HOOK_SECONDS, NAME

    project = project_source.load_project(project_file)
    artifact = project_source.find_artifact(model) if model is not None else None
    typed = project_source.ModelOptions.of(given)
    if artifact is not None and project is None and name is None:
        raise UsageError("an artifact has no name on the boards", hint="give one: --name NAME")
    if artifact is not None:
        wanted = project_source.artifact_request(artifact, project, typed, name)
    else:
        wanted = project_source.model_request(
            Path(model) if model is not None else None, project, typed, name
        )
    if not NAME.match(wanted.model.name):
        raise UsageError(
            f"not a model's name: {wanted.model.name!r}",
            hint="lower-case letters, digits, dot, dash and underscore",
        )
    common["version"] = common["version"] or (project.file.version if project else None)
    return DeployRequest(
        **common, wanted=wanted, artifact=artifact, hooks=hooks_of(project),
        hook_s=project.file.hooks.timeout_s if project else HOOK_SECONDS,
    )  # fmt: skip


def hooks_of(project: object) -> dict[str, Path]:
    """The project's hook scripts by kind; each must be there."""
    from edgewright.errors import ConfigError
    from edgewright.nouns.project import HOOKS, Project

    found: dict[str, Path] = {}
    if isinstance(project, Project):
        for kind in HOOKS:
            path = project.resolve(getattr(project.file.hooks, kind))
            if path is not None:
                if not path.is_file():
                    raise ConfigError(
                        f"no such hook script: {path}", hint=f"correct hooks.{kind} in {project.path.name}"
                    )
                found[kind] = path
    return found
