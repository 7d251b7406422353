"""Simulated boards on this machine: real SSH servers on loopback, in a fleet file like any other boards.

up(...)     starts a lab, or restarts those of its boards that stopped
down()      ends its processes, and only those, and removes all of its files
listing()   lists the boards of all labs, and which are alive
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgewright.errors import Code, UsageError
from edgewright.lab import provisioning
from edgewright.lab.emulation import architectures, userland
from edgewright.lab.emulation.architectures import Emulation
from edgewright.lab.registry import registration, state
from edgewright.lab.registry.state import BoardRecord, LabError, LabRecord
from edgewright.nouns.base import Noun
from edgewright.nouns.progress import Progress, ProgressEvent, silent

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}\Z")
MAX_BOARDS = 200


class LabBoard(Noun, frozen=True, kw_only=True):
    """One simulated board.

    Attributes:
        arch: architecture of an emulated board; empty if it is not emulated.
        suite: Debian suite of an emulated board's userland; empty if it is not emulated.
        machine: it is a fully emulated machine.
        kernel: kernel of a fully emulated machine; empty if it is not one.
        server: `openssh`, or `built-in` if there is no sshd.
        isolated: it has its own passwd entry and home, and does not see the developer's.
        folder: all files of the board on this machine; `root` is its root folder, as this machine sees it.
        identity: the private key that it accepts.
        pid: process id of its server.
    """

    lab: str
    name: str
    address: str
    port: int
    user: str
    profile: str | None
    python: str | None
    arch: str
    suite: str
    machine: bool
    kernel: str
    server: str
    isolated: bool
    folder: Path
    root: Path
    identity: Path
    fleet: Path
    pid: int
    alive: bool


def up(
    count: int,
    *,
    fleet_path: Path,
    profiles: Sequence[str] = (),
    python: str | None = None,
    name: str = "lab",
    sshd: str | None = None,
    isolate: bool = True,
    emulation: Emulation | None = None,
    mirror: str | None = None,
    progress: Progress = silent,
) -> list[LabBoard]:
    """Starts `count` boards named `<name>-1`, `<name>-2`, ... and adds them to the fleet file, pinned.

    A lab that is already running is left as it is; those of its boards that stopped are restarted with their
    homes intact, as after a power cut. A start that fails half-way is undone.

    Args:
        profiles: the kinds of board to simulate, in turn; by default this machine's own kind.
        python: absolute path of the boards' Python; by default the `python3` that a login finds.
        sshd: path of an sshd, or `built-in`; by default this machine's sshd, else the built-in server.
        emulation: what the boards emulate (`emulation.architectures`); by default nothing.
        mirror: address of a Debian archive for its userland; by default this machine's own.
        isolate: give each board its own view of the file system, if this machine allows it.

    Raises:
        UsageError, LabError: bad name or count; unknown Python; a running lab of another shape;
            no server starts.
        ConfigError: unknown profile; the fleet already has a board with such a name.
    """
    if not sys.platform.startswith("linux"):
        raise LabError(
            "simulated boards need linux", hint="run edgewright in a container or a virtual machine"
        )
    if not NAME.match(name):
        raise UsageError(
            f"not a name of a lab: {name!r}", hint="lower-case letters, digits and dashes, at most 40"
        )
    if not 0 < count <= MAX_BOARDS:
        raise UsageError(f"the number of boards must be 1 to {MAX_BOARDS}: {count}")
    if emulation:  # before taking the lock, as it may take minutes
        provisioning.check_profiles(emulation, profiles)
        provisioning.check_tools(emulation)
        userland.ready(emulation, mirror, progress)
    with state.lock():
        existing = state.load(name)
        if existing is not None and existing.ready:
            return again(existing, count, fleet_path, profiles, emulation, progress)
        provisioning.remove(name)  # left by an interrupted start
        lab = provisioning.plan(count, fleet_path, profiles, python, name, sshd, emulation)
        registration.check(fleet_path, (board.name for board in lab.boards))
        try:
            state.save(lab)
            return shown(provisioning.realise(provisioning.prepare(lab, isolate), progress))
        except BaseException:
            provisioning.remove(name)
            raise


def down(name: str | None = None, *, progress: Progress = silent) -> list[str]:
    """Ends the boards of one lab, or of all, and removes their folders, fleet entries and pins.

    Returns:
        The names of the boards that were removed.

    Raises:
        LabError: there is no such lab, or one of its processes does not end.
    """
    with state.lock():
        if name is not None and name not in state.names():
            raise LabError(f"no such lab: {name}", hint="`edgewright lab list` names them", code=Code.NO_LAB)
        gone: list[str] = []
        for lab in [name] if name is not None else state.names():
            progress(ProgressEvent(stage="lab", detail=f"stop {lab}"))
            gone += provisioning.remove(lab)
        return gone


def listing() -> list[LabBoard]:
    """The boards of all labs."""
    return [board for name in state.names() if (lab := state.load(name)) is not None for board in shown(lab)]


def shown(lab: LabRecord) -> list[LabBoard]:
    """The current state of a record's boards."""
    return [
        LabBoard(
            lab=lab.name, name=board.name, address=registration.ADDRESS, port=board.port, user=board.user,
            profile=board.profile, python=board.python, **_emulated(board), server=board.server, isolated=board.isolated,
            folder=state.board_folder(lab.name, board.name), root=registration.root(lab.name, board),
            identity=state.identity(lab.name), fleet=Path(lab.fleet), pid=board.pid,
            alive=provisioning.is_alive(lab.name, board),
        )
        for board in lab.boards
    ]  # fmt: skip


def _emulated(board: BoardRecord) -> dict[str, Any]:
    """What a board shows of its emulation."""
    emulation = architectures.emulation_of(board)
    kernel = emulation.kernel if emulation else None
    return {
        "arch": emulation.architecture.name if emulation else "", "suite": board.suite,
        "machine": board.machine, "kernel": kernel.name if kernel else "",
    }  # fmt: skip


def again(
    lab: LabRecord,
    count: int,
    fleet_path: Path,
    profiles: Sequence[str],
    emulation: Emulation | None,
    progress: Progress,
) -> list[LabBoard]:
    """Restarts the boards that stopped in a lab that was started before."""
    posed = [profiles[index % len(profiles)] for index in range(count)] if profiles else []
    same = not posed or posed == [board.profile for board in lab.boards]
    same = same and all(architectures.emulation_of(board) == emulation for board in lab.boards)
    if len(lab.boards) != count or Path(lab.fleet) != fleet_path.absolute() or not same:
        raise LabError(
            f"the lab {lab.name} is there already: {len(lab.boards)} boards in {lab.fleet}",
            hint=f"`edgewright lab down --name {lab.name}` first, or another --name",
            code=Code.LAB_EXISTS,
        )
    if all(provisioning.is_alive(lab.name, board) for board in lab.boards):
        progress(ProgressEvent(stage="lab", detail=f"{lab.name} is running already"))
    return shown(provisioning.realise(lab, progress))
