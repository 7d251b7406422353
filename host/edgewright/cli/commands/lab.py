"""edgewright lab: starts, lists and stops simulated boards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgewright.cli import options, render

if TYPE_CHECKING:
    from edgewright.lab.boards import LabBoard
    from edgewright.lab.emulation.architectures import Emulation

app = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Start, list and stop simulated boards on this machine."
)
NAME = Annotated[str, typer.Option("--name", help="Name of the lab; its boards are NAME-1, NAME-2, ...")]


def complete_arch(incomplete: str) -> list[str]:
    """The architectures whose names begin like what was typed."""
    from edgewright.lab.emulation.architectures import ARCHITECTURES

    return [one.name for one in ARCHITECTURES if one.name.startswith(incomplete)]


@app.command()
def up(
    boards: Annotated[int, typer.Option("--boards", "-n", min=1, max=200, help="How many.")] = 3,
    profile: Annotated[
        list[str] | None,
        typer.Option("--profile", help="Kind of board to simulate, in turn; may be repeated."),
    ] = None,
    python: Annotated[str | None, typer.Option("--python", metavar="PATH", help="Their Python.")] = None,
    arch: Annotated[
        str | None,
        typer.Option(
            "--arch",
            autocompletion=complete_arch,
            help="arm64, or armv7l (32 bits): emulated boards, each with its own Debian.",
        ),
    ] = None,
    vm: Annotated[
        bool, typer.Option("--vm", help="With --arch: whole machines, each with its own kernel.")
    ] = False,
    kernel: Annotated[
        str | None,
        typer.Option(
            "--kernel",
            help="With --arch armv7l --vm: arm64 (the default: a 64-bit kernel, as 32-bit Raspberry Pi OS has) or armv7l.",
        ),
    ] = None,
    suite: Annotated[
        str | None,
        typer.Option(
            "--suite",
            help="Debian of emulated boards: bullseye (Python 3.9), bookworm (3.11, the default), trixie (3.13), forky (3.14).",
        ),
    ] = None,
    mirror: Annotated[
        str | None,
        typer.Option("--mirror", metavar="ADDRESS", help="Debian archive; default: this machine's."),
    ] = None,
    name: NAME = "lab",
    sshd: Annotated[str | None, typer.Option("--sshd", help="Path of an sshd, or the word built-in.")] = None,
    fleet: options.FLEET = None,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Start boards and add them to the fleet file."""
    from edgewright.cli.progress import shown
    from edgewright.errors import UsageError
    from edgewright.lab import boards as lab
    from edgewright.lab.emulation import architectures

    path = options.fleet_path(fleet)
    emulation = emulation_of(arch, suite, vm, kernel)
    if emulation is None and (suite is not None or mirror is not None):
        raise UsageError(
            "--suite and --mirror are for emulated boards",
            hint=f"give --arch {architectures.names()} too, or leave them out",
        )
    with shown() as progress:
        made = lab.up(
            boards,
            fleet_path=path,
            profiles=tuple(profile or ()),
            python=python,
            name=name,
            sshd=sshd,
            emulation=emulation,
            mirror=mirror,
            progress=progress,
        )
    show("lab up", made, as_json)
    if not as_json:
        if sshd is None and any(board.server == "built-in" for board in made):
            render.note(
                "no sshd on this machine: a built-in SSH server takes its place; "
                "`sudo apt-get install openssh-server` gives real ones"
            )
        render.ending(
            f"next: `edgewright doctor @lab`, `edgewright deploy MODEL --to @lab`; the boards are in {path}"
        )


def emulation_of(arch: str | None, suite: str | None, vm: bool, kernel: str | None) -> Emulation | None:
    """What the requested boards emulate, or None if they have this machine's own architecture.

    Raises:
        UsageError: the architecture or kernel cannot be emulated, or one option lacks another.
    """
    import os

    from edgewright.errors import UsageError
    from edgewright.lab.emulation import architectures
    from edgewright.lab.emulation.architectures import Emulation

    if vm and arch is None:
        raise UsageError("--vm without --arch", hint=f"give --arch {architectures.names()} too")
    if kernel is not None and not vm:
        raise UsageError("--kernel is for whole machines", hint="give --vm too, or leave it out")
    if arch is None or (arch == os.uname().machine and not vm):
        return None
    architecture = architectures.named(arch)
    if os.uname().machine == architecture.machine and not vm:
        return None
    chosen = architecture.kernel(kernel or "") if vm else None
    return Emulation(architecture=architecture, suite=suite or architectures.DEFAULT_SUITE, kernel=chosen)


@app.command()
def down(
    name: Annotated[str | None, typer.Option("--name", help="Name of the lab; default: all labs.")] = None,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Stop boards and remove all their files."""
    from edgewright.lab import boards as lab

    gone = lab.down(name)
    if as_json:
        from edgewright.cli.results.demo import LabDownResult

        render.result("lab down", LabDownResult(removed_boards=tuple(gone)))
    else:
        render.line(f"removed {', '.join(gone)}" if gone else "there is no lab")
        render.ending("`edgewright lab up` starts boards")


@app.command("list")
def list_boards(as_json: options.JSON = False, debug: options.DEBUG = False) -> None:
    """List the boards of all labs."""
    from edgewright.lab import boards as lab

    found = lab.listing()
    show("lab list", found, as_json)
    if not as_json:
        render.ending(list_ending(found))


def start_again(board: LabBoard, found: list[LabBoard]) -> str:
    """The command that starts the boards of a board's lab again, which has to describe the lab as it was made."""
    count = sum(one.lab == board.lab for one in found)
    machine = f" --vm --kernel {board.kernel}" if board.machine else ""
    emulated = f" --arch {board.arch} --suite {board.suite}{machine}" if board.suite else ""
    return f"edgewright lab up --name {board.lab} --boards {count}{emulated} --fleet {shortened(board.fleet)}"


def list_ending(found: list[LabBoard]) -> str:
    """The closing sentence of the list."""
    if not found:
        return "there is no lab: `edgewright lab up` starts boards"
    down = [board for board in found if not board.alive]
    if down:
        names = ", ".join(board.name for board in down[:4])
        return f"{names} down: `{start_again(down[0], found)}` starts that lab's boards again"
    return "`edgewright doctor @lab` describes them; `edgewright lab down` stops them and removes their files"


def show(command: str, made: list[LabBoard], as_json: bool) -> None:
    """Prints one row per board."""
    if as_json:
        from edgewright.cli import results

        render.result(command, results.record(command)(boards=tuple(made)))
        return
    rows = [
        (
            board.name, f"{board.user}@{board.address}:{board.port}", board.profile or "this machine", board.python or (f"{board.suite}'s" if board.suite else "its login's"),
            server_of(board), "own home and passwd" if board.isolated else "shares this machine's", "up" if board.alive else "down",
            shortened(board.fleet),
        )
        for board in made
    ]  # fmt: skip
    render.table(
        "",
        ["board", "address", "poses as", "python", "server", "isolation", "state", "fleet file"],
        rows,
        spare=("isolation", "python"),
    )


def server_of(board: LabBoard) -> str:
    """A board's server, and what it is emulated on."""
    if not board.suite:
        return board.server
    if not board.machine:
        return f"{board.server}, emulated {board.arch}"
    foreign = f", {board.kernel} kernel" * (board.kernel != board.arch)
    return f"{board.server}, {board.arch} machine{foreign}"


def shortened(path: Path) -> str:
    """The path, relative to the working folder if it is inside it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
