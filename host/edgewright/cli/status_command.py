"""edgewright status: shows what runs on the boards."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from edgewright.cli import options, render

if TYPE_CHECKING:
    from edgewright.cli.on_boards import Answer
    from edgewright.wire.answers import Status

HISTORY_SECONDS = 3.0

app = typer.Typer(rich_markup_mode=None)


@app.command()
def status(
    selector: Annotated[str, typer.Argument(metavar="[SELECTOR]", help="Boards; default: all.")] = "all",
    parallel: options.PARALLEL = 16,
    fleet: options.FLEET = None,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Show what runs on the boards."""
    from edgewright.cli.on_boards import Boards, finish
    from edgewright.cli.results.status import StatusResult
    from edgewright.wire import commands

    boards = Boards(fleet, selector, parallel=parallel)
    answers = boards.each("status", lambda board, session, progress: session.call(commands.Status()))
    finish(
        "status",
        answers,
        as_json,
        lambda good: show(good, boards.fleet.name),
        lambda found: StatusResult(boards=found),
        of=lambda found: found,
    )


def show(answers: list[Answer[Status]], fleet: str) -> None:
    """A row a board and model; below, what this machine's history knows of the interfaces of current releases."""
    from edgewright.connect.versions import problem
    from edgewright.wire.answers import StatusRelease

    rows: list[tuple[object, ...]] = []
    notes = []
    for answer in answers:
        if answer.value is None:
            continue
        if not answer.value.models:
            rows.append((answer.title, "-", "-", "-", "-", "-"))
        for name, model in sorted(answer.value.models.items()):
            current = model.current_release or StatusRelease()
            rows.append((
                answer.title, name, model.current or "-", f"{current.target} {current.precision}".strip() or "-",
                f"on trial: {model.trial.to}" if model.trial else current.state or "-",
                ", ".join(known for known in model.known_good if known != model.current) or "-",
            ))  # fmt: skip
        if answer.value.problem:
            what, hint = problem(answer.value.problem, answer.board.name)
            notes += [f"{answer.board.name}: {what}", f"hint: {hint}"]
    render.table("", ["board", "model", "current", "compiled to", "state", "can roll back to"], rows)
    for note in notes + accepted_changes(answers, fleet):
        render.line(note)


def accepted_changes(answers: list[Answer[Status]], fleet: str) -> list[str]:
    """A line a current release that was deployed although its interface was not its predecessor's.

    The boards' answers are what was asked for: a history that fails, or takes long, is one line.
    """
    from edgewright.errors import EdgewrightError
    from edgewright.store.history import History

    current = [
        (answer.board.name, name, model.current)
        for answer in answers
        for name, model in sorted(answer.value.models.items() if answer.value else ())
        if model.current
    ]
    history, known = History(), queue.SimpleQueue[dict[tuple[str, str, str], str] | Exception]()

    def ask() -> None:
        try:
            known.put(history.accepted_changes(fleet, set(current)))
        except Exception as error:  # noqa: BLE001 - raised again below
            known.put(error)

    threading.Thread(target=ask, daemon=True).start()  # one that hangs does not keep the process
    try:
        found = known.get(timeout=HISTORY_SECONDS)
    except queue.Empty:
        found = TimeoutError()
    if isinstance(found, (EdgewrightError, ImportError, OSError)):  # ImportError: no driver for the database
        return ["the history does not answer: whether interfaces were changed is not shown"]
    if isinstance(found, Exception):
        raise found
    return [f"{one[0]}: {one[1]} {one[2]}: {found[one]}" for one in current if one in found]
