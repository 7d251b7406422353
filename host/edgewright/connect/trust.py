"""Trust: the host key, the board id and the serial number that a fleet pinned for each board."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgewright.config import trust as trust_file
from edgewright.connect.ssh import client, config
from edgewright.connect.ssh import pins as pins
from edgewright.connect.ssh.host_keys import HostKey, key_bytes, known_keys
from edgewright.connect.transports import transport_of
from edgewright.errors import Code, TrustError
from edgewright.nouns.board import Board, Fleet, Pin
from edgewright.wire.transport import AskPassword

KNOWN_HOSTS = "~/.ssh/known_hosts"


def scan(board: Board, fleet: Fleet, *, ask_password: AskPassword | None = None) -> list[HostKey]:
    """The host key to show to a person before it is pinned.

    It is that of the board, or of the first jump host on the way that is not pinned yet: pin that one and
    scan again, until the key of the board itself (`jump` is false) comes.

    A board that is reached without SSH has none.

    Raises:
        Unreachable: nothing answers there.
    """
    if not transport_of(board).host_keys:
        return []
    target = config.endpoint(board, client.lookup())
    trust = trust_file.load(fleet)
    for index, hop in enumerate(target.jumps):
        if hop.host not in trust.hosts:
            hop = msgspec.structs.replace(hop, jumps=target.jumps[:index])
            return [client.scan(hop, pins.pin_of(board, fleet), ask_password)]
    return [client.scan(target, pins.pin_of(board, fleet), ask_password)]


def from_known_hosts(board: Board) -> list[HostKey]:
    """The keys that OpenSSH already trusts for the board and its jump hosts: the best of each.

    `~/.ssh/known_hosts` is read, hashed entries included; certificate authorities there are not followed.
    """
    if not transport_of(board).host_keys:
        return []
    target = config.endpoint(board, client.lookup())
    path = Path(KNOWN_HOSTS).expanduser()
    found: list[HostKey] = []
    for hop in (*target.jumps, target):
        keys = [key for key in known_keys(path, hop.address, hop.port) if rank(key) is not None]
        if not keys and not hop.jump:
            keys = [key for key in known_keys(path, board.address, hop.port) if rank(key) is not None]
        if keys:
            best = min(keys, key=lambda key: rank(key) or 0)
            found.append(msgspec.structs.replace(best, host=hop.host, jump=hop.jump))
    return found


def rank(key: HostKey) -> int | None:
    """How early a key's type is asked for; None for a type that is not."""
    types = client.key_types(key.text)
    return client.KEY_TYPES.index(types[0]) if types[0] in client.KEY_TYPES else None


def pin(board: Board, fleet: Fleet, key: HostKey, *, replace: bool = False) -> None:
    """Pins a host key that a person confirmed.

    Args:
        replace: the host has another key, and that is right: its id and serial are forgotten too.

    Raises:
        TrustError: another key is pinned and `replace` was not asked for.
    """
    key_bytes(key.text)
    with trust_file.changing(fleet) as trust:
        table = trust.hosts if key.jump else trust.boards
        name = key.host if key.jump else board.name
        old = table.get(name)
        if old is not None and old.host_key == key.text and not replace:
            return
        if old is not None and not replace:
            raise TrustError(
                f"another host key is pinned for {name}; the new one is {key.fingerprint}",
                hint=client.CHANGED.format(name=board.name),
                code=Code.HOST_KEY_CHANGED,
            )
        table[name] = Pin(host_key=key.text)


def check_identity(board: Board, fleet: Fleet, board_id: str, serial: str) -> None:
    """Compares what a board says it is with its pin, and pins it at the first session.

    Raises:
        TrustError: it is another board than before, or the same as another entry, or its card was cloned.
    """
    with trust_file.changing(fleet) as trust:
        pinned = trust.boards.get(board.name)
        if pinned is None:
            return
        check_same(board.name, pinned, board_id, serial)
        for name, other in trust.boards.items():
            if name != board.name:
                check_other(board.name, pinned, name, other, board_id, serial)
        seen = Pin(
            host_key=pinned.host_key, board_id=pinned.board_id or board_id, serial=pinned.serial or serial
        )
        trust.boards[board.name] = seen


def check_same(name: str, pinned: Pin, board_id: str, serial: str) -> None:
    """Whether this is the machine and the root folder of before."""
    again = f"edgewright fleet trust {name} --replace"
    if pinned.serial and serial and serial != pinned.serial:
        raise TrustError(
            f"the hardware of {name} changed: pinned serial {pinned.serial}, found {serial}",
            hint=f"if its card was moved or cloned to another board: {again}",
            code=Code.BOARD_REPLACED,
        )
    if pinned.board_id and board_id != pinned.board_id:
        raise TrustError(
            f"{name} is not the board it was: pinned id {pinned.board_id[:12]}, found {board_id[:12]}",
            hint=f"if it was set up again, or its root folder was moved or removed: {again}",
            code=Code.BOARD_REPLACED,
        )


def check_other(name: str, pinned: Pin, other_name: str, other: Pin, board_id: str, serial: str) -> None:
    """Whether another entry of the fleet is this board, or its copy."""
    serials_differ = bool(serial and other.serial and serial != other.serial)
    same_id = bool(board_id) and board_id == other.board_id
    if serials_differ and (same_id or pinned.host_key == other.host_key):
        raise TrustError(
            f"{name} and {other_name} are copies: same keys, but serials {serial} and {other.serial}",
            hint="a card was cloned: make new SSH host keys (ssh-keygen -A) and remove the root folder",
            code=Code.BOARD_CLONED,
        )
    if same_id:
        raise TrustError(
            f"{name} and {other_name} are the same board, or a copy of it: id {board_id[:12]}",
            hint=f"remove one of them: edgewright fleet remove {name}",
            code=Code.BOARD_DUPLICATE,
        )


def forget_identity(board: Board, fleet: Fleet) -> None:
    """Forgets the board id, after the root folder was removed on purpose; host key and serial stay."""
    with trust_file.changing(fleet) as trust:
        pinned = trust.boards.get(board.name)
        if pinned is not None:
            trust.boards[board.name] = msgspec.structs.replace(pinned, board_id="")


def unpin(board: Board, fleet: Fleet) -> None:
    """Removes all that is pinned for a board."""
    with trust_file.changing(fleet) as trust:
        trust.boards.pop(board.name, None)
