"""edgewright bench: measures latency and memory on boards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edgewright.cli import options, render

if TYPE_CHECKING:
    from edgewright.cli.answer import Answer
    from edgewright.nouns.measurement import Measurement

app = typer.Typer(rich_markup_mode=None)


@app.command()
def bench(
    what: Annotated[
        str,
        typer.Argument(metavar="NAME|ARTIFACT", help="Model on the boards, or an artifact's id or folder."),
    ],
    on: options.ON,
    release: Annotated[
        list[str] | None,
        typer.Option("--release", help="Release instead of `current`; give two to interleave them."),
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(
            "--protocol", help="quick (15 s per board) or standard (60 s); longer if a runtime starts slowly."
        ),
    ] = "standard",
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="Threads; default: the profile's.")
    ] = None,
    accelerator: options.ACCELERATOR = None,
    parallel: options.PARALLEL = 16,
    fleet: options.FLEET = None,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Measure latency and memory on boards."""
    from edgewright.cli.on_boards import Boards, finish
    from edgewright.cli.project_source import find_artifact
    from edgewright.cli.results.boards import BenchResult, BoardMeasurements
    from edgewright.deploy.bench import Bench, BenchRequest
    from edgewright.errors import EdgewrightError
    from edgewright.nouns.measurement import PROTOCOLS
    from edgewright.store.history import History

    boards = Boards(fleet, on, parallel=parallel)
    artifact = find_artifact(what)
    run = Bench(BenchRequest(
        model=f"bench-{artifact.id[:8]}" if artifact else what, artifact=artifact, releases=tuple(release or ()),
        protocol=options.known("protocol", protocol, PROTOCOLS), threads=threads, accelerator=accelerator,
    ))  # fmt: skip
    answers = boards.each("bench", run.on_board)
    try:
        History().record_measurements(
            boards.fleet.name, [one for answer in answers for one in answer.value or []]
        )
    except EdgewrightError as error:  # what was measured is shown all the same
        render.note(f"not kept: {error.message}")
    finish(
        "bench",
        answers,
        as_json,
        show,
        lambda boards: BenchResult(boards=boards),
        of=lambda measured: BoardMeasurements(measurements=tuple(measured)),
    )


def show(answers: list[Answer[list[Measurement]]]) -> None:
    """One table for all boards."""
    from edgewright.cli.views import boards

    boards.measurements("", [one for answer in answers for one in answer.value or []])
