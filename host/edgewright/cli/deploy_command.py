"""edgewright deploy: converts a model, ships it, measures it on boards, and activates or refuses it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgewright.cli import options, render

if TYPE_CHECKING:
    from edgewright.deploy.request import DeployRequest

app = typer.Typer(rich_markup_mode=None)


@app.command()
def deploy(
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="SELECTOR", help="Boards: names, @label, name[01-20], all, comma-joined."
        ),
    ],
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL|ARTIFACT]",
            help="Model file, folder or module.py:function, or an artifact's id or folder.",
        ),
    ] = None,
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
    from edgewright.cli import boards_output
    from edgewright.cli.progress import Passwords, shown
    from edgewright.compile.request import check_limit
    from edgewright.config import fleet as fleets
    from edgewright.deploy.deploy import deploy as run
    from edgewright.deploy.request import DeployRequest
    from edgewright.nouns.measurement import PROTOCOLS
    from edgewright.nouns.outcome import exit_code
    from edgewright.nouns.project import Budget
    from edgewright.nouns.selector import select
    from edgewright.store.history import History

    loaded = fleets.load(options.fleet_path(fleet))
    boards = select(loaded, to)
    common = DeployRequest(
        fleet=loaded, boards=tuple(boards), model="", version=checked_version(version), target=target, precision=precision,
        budget=Budget(max_drop=max_drop), stage=stage, dry_run=dry_run, allow_synthetic=allow_synthetic, unguarded=unguarded,
        use_cache=not no_cache,
        allow_constant=allow_constant, accept_interface_change=accept_interface_change, deadline_s=deadline, protocol=options.known("protocol", protocol, PROTOCOLS),
        accelerator=accelerator, wheels=tuple(wheel or ()), parallel=parallel,
    )  # fmt: skip
    request = with_source(
        common, model, name, project, options.input_shapes(input_shape),
        options.conversion(inputs, outputs, keep_float, calibration_method, integer_io, signature), calibration, evaluation,
        metric, score,
    )  # fmt: skip
    check_limit(max_drop, request.evaluation)
    with shown() as progress:
        outcomes = run(request, history=History(), ask_password=Passwords(progress), progress=progress)
    code = exit_code(outcomes)
    if as_json:
        from edgewright.cli.results.releases import DeployResult

        result = DeployResult(model=request.model, outcomes=tuple(outcomes))
        render.result("deploy", result, ok=code == 0)
    else:
        boards_output.outcomes(f"deploy {request.model}", outcomes)
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


def with_source(
    request: DeployRequest,
    model: str | None,
    name: str | None,
    project_file: Path | None,
    inputs: dict[str, tuple[int, ...]],
    conversion: dict[str, object],
    calibration: str | None,
    evaluation: Path | None,
    metric: str | None,
    score: str | None,
) -> DeployRequest:
    """The request with the model or the artifact, and what the project file says of it."""
    import msgspec

    from edgewright.cli import project_source
    from edgewright.errors import UsageError
    from edgewright_agent.protocol import NAME

    project = project_source.load_project(project_file)
    artifact = project_source.find_artifact(model) if model is not None else None
    path = Path(model) if model is not None and artifact is None else None
    if artifact is not None and project is None and name is None:
        raise UsageError("an artifact has no name on the boards", hint="give one: --name NAME")
    if artifact is not None:
        choice = project_source.for_artifact(artifact, project, name, evaluation, metric, score)
    else:
        choice = project_source.choose(
            path, project, name=name, inputs=inputs, conversion=conversion, calibration=calibration, evaluation=evaluation, metric=metric,
            score=score, precision=request.precision,
        )  # fmt: skip
    if not NAME.match(choice.name):
        raise UsageError(
            f"not a model's name: {choice.name!r}",
            hint="lower-case letters, digits, dot, dash and underscore",
        )
    return msgspec.structs.replace(
        request, model=choice.name, source=None if artifact else choice.model, artifact=artifact, project=choice.project,
        version=request.version or (choice.project.file.version if choice.project else None), inputs=choice.inputs,
        conversion=choice.conversion,
        calibration=choice.calibration, evaluation=choice.evaluation, preprocessing=choice.preprocessing, compare=choice.compare, labels=choice.labels,
        metric=choice.metric, score=choice.score, hooks=hooks_of(choice.project),
        hook_s=choice.project.file.hooks.timeout_s if choice.project else request.hook_s,
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
