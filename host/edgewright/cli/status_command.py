"""edgewright status: what runs on the boards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgewright.cli import options, render

if TYPE_CHECKING:
    from edgewright.cli.on_boards import Answer

app = typer.Typer(rich_markup_mode=None)


@app.command()
def status(
    selector: Annotated[str, typer.Argument(metavar="[SELECTOR]", help="Boards; default: all.")] = "all",
    parallel: options.PARALLEL = 16,
    fleet: options.FLEET = None,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """What runs on the boards."""
    from edgewright.cli.on_boards import Boards, finish

    boards = Boards(fleet, selector, parallel=parallel)
    answers = boards.each("status", lambda board, session, progress: session.call("status"))
    finish("status", answers, as_json, lambda good: show(good, boards.fleet.name))


def show(answers: list[Answer[dict[str, Any]]], fleet: str) -> None:
    """A row a board and model; below, what this machine's history knows of the interfaces of current releases."""
    from edgewright.connect.versions import PROBLEMS

    rows: list[tuple[object, ...]] = []
    notes = []
    for answer in answers:
        value = answer.value or {}
        models = value.get("models") or {}
        if not models:
            rows.append((answer.title, "-", "-", "-", "-", "-"))
        for name, model in sorted(models.items()):
            releases = model.get("releases") or {}
            current = releases.get(model.get("current")) or {}
            trial = model.get("trial")
            rows.append((
                answer.title, name, model.get("current") or "-",
                f"{current.get('target', '')} {current.get('precision', '')}".strip() or "-",
                f"on trial: {trial.get('to', '')}" if trial else current.get("state", "-"),
                ", ".join(known for known in model.get("known_good") or [] if known != model.get("current")) or "-",
            ))  # fmt: skip
        if value.get("problem"):
            what, hint = PROBLEMS.get(value["problem"], (value["problem"], ""))
            notes += [f"{answer.board.name}: {what}", *([f"hint: {hint}"] if hint else [])]
    render.table("", ["board", "model", "current", "compiled to", "state", "can roll back to"], rows)
    for note in notes + accepted_changes(answers, fleet):
        render.line(note)


def accepted_changes(answers: list[Answer[dict[str, Any]]], fleet: str) -> list[str]:
    """A line a current release that was deployed although its interface was not its predecessor's."""
    from edgewright.errors import EdgewrightError
    from edgewright.store.history import History

    history, lines = History(), []
    try:
        for answer in answers:
            for name, model in sorted(((answer.value or {}).get("models") or {}).items()):
                current = str(model.get("current") or "")
                found = history.accepted_change(fleet, answer.board.name, name, current) if current else ""
                lines += [f"{answer.board.name}: {name} {current}: {found}"] if found else []
    except EdgewrightError:  # the boards' answers are what was asked for
        pass
    return lines
