"""edgewright infer: runs one input on a board."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgewright.cli import options, render

if TYPE_CHECKING:
    from edgewright.cli.on_boards import Answer
    from edgewright.measure.infer import Inference

app = typer.Typer(rich_markup_mode=None)
SHOWN = 10  # values of an output that a person sees


@app.command()
def infer(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the model on the board.")],
    on: options.ON,
    source: Annotated[
        Path, typer.Option("--input", "-i", metavar="FILE", help=".npy, or .npz with a member an input.")
    ],
    release: Annotated[
        str | None, typer.Option("--release", help="Release or version instead of current.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Save the outputs as .npz.")
    ] = None,
    threads: options.THREADS = 1,
    accelerator: options.ACCELERATOR = None,
    fleet: options.FLEET = None,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Run one input on a board; print or save the outputs."""
    from edgewright.cli.on_boards import Boards, finish
    from edgewright.connect import versions
    from edgewright.connect.session import Session
    from edgewright.deploy.bench import find
    from edgewright.errors import UsageError
    from edgewright.measure.infer import packed, run_on
    from edgewright.nouns.board import Board

    boards = Boards(fleet, on)
    if output is not None and len(boards.boards) > 1:
        raise UsageError("--output is for one board", hint="name one board with --on")

    inputs = packed(source)

    def work(board: Board, session: Session, progress: object) -> Inference:
        chosen = release
        if chosen is not None:
            known = versions.models(session).get(name) or {}
            chosen = find(chosen, known.get("releases") or {}, board)
        return run_on(session, name, chosen, inputs, threads=threads, accelerator=accelerator)

    answers = boards.each("infer", work)
    for answer in answers:
        if output is not None and answer.value is not None:
            answer.value.save(output)
    documents = [answer for answer in answers]
    if as_json:
        for answer in documents:
            if answer.value is not None:
                answer.value = answer.value.document()  # type: ignore[assignment]
    finish("infer", documents, as_json, show)


def show(answers: Sequence[Answer[Inference]]) -> None:
    """Prints the outputs of each board."""
    from edgewright.cli.boards_output import mark

    for answer in answers:
        one = answer.value
        assert one is not None  # noqa: S101 - those that failed are shown elsewhere
        render.line(
            f"{answer.board.name}{mark(one.simulated)}: {one.release}, {one.runtime} on {one.accelerator}, {render.number(one.ms)} ms"
        )
        for key, tensor in one.outputs.items():
            flat = tensor.reshape(-1)
            values = ", ".join(f"{value:.5g}" for value in flat[:SHOWN].tolist())
            more = ", ..." if flat.size > SHOWN else ""
            top = f"; greatest at {int(flat.argmax())}" if flat.size > 1 else ""
            render.line(f"  {key} {list(tensor.shape)}: {values}{more}{top}")
        for warning in one.warnings:
            render.line(f"  warning: {warning}")
