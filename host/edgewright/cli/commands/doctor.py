"""edgewright doctor: describes a board and lists what stops a deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edgewright.cli import options

if TYPE_CHECKING:
    from edgewright.doctor.board import Diagnosis

app = typer.Typer(rich_markup_mode=None)


@app.command()
def doctor(
    selector: Annotated[str, typer.Argument(metavar="SELECTOR", help="Boards.")] = "all",
    install_guard: Annotated[
        bool,
        typer.Option(
            "--install-guard", help="First install the guard, which ends an interrupted trial after a reboot."
        ),
    ] = False,
    remove_guard: Annotated[bool, typer.Option("--remove-guard", help="First remove the guard.")] = False,
    host: Annotated[bool, typer.Option("--host", help="Describe this machine instead of boards.")] = False,
    parallel: options.PARALLEL = 16,
    fleet: options.FLEET = None,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Describe boards, and list what stops a deployment, with hints."""
    from edgewright.cli.on_boards import Boards, finish
    from edgewright.cli.results.doctor import DoctorResult
    from edgewright.cli.views.doctor import show
    from edgewright.connect.session import Session
    from edgewright.doctor.board import broken_pythons, diagnose, guarded
    from edgewright.errors import UsageError
    from edgewright.nouns.board import Board

    if install_guard and remove_guard:
        raise UsageError("both --install-guard and --remove-guard", hint="give one of them")
    if host and (install_guard or remove_guard):
        raise UsageError("a guard is for boards, and --host is this machine", hint="leave one of them out")
    if host:
        from edgewright.cli.views.host import doctor_host

        doctor_host(as_json)
        return

    def work(board: Board, session: Session, progress: object) -> Diagnosis:
        change = guarded(session, install_guard) if install_guard or remove_guard else []
        known = [*change, *broken_pythons(session)]
        return diagnose(board, session.facts(fresh=bool(install_guard or remove_guard)), known)

    boards = Boards(fleet, selector, parallel=parallel)
    answers = boards.each("facts", work, None if as_json else show)
    sound = all(answer.result.ready for answer in answers if answer.result is not None)
    finish(
        "doctor",
        answers,
        as_json,
        show,
        lambda: DoctorResult(boards=tuple(answers)),
        shown=boards.shown,
        failed=not sound,
        ending="ready: `edgewright deploy MODEL --to SELECTOR`"
        if sound
        else "follow the hints above, then run it again",
    )
