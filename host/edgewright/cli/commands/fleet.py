"""edgewright fleet: adds, lists, shows, trusts and removes boards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgewright.cli import options, render
from edgewright.files import write_atomic

if TYPE_CHECKING:
    from edgewright.api.results import BoardAnswer
    from edgewright.wire.answers import Pruned, WasReset

app = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Add, list, show, trust and remove boards."
)
BOARD = Annotated[str, typer.Argument(metavar="NAME", help="Name of the board in this fleet.")]


@app.command()
def add(
    name: BOARD,
    address: Annotated[
        str | None,
        typer.Argument(
            metavar="[USER@]ADDRESS[:PORT]",
            help="Host name, IP address, ssh alias or ssh:// address; of a board that is known it can be left out.",
        ),
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", help="Kind of board; default: found from its facts.")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="Label for @label, added to others; may be repeated.")
    ] = None,
    remove_label: Annotated[
        list[str] | None, typer.Option("--remove-label", help="Label to take away; may be repeated.")
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
    ssh_client: Annotated[
        str | None,
        typer.Option(
            "--ssh-client",
            metavar="auto|paramiko|openssh",
            help="Who logs in: auto takes `ssh` where it is needed.",
        ),
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
    from edgewright.cli.board_address import split_address
    from edgewright.cli.commands.fleet_add import add_board

    user, host, port = split_address(address) if address is not None else (None, None, None)
    given = dict(
        address=host, user=user, port=port, profile=profile, root=root, python=python, identity=identity, jump=jump,
        ssh_client=ssh_client, machine=machine, group=group,
    )  # fmt: skip
    add_board(
        options.fleet_path(fleet), name, {key: value for key, value in given.items() if value is not None},
        labels=label or (), without=remove_label or (), as_json=as_json,
    )  # fmt: skip


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
    missing = [name for name in loaded.boards if name not in pins]
    if not loaded.boards:
        render.ending("no boards yet: `edgewright fleet add NAME ADDRESS`")
    elif missing:
        render.ending(f"next: `edgewright fleet trust {','.join(missing[:4])}` pins host keys")
    else:
        render.ending("`edgewright doctor` says what they are and whether they are ready")


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
        values["pin"] = ", ".join(pins[board.name].host_keys) if board.name in pins else "none yet"
        render.table(
            board.name, ["", ""], [(key, value) for key, value in values.items() if value and key != "name"]
        )
    render.ending(
        "`edgewright fleet add NAME` with options changes a board; `edgewright doctor` asks it for its facts"
    )


@app.command()
def trust(
    selector: Annotated[str, typer.Argument(metavar="SELECTOR", help="Boards.")] = "all",
    yes: options.YES = False,
    known_hosts: Annotated[
        bool,
        typer.Option(
            "--known-hosts", help="Take the keys from known_hosts files, without contacting the boards."
        ),
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace all pinned keys.")] = False,
    fleet: options.FLEET = None,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Show the host keys of boards and pin them."""
    from edgewright.cli.commands.fleet_trust import TrustOptions, trust_boards

    chosen = TrustOptions(yes=yes, known_hosts=known_hosts, replace=replace)
    raise typer.Exit(trust_boards(fleet, selector, chosen, as_json=as_json))


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
    from edgewright.cli.commands.fleet_remove import remove_boards

    raise typer.Exit(remove_boards(fleet, selector, purge=purge, yes=yes, as_json=as_json))


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
    from edgewright.cli.on_boards import Boards, finish, mapped
    from edgewright.cli.results.boards import BoardPrune, FleetPruneResult
    from edgewright.nouns.listing import plural
    from edgewright.wire import commands

    def people(answers: list[BoardAnswer[Pruned]]) -> None:
        done = [(answer.board, answer.result) for answer in answers if answer.result is not None]
        for board, value in done:
            for one in value.removed if dry_run else ():
                render.line(f"{board}: would remove {one}")
            for one in value.in_use:
                render.line(f"{board}: in use, stays: {one}")
        rows = [(board, len(value.removed), render.size(value.freed_bytes)) for board, value in done]
        render.table("", ["board", ">would be removed" if dry_run else ">removed", ">freed"], rows)

    def pruned(done: Pruned) -> BoardPrune:
        return BoardPrune(removed=done.removed, in_use=done.in_use, freed_bytes=done.freed_bytes)

    command = commands.Prune(keep=keep, dry_run=dry_run)
    boards = Boards(fleet, selector)
    answers = boards.each(
        "prune", lambda board, session, progress: session.call(command), None if as_json else people
    )
    finish(
        "fleet prune",
        answers,
        as_json,
        people,
        lambda: FleetPruneResult(dry_run=dry_run, boards=mapped(answers, pruned)),
        shown=boards.shown,
        ending="nothing was removed: leave --dry-run out to do it"
        if dry_run
        else f"each model keeps its newest {plural(keep, 'known-good release')}",
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
    from edgewright.cli.confirmation import confirm
    from edgewright.cli.on_boards import Boards, finish
    from edgewright.cli.results.boards import FleetResetResult
    from edgewright.cli.views import damage
    from edgewright.wire import commands

    def people(answers: list[BoardAnswer[WasReset]]) -> None:
        render.line(f"reset: {', '.join(answer.board for answer in answers)}")
        for answer in answers:
            for line in damage.lines(answer.board, answer.result.left if answer.result else (), {}):
                render.line(line)

    boards = Boards(fleet, selector)
    confirm(f"take what runs on {', '.join(board.name for board in boards.boards)} as known good?", yes)
    answers = boards.each("reset", lambda board, session, progress: session.call(commands.Reset()))
    finish(
        "fleet reset",
        answers,
        as_json,
        people,
        lambda: FleetResetResult(boards=tuple(answers)),
        ending="`edgewright status` shows what runs there now",
    )


@app.command()
def repair(
    selector: Annotated[str, typer.Argument(metavar="SELECTOR", help="Boards.")],
    fleet: options.FLEET = None,
    dry_run: options.DRY_RUN = False,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Put right what was changed by hand on boards: links, modes, files that do not belong there."""
    from edgewright.cli.commands.fleet_repair import repair_boards

    repair_boards(fleet, selector, dry_run=dry_run, as_json=as_json)


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
    render.ending(
        "install it as root, where the login cannot write; docs/board.md has the line for authorized_keys"
    )
