"""The lab's boards in the fleet file, and their host keys in its trust file.

The lab made the host keys, so it pins them at once: there is nothing to look at and agree to.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from edgewright.config import fleet, trust
from edgewright.errors import ConfigError
from edgewright.lab import record
from edgewright.lab.record import BoardRecord, LabRecord
from edgewright.nouns.board import DEFAULT_ROOT, BoardEntry, Fleet, FleetFile, Pin, TrustFile

LABEL = "lab"
ADDRESS = "127.0.0.1"
MACHINE = "localhost"  # they share its cores, so they are measured one at a time


def root(lab: str, board: BoardRecord) -> Path:
    """The board's root folder, as this machine sees it."""
    return record.board_folder(lab, board.name) / "home" / ".edgewright"


def entry(lab: str, board: BoardRecord) -> BoardEntry:
    """The table of one board in the fleet file."""
    return BoardEntry(
        address=ADDRESS,
        port=board.port,
        user=board.user,
        profile=board.profile,
        labels=(LABEL,),
        root=DEFAULT_ROOT if board.isolated else str(root(lab, board)),
        python=board.python,
        identity=str(record.identity(lab)),
        machine=MACHINE,
    )


def check(path: Path, names: Iterable[str]) -> None:
    """Raises ConfigError when the fleet has boards of these names already: they are the user's."""
    taken = [name for name in names if name in fleet.read_or_new(path).boards]
    if taken:
        raise ConfigError(
            f"the fleet file {path} has a board of that name already: {taken[0]}",
            hint="give the lab another --name",
        )


def add(lab: LabRecord, host_keys: dict[str, str]) -> LabRecord:
    """Writes the boards and their pins; the record then says which files were made for it."""
    path = Path(lab.fleet)
    file = fleet.read_or_new(path)
    pins_path = trust.path_of(Fleet(name=file.name, path=path, boards={}))
    made = [str(one) for one in (path, pins_path) if not one.exists()]
    lab = msgspec.structs.replace(lab, made=tuple(dict.fromkeys((*lab.made, *made))))
    record.save(lab)
    boards = {**file.boards, **{board.name: entry(lab.name, board) for board in lab.boards}}
    fleet.save(path, msgspec.structs.replace(file, boards=boards))
    loaded = fleet.load(path)
    pins = trust.load(loaded)
    # a pin that holds already may also know the board's id by now
    new = {
        name: Pin(host_key=key)
        for name, key in host_keys.items()
        if name not in pins.boards or pins.boards[name].host_key != key
    }
    trust.save(loaded, msgspec.structs.replace(pins, boards={**pins.boards, **new}))
    return lab


def remove(lab: LabRecord) -> None:
    """Takes the boards and their pins out again; files that the lab made and that are empty now go too.

    Entries that do not name the lab's identity file are not the lab's, and stay.
    """
    path = Path(lab.fleet)
    if not path.exists():
        return
    file = fleet.read_file(path)
    ours = {
        board.name
        for board in lab.boards
        if board.name in file.boards and file.boards[board.name].identity == str(record.identity(lab.name))
    }
    loaded = fleet.load(path)
    pins = trust.load(loaded)
    rest = msgspec.structs.replace(
        pins, boards={name: pin for name, pin in pins.boards.items() if name not in ours}
    )
    left = msgspec.structs.replace(
        file, boards={name: one for name, one in file.boards.items() if name not in ours}
    )
    keep_or_drop_pins(lab, loaded, pins, rest)
    if str(path) in lab.made and left == FleetFile(name=file.name):
        path.unlink()
    elif left != file:
        fleet.save(path, left)


def keep_or_drop_pins(lab: LabRecord, loaded: Fleet, before: TrustFile, after: TrustFile) -> None:
    """Writes the pins that are left, or removes the file that the lab made when none are."""
    path = trust.path_of(loaded)
    if str(path) in lab.made and after == TrustFile():
        path.unlink(missing_ok=True)
    elif after != before:
        trust.save(loaded, after)
