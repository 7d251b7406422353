"""Resolves how to reach a board: from its fleet entry, then the SSH configuration, including jump hosts.

Addresses, users, ports and keys are taken from the SSH configuration, but no option that relaxes host key checking.
"""

from __future__ import annotations

import re
from pathlib import Path

from edgewright.connect.ssh.host_keys import host_name
from edgewright.connect.ssh.resolution.lookup import Lookup
from edgewright.connect.ssh.resolution.settings import HostSettings, Query
from edgewright.errors import ConfigError
from edgewright.nouns.base import Noun
from edgewright.nouns.board import Board

HOP = re.compile(
    r"(?:(?P<user>[^@\s]+)@)?(?:\[(?P<v6>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[\w.%-]+))(?::(?P<port>\d{1,5}))?\Z"
)
MAX_JUMPS = 8


class Endpoint(Noun, frozen=True, kw_only=True):
    """One SSH server to log in to.

    Attributes:
        label: its name in messages.
        board: name of the board that it is or leads to.
        identity: key file from the fleet; tried first.
        settings: what the SSH configuration says.
        jumps: jump hosts to go through, nearest first.
        jump: whether it is a jump host itself.
    """

    label: str
    board: str
    settings: HostSettings
    identity: Path | None = None
    jumps: tuple[Endpoint, ...] = ()
    jump: bool = False

    @property
    def address(self) -> str:
        """Where it is reached."""
        return self.settings.hostname

    @property
    def port(self) -> int:
        """The TCP port of its SSH server."""
        return self.settings.port

    @property
    def user(self) -> str:
        """The user that logs in."""
        return self.settings.user

    @property
    def proxy_command(self) -> str:
        """The program that reaches the first server on the way; empty for TCP."""
        return (self.jumps[0] if self.jumps else self).settings.proxy_command

    @property
    def host(self) -> str:
        """`address:port`."""
        return host_name(self.address, self.port)


def endpoint(board: Board, lookup: Lookup) -> Endpoint:
    """The endpoint of a board, with its jump hosts resolved.

    Raises:
        ConfigError: a jump host cannot be parsed, or there are too many jumps.
    """
    settings = lookup(Query(alias=board.address, user=board.user, port=board.port))
    chain = board.jump if board.jump is not None else settings.proxy_jump
    jumps = resolve_jumps(chain, lookup, board.name)
    identity = Path(board.identity).expanduser() if board.identity else None
    return Endpoint(label=board.name, board=board.name, settings=settings, identity=identity, jumps=jumps)


def resolve_jumps(chain: str, lookup: Lookup, name: str, depth: int = 0) -> tuple[Endpoint, ...]:
    """The jump hosts in `[user@]host[:port],...`, nearest first; `none` means no jump host."""
    if chain.strip().lower() in ("", "none"):
        return ()
    hops: list[Endpoint] = []
    for text in chain.split(","):
        found = HOP.match(text.strip().removeprefix("ssh://"))
        port = int(found["port"] or 0) if found else 0
        if not found or port > 65535:
            raise ConfigError(f"not a jump host of {name}: {text.strip()!r}", hint="it is [user@]host[:port]")
        alias = found["v6"] or found["host"]
        settings = lookup(Query(alias=alias, user=found["user"], port=port or None))
        if not hops:  # only the first hop is reached from this machine, so only its own jumps count
            if depth >= MAX_JUMPS:
                raise ConfigError(
                    f"more than {MAX_JUMPS} jump hosts on the way to {name}, in a loop",
                    hint="correct ProxyJump in the SSH configuration, or `jump` in the fleet file",
                )
            hops += resolve_jumps(settings.proxy_jump, lookup, name, depth + 1)
        hops.append(Endpoint(label=f"jump host {alias}", board=name, settings=settings, jump=True))
    return tuple(hops)
