"""edgewright status: shows what runs on the boards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edgewright.cli import options, render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgewright.api.results import BoardAnswer, BoardProblem, StatusResult
    from edgewright.wire.answers import Status

app = typer.Typer(rich_markup_mode=None)


@app.command()
def status(
    selector: Annotated[str, typer.Argument(metavar="[SELECTOR]", help="Boards; default: all.")] = "all",
    verify: Annotated[bool, typer.Option("--verify", help="Also hash the files of all releases.")] = False,
    parallel: options.PARALLEL = 16,
    fleet: options.FLEET = None,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Show what runs on the boards. Exit code 2: a board's state cannot be read, or files of a release are missing or changed."""
    from edgewright.api.fleets import Fleet
    from edgewright.api.status import status as read
    from edgewright.cli.on_boards import Early, finish
    from edgewright.cli.progress import Passwords, shown

    chosen = Fleet.load(fleet).select(selector)
    with shown() as progress:
        early = Early(progress)

        def show_part(part: StatusResult) -> None:
            early.show(part.boards, lambda good: show(good, part.problems))

        result = read(
            chosen, verify=verify, parallel=parallel, ask_password=Passwords(progress), progress=progress,
            early=None if as_json else show_part,
        )  # fmt: skip
    finish(
        "status",
        result.boards,
        as_json,
        lambda good: show(good, [one for one in result.problems if one.board not in early.shown]),
        lambda: result,
        failed=result.damaged,
        notes=result.notes,
        ending=ending(result),
        shown=early.shown,
    )


def ending(result: StatusResult) -> str:
    """The closing sentence: that all is well, or what to look at."""
    if result.damaged or result.disagreements or result.deployments:
        return "some boards need a look: follow the lines above"
    trials = [
        board.board for board in result.boards
        if board.result and any(model.trial for model in board.result.models.values())
    ]  # fmt: skip
    if trials:
        return (
            f"on trial on {', '.join(trials)}: a deployment is at work, or the trial reverts at its deadline"
        )
    models = [model for board in result.boards if board.result for model in board.result.models.values()]
    if not any(model.releases or model.current for model in models):
        return "no model is there yet: `edgewright deploy MODEL --to SELECTOR`"
    return "all boards answered; `edgewright history` tells how they got there"


def show(boards: list[BoardAnswer[Status]], problems: Sequence[BoardProblem]) -> None:
    """Prints a row per board and model, then the damage and what agents could not read."""
    from edgewright.api.answer import mark
    from edgewright.cli.views import damage
    from edgewright.wire.answers import StatusRelease

    rows: list[tuple[object, ...]] = []
    notes: list[str] = []
    for answer in boards:
        if answer.result is None:
            continue
        title = answer.board + mark(answer.simulated)
        models = {  # a model that was only measured, or was refused, leaves its name behind
            name: model for name, model in sorted(answer.result.models.items())
            if model.releases or model.current or model.trial
        }  # fmt: skip
        if not models:
            rows.append((title, "-", "-", "-", "-", "-"))
        for name, model in models.items():
            current = model.current_release or StatusRelease()
            rows.append((
                title, name, model.current or "-", f"{current.target} {current.precision}".strip() or "-",
                f"on trial: {model.trial.to}" if model.trial else current.state or "-",
                ", ".join(known for known in model.known_good if known != model.current) or "-",
            ))  # fmt: skip
        notes += damage.lines(answer.board, answer.result.damage, answer.result.models)
    render.table("", ["board", "model", "current", "compiled to", "state", "can roll back to"], rows)
    for note in notes:
        render.line(note)
    for problem in problems:
        render.line(f"{problem.board}: {problem.message}")
        render.line(f"hint: {problem.hint}")
