"""edgewright doctor: what a board is, what it lacks and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edgewright.cli import options, render

if TYPE_CHECKING:
    from edgewright.cli.on_boards import Answer
    from edgewright.deploy.diagnose import Diagnosis

app = typer.Typer(rich_markup_mode=None)


@app.command()
def doctor(
    selector: Annotated[str, typer.Argument(metavar="SELECTOR", help="Boards.")] = "all",
    install_guard: Annotated[
        bool,
        typer.Option("--install-guard", help="First install what ends a cut-short trial after a reboot."),
    ] = False,
    remove_guard: Annotated[bool, typer.Option("--remove-guard", help="First take that away again.")] = False,
    host: Annotated[bool, typer.Option("--host", help="This machine instead of boards.")] = False,
    parallel: options.PARALLEL = 16,
    fleet: options.FLEET = None,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Say what a board is, what it lacks and what to do."""
    from edgewright.cli.on_boards import Boards, finish
    from edgewright.connect.session import Session
    from edgewright.deploy.diagnose import diagnose, guarded
    from edgewright.errors import UsageError
    from edgewright.nouns.board import Board

    if install_guard and remove_guard:
        raise UsageError("both --install-guard and --remove-guard", hint="give one of them")
    if host:
        from edgewright.cli.host_output import doctor_host

        doctor_host(as_json)
        return

    def work(board: Board, session: Session, progress: object) -> Diagnosis:
        change = guarded(session, install_guard) if install_guard or remove_guard else []
        return diagnose(board, session.facts(fresh=bool(install_guard or remove_guard)), change)

    answers = Boards(fleet, selector, parallel=parallel).each("facts", work)
    sound = all(answer.value.ready for answer in answers if answer.value is not None)
    finish("doctor", answers, as_json, show, failed=not sound)


def show(answers: list[Answer[Diagnosis]]) -> None:
    """Facts and findings, a block a board."""
    for answer in answers:
        diagnosis = answer.value
        if diagnosis is None:
            continue
        facts = diagnosis.facts
        rows = [
            ("board", f"{facts.model or 'unknown'}, {facts.arch}, {facts.cpus} CPUs, {facts.memory_mb} MiB"),
            ("profile", diagnosis.profile or "none fits"),
            (
                "system",
                f"{facts.distribution}, {facts.libc.name} {facts.libc.version}, Python {facts.python.version}, OpenSSH {facts.openssh or 'unknown'}",
            ),
            ("root", f"{facts.root}, {render.size(facts.disk_free_bytes)} free"),
            (
                "runtimes",
                ", ".join(
                    f"{one.name} {one.version}{' (its own)' if one.system else ''}" for one in facts.runtimes
                )
                or "none",
            ),
            ("accelerators", ", ".join(facts.accelerators) or "none"),
            ("sensors", ", ".join(facts.sensors) or "none"),
            ("reboot guard", facts.guard or "none"),
        ]
        if facts.simulated:
            rows.append(("simulated", ", ".join(facts.simulated)))
        render.table(answer.board.name, ["", ""], rows)
        for finding in diagnosis.findings:
            render.line(f"{finding.level}: {finding.message}")
            if finding.hint:
                render.line(f"  hint: {finding.hint}")
        if not diagnosis.findings:
            render.line("ready")
