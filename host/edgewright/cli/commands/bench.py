"""edgewright bench: measures latency and memory on boards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edgewright.cli import options, render

if TYPE_CHECKING:
    from edgewright.api.results import BenchResult, BoardAnswer, BoardMeasurements
    from edgewright.nouns.artifact import Artifact

app = typer.Typer(rich_markup_mode=None)


@app.command()
def bench(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME|ARTIFACT...",
            help="Model on the boards; or ids or folders of artifacts, interleaved.",
        ),
    ],
    on: options.ON,
    release: Annotated[
        list[str] | None,
        typer.Option("--release", help="Release instead of `current`; may be repeated: interleaved."),
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(
            "--protocol", help="quick (15 s per board) or standard (60 s); longer if a runtime starts slowly."
        ),
    ] = "standard",
    threads: options.THREADS = None,
    accelerator: options.ACCELERATOR = None,
    parallel: options.PARALLEL = 16,
    fleet: options.FLEET = None,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Measure latency and memory on boards."""
    from edgewright.api import benchmark
    from edgewright.api.fleets import Fleet
    from edgewright.cli.on_boards import Early, finish
    from edgewright.cli.progress import Passwords, shown
    from edgewright.nouns.measurement import PROTOCOLS

    subject = measured(what)
    chosen = Fleet.load(fleet).select(on)
    with shown() as progress:
        early = Early(progress)
        result = benchmark.bench(
            chosen, subject, releases=tuple(release or ()),
            protocol=options.known("protocol", protocol, PROTOCOLS), threads=threads, accelerator=accelerator,
            parallel=parallel, ask_password=Passwords(progress), progress=progress,
            early=None if as_json else lambda part: early.show(part.boards, show),
        )  # fmt: skip
    if result.not_kept is not None:
        render.note(f"not kept: {result.not_kept.message}")
    finish("bench", result.boards, as_json, show, lambda: result, shown=early.shown, ending=ending(result))


def measured(words: list[str]) -> str | list[Artifact]:
    """The model on the boards, or the artifacts, that the arguments name.

    Raises:
        UsageError: several arguments, and one of them is not an artifact.
    """
    from edgewright.api import models
    from edgewright.errors import UsageError

    found = {word: models.find_artifact(word) for word in words}
    if len(words) == 1 and found[words[0]] is None:
        return words[0]
    for word, artifact in found.items():
        if artifact is None:
            raise UsageError(
                f"not an artifact: {word}",
                hint="several have to be artifacts; releases of one model are NAME --release A --release B",
            )
    return [artifact for word in words if (artifact := found[word]) is not None]


def ending(result: BenchResult) -> str:
    """The closing hint: what to do with the figures."""
    found = [one for board in result.boards if board.result for one in board.result.measurements]
    bad = sorted({one.board for one in found if one.invalid})
    if bad:
        return f"what is marked invalid on {', '.join(bad)} is no measure: see why above, then measure again"
    if result.not_kept is not None:
        return "the figures are not in the history: write them down"
    if all(one.ratio is None for one in found):  # nothing was compared
        return "to compare: name two artifacts, or two releases of a model with --release"
    return "the history has the figures; a ratio whose interval has 1 in it proves nothing: measure longer (--protocol standard)"


def show(boards: list[BoardAnswer[BoardMeasurements]]) -> None:
    """Prints the measurements of all boards in one table."""
    from edgewright.cli.views.measurements import measurements

    measurements("", [one for board in boards if board.result for one in board.result.measurements])
