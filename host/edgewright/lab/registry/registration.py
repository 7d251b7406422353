"""Adds the lab's boards to the fleet file, and their host keys to its trust file.

The lab generated the host keys, so it pins them at once: the user has nothing to verify.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from edgewright.config import fleet, trust
from edgewright.config.folder_lock import locked
from edgewright.errors import ConfigError
from edgewright.lab.registry import state
from edgewright.lab.registry.state import BoardRecord, LabRecord
from edgewright.nouns.board import DEFAULT_ROOT, BoardEntry, Fleet, FleetFile, Pin, TrustFile

LABEL = "lab"
ADDRESS = "127.0.0.1"
MACHINE = "localhost"  # the boards share its cores, so they are measured one at a time


def root(lab: str, board: BoardRecord) -> Path:
    """The board's root folder, as this machine sees it."""
    return state.board_folder(lab, board.name) / "home" / ".edgewright"


def entry(lab: str, board: BoardRecord) -> BoardEntry:
    """The entry of one board in the fleet file."""
    return BoardEntry(
        address=ADDRESS,
        port=board.port,
        user=board.user,
        profile=board.profile,
        labels=(LABEL,),
        root=DEFAULT_ROOT if board.isolated else str(root(lab, board)),
        python=board.python,
        identity=str(state.identity(lab)),
        machine=MACHINE,
    )


def check(path: Path, names: Iterable[str]) -> None:
    """Raises ConfigError if the fleet already has boards with these names: those belong to the user."""
    taken = [name for name in names if name in fleet.read_or_new(path).boards]
    if taken:
        raise ConfigError(
            f"the fleet file {path} has a board of that name already: {taken[0]}",
            hint="give the lab another --name",
        )


def add(lab: LabRecord, host_keys: dict[str, str]) -> LabRecord:
    """Writes the boards and their pins; the returned record lists the files that were created for it."""
    path = Path(lab.fleet)
    file = fleet.read_or_new(path)
    pins_path = trust.path_of(Fleet(name=file.name, path=path, boards={}))
    made = [str(one) for one in (path, pins_path) if not one.exists()]
    lab = msgspec.structs.replace(lab, made=tuple(dict.fromkeys((*lab.made, *made))))
    state.save(lab)
    with fleet.changing(path) as file:
        file.boards.update({board.name: entry(lab.name, board) for board in lab.boards})
    with trust.changing(fleet.load(path)) as pins:
        for name, key in host_keys.items():
            # an existing pin may already include the board's id
            if name not in pins.boards or key not in pins.boards[name].host_keys:
                pins.boards[name] = Pin(host_key=key)
    return lab


def remove(lab: LabRecord) -> None:
    """Removes the boards and their pins, and files that the lab created if they are empty now.

    Entries that do not name the lab's identity file are not the lab's, and stay.
    """
    path = Path(lab.fleet)
    if not path.exists():
        return
    loaded, identity = fleet.load(path), str(state.identity(lab.name))
    ours = {board.name for board in lab.boards} & {
        name for name, board in loaded.boards.items() if board.identity == identity
    }
    with trust.changing(loaded) as pins:  # first, so that an interrupted removal finds the boards again
        for name in ours:
            pins.boards.pop(name, None)
    with fleet.changing(path) as file:
        for name in ours:
            file.boards.pop(name, None)
    drop(lab, trust.path_of(loaded), lambda: trust.load(loaded) == TrustFile())
    drop(lab, path, lambda: fleet.read_file(path) == FleetFile(name=file.name))
    bequeath(lab)


def bequeath(lab: LabRecord) -> None:
    """Passes files that the lab created to other labs with boards in them, which then remove the files."""
    for name in state.names():
        other = state.load(name) if name != lab.name else None
        if other is not None and other.fleet == lab.fleet and set(lab.made) - set(other.made):
            made = tuple(dict.fromkeys((*other.made, *lab.made)))
            state.save(msgspec.structs.replace(other, made=made))


def drop(lab: LabRecord, path: Path, is_empty: Callable[[], bool]) -> None:
    """Removes a file that the lab created, if nothing is left in it."""
    if str(path) in lab.made:
        with locked(path.parent):
            if path.exists() and is_empty():
                path.unlink()
