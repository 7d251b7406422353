"""Finds, watches and ends the processes of simulated boards, and only those.

A process id alone is never trusted: another program may have been given it since.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
GRACE_SECONDS = 2.0
LIMIT_SECONDS = 10.0


class Process(NamedTuple):
    """A process id, and what distinguishes this process from others that have or had the same id."""

    pid: int
    started: str


def started(pid: int) -> str:
    """Boot id and start time (clock ticks) of a process; empty if there is none, or only a zombie."""
    try:
        fields = stat(pid)
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] in "ZX" else f"{boot}:{fields[19]}"


def stat(pid: int) -> list[str]:
    """The fields of a process's `stat` after its name, which may contain any bytes. Raises OSError if it has ended."""
    return (PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].decode("ascii").split()


def arguments(pid: int) -> bytes:
    """The arguments of a process, each followed by a NUL; empty if it has ended."""
    try:
        return (PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return b""


def alive(process: Process) -> bool:
    """Whether that same process is still running."""
    return bool(process.started) and started(process.pid) == process.started


def names(pid: int, folder: Path) -> bool:
    """Whether a file of that folder is among the arguments of a process."""
    return os.fsencode(folder) + b"/" in arguments(pid)


def members(servers: Mapping[Path, Process]) -> dict[Path, set[Process]]:
    """The processes of each board, by its folder: its server, its sessions, and processes that they left running.

    Processes of an isolated board have its folder among their mounts; others have its home in their
    environment. A server's descendants belong to it in any case.
    """
    found: dict[Path, set[Process]] = {folder: set() for folder in servers}
    owners = {server.pid: folder for folder, server in servers.items() if alive(server)}
    parents = table()
    for pid in parents:
        folder = by_descent(pid, parents, owners) or by_traces(pid, servers)
        if folder is not None and pid != os.getpid():
            found[folder].add(Process(pid, started(pid)))
    return {folder: {one for one in group if one.started} for folder, group in found.items()}


def table() -> dict[int, int]:
    """Every process of this machine, with its parent."""
    parents = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int(stat(int(entry.name))[1])
            except (OSError, IndexError):  # it has just ended, or is hidden from this user
                continue
    return parents


def by_descent(pid: int, parents: Mapping[int, int], owners: Mapping[int, Path]) -> Path | None:
    """The folder of the board whose server a process descends from."""
    seen: set[int] = set()
    while pid and pid not in seen:
        if pid in owners:
            return owners[pid]
        seen.add(pid)
        pid = parents.get(pid, 0)
    return None


def by_traces(pid: int, folders: Iterable[Path]) -> Path | None:
    """The board folder that a process has among its mounts, or whose `home` is its HOME."""
    entry = PROC / str(pid)
    try:
        isolated = (entry / "ns/mnt").readlink() != (PROC / "self/ns/mnt").readlink()
        text = (entry / ("mountinfo" if isolated else "environ")).read_bytes()
    except OSError:  # it has ended, or belongs to another user
        return None
    words = (
        {field for line in text.splitlines() for field in line.split()}
        if isolated
        else set(text.split(b"\0"))
    )
    for folder in folders:
        if (escaped(folder) if isolated else b"HOME=" + os.fsencode(folder / "home")) in words:
            return folder
    return None


def escaped(path: Path) -> bytes:
    """A path as `mountinfo` writes it."""
    raw = os.fsencode(path).replace(b"\\", b"\\134")
    return raw.replace(b" ", b"\\040").replace(b"\t", b"\\011").replace(b"\n", b"\\012")


def end(servers: Mapping[Path, Process]) -> list[Process]:
    """Ends all processes of the boards: with SIGTERM, then SIGKILL, until none is left.

    Returns:
        Those that are still running after `LIMIT_SECONDS`.
    """
    begun = time.monotonic()
    stop(server for server in servers.values() if alive(server))  # servers first, or new sessions keep coming
    while True:
        left = [one for group in members(servers).values() for one in group]
        waited = time.monotonic() - begun
        if not left or waited > LIMIT_SECONDS:
            return left
        stop(left, signal.SIGTERM if waited < GRACE_SECONDS else signal.SIGKILL)
        time.sleep(0.05)


def stop(processes: Iterable[Process], number: int = signal.SIGTERM) -> None:
    """Sends a signal to each process, if its id still belongs to the same process."""
    for process in processes:
        if alive(process):
            try:
                os.kill(process.pid, number)
            except ProcessLookupError:
                continue
