"""edgewright provision: installs a runtime on boards that have no internet, also from a bundle."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgewright.cli import options, render

if TYPE_CHECKING:
    from edgewright.api.results import BoardAnswer
    from edgewright.connect.session import Session
    from edgewright.nouns.board import Board
    from edgewright.nouns.progress import Progress
    from edgewright.runtimes.install import RuntimeChoice

app = typer.Typer(rich_markup_mode=None)


@app.command()
def provision(
    selector: Annotated[
        str | None,
        typer.Argument(metavar="[SELECTOR]", help="Boards; without them a bundle is written, or shown."),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            help="Runtime; default: the first of each board's profile. For a bundle: may be repeated; default: all.",
        ),
    ] = None,
    version: Annotated[
        str | None, typer.Option("--version", help="Version of the runtime; default: the newest that fits.")
    ] = None,
    wheel: Annotated[
        list[Path] | None, typer.Option("--wheel", help="Wheel to install instead; may be repeated.")
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(
            "--bundle",
            metavar="FILE",
            help="Take the wheels from this file; with --profile write it, without boards.",
        ),
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", help="With --bundle: the kind of board to write it for.")
    ] = None,
    python: Annotated[
        list[str] | None,
        typer.Option(
            "--python", help="With --profile: the boards' Python, such as 3.11; default: all usual ones."
        ),
    ] = None,
    arch: Annotated[
        list[str] | None,
        typer.Option(
            "--arch", help="With --profile: aarch64, armv7l or x86_64; default: all of the profile's."
        ),
    ] = None,
    glibc: Annotated[
        str | None,
        typer.Option(
            "--glibc", help="With --profile: the boards' glibc; default: that of their Python's system."
        ),
    ] = None,
    parallel: options.PARALLEL = 16,
    fleet: options.FLEET = None,
    dry_run: options.DRY_RUN = False,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Install a runtime on boards that have no internet; or write a bundle, for hosts without internet."""
    from edgewright import targets
    from edgewright.cli.views.bundle import contents, write

    names = [targets.load(name).name for name in target or []]
    refuse(selector, bundle, profile, wheel, version, names, [python, arch, glibc])
    if selector is not None:
        name = names[0] if names else None
        install(
            selector,
            name,
            version,
            wheel or [],
            bundle,
            parallel=parallel,
            fleet=fleet,
            dry_run=dry_run,
            as_json=as_json,
        )
    assert bundle is not None  # noqa: S101 - refused above
    if profile is None:
        contents(bundle, as_json=as_json)
    else:
        write(
            bundle, profile, names, version, python or [], arch or [], glibc, dry_run=dry_run, as_json=as_json
        )


def refuse(
    selector: str | None,
    bundle: Path | None,
    profile: str | None,
    wheel: list[Path] | None,
    version: str | None,
    names: list[str],
    kinds: list[list[str] | str | None],
) -> None:
    """Raises UsageError for options that cannot be combined."""
    from edgewright.errors import UsageError

    if profile is not None and selector is not None:
        raise UsageError(
            "--profile is for writing a bundle, boards have their own", hint="leave one of them out"
        )
    if profile is not None and bundle is None:
        raise UsageError("--profile without --bundle FILE", hint="name the file to write")
    if selector is None and bundle is None:
        raise UsageError(
            "no boards given",
            hint="`edgewright provision all`; or --bundle FILE --profile NAME writes a bundle",
        )
    if profile is None and any(kinds):
        raise UsageError(
            "--python, --arch and --glibc say what a bundle is for", hint="give --bundle and --profile too"
        )
    if bundle is not None and wheel:
        raise UsageError("--wheel and --bundle together", hint="leave one of them out")
    if len(names) > 1 and (selector is not None or version):
        raise UsageError(f"more than one target: {', '.join(names)}", hint="give one --target at a time")
    if version and profile is not None and not names:
        raise UsageError("--version without --target", hint="say of which runtime it is")


def install(
    selector: str,
    target: str | None,
    version: str | None,
    wheels: list[Path],
    bundle: Path | None,
    *,
    parallel: int,
    fleet: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Installs a runtime on the boards and exits with the resulting code."""
    from edgewright.cli.on_boards import Boards, finish
    from edgewright.cli.results.provision import ProvisionResult
    from edgewright.cli.views.bundle import offer
    from edgewright.runtimes.install import ensure_runtime
    from edgewright.runtimes.profile_match import profile_of

    boards = Boards(fleet, selector, parallel=parallel)
    offered = None if bundle is None else offer(bundle, dry_run=dry_run)

    def work(board: Board, session: Session, progress: Progress) -> RuntimeChoice:
        facts = session.facts()
        return ensure_runtime(
            session,
            facts,
            target or profile_of(board, facts).targets[0],
            version=version,
            wheels=tuple(wheels),
            offer=offered,
            progress=progress,
            dry_run=dry_run,
        )

    shown = partial(show, dry_run=dry_run)
    answers = boards.each("facts", work, None if as_json else shown)
    finish(
        "provision",
        answers,
        as_json,
        shown,
        lambda: ProvisionResult(dry_run=dry_run, boards=tuple(answers)),
        shown=boards.shown,
        ending="nothing was installed: leave --dry-run out to do it"
        if dry_run
        else "ready: `edgewright deploy MODEL --to SELECTOR`",
    )


def show(answers: list[BoardAnswer[RuntimeChoice]], *, dry_run: bool) -> None:
    """Prints one row per board."""
    from edgewright.api.answer import mark

    new = "would be installed" if dry_run else "installed"

    rows = [
        (
            answer.board + mark(answer.simulated), f"{choice.name} {choice.version}",
            new if choice.installed else "had it already", render.size(choice.bytes) if choice.bytes else "-", choice.ref[:30] or "-",
        )
        for answer in answers if (choice := answer.result) is not None
    ]  # fmt: skip
    render.table("", ["board", "runtime", "", ">unpacked", "ref"], rows)
