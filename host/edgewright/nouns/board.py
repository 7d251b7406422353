"""Board and Fleet: machines that are reached over SSH."""

from __future__ import annotations

from pathlib import Path

from edgewright.nouns.base import Noun

DEFAULT_ROOT = "~/.edgewright"


class BoardEntry(Noun, frozen=True, kw_only=True):
    """One `[boards.NAME]` table of `fleet.toml`; `[defaults]` has the same keys, none required.

    Attributes:
        address: host name, IP address, or an alias of `~/.ssh/config`.
        profile: name of the board's kind; without one the facts decide.
        root: folder on the board that holds everything of edgewright's; `~` is the login's home.
        python: absolute path of the board's Python, where the usual places are wrong.
        identity: private key file on this machine.
        jump: `[user@]host[:port]` of a jump host.
        machine: name of the machine that this board shares with others (sticks on one host, virtual boards):
            those are measured one at a time.
        group: group of the board's whose members may read the models: the application's user, where it is
            another one than the login.
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
    machine: str | None = None
    group: str | None = None


class FleetFile(Noun, frozen=True, kw_only=True):
    """The whole of `fleet.toml`."""

    schema: int = 1
    name: str = "fleet"
    defaults: BoardEntry = BoardEntry()
    boards: dict[str, BoardEntry] = {}


class Board(Noun, frozen=True, kw_only=True):
    """One board, its fleet's defaults filled in. Attributes as in `BoardEntry`."""

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
    machine: str | None = None
    group: str | None = None


class Fleet(Noun, frozen=True, kw_only=True):
    """The boards of one `fleet.toml`.

    Attributes:
        path: the file; the pins are in `<stem>.trust.toml` beside it.
    """

    name: str
    path: Path
    boards: dict[str, Board]


class Pin(Noun, frozen=True, kw_only=True):
    """What `fleet trust` pinned for one board.

    Attributes:
        host_key: `<type> <base64>` as in an OpenSSH `known_hosts` line.
        board_id: the id that the agent made for the root folder, empty until first seen.
        serial: the hardware's serial number, empty where the board has none.
    """

    host_key: str
    board_id: str = ""
    serial: str = ""


class TrustFile(Noun, frozen=True, kw_only=True):
    """The whole of `<fleet>.trust.toml`; `hosts` are jump hosts by `host:port`."""

    schema: int = 1
    boards: dict[str, Pin] = {}
    hosts: dict[str, Pin] = {}
