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

    answers = Boards(fleet, selector, parallel=parallel).each(
        "status", lambda board, session, progress: session.call("status")
    )
    finish("status", answers, as_json, show)


def show(answers: list[Answer[dict[str, Any]]]) -> None:
    """A row a board and model."""
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
    for note in notes:
        render.line(note)
