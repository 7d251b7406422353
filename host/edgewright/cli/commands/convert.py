"""edgewright convert: compiles a model for a profile and verifies its outputs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgewright.cli import options, render

if TYPE_CHECKING:
    from edgewright.api.conversion import Wanted

app = typer.Typer(rich_markup_mode=None)


@app.command()
def convert(
    model: Annotated[
        Path | None,
        typer.Argument(
            metavar="[MODEL]",
            help="Model file, folder or module.py:function (runs with your rights); default: the project's.",
        ),
    ] = None,
    profile: Annotated[str, typer.Option("--profile", help="Kind of board.")] = "generic-x86_64",
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
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Also copy the artifact into this new folder.")
    ] = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Convert again even if nothing changed.")
    ] = False,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain", help="Also list the operators before and after, and those that were fused."
        ),
    ] = False,
    fallback: Annotated[
        bool,
        typer.Option("--fallback", help="Search for the precision nearest to int8 that meets --max-drop."),
    ] = False,
    max_trials: Annotated[
        int | None, typer.Option("--max-trials", min=1, help="--fallback: most conversions.")
    ] = None,
    max_minutes: Annotated[
        float | None,
        typer.Option("--max-minutes", min=0.0, help="--fallback: begin no trial after this many minutes."),
    ] = None,
    project: options.PROJECT = None,
    dry_run: options.DRY_RUN = False,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Compile a model for a profile and verify its outputs."""
    from edgewright.api import conversion
    from edgewright.cli import project_source
    from edgewright.cli.progress import shown
    from edgewright.errors import UsageError

    if not fallback and (max_trials is not None or max_minutes is not None):
        raise UsageError(
            "--max-trials and --max-minutes limit a search", hint="add --fallback, or leave them out"
        )
    typed = project_source.ModelOptions.of(locals())
    with shown() as progress:
        wanted = conversion.wanted_of(
            model, typed.options(project_source.load_project(project)), profile=profile, max_drop=max_drop,
            output=output, progress=progress,
        )  # fmt: skip
    if dry_run:
        show_plan(wanted, as_json)
    elif fallback:
        from edgewright.cli.views.search import search_and_show

        search_and_show(wanted, max_trials, max_minutes, output=output, explained=explain, as_json=as_json)
    else:
        convert_and_show(wanted, output, as_json, explained=explain)


def show_plan(wanted: Wanted, as_json: bool) -> None:
    """Prints what a conversion would do."""
    from edgewright.api.conversion import planned

    plan, notes = planned(wanted)
    if as_json:
        from edgewright.cli.results.convert import ConvertResult

        render.result("convert", ConvertResult(dry_run=True, plan=plan, notes=notes))
        return
    render.line(f"{plan.source.format} -> {plan.target}, {plan.precision}")
    for step in plan.steps:
        render.line(f"  {step}")
    for note in notes:
        render.line(f"note: {note}")
    if plan.artifact:
        render.line(f"already in the cache: {plan.artifact[:12]}")
    render.ending("nothing was converted: leave out --dry-run to convert")


def convert_and_show(wanted: Wanted, output: Path | None, as_json: bool, *, explained: bool) -> None:
    """Converts the model and prints the result."""
    from edgewright.api import conversion
    from edgewright.cli.progress import shown
    from edgewright.cli.views.artifact import record, show_converted

    with shown() as progress:
        converted = conversion.run(wanted, explained=explained, progress=progress)
    converted = converted._replace(artifact=conversion.copied(converted.artifact, output))
    if as_json:
        render.result("convert", record(converted))
    else:
        show_converted(converted)
        made = converted.artifact.id[:12]
        render.ending(
            f"next: `edgewright deploy {made} --to SELECTOR`, or `edgewright bench {made} --on SELECTOR`"
        )
