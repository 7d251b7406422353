"""edgewright fleet: adds, lists, shows, trusts and removes boards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from edgewright.cli import options, render
from edgewright.files import write_atomic

if TYPE_CHECKING:
    from edgewright.cli.answer import Answer
    from edgewright.wire.answers import Nothing, Pruned

app = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Add, list, show, trust and remove boards."
)
BOARD = Annotated[str, typer.Argument(metavar="NAME", help="Name of the board in this fleet.")]


@app.command()
def add(
    name: BOARD,
    address: Annotated[
        str, typer.Argument(metavar="[USER@]ADDRESS[:PORT]", help="Host name, IP address or ssh alias.")
    ],
    profile: Annotated[
        str | None, typer.Option("--profile", help="Kind of board; default: found from its facts.")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="Label for @label; may be repeated.")
    ] = None,
    root: Annotated[
        str | None, typer.Option("--root", help="Folder on the board for all of edgewright's files.")
    ] = None,
    python: Annotated[
        str | None, typer.Option("--python", help="Absolute path of the board's Python.")
    ] = None,
    identity: Annotated[
        str | None, typer.Option("--identity", help="Private key file on this machine.")
    ] = None,
    jump: Annotated[
        str | None, typer.Option("--jump", metavar="[USER@]HOST[:PORT]", help="Jump host.")
    ] = None,
    machine: Annotated[
        str | None, typer.Option("--machine", help="Machine shared with other boards: measured in turn.")
    ] = None,
    group: Annotated[
        str | None, typer.Option("--group", help="Group on the board whose members may read the models.")
    ] = None,
    fleet: options.FLEET = None,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Add a board to the fleet file, or change one: options that are left out keep their values."""
    from edgewright.config import fleet as fleets
    from edgewright.config import profiles
    from edgewright.nouns.board import BoardEntry

    path = options.fleet_path(fleet)
    if profile is not None:
        profiles.load(profile)
    user, host, port = split_address(address)
    said: dict[str, Any] = dict(
        address=host, user=user, port=port, profile=profile, labels=tuple(label or ()) or None, root=root, python=python,
        identity=identity, jump=jump, machine=machine, group=group,
    )  # fmt: skip
    said = {key: value for key, value in said.items() if value is not None}
    with fleets.changing(path) as file:
        existed = name in file.boards
        entry = msgspec.structs.replace(file.boards[name], **said) if existed else BoardEntry(**said)
        board = fleets.board(name, entry, file.defaults, path)
        file.boards[name] = entry
    if as_json:
        from edgewright.cli.results.fleet import FleetAddResult

        render.result("fleet add", FleetAddResult(path=path, board=board, changed=existed))
    else:
        render.line(f"{'changed' if existed else 'added'} {name} in {path}")
        render.note(f"next: `edgewright fleet trust {name}` pins its host key")


def split_address(text: str) -> tuple[str | None, str, int | None]:
    """`pi@host:2222` -> ("pi", "host", 2222); an IPv6 address with a port is written [::1]:22.

    Raises:
        UsageError: no host, the port is not a number from 1 to 65535, or an address that its transport does not take.
    """
    from edgewright.errors import UsageError

    user, _, rest = text.rpartition("@")
    host, port = rest, ""
    if rest.startswith("["):
        host, _, port = rest[1:].partition("]")
        port = port.removeprefix(":")
    elif rest.count(":") == 1 and not names_transport(rest):
        host, _, port = rest.partition(":")
    if not host:
        raise UsageError(f"no address: {text!r}", hint="such as pi@192.0.2.7:22")
    if port and not (port.isdecimal() and len(port) < 6 and 0 < int(port) < 65536):
        raise UsageError(f"not a port: {port}", hint="such as pi@192.0.2.7:22")
    return user or None, host, int(port) if port else None


def names_transport(address: str) -> bool:
    """Whether an address such as `local:` names a transport rather than a port."""
    from edgewright.connect.transports import kind_of

    after = address.partition(":")[2]
    return not after.isdecimal() and not kind_of(address).host_keys


@app.command("list")
def list_boards(
    fleet: options.FLEET = None, as_json: options.JSON = False, debug: options.DEBUG = False
) -> None:
    """List the boards, without contacting them."""
    from edgewright.config import fleet as fleets
    from edgewright.config import trust as trusts

    loaded = fleets.load(options.fleet_path(fleet))
    pins = trusts.load(loaded).boards
    if as_json:
        from edgewright.cli.results.fleet import FleetListResult, ListedBoard

        found = tuple(ListedBoard(board=board, trusted=name in pins) for name, board in loaded.boards.items())
        render.result("fleet list", FleetListResult(fleet=loaded.name, path=loaded.path, boards=found))
        return
    rows = [
        (
            name, f"{board.user + '@' if board.user else ''}{board.address}{f':{board.port}' if board.port else ''}",
            board.profile or "from its facts", ", ".join(board.labels) or "-", "pinned" if name in pins else "not yet",
        )
        for name, board in loaded.boards.items()
    ]  # fmt: skip
    render.table(str(loaded.path), ["board", "address", "profile", "labels", "host key"], rows)


@app.command()
def show(
    selector: Annotated[str, typer.Argument(metavar="SELECTOR", help="Boards.")] = "all",
    fleet: options.FLEET = None,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Show boards with the fleet's defaults filled in, without contacting them."""
    import msgspec

    from edgewright.config import fleet as fleets
    from edgewright.config import trust as trusts
    from edgewright.nouns.selector import select

    loaded = fleets.load(options.fleet_path(fleet))
    pins = trusts.load(loaded).boards
    boards = select(loaded, selector)
    if as_json:
        from edgewright.cli.results.fleet import FleetShowResult, ShownBoard

        found = tuple(ShownBoard(board=board, pin=pins.get(board.name)) for board in boards)
        render.result("fleet show", FleetShowResult(boards=found))
        return
    for board in boards:
        values: dict[str, Any] = msgspec.to_builtins(board)
        values["labels"] = ", ".join(board.labels)
        values["pin"] = pins[board.name].host_key if board.name in pins else "none yet"
        render.table(
            board.name, ["", ""], [(key, value) for key, value in values.items() if value and key != "name"]
        )


@app.command()
def trust(
    selector: Annotated[str, typer.Argument(metavar="SELECTOR", help="Boards.")] = "all",
    yes: options.YES = False,
    known_hosts: Annotated[
        bool,
        typer.Option(
            "--known-hosts", help="Take the keys from ~/.ssh/known_hosts, without contacting the boards."
        ),
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a pinned key.")] = False,
    fleet: options.FLEET = None,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Show the host keys of boards and pin them."""
    from edgewright.cli.commands.fleet_trust import trust_boards

    raise typer.Exit(
        trust_boards(fleet, selector, yes=yes, known_hosts=known_hosts, replace=replace, as_json=as_json)
    )


@app.command()
def remove(
    selector: Annotated[str, typer.Argument(metavar="SELECTOR", help="Boards.")],
    purge: Annotated[
        bool, typer.Option("--purge", help="Also remove all of edgewright's files from the boards.")
    ] = False,
    yes: options.YES = False,
    fleet: options.FLEET = None,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Remove boards from the fleet file."""
    from edgewright.cli.on_boards import Boards, exit_for
    from edgewright.config import fleet as fleets
    from edgewright.config import trust as trusts
    from edgewright.wire import commands

    boards = Boards(fleet, selector)
    names = [board.name for board in boards.boards]
    confirm(
        f"remove {', '.join(names)} from {boards.fleet.path.name}{' and purge the boards' if purge else ''}?",
        yes,
    )
    answers = (
        boards.each("purge", lambda board, session, progress: session.call(commands.Purge())) if purge else []
    )
    kept = {answer.board.name for answer in answers if answer.error is not None}
    gone = [name for name in names if name not in kept]
    with fleets.changing(boards.fleet.path) as file:
        for name in gone:
            file.boards.pop(name, None)
    with trusts.changing(boards.fleet) as pins:
        for name in gone:
            pins.boards.pop(name, None)
    code = exit_for(answers)
    if as_json:
        from edgewright.cli.results.fleet import FleetRemoveResult

        removed = FleetRemoveResult(removed_boards=tuple(gone), kept_boards=tuple(sorted(kept)))
        render.result("fleet remove", removed, ok=code == 0)
    elif gone:
        render.line(f"removed {', '.join(gone)}")
    for answer in answers:
        if answer.error is not None:
            render.note(f"{answer.board.name} is kept: {answer.error.message}")
        elif answer.value and answer.value.left:
            render.note(f"{answer.board.name}: left there: {answer.value.left}")
    raise typer.Exit(int(code))


@app.command()
def prune(
    selector: Annotated[str, typer.Argument(metavar="SELECTOR", help="Boards.")] = "all",
    keep: Annotated[
        int, typer.Option("--keep", min=1, max=1000, help="Known-good releases to keep of each model.")
    ] = 3,
    fleet: options.FLEET = None,
    dry_run: options.DRY_RUN = False,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Remove old releases, unused runtimes and leftovers from boards."""
    from edgewright.cli.on_boards import Boards, finish
    from edgewright.cli.results.boards import BoardPrune, FleetPruneResult
    from edgewright.wire import commands

    def people(answers: list[Answer[Pruned]]) -> None:
        done = [(answer.board.name, answer.value) for answer in answers if answer.value is not None]
        for board, value in done:
            for one in value.removed if dry_run else ():
                render.line(f"{board}: would remove {one}")
            for one in value.in_use:
                render.line(f"{board}: in use, stays: {one}")
        rows = [(board, len(value.removed), render.size(value.freed_bytes)) for board, value in done]
        render.table("", ["board", ">would be removed" if dry_run else ">removed", ">freed"], rows)

    command = commands.Prune(keep=keep, dry_run=dry_run)
    answers = Boards(fleet, selector).each("prune", lambda board, session, progress: session.call(command))
    finish(
        "fleet prune",
        answers,
        as_json,
        people,
        lambda boards: FleetPruneResult(dry_run=dry_run, boards=boards),
        of=lambda answer: BoardPrune(
            removed=answer.removed, in_use=answer.in_use, freed_bytes=answer.freed_bytes
        ),
    )


@app.command()
def reset(
    selector: Annotated[str, typer.Argument(metavar="SELECTOR", help="Boards.")],
    yes: options.YES = False,
    fleet: options.FLEET = None,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Accept what `current` points to, on boards that `status` reports as state-lost."""
    from edgewright.cli.on_boards import Boards, finish
    from edgewright.cli.results.boards import FleetResetResult
    from edgewright.wire import commands

    def people(answers: list[Answer[Nothing]]) -> None:
        render.line(f"reset: {', '.join(answer.board.name for answer in answers)}")

    boards = Boards(fleet, selector)
    confirm(f"take what runs on {', '.join(board.name for board in boards.boards)} as known good?", yes)
    finish(
        "fleet reset",
        boards.each("reset", lambda board, session, progress: session.call(commands.Reset())),
        as_json,
        people,
        lambda boards: FleetResetResult(boards=boards),
        of=lambda answer: None,
    )


@app.command()
def agent(
    output: Annotated[Path, typer.Argument(metavar="FILE", help="The .pyz to write.")],
    target: Annotated[
        list[str] | None,
        typer.Option("--target", help="Runtime that boards may use; may be repeated. Default: all."),
    ] = None,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Write the agent with its runners, for an administrator to install behind a forced command."""
    import hashlib

    from edgewright import targets
    from edgewright.connect.agent import package, runner_package
    from edgewright.errors import EdgewrightError

    names = [targets.load(name).name for name in target or targets.names()]
    runners = {name: runner_package.package(name) for name in names}
    data = package.for_administrator({name: one.data for name, one in runners.items()})
    try:
        write_atomic(output, data)
    except OSError as error:
        raise EdgewrightError(
            f"cannot write {output}: {error.strerror}", hint="name a file in a folder that exists"
        ) from error
    if as_json:
        from edgewright.cli.results.fleet import FleetAgentResult

        written = FleetAgentResult(
            path=output,
            sha256=hashlib.sha256(data).hexdigest(),
            bytes=len(data),
            runners={name: one.sha256 for name, one in runners.items()},
        )
        render.result("fleet agent", written)
        return
    render.line(f"wrote {output}: {render.size(len(data))}, runners: {', '.join(runners)}")
    render.note(
        "install it as root, where the login cannot write; docs/board.md has the line for authorized_keys"
    )


def confirm(question: str, yes: bool) -> None:
    """Asks for confirmation; ends as aborted on no, or if stdin is not a terminal."""
    import sys

    from edgewright.errors import Code, EdgewrightError

    if yes:
        return
    if not sys.stdin.isatty():
        raise EdgewrightError(
            "cannot prompt: stdin is not a terminal", hint="use --yes to skip the question", code=Code.ABORTED
        )
    if not typer.confirm(question, err=True):
        raise KeyboardInterrupt
