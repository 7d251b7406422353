"""edgewright deploy: converts a model, ships it, measures it on boards, and activates or refuses it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from edgewright.cli import options, render

if TYPE_CHECKING:
    from edgewright.api.results import DeployResult

app = typer.Typer(rich_markup_mode=None)


@app.command()
def deploy(
    context: typer.Context,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL|ARTIFACT]",
            help="Model file, folder or module.py:function (runs with your rights), or an artifact's id or folder; with --resume a deployment's id.",
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
    cpu: options.CPU = None,
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
    trust_model: options.TRUST_MODEL = False,
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
    from edgewright.api import deployment, models
    from edgewright.api.fleets import Fleet
    from edgewright.cli import project_source
    from edgewright.cli.progress import Passwords, shown
    from edgewright.errors import UsageError
    from edgewright.nouns.measurement import PROTOCOLS
    from edgewright.nouns.policy import ReleasePolicy
    from edgewright.nouns.project import Budget

    typed = project_source.ModelOptions.of(locals())
    if resume:
        check_resumed(context)
        resume_and_show(
            model or "", fleet, take_over=take_over, parallel=parallel, dry_run=dry_run, as_json=as_json
        )
    if take_over:
        raise UsageError("--take-over without --resume", hint="leave it out, or add --resume")
    if to is None:
        raise UsageError("no boards", hint="name them: --to SELECTOR, such as --to all")
    chosen = Fleet.load(fleet).select(to)
    policy = ReleasePolicy(
        stage=stage, dry_run=dry_run, deadline_s=deadline, unguarded=unguarded, allow_synthetic=allow_synthetic,
        accept_interface_change=accept_interface_change, accelerator=accelerator, budget=Budget(max_drop=max_drop),
        protocol=options.known("protocol", protocol, PROTOCOLS),
    )  # fmt: skip
    deployment.check_version(version)
    given = typed.options(project_source.load_project(project))
    given["name"] = name
    with shown() as progress:
        passwords = Passwords(progress)
        planned = deployment.plan(
            chosen, models.find_artifact(model) or model if model is not None else None, policy=policy, version=version,
            wheels=wheel or (), parallel=parallel, ask_password=passwords, progress=progress, **given,
        )  # fmt: skip
        result = deployment.deploy(planned, parallel=parallel, ask_password=passwords, progress=progress)
    finish(result, dry_run=dry_run, as_json=as_json)


RESUMED = ("context", "model", "resume", "take_over", "parallel", "fleet", "dry_run", "as_json", "debug")


def check_resumed(context: typer.Context) -> None:
    """Raises UsageError for an option that the resumed deployment has already fixed."""
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
    """Finishes an interrupted deployment and exits."""
    from edgewright.api import deployment
    from edgewright.api.fleets import Fleet
    from edgewright.cli.progress import Passwords, shown

    loaded = Fleet.load(fleet)
    with shown() as progress:
        result = deployment.resume(
            loaded, name, take_over=take_over, dry_run=dry_run, parallel=parallel, ask_password=Passwords(progress),
            progress=progress,
        )  # fmt: skip
    finish(result, dry_run=dry_run, as_json=as_json)


def finish(result: DeployResult, *, dry_run: bool, as_json: bool) -> NoReturn:
    """Prints the outcomes and exits with their exit code."""
    from edgewright.cli.views import boards, endings
    from edgewright.nouns.outcome import exit_code

    code = exit_code(result.outcomes)
    if as_json:
        render.result("deploy", result, ok=code == 0)
    else:
        boards.outcomes(f"deploy {result.model}", result.outcomes)
        if dry_run:
            for outcome in result.outcomes:
                render.line(f"{outcome.board}: {'; '.join(outcome.steps) or outcome.outcome}")
        render.ending(endings.deployed(result.model, result.outcomes))
    raise typer.Exit(int(code))
