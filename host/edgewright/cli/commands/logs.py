"""edgewright logs: prints the agent's log of a board."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edgewright.cli import options, render

if TYPE_CHECKING:
    from edgewright.cli.answer import Answer

app = typer.Typer(rich_markup_mode=None)


@app.command()
def logs(
    board: Annotated[str, typer.Argument(metavar="BOARD", help="Board, or a SELECTOR.")],
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=1, max=100000, help="How many of the last lines.")
    ] = 100,
    fleet: options.FLEET = None,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Print the agent's log of a board."""
    from edgewright.cli.on_boards import Boards, finish
    from edgewright.cli.results.boards import BoardLog, LogsResult
    from edgewright.connect.session import Session
    from edgewright.wire import commands

    def fetch(session: Session) -> str:
        data = session.get(session.call(commands.Logs(lines=lines)).log)
        return bytes(data).decode("utf-8", "replace")

    answers = Boards(fleet, board).each("logs", lambda one, session, progress: fetch(session))
    finish(
        "logs",
        answers,
        as_json,
        show,
        lambda boards: LogsResult(boards=boards),
        of=lambda text: BoardLog(text=text),
    )


def show(answers: list[Answer[str]]) -> None:
    """The lines; with several boards each block under its name."""
    for answer in answers:
        if len(answers) > 1:
            render.line(f"{answer.board.name}:")
        render.text(answer.value or "nothing logged yet")
