"""edgewright provision: installs a runtime on boards, with no internet there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgewright.cli import options, render

if TYPE_CHECKING:
    from edgewright.cli.on_boards import Answer
    from edgewright.connect.provision import RuntimeChoice

app = typer.Typer(rich_markup_mode=None)


@app.command()
def provision(
    selector: Annotated[str, typer.Argument(metavar="SELECTOR", help="Boards.")],
    target: Annotated[
        str | None, typer.Option("--target", help="Runtime; default: the first of each board's profile.")
    ] = None,
    version: Annotated[
        str | None, typer.Option("--version", help="Version of the runtime; default: the newest that fits.")
    ] = None,
    wheel: Annotated[
        list[Path] | None, typer.Option("--wheel", help="Wheel to install instead; may be repeated.")
    ] = None,
    parallel: options.PARALLEL = 16,
    fleet: options.FLEET = None,
    dry_run: options.DRY_RUN = False,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Install a runtime on boards, with no internet there."""
    from edgewright import targets
    from edgewright.cli.on_boards import Boards, finish
    from edgewright.cli.progress import LiveProgress, PlainProgress
    from edgewright.connect.provision import ensure_runtime
    from edgewright.connect.session import Session
    from edgewright.deploy.board_profile import profile_of
    from edgewright.nouns.board import Board

    if target is not None:
        targets.load(target)

    def work(board: Board, session: Session, progress: LiveProgress | PlainProgress) -> RuntimeChoice:
        facts = session.facts()
        chosen = target or profile_of(board, facts).targets[0]
        return ensure_runtime(
            session,
            facts,
            chosen,
            version=version,
            wheels=tuple(wheel or ()),
            progress=progress,
            dry_run=dry_run,
        )

    finish(
        "provision",
        Boards(fleet, selector, parallel=parallel).each("facts", work),
        as_json,
        show,
        dry_run=dry_run,
    )


def show(answers: list[Answer[RuntimeChoice]]) -> None:
    """A row a board."""
    rows = [
        (
            answer.title, f"{answer.value.name} {answer.value.version}",
            "installed" if answer.value.installed else "had it already", render.size(answer.value.bytes), answer.value.ref[:30],
        )
        for answer in answers if answer.value is not None
    ]  # fmt: skip
    render.table("", ["board", "runtime", "", ">sent", "ref"], rows)
