"""edgewright status: shows what runs on the boards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edgewright.cli import options, render

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgewright.cli.answer import Answer
    from edgewright.connect.session import Session
    from edgewright.nouns.board import Board
    from edgewright.wire.answers import Status

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
    from edgewright.cli.history_notes import notes_of
    from edgewright.cli.on_boards import Boards, finish
    from edgewright.cli.results.status import StatusResult
    from edgewright.connect.agent.versions import another_agent
    from edgewright.wire import commands

    boards = Boards(fleet, selector, parallel=parallel)
    agents: dict[str, str] = {}

    def read(board: Board, session: Session, progress: object) -> Status:
        found = session.call(commands.Status())
        agents[board.name] = another_agent(session) if found.problem else ""
        return found

    answers = boards.each("status", read)
    known = notes_of(answers, boards.fleet.name)
    finish(
        "status",
        answers,
        as_json,
        lambda good: show(good, agents),
        lambda found: StatusResult(
            boards=found,
            accepted=known.accepted,
            deployments=known.deployments,
            disagreements=known.disagreements,
            history_silent=known.silent,
        ),
        of=lambda found: found,
        notes=known.lines(),
    )


def show(answers: list[Answer[Status]], agents: Mapping[str, str]) -> None:
    """A row a board and model.

    Args:
        agents: by board, the version of an agent that is not this installation's.
    """
    from edgewright.connect.agent.versions import problem
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
            what, hint = problem(answer.value.problem, answer.board.name, agents.get(answer.board.name, ""))
            notes += [f"{answer.board.name}: {what}", f"hint: {hint}"]
    render.table("", ["board", "model", "current", "compiled to", "state", "can roll back to"], rows)
    for note in notes:
        render.line(note)
