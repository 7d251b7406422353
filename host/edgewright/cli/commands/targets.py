"""edgewright targets: lists the runtimes that models are compiled for."""

from __future__ import annotations

from typing import Annotated

import typer

from edgewright.cli import options, render

app = typer.Typer(rich_markup_mode=None)


@app.command()
def targets(
    matrix: Annotated[
        bool, typer.Option("--matrix", help="List the routes from every source format to every target.")
    ] = False,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """List the runtimes that models are compiled for."""
    from edgewright import targets as loader

    if matrix:
        show_matrix(as_json)
        return
    found, faults = [loader.load(name) for name in loader.names()], loader.faults()
    if as_json:
        from edgewright.cli.results.kinds import TargetsResult

        render.result("targets", TargetsResult(targets=tuple(found), plugin_faults=tuple(faults)))
        return
    render.table(
        "",
        ["target", "runtime", "sources", "precisions", "accelerators"],
        [
            (
                target.name,
                target.title,
                ", ".join(target.sources),
                ", ".join(target.precisions),
                ", ".join(target.accelerators),
            )
            for target in found
        ],
    )
    for fault in faults:
        render.note(f"target {fault}")


def show_matrix(as_json: bool) -> None:
    """Prints the table of edges; what has no way is left to the JSON document."""
    from edgewright.cli.views.plugin_faults import show_faults
    from edgewright.compile.formats import FORMATS
    from edgewright.compile.route_matrix import cells
    from edgewright.compile.steps import STEPS
    from edgewright.metrics import METRICS
    from edgewright.precisions import PRECISIONS

    found = cells()
    show_faults(FORMATS, PRECISIONS, METRICS, STEPS)
    if as_json:
        from edgewright.cli.results.kinds import TargetsResult

        render.result("targets", TargetsResult(routes=found))
        return
    render.table(
        "",
        ["source", "target", "precisions", "stages", "toolchain"],
        [
            (
                cell.source,
                cell.target,
                ", ".join(cell.precisions),
                " > ".join(cell.stages),
                ", ".join(cell.toolchains) or "-",
            )
            for cell in found
            if cell.precisions
        ],
    )
