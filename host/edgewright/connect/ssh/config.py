"""Resolves how a board is reached: its fleet entry over `~/.ssh/config`, with jump hosts.

Addresses, users, ports and keys are taken from there; nothing that relaxes the checking of host keys is.
"""

from __future__ import annotations

import getpass
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgewright.connect.ssh.host_keys import DEFAULT_PORT, host_name
from edgewright.errors import ConfigError
from edgewright.nouns.base import Noun
from edgewright.nouns.board import Board

Lookup = Callable[[str], Mapping[str, Any]]  # host alias -> lower-case keyword -> value
HOP = re.compile(
    r"(?:(?P<user>[^@\s]+)@)?(?:\[(?P<v6>[^\]\s]+)\]|(?P<host>[^:@\s\[\]]+))(?::(?P<port>\d{1,5}))?\Z"
)
DEFAULT_IDENTITIES = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")
MAX_JUMPS = 8


class Endpoint(Noun, frozen=True, kw_only=True):
    """One SSH server to log in to.

    Attributes:
        label: what to call it in messages.
        board: name of the board that it is, or that it leads to.
        identity: key file named by the fleet; it is tried first.
        identities: key files of the SSH configuration, else the usual ones.
        agent: whether the keys of the SSH agent are tried.
        jumps: jump hosts to go through, the nearest first.
        jump: it is a jump host itself.
    """

    label: str
    board: str
    address: str
    port: int
    user: str
    identity: Path | None = None
    identities: tuple[Path, ...] = ()
    agent: bool = True
    jumps: tuple[Endpoint, ...] = ()
    jump: bool = False

    @property
    def host(self) -> str:
        """`address:port`."""
        return host_name(self.address, self.port)


def endpoint(board: Board, lookup: Lookup) -> Endpoint:
    """Where a board is, its jump hosts resolved.

    Raises:
        ConfigError: a jump host cannot be read, jumps are too many, or a `ProxyCommand` is in the way.
    """
    table = lookup(board.address)
    chain = board.jump if board.jump is not None else table.get("proxyjump", "none")
    jumps = resolve_jumps(chain, lookup, board.name)
    if not jumps:
        refuse_proxy_command(table, board.name)
    return one(
        board.name,
        board.name,
        board.address,
        board.user,
        board.port,
        table,
        jumps=jumps,
        identity=board.identity,
    )


def resolve_jumps(chain: str, lookup: Lookup, name: str, depth: int = 0) -> tuple[Endpoint, ...]:
    """The jump hosts in `[user@]host[:port],...`, the nearest first; `none` is not a jump host."""
    if chain.strip().lower() in ("", "none"):
        return ()
    hops: list[Endpoint] = []
    for text in chain.split(","):
        found = HOP.match(text.strip().removeprefix("ssh://"))
        port = int(found["port"] or 0) if found else 0
        if not found or port > 65535:
            raise ConfigError(f"not a jump host of {name}: {text.strip()!r}", hint="it is [user@]host[:port]")
        alias = found["v6"] or found["host"]
        table = lookup(alias)
        if not hops:  # only the first hop is reached from here, so only its own jumps count
            if depth >= MAX_JUMPS:
                raise ConfigError(
                    f"more than {MAX_JUMPS} jump hosts on the way to {name}",
                    hint="remove the loop among its jump hosts",
                )
            hops += resolve_jumps(str(table.get("proxyjump", "none")), lookup, name, depth + 1)
            if not hops:
                refuse_proxy_command(table, name)
        hops.append(one(f"jump host {alias}", name, alias, found["user"], port or None, table, jump=True))
    return tuple(hops)


def one(
    label: str,
    board: str,
    alias: str,
    user: str | None,
    port: int | None,
    table: Mapping[str, Any],
    *,
    jumps: tuple[Endpoint, ...] = (),
    identity: str | None = None,
    jump: bool = False,
) -> Endpoint:
    """One endpoint: what is given wins over the SSH configuration, and that over the defaults."""
    configured = [str(file) for file in table.get("identityfile", ()) if str(file).lower() != "none"]
    return Endpoint(
        label=label,
        board=board,
        address=str(table.get("hostname", alias)),
        port=port or as_port(table.get("port"), label),
        user=user or str(table.get("user") or getpass.getuser()),
        identity=Path(identity).expanduser() if identity else None,
        identities=tuple(Path(file).expanduser() for file in configured or DEFAULT_IDENTITIES),
        agent=str(table.get("identitiesonly", "no")).lower() != "yes",
        jumps=jumps,
        jump=jump,
    )


def as_port(value: Any, label: str) -> int:
    """A port of the SSH configuration."""
    text = str(value or DEFAULT_PORT)
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise ConfigError(f"not a port of {label} in ~/.ssh/config: {text!r}", hint="1 to 65535")
    return int(text)


def refuse_proxy_command(table: Mapping[str, Any], name: str) -> None:
    """A `ProxyCommand` runs any program on this machine, and says nothing about whose key it reaches."""
    if str(table.get("proxycommand", "none")).lower() != "none":
        raise ConfigError(
            f"~/.ssh/config has a ProxyCommand for {name}, which is not supported",
            hint="use ProxyJump, or `jump` in the fleet file",
        )


def read_lines(path: Path, depth: int = 0) -> list[str]:
    """The lines of an OpenSSH client configuration, `Include`d files in place; none where it is missing."""
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    result: list[str] = []
    for line in lines:
        words = line.replace("=", " ", 1).split()
        if words and words[0].lower() == "include" and depth < MAX_JUMPS:
            for pattern in words[1:]:
                for file in included(pattern.strip('"')):
                    result += read_lines(file, depth + 1)
        else:
            result.append(line)
    return result


def included(pattern: str) -> list[Path]:
    """The files that an `Include` names; relative ones are in `~/.ssh`."""
    import glob

    path = Path(pattern).expanduser()
    full = path if path.is_absolute() else Path("~/.ssh").expanduser() / path
    return [Path(file) for file in sorted(glob.glob(str(full)))]  # noqa: PTH207  (absolute patterns)
