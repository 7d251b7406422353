"""edgewright rollback: reactivates a known-good release."""

from __future__ import annotations

from typing import Annotated

import typer

from edgewright.cli import options, render
from edgewright.cli.answer import mark

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
    threads: options.THREADS = 1,
    accelerator: options.ACCELERATOR = None,
    parallel: options.PARALLEL = 16,
    fleet: options.FLEET = None,
    dry_run: options.DRY_RUN = False,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Reactivate a known-good release, after verifying it on the board."""
    from edgewright.cli.progress import Passwords, shown
    from edgewright.config import fleet as fleets
    from edgewright.deploy.rollback import RollbackRequest
    from edgewright.deploy.rollback import rollback as run
    from edgewright.nouns.outcome import exit_code
    from edgewright.nouns.selector import select
    from edgewright.store.history import History

    loaded = fleets.load(options.fleet_path(fleet))
    request = RollbackRequest(
        fleet=loaded,
        boards=tuple(select(loaded, on)),
        model=name,
        to=to,
        unguarded=unguarded,
        threads=threads,
        accelerator=accelerator,
        dry_run=dry_run,
        parallel=parallel,
    )
    with shown() as progress:
        outcomes = run(request, history=History(), ask_password=Passwords(progress), progress=progress)
    code = exit_code(outcomes)
    if as_json:
        from edgewright.cli.results.releases import RollbackResult

        render.result("rollback", RollbackResult(model=name, outcomes=tuple(outcomes)), ok=code == 0)
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
    raise typer.Exit(int(code))
