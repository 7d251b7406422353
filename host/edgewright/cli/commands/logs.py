"""edgewright logs: prints the agent's log of a board."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edgewright.cli import options, render

if TYPE_CHECKING:
    from edgewright.api.results import BoardAnswer

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
    from edgewright.cli.on_boards import Boards, finish, mapped
    from edgewright.cli.results.boards import BoardLog, LogsResult
    from edgewright.connect.session import LOOKING, Session
    from edgewright.nouns.listing import plural
    from edgewright.wire import commands
    from edgewright.wire.caps import LOGS

    def fetch(session: Session) -> str:
        data = session.get(session.call(commands.Logs(lines=lines)).log, most=LOGS.most)
        return bytes(data).decode("utf-8", "replace")

    boards = Boards(fleet, board)

    def people(answers: list[BoardAnswer[str]]) -> None:
        show(answers, named=len(boards.boards) > 1)

    answers = boards.each(
        "logs", lambda one, session, progress: fetch(session), None if as_json else people, LOOKING
    )
    finish(
        "logs",
        answers,
        as_json,
        people,
        lambda: LogsResult(boards=mapped(answers, lambda text: BoardLog(text=text))),
        shown=boards.shown,
        ending=f"the log's last {plural(lines, 'line')} at most: --lines shows more; `edgewright status {board}` shows what runs there",
    )


def show(answers: list[BoardAnswer[str]], *, named: bool) -> None:
    """Prints the lines; with `named`, each board's block under its name."""
    for answer in answers:
        if named:
            render.line(f"{answer.board}:")
        render.text(answer.result or "nothing logged yet")
