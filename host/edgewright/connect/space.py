"""Space on a board: what wheels will take there, held against what is free, before a byte is sent."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence

from edgewright.connect.session import Session
from edgewright.connect.wheels import Wheel
from edgewright.errors import EdgewrightError
from edgewright.nouns.base import Noun
from edgewright.nouns.facts import Facts

BLOCK = 4096  # what a file system rounds a file up to
SPARE_BYTES = 8 * 1024**2  # the agent leaves so much for the state, the log and a revert
SPARE_INODES = 64
MIB = 1024**2


class Need(Noun, frozen=True, kw_only=True):
    """What a runtime takes: bytes still to be uploaded, bytes and files once unpacked."""

    upload: int
    unpacked: int
    files: int

    @property
    def bytes(self) -> int:
        """Peak: a wheel is dropped only when all are unpacked."""
        return self.upload + self.unpacked + SPARE_BYTES


def unpacked(wheel: Wheel) -> tuple[int, int]:
    """(bytes in whole blocks, files) of a wheel once it is unpacked, bytecode included.

    Raises:
        EdgewrightError: it is not a zip file.
    """
    try:
        with zipfile.ZipFile(wheel.path) as archive:
            rows = [(info.filename, info.file_size) for info in archive.infolist() if not info.is_dir()]
    except (OSError, zipfile.BadZipFile) as error:
        raise EdgewrightError(f"not a wheel: {wheel.path}", hint="is it whole? download it again") from error
    sizes = [size for _, size in rows]
    sizes += [size for name, size in rows if name.endswith(".py")]  # bytecode takes about as much again
    return sum(-(-size // BLOCK) * BLOCK for size in sizes), len(sizes)


def need(session: Session, wheels: Sequence[Wheel]) -> Need:
    """What of the wheels a board lacks; those that another runtime of it was made of cost names only."""
    upload = size = files = 0
    for wheel in wheels:
        part = session.call("part", sha256=wheel.sha256, size=wheel.size, timeout_s=600)
        count = unpacked(wheel)
        files += count[1]
        if part.get("shared") is True:
            continue
        offset = part.get("offset")
        upload += wheel.size - (offset if isinstance(offset, int) and 0 <= offset <= wheel.size else 0)
        size += count[0]
    return Need(upload=upload, unpacked=size, files=files)


def check(session: Session, facts: Facts, wheels: Sequence[Wheel], what: str) -> Need:
    """Raises EdgewrightError `disk-full` where a runtime does not fit on the board's disk.

    Args:
        what: name and version of the runtime.
    """
    wanted = need(session, wheels)
    board = session.board.name
    hint = f"`edgewright fleet prune {board}` removes old releases and unused runtimes; or free space there"
    if facts.disk_free_bytes and wanted.bytes > facts.disk_free_bytes:
        raise EdgewrightError(
            f"{board} has {facts.disk_free_bytes // MIB} MiB free, {what} needs {-(-wanted.bytes // MIB)}: "
            f"{-(-wanted.upload // MIB)} to upload, {-(-wanted.unpacked // MIB)} unpacked, {SPARE_BYTES // MIB} to spare",
            hint=hint,
            code="disk-full",
        )
    if facts.disk_free_inodes and wanted.files + SPARE_INODES > facts.disk_free_inodes:
        raise EdgewrightError(
            f"{board} has {facts.disk_free_inodes} inodes free, {what} needs {wanted.files + SPARE_INODES}",
            hint="remove small files on the board",
            code="disk-full",
        )
    return wanted
