"""edgewright export: writes an artifact as a program for applications without Python."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgewright.cli import options, render

app = typer.Typer(rich_markup_mode=None)


@app.command()
def export(
    artifact: Annotated[
        str,
        typer.Argument(
            metavar="ARTIFACT", help="Id of an artifact, its beginning, or a folder that convert made."
        ),
    ],
    language: Annotated[str, typer.Option("--lang", metavar="LANGUAGE", help="Language of the program: c.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="The new folder; default: NAME-c in this one."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="NAME",
            help="Name of the model in C, before all names; default: from its source file.",
        ),
    ] = None,
    dry_run: options.DRY_RUN = False,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Write an artifact as a C program: header, implementation, main program, Makefile, model and runtime."""
    from edgewright.api.export import export_of
    from edgewright.cli.progress import shown
    from edgewright.errors import UsageError

    if language != "c":
        raise UsageError(f"no programs in this language: {language}", hint="the only one is --lang c")
    wanted = export_of(artifact, output, name)
    if dry_run:
        found = wanted.described()
    else:
        with shown() as progress:
            found = wanted.write(progress)
    if as_json:
        from edgewright.cli.results.export import ExportResult

        render.result("export", ExportResult(dry_run=dry_run, program=found))
        return
    from edgewright.cli.views.export import show

    show(found, dry_run=dry_run)
