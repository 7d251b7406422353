"""edgewright targets: the runtimes that a model is compiled to."""

from __future__ import annotations

import typer

from edgewright.cli import options, render

app = typer.Typer(rich_markup_mode=None)


@app.command()
def targets(as_json: options.JSON = False, debug: options.DEBUG = False) -> None:
    """The runtimes that a model is compiled to."""
    from edgewright import targets as loader

    found = [loader.load(name) for name in loader.names()]
    if as_json:
        render.document("targets", targets=found)
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
