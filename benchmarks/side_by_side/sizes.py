"""Sizes of the runtimes that boards get: of wheels that are resolved for them, and of what a lab board unpacked."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from contextlib import ExitStack
from typing import IO, NamedTuple

from edgewright import targets
from edgewright.connect.session import Session
from edgewright.nouns.facts import Facts
from edgewright.runtimes import compatibility
from edgewright.runtimes.install import ensure_runtime
from edgewright.runtimes.resolve import Picked, Search
from edgewright.runtimes.wheel_tags import WheelHost, wheel_host
from edgewright.runtimes.wheels import Wheel
from side_by_side.results import Size


class System(NamedTuple):
    """A kind of board."""

    title: str
    python: str
    arch: str
    glibc: str


SYSTEMS = (
    System("Raspberry Pi OS Bookworm, 64-bit", "3.11", "aarch64", "2.36"),
    System("Raspberry Pi OS Bookworm, 32-bit", "3.11", "armv7l", "2.36"),
    System("Raspberry Pi OS Trixie, 32-bit", "3.13", "armv7l", "2.41"),
    System("JetPack 4", "3.6", "aarch64", "2.27"),
)


def resolved(system: System, names: Sequence[str]) -> list[Size]:
    """The size of each target's runtime for a kind of board, which is not here."""
    host = WheelHost(python=system.python, arch=system.arch, libc="glibc", libc_version=system.glibc)
    return [_size(system, name, host, 0) for name in names]


def provisioned(session: Session, facts: Facts, names: Sequence[str]) -> list[Size]:
    """Installs each target's runtime on a board, and measures it there too."""
    host = wheel_host(facts)
    system = System("the lab board", facts.python.version, host.arch, host.libc_version)
    return [_size(system, name, host, ensure_runtime(session, facts, name).bytes) for name in names]


def _size(system: System, name: str, host: WheelHost, on_board: int) -> Size:
    target = targets.load(name)
    empty = Size(*system, target=name)
    if not compatibility.rows(target, host):
        return empty
    search = Search(target, host, None, {})
    picked: Picked = search.fetched(search.best())
    wheels = picked.wheels or []
    return Size(
        *system, target=name, runtime=picked.title, sent=sum(one.size for one in wheels), unpacked=sum(map(unpacked, wheels)),
        own=picked.row.own, on_board=on_board,
    )  # fmt: skip


def unpacked(wheel: Wheel) -> int:
    """Bytes of a wheel's files."""
    with ExitStack() as stack:
        file: IO[bytes] = stack.enter_context(wheel.path.open("rb"))
        archive = stack.enter_context(zipfile.ZipFile(file))
        return sum(info.file_size for info in archive.infolist())
