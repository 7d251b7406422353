"""edgewright infer: runs one input on a board."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgewright.cli import options

if TYPE_CHECKING:
    from edgewright.connect.session import Session
    from edgewright.measure.infer import Inference
    from edgewright.nouns.board import Board

app = typer.Typer(rich_markup_mode=None)


@app.command()
def infer(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the model on the board.")],
    on: options.ON,
    source: Annotated[
        Path,
        typer.Option(
            "--input",
            "-i",
            metavar="FILE",
            help="A picture, if the release has the project's [preprocessing]; else .npz with a member for each input, by name, "
            "or .npy for a single input. The first axis is samples.",
        ),
    ],
    release: Annotated[
        str | None, typer.Option("--release", help="Release or version instead of `current`.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Save the outputs of all samples as .npz, by their names."
        ),
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Keep the integers of a quantised output instead of real values.")
    ] = False,
    threads: options.THREADS = None,
    accelerator: options.ACCELERATOR = None,
    fleet: options.FLEET = None,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Run one input on a board, and print or save the outputs as real values, with class names if the project has labels."""
    from edgewright.cli.on_boards import Boards, finish, mapped
    from edgewright.cli.results.boards import InferResult
    from edgewright.cli.views.infer import show
    from edgewright.errors import UsageError
    from edgewright.measure.inputs import check_file, packed
    from edgewright.measure.release_manifest import released
    from edgewright.measure.threads import threads_to_run

    boards = Boards(fleet, on)
    if output is not None and len(boards.boards) > 1:
        raise UsageError("--output is for one board", hint="name one board with --on")
    check_file(source)

    def work(board: Board, session: Session, progress: object) -> Inference:
        from edgewright.measure.infer import run_on

        chosen, artifact = _chosen(session, board, name, release)
        about = released(session, name, chosen, artifact)
        inputs = packed(source, about)
        return run_on(
            session,
            name,
            chosen,
            inputs,
            about=about,
            raw=raw,
            threads=threads_to_run(board, session.facts(), threads),
            accelerator=accelerator,
            as_text=as_json,
        )

    answers = boards.each("infer", work, None if as_json else show)
    for answer in answers:
        if output is not None and answer.result is not None:
            answer.result.save(output)
    finish(
        "infer",
        answers,
        as_json,
        show,
        lambda: InferResult(boards=mapped(answers, lambda found: found.record())),
        shown=boards.shown,
        ending=f"the outputs are in {output}" if output else "--output FILE keeps the outputs as .npz",
    )


def _chosen(session: Session, board: Board, name: str, release: str | None) -> tuple[str, str]:
    """The release of a model on a board, and the id of its artifact.

    Raises:
        BoardError: `not-found`.
    """
    from edgewright.connect.agent import versions
    from edgewright.deployments.bench import find
    from edgewright.errors import BoardError, Code

    model = versions.models(session).get(name)
    if model is None:
        hint = f"`edgewright status {board.name}` lists them"
        raise BoardError(f"{board.name} has no model {name}", hint=hint, code=Code.NOT_FOUND)
    chosen = (model.current or "") if release is None else find(release, model.releases, board)
    if not chosen:
        hint = "deploy it first, or name a release: --release VERSION"
        raise BoardError(f"{board.name} has no current release of {name}", hint=hint, code=Code.NOT_FOUND)
    return chosen, model.releases[chosen].artifact if chosen in model.releases else ""
