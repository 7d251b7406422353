"""Board and Fleet: the machines that are reached over SSH."""

from __future__ import annotations

from pathlib import Path

from edgewright.nouns.base import Noun

DEFAULT_ROOT = "~/.edgewright"
AUTO, PARAMIKO, OPENSSH = SSH_CLIENTS = ("auto", "paramiko", "openssh")


class BoardEntry(Noun, frozen=True, kw_only=True):
    """One `[boards.NAME]` table of `fleet.toml`; `[defaults]` has the same keys, none required.

    Attributes:
        address: host name, IP address, or an alias of `~/.ssh/config`.
        profile: name of the board's kind; by default decided from its facts.
        root: folder on the board for all of edgewright's files; `~` is the login's home.
        python: absolute path of the board's Python, if it is not in a usual place.
        identity: private key file on this machine.
        jump: `[user@]host[:port]` of a jump host.
        ssh_client: `paramiko`, `openssh` (the system's `ssh` program), or `auto`: the first, unless it lacks what is needed.
        machine: name of the machine that this board shares with others (sticks on one host, virtual boards):
            such boards are measured one at a time.
        group: group on the board whose members may read the models, if the application's user is
            not the login's.
    """

    address: str = ""
    user: str | None = None
    port: int | None = None
    profile: str | None = None
    labels: tuple[str, ...] = ()
    root: str | None = None
    python: str | None = None
    identity: str | None = None
    jump: str | None = None
    ssh_client: str | None = None
    machine: str | None = None
    group: str | None = None


class FleetFile(Noun, frozen=True, kw_only=True):
    """The contents of `fleet.toml`."""

    schema: int = 1
    name: str = "fleet"
    defaults: BoardEntry = BoardEntry()
    boards: dict[str, BoardEntry] = {}


class Board(Noun, frozen=True, kw_only=True):
    """One board, with its fleet's defaults filled in. Attributes as in `BoardEntry`."""

    name: str
    address: str
    user: str | None = None
    port: int | None = None
    profile: str | None = None
    labels: tuple[str, ...] = ()
    root: str = DEFAULT_ROOT
    python: str | None = None
    identity: str | None = None
    jump: str | None = None
    ssh_client: str = AUTO
    machine: str | None = None
    group: str | None = None


class Fleet(Noun, frozen=True, kw_only=True):
    """The boards of one `fleet.toml`.

    Attributes:
        path: the file; the pins are in `<stem>.trust.toml` next to it.
    """

    name: str
    path: Path
    boards: dict[str, Board]


class Pin(Noun, frozen=True, kw_only=True):
    """The pins of one board.

    Attributes:
        host_key: `<type> <base64>` as in an OpenSSH `known_hosts` line.
        other_keys: more keys that are as right as the first, so that a host's key can be rotated.
        board_id: the id that the agent generated for the root folder; empty until first seen.
        serial: the hardware's serial number; empty if the board has none.
    """

    host_key: str
    other_keys: tuple[str, ...] = ()
    board_id: str = ""
    serial: str = ""

    @property
    def host_keys(self) -> tuple[str, ...]:
        """All pinned keys; the host may show any of them."""
        return (self.host_key, *self.other_keys)


class TrustFile(Noun, frozen=True, kw_only=True):
    """The contents of `<fleet>.trust.toml`; `hosts` holds jump hosts by `host:port`.

    Attributes:
        schema: 2 where a host has several keys, else 1.
    """

    schema: int = 1
    boards: dict[str, Pin] = {}
    hosts: dict[str, Pin] = {}
