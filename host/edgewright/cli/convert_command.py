"""edgewright convert: compiles a model for a profile and checks its answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgewright.cli import options, render

app = typer.Typer(rich_markup_mode=None)


@app.command()
def convert(
    model: Annotated[
        Path | None, typer.Argument(metavar="[MODEL]", help="Model; default: the project's.")
    ] = None,
    profile: Annotated[str, typer.Option("--profile", help="Kind of board.")] = "generic-x86_64",
    target: options.TARGET = None,
    precision: options.PRECISION = None,
    calibration: options.CALIBRATION = None,
    evaluation: options.EVALUATION = None,
    max_drop: options.MAX_DROP = None,
    input_shape: options.INPUT_SHAPE = None,
    inputs: options.ENDS_INPUTS = None,
    outputs: options.ENDS_OUTPUTS = None,
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
    project: options.PROJECT = None,
    dry_run: options.DRY_RUN = False,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Compile a model for a profile and check its answers."""
    from edgewright.cli import project_source
    from edgewright.compile.recognise import recognise
    from edgewright.compile.request import CompileRequest
    from edgewright.config import profiles
    from edgewright.deploy.build import recipe_of
    from edgewright.deploy.request import DeployRequest
    from edgewright.errors import UsageError
    from edgewright.nouns.board import Fleet

    kind = profiles.load(profile)
    choice = project_source.choose(
        model, project_source.load_project(project), inputs=options.input_shapes(input_shape),
        conversion=options.conversion(inputs, outputs, keep_float, calibration_method, integer_io),
        calibration=calibration, evaluation=evaluation, precision=precision,
    )  # fmt: skip
    if output is not None and output.exists():
        raise UsageError(
            f"there is something already: {output}", hint="name a folder that does not exist yet"
        )
    wanted = DeployRequest(
        fleet=Fleet(name="", path=Path("fleet.toml"), boards={}), boards=(), model=choice.name, project=choice.project,
        target=target, precision=precision, calibration=choice.calibration,
    )  # fmt: skip
    recipe = recipe_of(wanted, kind, recognise(choice.model).source.format)
    budget = wanted.budget_of(kind)
    request = CompileRequest(
        source=choice.model, target=recipe.target, precision=recipe.precision, default_precision=recipe.default_precision,
        inputs=choice.inputs, conversion=choice.conversion, calibration=choice.calibration, preprocessing=choice.preprocessing,
        evaluation=choice.evaluation, metric=choice.metric,
        max_drop=budget.max_drop if max_drop is None else max_drop, use_cache=not no_cache,
        allow_constant=allow_constant,
    )  # fmt: skip
    if dry_run:
        show_plan(request, as_json)
    else:
        compile_and_show(request, output, as_json)


def show_plan(request: object, as_json: bool) -> None:
    """Prints what would be done."""
    from edgewright.compile.request import CompileRequest
    from edgewright.compile.run import plan

    assert isinstance(request, CompileRequest)  # noqa: S101 - kept lazy for the sake of `--help`
    planned = plan(request)
    if as_json:
        render.document("convert", dry_run=True, plan=planned)
        return
    render.line(f"{planned.source.format} -> {planned.target}, {planned.precision}")
    for step in planned.steps:
        render.line(f"  {step}")
    if planned.artifact:
        render.line(f"in the cache already: {planned.artifact[:12]}")


def compile_and_show(request: object, output: Path | None, as_json: bool) -> None:
    """Converts and prints what came out."""
    import shutil

    from edgewright.cli.progress import shown
    from edgewright.compile.request import CompileRequest
    from edgewright.compile.run import compile_model

    assert isinstance(request, CompileRequest)  # noqa: S101 - kept lazy for the sake of `--help`
    with shown() as progress:
        artifact = compile_model(request, progress)
    folder = artifact.folder
    if output is not None:
        shutil.copytree(folder, output)
        folder = output
    manifest = artifact.manifest
    if as_json:
        render.document("convert", artifact=artifact.id, folder=folder, manifest=manifest)
        return
    parity, accuracy = manifest.parity, manifest.accuracy
    rows = [
        ("artifact", artifact.id[:12]),
        ("folder", folder),
        ("source", f"{manifest.source.file} ({manifest.source.format})"),
        ("target", f"{manifest.target} {manifest.precision}"),
        ("size", render.size(manifest.model_bytes)),
        ("calibration", calibration_text(manifest.calibration.kind, manifest.calibration.samples)),
        ("parity", f"SQNR {parity.sqnr_db:.1f} dB, cosine {parity.cosine:.6f}, max abs {parity.max_abs:.2g}, "
                   f"max relative {parity.max_relative:.2g}, top-1 agreement {parity.top1_agreement:.0%} of {parity.count}"),
        ("needs", ", ".join(f"{key} {value}" for key, value in sorted(manifest.requires.items())) or "-"),
    ]  # fmt: skip
    if accuracy is not None:
        rows.append(
            (
                "accuracy",
                f"{accuracy.metric} {accuracy.artifact:.2%}, the source's {accuracy.source:.2%}, {accuracy.n} samples",
            )
        )
    render.table("", ["", ""], rows)


def calibration_text(kind: str, samples: int) -> str:
    """How the ranges were fixed, for a person."""
    return {"data": f"{samples} samples", "synthetic": "synthetic: answers on real inputs are unknown"}.get(
        kind, "-"
    )
