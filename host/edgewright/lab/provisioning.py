"""Creates and removes simulated boards: the steps behind `boards.up` and `boards.down`."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import msgspec

from edgewright.config import home, profiles
from edgewright.lab import interpreter, keys, processes, spoofed_facts
from edgewright.lab.emulation import architectures, isolation, userland, userland_board
from edgewright.lab.emulation.architectures import Emulation
from edgewright.lab.processes import Process
from edgewright.lab.registry import registration, state
from edgewright.lab.registry.state import BoardRecord, LabError, LabRecord
from edgewright.lab.servers import builtin, openssh
from edgewright.lab.servers import machine as machines
from edgewright.lab.servers.openssh import PortTakenError
from edgewright.nouns.progress import Progress, ProgressEvent

BUILT_IN = "built-in"
OPENSSH = "openssh"
EMULATED_SSHD = "/usr/sbin/sshd"  # in the userland
PARALLEL = 8
ATTEMPTS = 5  # attempts with other ports if programs take the chosen one first


def plan(
    count: int,
    fleet_path: Path,
    posed: Sequence[str],
    python: str | None,
    name: str,
    sshd: str | None,
    emulation: Emulation | None = None,
) -> LabRecord:
    """The plan of a new lab; creates nothing. Raises LabError, or ConfigError for an unknown profile."""
    for profile in posed:
        profiles.load(profile)
    if emulation:
        sshd, chosen = EMULATED_SSHD, None
        if python is not None:
            raise LabError(
                "an emulated board has its suite's Python",
                hint=f"take another suite: {', '.join(emulation.architecture.suites)}",
            )
    else:
        chosen = interpreter.choose(python)
    server = (openssh.find() or BUILT_IN) if sshd is None else sshd
    if not emulation and server != BUILT_IN and not os.access(server, os.X_OK):
        raise LabError(f"no such sshd: {server}", hint="give its absolute path, or `built-in`")
    boards = tuple(
        BoardRecord(
            name=f"{name}-{index + 1}", port=port, user=isolation.USER, isolated=False,
            server=BUILT_IN if server == BUILT_IN else OPENSSH,
            profile=posed[index % len(posed)] if posed else None, python=chosen,
            **_emulated(emulation),
        )
        for index, port in enumerate(free_ports(count))
    )  # fmt: skip
    path = str(fleet_path.absolute())
    return LabRecord(name=name, fleet=path, sshd="" if server == BUILT_IN else server, boards=boards)


def _emulated(emulation: Emulation | None) -> dict[str, Any]:
    """The fields of a board's record that name what it emulates."""
    if emulation is None:
        return {}
    kernel = emulation.kernel
    return {
        "suite": emulation.suite, "arch": emulation.architecture.name,
        "machine": kernel is not None, "kernel": kernel.name if kernel else "",
    }  # fmt: skip


def check_profiles(emulation: Emulation, posed: Sequence[str]) -> None:
    """Raises LabError if a kind of board never has the emulated architecture; ConfigError for an unknown profile."""
    machine = emulation.architecture.machine
    for name in posed:
        known = profiles.load(name).architectures
        if machine not in known:
            raise LabError(
                f"a board of profile {name} is {' or '.join(known)}, not {machine}",
                hint="take another --arch or --profile; `edgewright profiles list` shows them",
            )


def check_tools(emulation: Emulation) -> None:
    """Raises LabError if this machine cannot run emulated boards, or fully emulated machines."""
    if emulation.kernel:
        machines.tools(emulation.kernel)
    else:
        userland_board.possible(emulation.architecture)


def free_ports(count: int) -> list[int]:
    """Distinct loopback ports that nothing listens on."""
    sockets = [socket.create_server((registration.ADDRESS, 0)) for _ in range(count)]
    try:
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


def prepare(lab: LabRecord, isolate: bool) -> LabRecord:
    """Creates keys, homes and facts; the returned record states whether the boards are isolated."""
    keys.make(state.identity(lab.name))
    for board in lab.boards:
        folder = state.board_folder(lab.name, board.name)
        home.made(folder)
        (folder / "home").mkdir(mode=0o700)
        host_key = keys.make(folder / "host_key")
        profile = profiles.load(board.profile) if board.profile else None
        serial = spoofed_facts.serial(host_key)
        emulation = architectures.emulation_of(board)
        substitutes = (
            spoofed_facts.emulated_facts(profile, machine=board.machine)
            if emulation
            else spoofed_facts.facts(profile, serial)
        )
        spoofed_facts.write(registration.root(lab.name, board), substitutes)
        isolation.write_accounts(folder)
        if emulation is None:
            continue
        image = userland.ready(emulation)
        if emulation.kernel:
            machines.make(folder, image, emulation, profile, serial)
        else:
            userland_board.dress(folder, image.root, emulation.architecture, profile, serial)
    boards = tuple(settle(lab, isolate))
    lab = msgspec.structs.replace(lab, boards=boards, ready=True)
    state.save(lab)
    return lab


def settle(lab: LabRecord, isolate: bool) -> list[BoardRecord]:
    """Decides each board's server, the best that this machine allows, and the user that it accepts."""
    first = lab.boards[0]
    if first.server == BUILT_IN:
        return list(lab.boards)
    folder = state.board_folder(lab.name, first.name)
    if emulation := architectures.emulation_of(first):
        if emulation.kernel is None:
            userland_board.check(folder, emulation.architecture)
        return [msgspec.structs.replace(board, isolated=True) for board in lab.boards]
    keep = interpreter.folders(first.python)
    if isolate and isolation.works(folder, keep=keep, lab_root=state.root()):
        return [msgspec.structs.replace(board, isolated=True) for board in lab.boards]
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # sshd accepts only users with a passwd entry
        return [msgspec.structs.replace(board, server=BUILT_IN) for board in lab.boards]
    return [msgspec.structs.replace(board, user=user) for board in lab.boards]


def realise(lab: LabRecord, progress: Progress) -> LabRecord:
    """Starts every board that is not running, and adds all of them to the fleet file."""
    public = keys.make(state.identity(lab.name))
    pool = ThreadPoolExecutor(PARALLEL)
    try:
        waiting = [pool.submit(ensure, lab, board, public) for board in lab.boards]
        for done, future in enumerate(as_completed(waiting), 1):
            begun = future.result()
            if begun in lab.boards:
                continue
            boards = tuple(begun if one.name == begun.name else one for one in lab.boards)
            lab = msgspec.structs.replace(lab, boards=boards)
            state.save(lab)
            progress(
                ProgressEvent(
                    stage="start",
                    board=begun.name,
                    detail=begun.server,
                    done=done,
                    total=len(waiting),
                    unit="boards",
                )
            )
    finally:
        pool.shutdown(cancel_futures=True)
    host_keys = {
        board.name: keys.make(state.board_folder(lab.name, board.name) / "host_key") for board in lab.boards
    }
    return registration.add(lab, host_keys)


def ensure(lab: LabRecord, board: BoardRecord, public: str) -> BoardRecord:
    """Starts a board's server unless it is running; returns the record of the running board."""
    server = process_of(lab.name, board)
    if server is not None:
        return msgspec.structs.replace(board, pid=server.pid, started=server.started)
    folder = state.board_folder(lab.name, board.name)
    emulation = architectures.emulation_of(board)
    for _ in range(ATTEMPTS):
        try:
            if emulation and emulation.kernel:
                machines.write_config(folder, public)
                profile = profiles.load(board.profile) if board.profile else None
                pid = machines.start(lab.name, board, userland.ready(emulation), emulation, profile)
            elif board.server == OPENSSH:
                view = openssh.view_of(lab.name, board, interpreter.folders(board.python))
                openssh.write_config(folder, board, public, lab.sshd, view)
                pid = openssh.start(lab.name, board, lab.sshd, view)
            else:
                builtin.write_config(folder, board, public)
                pid = builtin.start(lab.name, board)
            return msgspec.structs.replace(board, pid=pid, started=processes.started(pid))
        except PortTakenError:
            board = msgspec.structs.replace(board, port=free_ports(1)[0])
    raise LabError(f"no free port for {board.name}: {ATTEMPTS} were tried", hint="try again")


def process_of(lab: str, board: BoardRecord) -> Process | None:
    """The board's running server: the recorded one, or one whose start was interrupted before it was recorded."""
    recorded = Process(board.pid, board.started)
    if processes.alive(recorded):
        return recorded
    folder = state.board_folder(lab, board.name)
    try:
        pid = int((folder / "server.pid").read_text())
    except (FileNotFoundError, ValueError):
        return None
    return Process(pid, processes.started(pid)) if processes.names(pid, folder) else None


def is_alive(lab: str, board: BoardRecord) -> bool:
    """Whether the board's server is running."""
    return process_of(lab, board) is not None


def remove(name: str) -> list[str]:
    """Ends a lab's processes, then removes its fleet entries, pins and folders; returns the names of its boards."""
    lab = state.load(name)
    if lab is not None:
        servers = {
            state.board_folder(name, board.name): process_of(name, board) or Process(0, "")
            for board in lab.boards
        }
        left = processes.end(servers)
        if left:
            pids = ", ".join(str(process.pid) for process in left)
            raise LabError(
                f"processes of lab {name} do not end: {pids}", hint="end them by hand, then try again"
            )
        registration.remove(lab)
    state.erase(state.folder(name))
    if state.root().is_dir() and not any(state.root().iterdir()):
        state.root().rmdir()
    return [board.name for board in lab.boards] if lab is not None else []
