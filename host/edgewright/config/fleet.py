"""Reads and writes `fleet.toml`: the boards."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from edgewright.config import strict
from edgewright.config.folder_lock import locked
from edgewright.errors import ConfigError
from edgewright.nouns.board import AUTO, DEFAULT_ROOT, SSH_CLIENTS, Board, BoardEntry, Fleet, FleetFile
from edgewright.record_names import names_of

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
ADDRESS = re.compile(r"[A-Za-z0-9:][A-Za-z0-9._:%-]{0,254}\Z")
PREFIXED = re.compile(
    r"[a-z0-9][a-z0-9_-]{0,63}:[!-?A-~]{0,254}\Z"
)  # a transport, and whatever it needs but `@`
PYTHON = re.compile(r"/[A-Za-z0-9._/+-]+\Z")
GROUP = re.compile(r"[a-z_][a-z0-9_-]{0,31}\Z")
TRANSPORTS = ("edgewright.transports", "edgewright.connect.transports")  # the entry points, the folder
EXAMPLE = "a name is lower-case letters, digits, dot, dash and underscore; `all` means every board"


def load(path: Path) -> Fleet:
    """The fleet in a file, with its defaults filled in for every board.

    Raises:
        ConfigError: missing file, unknown key, wrong type, bad name or address.
    """
    file = read_file(path)
    boards = {name: board(name, entry, file.defaults, path) for name, entry in file.boards.items()}
    return Fleet(name=file.name, path=path.absolute(), boards=boards)


def read_file(path: Path) -> FleetFile:
    """The file as written, without defaults filled in: change this and pass it to `save`."""
    return strict.read(path, FleetFile, what="fleet file")


def read_or_new(path: Path) -> FleetFile:
    """The file as written, or an empty fleet if it does not exist yet."""
    return read_file(path) if path.exists() else FleetFile(name=path.stem)


def save(path: Path, file: FleetFile) -> None:
    """Writes the file atomically."""
    strict.write(path, file)


@contextlib.contextmanager
def changing(path: Path) -> Iterator[FleetFile]:
    """Yields the file as written for changes to its boards, then saves it; locked against other processes and threads."""
    with locked(path.parent):
        before = read_or_new(path)
        file = msgspec.structs.replace(before, boards=dict(before.boards))
        yield file
        if file != before:
            save(path, file)


def board(name: str, entry: BoardEntry, defaults: BoardEntry, path: Path) -> Board:
    """One board with the defaults filled in and its values checked."""
    where = f"fleet file {path}"
    if not NAME.match(name) or name == "all":
        raise ConfigError(f"{where}: not a board's name: {name!r}", hint=EXAMPLE)
    address = entry.address or name
    if not ADDRESS.match(address) and not PREFIXED.match(address):
        raise ConfigError(
            f"{where}: not an address of {name}: {address!r}",
            hint="a host name, an IP address, or an ssh alias",
        )
    check_transport(name, address, where)
    python = entry.python or defaults.python
    if python is not None and not PYTHON.match(python):
        raise ConfigError(
            f"{where}: not an absolute path of {name}'s python: {python!r}", hint="such as /usr/bin/python3"
        )
    port = entry.port or defaults.port
    if port is not None and not 0 < port < 65536:
        raise ConfigError(f"{where}: not a port of {name}: {port}", hint="1 to 65535")
    group = entry.group or defaults.group
    if group is not None and not GROUP.match(group):
        raise ConfigError(f"{where}: not a group of {name}: {group!r}", hint="such as video")
    ssh_client = entry.ssh_client or defaults.ssh_client or AUTO
    if ssh_client not in SSH_CLIENTS:
        raise ConfigError(
            f"{where}: not an SSH client of {name}: {ssh_client!r}", hint=f"one of {', '.join(SSH_CLIENTS)}"
        )
    return Board(
        name=name,
        address=address,
        user=entry.user or defaults.user,
        port=port,
        profile=entry.profile or defaults.profile,
        labels=tuple(dict.fromkeys(defaults.labels + entry.labels)),
        root=entry.root or defaults.root or DEFAULT_ROOT,
        python=python,
        identity=entry.identity or defaults.identity,
        jump=entry.jump or defaults.jump,
        ssh_client=ssh_client,
        machine=entry.machine or defaults.machine,
        group=group,
    )


def check_transport(name: str, address: str, where: str) -> None:
    """Raises ConfigError for an address that begins with a word and a colon, where no transport has that name."""
    word, colon, rest = address.partition(":")
    if not colon or is_ip(address):
        return
    known = names_of(*TRANSPORTS)
    if word in known:
        return
    if rest.isdecimal():
        raise ConfigError(
            f"{where}: the address of {name} has a port: {address}",
            hint=f'write address = "{word}" and port = {rest}',
        )
    raise ConfigError(
        f"{where}: the address of {name} names no transport: {address}",
        hint=f"transports are {', '.join(known)}; a host name has no colon",
    )


def is_ip(address: str) -> bool:
    """Whether it is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True
