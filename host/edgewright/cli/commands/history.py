"""edgewright history: lists deployments, refusals and rollbacks, and shows the details of each."""

from __future__ import annotations

from typing import Annotated

import typer

from edgewright.cli import options, render

app = typer.Typer(rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def history(
    context: typer.Context,
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
    if context.invoked_subcommand is not None:
        check_alone(context)
        return
    from edgewright.api.answer import mark
    from edgewright.config import fleet as fleets
    from edgewright.nouns.outcome import GOOD
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
        why = event["message"] or left.get((event["document"].get("deployment"), event["board"]))
        rows.append((
            event["id"], event["at"].replace("T", " ").removesuffix("+00:00"), f"{event['action']}: {event['outcome']}",
            event["board"] + mark(tuple(event["document"].get("simulated") or ())), event["model"],
            event["release"] or event["version"], render.number(measured.get("p50")), why or accepted(event),
        ))  # fmt: skip
    if not events:
        render.ending("nothing was deployed yet: `edgewright deploy MODEL --to SELECTOR`")
        return
    heads = [">id", "at (UTC)", "what", "board", "model", "release", ">p50 ms", "why"]
    render.table("", heads, rows, spare=(">p50 ms", "at (UTC)"))
    refused = next((event for event in events if event["outcome"] not in GOOD), None)
    example = (refused or events[0])["id"]
    render.ending(f"`edgewright history show {example}` tells the whole story of one of them")


def check_alone(context: typer.Context) -> None:
    """Raises UsageError for a list option before a sub-command, which would ignore it."""
    from click.core import ParameterSource

    from edgewright.errors import UsageError

    for name in context.params:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UsageError(
                f"--{'json' if name == 'as_json' else name} belongs to the list of `edgewright history`",
                hint=f"write it behind `{context.invoked_subcommand}`, or leave it out",
            )


@app.command()
def show(
    which: Annotated[str, typer.Argument(metavar="ID", help="Id of the list, or a deployment's id.")],
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Tell what happened to a release on a board: steps, checks, measurements, and why it ended so."""
    from edgewright.cli.results import releases
    from edgewright.store.history import History

    rows = History().events_of(which)
    events = tuple(releases.event(row) for row in rows)
    if as_json:
        render.result("history show", releases.HistoryShowResult(events=events))
        return
    from edgewright.cli.views.history import story

    for number, event in enumerate(events):
        if number:
            render.line("")
        story(event)


def left_boards(fleet: str | None) -> dict[tuple[str, str], str]:
    """Hints for boards that unfinished deployments left behind, by deployment and board."""
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
