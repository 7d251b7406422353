"""edgewright history: lists deployments, refusals and rollbacks."""

from __future__ import annotations

from typing import Annotated

import typer

from edgewright.cli import options, render

app = typer.Typer(rich_markup_mode=None)


@app.command()
def history(
    on: Annotated[str | None, typer.Option("--on", metavar="SELECTOR", help="Only these boards.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Only this model.")] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=10000, help="How many, newest first.")
    ] = 30,
    fleet: options.FLEET = None,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """List deployments, refusals and rollbacks."""
    from edgewright.cli.answer import mark
    from edgewright.config import fleet as fleets
    from edgewright.nouns.selector import select
    from edgewright.store.history import History, accepted

    names = name = None
    path = options.fleet_path(fleet)
    if on is not None or path.exists():
        loaded = fleets.load(path)
        name = loaded.name
        names = [board.name for board in select(loaded, on)] if on is not None else None
    events = History().events(fleet=name, model=model, boards=names, limit=limit)
    if as_json:
        from edgewright.cli.results import releases

        found = tuple(releases.event(event) for event in events)
        render.result("history", releases.HistoryResult(events=found))
        return
    left = left_boards(name)
    rows = []
    for event in events:
        measured = (event["document"].get("measurement") or {}).get("latency", {})
        rows.append((
            event["at"].replace("T", " ").removesuffix("+00:00"), event["action"],
            event["board"] + mark(tuple(event["document"].get("simulated") or ())), event["model"],
            event["release"] or event["version"], event["outcome"], render.number(measured.get("p50")),
            event["message"] or left.get((event["document"].get("deployment"), event["board"])) or accepted(event),
        ))  # fmt: skip
    render.table("", ["at (UTC)", "action", "board", "model", "release", "outcome", ">p50 ms", "why"], rows)


def left_boards(fleet: str | None) -> dict[tuple[str, str], str]:
    """What to do about the boards that deployments left, by deployment and board."""
    from edgewright.store.history import History
    from edgewright.store.journal import DeploymentJournal, this_host

    return {
        (one.id, board): "at work"
        if one.running
        else f"begun on {one.host}"
        if one.host != this_host()
        else f"its host stopped: `edgewright deploy --resume {one.id}`"
        for one in DeploymentJournal(History()).unfinished(fleet)
        for board in one.boards
    }
