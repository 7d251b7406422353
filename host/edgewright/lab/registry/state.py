"""The state of a lab on disk: enough to find, restart and remove everything in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from edgewright.config import home
from edgewright.config.folder_lock import locked
from edgewright.errors import Code, EdgewrightError
from edgewright.files import write_atomic
from edgewright.nouns import schema as schemas
from edgewright.nouns.base import Noun

FILE = "lab.json"
SCHEMA = 1


class BoardRecord(Noun, frozen=True, kw_only=True):
    """One simulated board. `pid` and `started` identify its server's process; 0 if it was never started.

    Attributes:
        server: `openssh` or `built-in`.
        isolated: it has its own passwd entry, home and view of the file system.
        machine: a fully emulated machine, with its own kernel.
        suite: the Debian suite of an emulated board's userland; empty if it is not emulated.
        arch: the architecture of an emulated board (`emulation.architectures`).
        kernel: the kernel of a fully emulated machine; empty for its architecture's default.
        started: identifies the process together with its pid, see `processes.started`.
    """

    name: str
    port: int
    user: str
    server: str
    isolated: bool
    profile: str | None = None
    python: str | None = None
    suite: str = ""
    arch: str = "arm64"  # older records have none
    machine: bool = False
    kernel: str = ""
    pid: int = 0
    started: str = ""


class LabRecord(Noun, frozen=True, kw_only=True):
    """One lab. Paths are absolute.

    Attributes:
        ready: keys, homes and facts are complete; if not, the start was interrupted and begins again.
        made: the fleet and trust files that it created, and removes once they are empty.
    """

    schema: int = SCHEMA
    name: str
    fleet: str
    sshd: str = ""
    ready: bool = False
    made: tuple[str, ...] = ()
    boards: tuple[BoardRecord, ...] = ()


class LabError(EdgewrightError):
    """A lab cannot be started, or there is none with that name."""

    code = Code.LAB


def root() -> Path:
    """The folder that holds all labs. Does not create it."""
    return home.home() / "lab"


def folder(lab: str) -> Path:
    """The folder of one lab."""
    return root() / lab


def board_folder(lab: str, board: str) -> Path:
    """The folder of one board: its keys, its server's files, and `home`."""
    return folder(lab) / board


def identity(lab: str) -> Path:
    """The private key that every board of the lab accepts."""
    return folder(lab) / "id_ed25519"


def names() -> list[str]:
    """The recorded labs, sorted."""
    return sorted(found.parent.name for found in root().glob(f"*/{FILE}"))


def load(lab: str) -> LabRecord | None:
    """The record of a lab, or None if there is none."""
    try:
        raw = (folder(lab) / FILE).read_bytes()
    except FileNotFoundError:
        return None
    schemas.check(schemas.of_json(raw), SCHEMA, f"record of lab {lab} in {folder(lab)}", LabError)
    try:
        return msgspec.json.decode(raw, type=LabRecord)
    except msgspec.DecodeError as error:
        raise LabError(
            f"the record of lab {lab} is damaged: {folder(lab) / FILE}: {error}",
            hint="end its sshd processes by hand and remove that folder",
        ) from None


def save(lab: LabRecord) -> None:
    """Writes the record atomically."""
    path = folder(lab.name) / FILE
    home.made(path.parent)
    write_atomic(path, msgspec.json.encode(lab))


@contextmanager
def lock() -> Iterator[None]:
    """Keeps out other `lab up` and `lab down` commands of this user; the lock ends with the process.

    The lock is on the labs' common folder, which is removed with the last lab: a process that waited for a removed one retries.
    """
    while True:
        home.made(root())
        with locked(root()) as held:
            if not held():
                continue
            try:
                yield
            finally:
                try:
                    root().rmdir()
                except OSError:  # it still holds labs, or is already gone
                    pass
            return


def erase(path: Path) -> None:
    """Removes a folder with all of its contents, including read-only folders."""
    if not path.exists():
        return
    for parent, folders, _files in os.walk(path):
        for name in folders:
            inner = Path(parent, name)
            if not inner.is_symlink():
                inner.chmod(0o700)
    shutil.rmtree(path)
