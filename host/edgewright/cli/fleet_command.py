"""edgewright fleet: adds, lists, shows, trusts and removes boards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from edgewright.cli import options, render

if TYPE_CHECKING:
    from edgewright.cli.on_boards import Answer

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
        str | None, typer.Option("--root", help="Folder on the board for everything of edgewright's.")
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
    """Add a board to the fleet file, or change it: what is not said of one that is there stays."""
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
        render.document("fleet add", fleet=path, board=board, changed=existed)
    else:
        render.line(f"{'changed' if existed else 'added'} {name} in {path}")
        render.note(f"next: `edgewright fleet trust {name}` pins its host key")


def split_address(text: str) -> tuple[str | None, str, int | None]:
    """`pi@host:2222` -> ("pi", "host", 2222); an IPv6 address with a port is written [::1]:22.

    Raises:
        UsageError: no host, or the port is no number from 1 to 65535.
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
    from edgewright.connect.transports import TRANSPORTS, named_by

    after = address.partition(":")[2]
    return not after.isdecimal() and not TRANSPORTS[named_by(address)].host_keys


@app.command("list")
def list_boards(
    fleet: options.FLEET = None, as_json: options.JSON = False, debug: options.DEBUG = False
) -> None:
    """List the boards; none is contacted."""
    from edgewright.config import fleet as fleets
    from edgewright.config import trust as trusts

    loaded = fleets.load(options.fleet_path(fleet))
    pins = trusts.load(loaded).boards
    if as_json:
        render.document("fleet list", fleet=loaded.name, path=loaded.path,
                        boards=[{"trusted": name in pins, "board": board} for name, board in loaded.boards.items()])  # fmt: skip
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
    """Show boards with the fleet's defaults filled in; none is contacted."""
    import msgspec

    from edgewright.config import fleet as fleets
    from edgewright.config import trust as trusts
    from edgewright.nouns.selector import select

    loaded = fleets.load(options.fleet_path(fleet))
    pins = trusts.load(loaded).boards
    boards = select(loaded, selector)
    if as_json:
        render.document(
            "fleet show", boards=[{"board": board, "pin": pins.get(board.name)} for board in boards]
        )
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
        bool, typer.Option("--known-hosts", help="Take the keys from ~/.ssh/known_hosts; contact nobody.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Pin a key although another one is pinned.")
    ] = False,
    fleet: options.FLEET = None,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Show the host keys of boards and pin them."""
    from edgewright.cli.fleet_trust import trust_boards

    raise typer.Exit(
        trust_boards(fleet, selector, yes=yes, known_hosts=known_hosts, replace=replace, as_json=as_json)
    )


@app.command()
def remove(
    selector: Annotated[str, typer.Argument(metavar="SELECTOR", help="Boards.")],
    purge: Annotated[
        bool, typer.Option("--purge", help="Also remove everything of edgewright's from the boards.")
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

    boards = Boards(fleet, selector)
    names = [board.name for board in boards.boards]
    confirm(
        f"remove {', '.join(names)} from {boards.fleet.path.name}{' and purge the boards' if purge else ''}?",
        yes,
    )
    answers = boards.each("purge", lambda board, session, progress: session.call("purge")) if purge else []
    kept = {answer.board.name for answer in answers if answer.error is not None}
    gone = [name for name in names if name not in kept]
    with fleets.changing(boards.fleet.path) as file:
        for name in gone:
            file.boards.pop(name, None)
    with trusts.changing(boards.fleet) as pins:
        for name in gone:
            pins.boards.pop(name, None)
    if as_json:
        render.document("fleet remove", removed=gone, kept=sorted(kept))
    elif gone:
        render.line(f"removed {', '.join(gone)}")
    for answer in answers:
        if answer.error is not None:
            render.note(f"{answer.board.name} is kept: {answer.error.message}")
        elif (answer.value or {}).get("left"):
            render.note(f"{answer.board.name}: left there: {(answer.value or {})['left']}")
    raise typer.Exit(int(exit_for(answers)))


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

    def people(answers: list[Answer[dict[str, Any]]]) -> None:
        rows = [
            (
                answer.board.name,
                len((answer.value or {}).get("removed", [])),
                render.size(int((answer.value or {}).get("freed_bytes", 0))),
            )
            for answer in answers
        ]
        for answer in answers:
            for one in (answer.value or {}).get("removed", []) if dry_run else []:
                render.line(f"{answer.board.name}: would remove {one}")
            for one in (answer.value or {}).get("in_use", []):
                render.line(f"{answer.board.name}: in use, stays: {one}")
        render.table("", ["board", ">would be removed" if dry_run else ">removed", ">freed"], rows)

    more: dict[str, Any] = (
        {"dry_run": True} if dry_run else {}
    )  # an agent that knows no such argument is asked without it
    answers = Boards(fleet, selector).each(
        "prune", lambda board, session, progress: session.call("prune", keep=keep, **more)
    )
    finish("fleet prune", answers, as_json, people, dry_run=dry_run)


@app.command()
def reset(
    selector: Annotated[str, typer.Argument(metavar="SELECTOR", help="Boards.")],
    yes: options.YES = False,
    fleet: options.FLEET = None,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Accept what `current` points to, on boards whose state was lost (`status` says so)."""
    from edgewright.cli.on_boards import Boards, finish

    def people(answers: list[Answer[dict[str, Any]]]) -> None:
        render.line(f"reset: {', '.join(answer.board.name for answer in answers)}")

    boards = Boards(fleet, selector)
    confirm(f"take what runs on {', '.join(board.name for board in boards.boards)} as known good?", yes)
    finish(
        "fleet reset",
        boards.each("reset", lambda board, session, progress: session.call("reset")),
        as_json,
        people,
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
    from edgewright.connect import agent_package, runner_package
    from edgewright.errors import EdgewrightError

    names = [targets.load(name).name for name in target or targets.names()]
    runners = {name: runner_package.package(name) for name in names}
    data = agent_package.for_administrator({name: one.data for name, one in runners.items()})
    try:
        agent_package.write(output, data)
    except OSError as error:
        raise EdgewrightError(
            f"cannot write {output}: {error.strerror}", hint="name a file in a folder that exists"
        ) from error
    if as_json:
        hashes = {name: one.sha256 for name, one in runners.items()}
        render.document(
            "fleet agent",
            path=output,
            sha256=hashlib.sha256(data).hexdigest(),
            bytes=len(data),
            runners=hashes,
        )
        return
    render.line(f"wrote {output}: {render.size(len(data))}, runners: {', '.join(runners)}")
    render.note(
        "install it as root, where the login cannot write; docs/board.md has the line for authorized_keys"
    )


def confirm(question: str, yes: bool) -> None:
    """Asks; ends as aborted on no, and where nobody can be asked."""
    import sys

    from edgewright.errors import EdgewrightError

    if yes:
        return
    if not sys.stdin.isatty():
        raise EdgewrightError("nobody is there to ask", hint="--yes goes ahead", code="aborted")
    if not typer.confirm(question, err=True):
        raise KeyboardInterrupt
