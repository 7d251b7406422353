"""edgewright convert: compiles a model for a profile and checks its answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgewright.cli import options, render

if TYPE_CHECKING:
    from edgewright.nouns.profile import Profile

app = typer.Typer(rich_markup_mode=None)


@app.command()
def convert(
    model: Annotated[
        Path | None,
        typer.Argument(
            metavar="[MODEL]", help="Model file, folder or module.py:function; default: the project's."
        ),
    ] = None,
    profile: Annotated[str, typer.Option("--profile", help="Kind of board.")] = "generic-x86_64",
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
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Also copy the artifact into this new folder.")
    ] = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Convert again even if nothing changed.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Also list operators before and after, and what was fused.")
    ] = False,
    fallback: Annotated[
        bool,
        typer.Option("--fallback", help="Search the precision nearest to int8 that meets --max-drop."),
    ] = False,
    max_trials: Annotated[
        int | None, typer.Option("--max-trials", min=1, help="--fallback: conversions at most.")
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option("--max-minutes", min=0.0, help="--fallback: begin no trial after so long.")
    ] = None,
    project: options.PROJECT = None,
    dry_run: options.DRY_RUN = False,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Compile a model for a profile and verify its outputs."""
    import msgspec

    from edgewright.cli import project_source
    from edgewright.compile.recognition import recognise
    from edgewright.config import profiles
    from edgewright.deploy.artifacts import compile_request, recipe_of
    from edgewright.errors import UsageError

    typed = project_source.ModelOptions.of(locals())
    kind = profiles.load(profile)
    wanted = project_source.model_request(model, project_source.load_project(project), typed)
    if output is not None and output.exists():
        raise UsageError(
            f"there is something already: {output}", hint="name a folder that does not exist yet"
        )
    found = recognise(wanted.model.source)
    for fault in found.faults:
        render.note(fault)
    recipe = recipe_of(wanted, kind, found.source.format)
    if max_drop is None and wanted.model.evaluation is not None:
        max_drop = wanted.budget_of(kind).max_drop
    request = msgspec.structs.replace(compile_request(wanted, recipe), max_drop=max_drop)
    if dry_run:
        show_plan(request, as_json)
    elif fallback:
        from edgewright.cli.views.search import search_and_show

        search_and_show(request, max_trials, max_minutes, profile=kind, output=output, explain=explain, as_json=as_json)  # fmt: skip
    else:
        compile_and_show(request, output, as_json, explain=explain, profile=kind)


def show_plan(request: object, as_json: bool) -> None:
    """Prints what would be done."""
    from edgewright.compile.open_inputs import decided
    from edgewright.compile.pipeline import plan
    from edgewright.compile.request import CompileRequest

    assert isinstance(request, CompileRequest)  # noqa: S101 - imported late to keep `--help` fast
    planned = plan(request)
    notes = decided(request, planned.source.format)
    if as_json:
        from edgewright.cli.results.convert import ConvertResult

        render.result("convert", ConvertResult(dry_run=True, plan=planned, notes=tuple(notes)))
        return
    render.line(f"{planned.source.format} -> {planned.target}, {planned.precision}")
    for step in planned.steps:
        render.line(f"  {step}")
    for note in notes:
        render.line(f"note: {note}")
    if planned.artifact:
        render.line(f"in the cache already: {planned.artifact[:12]}")


def compile_and_show(
    request: object, output: Path | None, as_json: bool, *, profile: Profile, explain: bool = False
) -> None:
    """Converts and prints what came out."""
    from edgewright.cli.progress import shown
    from edgewright.cli.views.artifact import copied, record, show_artifact, show_too_old
    from edgewright.cli.views.explain import show_explanation
    from edgewright.compile.explain import explain as explain_artifact
    from edgewright.compile.request import CompileRequest
    from edgewright.compile.workers.pool import Workers
    from edgewright.config import home
    from edgewright.deploy.runtime_caps import compile_for

    assert isinstance(request, CompileRequest)  # noqa: S101 - imported late to keep `--help` fast
    with shown() as progress, Workers(home.folder("logs") / "convert.log") as workers:
        artifact, too_old = compile_for(profile, request, progress, workers)
        explanation = explain_artifact(request, artifact, workers) if explain else None
    folder = copied(artifact.folder, output)
    if as_json:
        render.result("convert", record(artifact, folder, explanation))
        return
    show_artifact(artifact, folder)
    show_too_old(too_old, profile)
    if explanation is not None:
        show_explanation(explanation)
