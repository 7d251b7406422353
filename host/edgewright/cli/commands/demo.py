"""edgewright demo: runs the main workflow on simulated boards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edgewright.cli import options, render

if TYPE_CHECKING:
    from edgewright.lab.demo import Act, DemoReport

app = typer.Typer(rich_markup_mode=None)


@app.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the three boards running.")] = False,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Run the main job on three simulated boards: good, bad and corrupted releases, and a rollback."""
    from edgewright.cli.progress import shown
    from edgewright.config.home import folder
    from edgewright.errors import Exit
    from edgewright.lab.demo import demo as run

    def on_act(act: Act) -> None:
        if not as_json:
            with progress.away():
                show_act(act)

    with shown() as progress:
        report = run(keep=keep, progress=progress, on_act=on_act)
    if as_json:
        render.result("demo", report, ok=report.ok)
    else:
        show(report)
        if keep:
            render.ending(
                f"the boards are in {folder('demo') / 'fleet.toml'}; `edgewright lab down --name demo` removes them"
            )
        else:
            render.ending(
                "next: `edgewright lab up` starts boards to play with, `edgewright fleet add NAME ADDRESS` adds a real one"
            )
    raise typer.Exit(Exit.OK if report.ok else Exit.SOME_FAILED)


def show_act(act: Act) -> None:
    """Prints the table of one act."""
    from edgewright.cli.views import boards
    from edgewright.cli.views.measurements import measurements

    verdict = "" if act.ok else f" - expected: {act.expected}"
    title = f"{act.title}{verdict}"
    if act.measurements:
        measurements(title, list(act.measurements))
    else:
        boards.outcomes(title, list(act.outcomes), brief=True)
    render.line("")


def show(report: DemoReport) -> None:
    """Prints the closing tables: which release each board answered with and when, and how every act ended."""
    boards = list(dict.fromkeys(sighting.board for sighting in report.timeline))
    moments = sorted({sighting.seconds for sighting in report.timeline})
    rows = []
    for moment in moments:
        seen = {
            one.board: f"v{one.version} {one.artifact}" for one in report.timeline if one.seconds == moment
        }
        rows.append(
            (f"{moment:.1f}", *(seen.get(board, "").replace("vabsent -", "nothing yet") for board in boards))
        )
    render.table("which version `current` was, read every 20 ms on each board", [">s", *boards], rows)
    render.line("")
    summary = []
    for act in report.acts:
        if not act.outcomes:
            continue
        outcomes = sorted({outcome.outcome for outcome in act.outcomes})
        summary.append(
            (
                act.title,
                f"{len(act.outcomes)} boards {' and '.join(outcomes)}",
                why(act),
                "as expected" if act.ok else "NOT expected",
            )
        )
    render.table(
        "the whole",
        ["release", "outcome", "why", ""],
        summary,
        ["green" if act.ok else "red" for act in report.acts if act.outcomes],
    )
    render.line("")
    servers = (
        "real OpenSSH servers"
        if report.servers == ("openssh",)
        else "built-in SSH servers (no sshd on this machine: `sudo apt-get install openssh-server`)"
    )
    render.line(
        f"{len(boards)} simulated boards, {servers}, {report.seconds:.0f} s; latencies are this machine's, not a board's"
    )


def why(act: Act) -> str:
    """The gate's reason in brief: which checks failed."""
    failed = sorted({check.name for outcome in act.outcomes for check in outcome.checks if not check.ok})
    return ", ".join(failed) or "-"
