"""Trust: the host keys, the board id and the serial number that a fleet pinned for each board."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import msgspec

from edgewright.config import trust as trusts
from edgewright.connect.ssh import choice, config, known_hosts, negotiation, pins
from edgewright.connect.ssh.config import Endpoint
from edgewright.connect.ssh.host_keys import ALGORITHMS, HostKey, algorithms, key_bytes
from edgewright.connect.ssh.resolution.lookup import lookup
from edgewright.connect.transports import transport_of
from edgewright.errors import Code, TrustError
from edgewright.nouns.board import Board, Fleet, Pin, TrustFile
from edgewright.wire.transport import AskPassword


def scan(
    board: Board, fleet: Fleet, *, ask_password: AskPassword | None = None, replace: bool = False
) -> list[HostKey]:
    """The host keys to show to the user before they are pinned, all of one host: the one that it shows comes first.

    If `known_hosts` trusts that key, the other keys that it trusts for the host follow.
    They belong to the board, or to the first jump host on the way that has to be pinned: pin those and
    scan again, until the result is the board's own keys (`jump` is false).

    A board that is reached without SSH has none.

    Args:
        replace: a jump host that shows another key than the pinned ones has to be pinned too.

    Raises:
        Unreachable: the address does not answer.
        TrustError: the shown key is revoked, or a jump host shows another key than the pinned ones.
    """
    if not transport_of(board).host_keys:
        return []
    target = config.endpoint(board, lookup())
    look = functools.partial(_shown, board=board, fleet=fleet, ask=ask_password)
    for index, jump in enumerate(target.jumps):
        hop = msgspec.structs.replace(jump, jumps=target.jumps[:index])
        pin = pins.of_host(trusts.load(fleet), hop.host)
        if pin is None:
            return look(hop)
        if replace and (keys := look(hop))[0].text not in pin.host_keys:
            return keys
    return look(target)


def _shown(endpoint: Endpoint, board: Board, fleet: Fleet, ask: AskPassword | None) -> list[HostKey]:
    """The key that a host shows, and the others of that host alone in `known_hosts` if it trusts that one."""
    known = supported(known_hosts.trusted(endpoint))
    pin = pins.of_endpoint(trusts.load(fleet), board, endpoint)
    prefer = algorithms([*(pin.host_keys if pin else ()), *(key.text for key in known)])
    key = choice.scan(board, fleet, endpoint, ask, prefer)
    if key not in known:
        return [msgspec.structs.replace(key, odd=bool(known))]
    return [key, *(one for one in supported(known_hosts.own(endpoint)) if one != key)]


def from_known_hosts(board: Board, fleet: Fleet, *, replace: bool = False) -> list[HostKey]:
    """The keys that OpenSSH already trusts for the board and its jump hosts, those of each host together.

    Certificate authorities are not supported. A jump host without a key there is left out if it is pinned.

    Args:
        replace: a pinned jump host needs a key there too.

    Raises:
        TrustError: a host has no key there, or only revoked ones; or a `known_hosts` file cannot be read.
    """
    if not transport_of(board).host_keys:
        return []
    trust = trusts.load(fleet)
    target = config.endpoint(board, lookup())
    found: list[HostKey] = []
    for hop in (*target.jumps, target):
        keys = supported(known_hosts.trusted(hop))
        if not keys and (replace or not hop.jump or pins.of_host(trust, hop.host) is None):
            raise _unknown(hop)
        found += supported(known_hosts.own(hop)) or keys[:1]
    return found


def _unknown(endpoint: Endpoint) -> TrustError:
    """The error for a host without a key in its `known_hosts` files."""
    for entry in known_hosts.revoked(endpoint):
        return known_hosts.refusal(endpoint, entry)
    files = " or ".join(str(path) for path in known_hosts.files(endpoint) if path.exists())
    return TrustError(
        f"no usable host key of {endpoint.label} ({endpoint.host}) in {files or 'any known_hosts file'}",
        hint="log in once with `ssh`, or leave --known-hosts out to pin the key that the host shows",
        code=Code.NOT_FOUND,
    )


def supported(keys: Sequence[HostKey]) -> list[HostKey]:
    """The keys whose types are supported, the preferred type first."""
    usable = [(algorithms([key.text]), key) for key in keys]
    return [key for types, key in sorted(usable, key=lambda one: _rank(one[0])) if types]


def _rank(types: tuple[str, ...]) -> int:
    return ALGORITHMS.index(types[0]) if types else len(ALGORITHMS)


def not_pinned(board: Board, fleet: Fleet, keys: Sequence[HostKey]) -> list[HostKey]:
    """Those keys of one host that are not pinned yet.

    Raises:
        TrustError: others are pinned, and none of these.
    """
    table, name = _place(trusts.load(fleet), board, keys[0])
    pinned = table[name].host_keys if name in table else ()
    new = [key for key in keys if key.text not in pinned]
    if pinned and len(new) == len(keys):
        raise _changed(board, name, keys)
    return new


def pin(board: Board, fleet: Fleet, *keys: HostKey, replace: bool = False) -> None:
    """Pins host keys of one host, at least one, that the user confirmed: beside pinned ones if one of them is pinned.

    Args:
        replace: accept that the host has new keys; the old ones, its id and its serial are forgotten.

    Raises:
        TrustError: others are pinned, none of these is, and `replace` is false.
    """
    texts = tuple(dict.fromkeys(key.text for key in keys))
    for text in texts:
        key_bytes(text)
    with trusts.changing(fleet) as trust:
        table, name = _place(trust, board, keys[0])
        old = table.get(name)
        if old is None or replace:
            table[name] = Pin(host_key=texts[0], other_keys=texts[1:])
        elif set(texts) & set(old.host_keys):
            every = tuple(dict.fromkeys((*old.host_keys, *texts)))
            table[name] = msgspec.structs.replace(old, other_keys=every[1:])
        else:
            raise _changed(board, name, keys)


def _place(trust: TrustFile, board: Board, key: HostKey) -> tuple[dict[str, Pin], str]:
    """The table of pins that a key belongs to, and its host's name there."""
    if not key.jump:
        return trust.boards, board.name
    return trust.hosts, next((one for one in trust.hosts if one.lower() == key.host.lower()), key.host)


def _changed(board: Board, name: str, keys: Sequence[HostKey]) -> TrustError:
    """The error for a host that has another key than the pinned ones."""
    return TrustError(
        f"another host key is pinned for {name}; the new one is {keys[0].fingerprint}",
        hint=negotiation.CHANGED.format(name=board.name),
        code=Code.HOST_KEY_CHANGED,
    )


def check_identity(board: Board, fleet: Fleet, board_id: str, serial: str) -> None:
    """Compares a board's reported identity with its pin, or pins it at the first session.

    Raises:
        TrustError: it is another board than before, or the same as another entry, or its card was cloned.
    """
    with trusts.changing(fleet) as trust:
        pinned = trust.boards.get(board.name)
        if pinned is None:
            return
        check_same(board.name, pinned, board_id, serial)
        for name, other in trust.boards.items():
            if name != board.name:
                check_other(board.name, pinned, name, other, board_id, serial)
        trust.boards[board.name] = msgspec.structs.replace(
            pinned, board_id=pinned.board_id or board_id, serial=pinned.serial or serial
        )


def check_same(name: str, pinned: Pin, board_id: str, serial: str) -> None:
    """Checks that this is the same machine and root folder as before."""
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
    """Checks that no other entry of the fleet is this board or a copy of it."""
    serials_differ = bool(serial and other.serial and serial != other.serial)
    same_id = bool(board_id) and board_id == other.board_id
    # the first key is the one that the board showed; the others are what `known_hosts` has, of a shared name or an older machine
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
    """Forgets the board id after the root folder was removed on purpose; keeps host key and serial."""
    with trusts.changing(fleet) as trust:
        pinned = trust.boards.get(board.name)
        if pinned is not None:
            trust.boards[board.name] = msgspec.structs.replace(pinned, board_id="")


def unpin(board: Board, fleet: Fleet) -> None:
    """Removes everything that is pinned for a board."""
    with trusts.changing(fleet) as trust:
        trust.boards.pop(board.name, None)
