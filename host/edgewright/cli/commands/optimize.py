"""edgewright optimize: makes a model fit a budget."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgewright.cli import options, render
from edgewright.errors import Exit

app = typer.Typer(rich_markup_mode=None)


@app.command()
def optimize(
    model: Annotated[
        Path | None,
        typer.Argument(
            metavar="[MODEL]", help="Model file, folder or module.py:function; default: the project's."
        ),
    ] = None,
    budget: Annotated[
        str,
        typer.Option(
            "--budget",
            metavar="LIMITS",
            help="Such as size=2MB,p95=20ms,macs=5M,drop=1%; limits that it leaves out are the project's.",
        ),
    ] = "",
    profile: Annotated[str, typer.Option("--profile", help="Kind of board.")] = "generic-x86_64",
    on: Annotated[
        str | None,
        typer.Option("--on", metavar="SELECTOR", help="Boards that measure p95; the slowest counts."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="FILE", help="Labelled data to train with, and to calibrate by."),
    ] = None,
    validation: Annotated[
        Path | None,
        typer.Option(
            "--validation",
            metavar="FILE",
            help="Data that decide while it trains; default: a tenth of --data.",
        ),
    ] = None,
    evaluation: options.EVALUATION = None,
    calibration: options.CALIBRATION = None,
    target: Annotated[
        str | None,
        typer.Option("--target", help="The only runtime to try; default: the profile's first two."),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            "--precision",
            help="The only one to try: {precisions}; default: the project's, else 32, 16 and 8 bits.",
        ),
    ] = None,
    metric: options.METRIC = None,
    score: options.SCORE = None,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Epochs of each step that trains.")] = 10,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of everything random.")] = 0,
    trust_model: options.TRUST_MODEL = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Also copy the artifact into this new folder.")
    ] = None,
    max_trials: Annotated[int | None, typer.Option("--max-trials", min=1, help="Most candidates.")] = None,
    max_minutes: Annotated[
        float | None,
        typer.Option("--max-minutes", min=0.0, help="Begin no candidate after this many minutes."),
    ] = None,
    fleet: options.FLEET = None,
    project: options.PROJECT = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Make everything again even if nothing changed.")
    ] = False,
    dry_run: options.DRY_RUN = False,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Make a model fit a budget: by precision and target, then by fewer channels and training."""
    from edgewright.api import optimization
    from edgewright.api.conversion import copied
    from edgewright.api.fleets import Fleet
    from edgewright.cli import project_source
    from edgewright.cli.progress import Passwords, shown
    from edgewright.cli.results.optimize import OptimizeResult
    from edgewright.cli.views import optimization as view
    from edgewright.errors import UsageError
    from edgewright.measure.search.engine import Limits

    if output is not None and output.exists():
        raise UsageError(
            f"there is something already: {output}", hint="name a folder that does not exist yet"
        )
    request = optimization.wanted_of(
        model, budget, profile=profile, training=data, validation=validation, seed=seed, on_board=on is not None,
        target=target, precision=precision, calibration=calibration, evaluation=evaluation, metric=metric,
        score=score, trust_model=trust_model, use_cache=not no_cache, project=project_source.load_project(project),
    )  # fmt: skip
    if dry_run:
        labels, untried = optimization.plan(request, epochs)
        planned = OptimizeResult(budget=request.budget, dry_run=True, plan=labels, untried=untried)
        render.result("optimize", planned) if as_json else view.show_plan(planned)
        return
    boards = None if on is None else Fleet.load(fleet).select(on)
    limits = Limits(trials=max_trials, seconds=None if max_minutes is None else 60 * max_minutes)
    with shown() as progress:
        best = optimization.run(
            request, limits, epochs=epochs, boards=boards, ask_password=Passwords(progress), progress=progress
        )
    artifact = copied(best.artifact, output)
    if as_json:
        found = best.found
        render.result(
            "optimize",
            OptimizeResult(
                budget=request.budget, artifact=artifact.id, folder=artifact.folder, manifest=artifact.manifest,
                search=found.result, front=found.front, untried=found.untried,
            ),
            ok=best.ok and not best.stopped,
        )  # fmt: skip
    else:
        view.show(best, artifact)
    if best.stopped:
        raise typer.Exit(Exit.ABORTED)
    if not best.ok:
        raise typer.Exit(Exit.SOME_FAILED)
