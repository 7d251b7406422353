"""edgewright rollback: reactivates a known-good release."""

from __future__ import annotations

from typing import Annotated

import typer

from edgewright.api.answer import mark
from edgewright.cli import options, render

app = typer.Typer(rich_markup_mode=None)


@app.command()
def rollback(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the model on the boards.")],
    on: options.ON,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="VERSION", help="Version; default: the previous known-good one."),
    ] = None,
    unguarded: Annotated[
        bool,
        typer.Option(
            "--unguarded", help="Accept boards without a guard, where nothing ends a trial after a reboot."
        ),
    ] = False,
    threads: options.THREADS = None,
    accelerator: options.ACCELERATOR = None,
    parallel: options.PARALLEL = 16,
    fleet: options.FLEET = None,
    dry_run: options.DRY_RUN = False,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Reactivate a known-good release, after verifying it on the board."""
    from edgewright.api.fleets import Fleet
    from edgewright.api.rollback import rollback as run
    from edgewright.cli.progress import Passwords, shown
    from edgewright.cli.views import endings
    from edgewright.nouns.outcome import exit_code

    chosen = Fleet.load(fleet).select(on)
    with shown() as progress:
        result = run(
            chosen, name, to=to, unguarded=unguarded, threads=threads, accelerator=accelerator, dry_run=dry_run,
            parallel=parallel, ask_password=Passwords(progress), progress=progress,
        )  # fmt: skip
    outcomes = result.outcomes
    code = exit_code(outcomes)
    if as_json:
        render.result("rollback", result, ok=code == 0)
    else:
        rows = [
            (
                one.board + mark(one.simulated),
                one.outcome,
                one.current or "-",
                one.message or "; ".join(one.steps),
                render.number(one.seconds),
            )
            for one in outcomes
        ]
        render.table(f"rollback {name}", ["board", "outcome", "current", "why", ">s"], rows)
        for hint in dict.fromkeys(one.hint for one in outcomes if one.hint):
            render.line(f"hint: {hint}")
        render.ending(endings.rolled_back(name, outcomes))
    raise typer.Exit(int(code))
