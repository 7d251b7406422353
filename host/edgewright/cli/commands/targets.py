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
    from edgewright.cli.views.plugin_faults import all_faults, show_faults
    from edgewright.targets import load, names

    if matrix:
        show_matrix(as_json)
        return
    found = [load(name) for name in names()]
    if as_json:
        from edgewright.cli.results.kinds import TargetsResult

        render.result("targets", TargetsResult(targets=tuple(found), plugin_faults=all_faults()))
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
    show_faults()
    render.ending("`edgewright targets --matrix` shows what can be converted to what")


def show_matrix(as_json: bool) -> None:
    """Prints the table of routes; only the JSON document lists the combinations that have none."""
    from edgewright.cli.views.plugin_faults import all_faults, show_faults
    from edgewright.compile.route_matrix import cells

    found = cells()
    if as_json:
        from edgewright.cli.results.kinds import TargetsResult

        render.result("targets", TargetsResult(routes=found, plugin_faults=all_faults()))
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
    show_faults()
    render.ending(
        "`edgewright convert MODEL --target TARGET --precision PRECISION` takes one of these routes"
    )
