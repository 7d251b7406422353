"""Compares the space that wheels need on a board with what is free, before anything is sent."""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from edgewright.config.zip_errors import BAD_ZIP
from edgewright.errors import Code, EdgewrightError
from edgewright.nouns.base import Noun
from edgewright.nouns.facts import Facts
from edgewright.runtimes.wheels import Wheel
from edgewright_agent.protocol import SPARE_BYTES, SPARE_INODES

if TYPE_CHECKING:
    from edgewright.connect.session import Session

BLOCK = 4096  # file systems round file sizes up to this
MIB = 1024**2


class Need(Noun, frozen=True, kw_only=True):
    """The space that a runtime needs: bytes to upload, bytes and files when unpacked."""

    upload: int
    unpacked: int
    files: int

    @property
    def bytes(self) -> int:
        """The peak: wheels are deleted only after all are unpacked."""
        peak: int = self.upload + self.unpacked + SPARE_BYTES
        return peak


def unpacked(wheel: Wheel) -> tuple[int, int]:
    """(bytes in whole blocks, number of files) of an unpacked wheel, including bytecode.

    Raises:
        EdgewrightError: it is not a zip file.
    """
    try:
        with contextlib.ExitStack() as stack:
            file: Path | IO[bytes] = wheel.path
            if wheel.member:
                file = stack.enter_context(stack.enter_context(zipfile.ZipFile(file)).open(wheel.member))
            archive = stack.enter_context(zipfile.ZipFile(file))
            rows = [(info.filename, info.file_size) for info in archive.infolist() if not info.is_dir()]
    except (OSError, *BAD_ZIP) as error:
        raise EdgewrightError(f"not a wheel: {wheel.path}", hint="download it again") from error
    sizes = [size for _, size in rows]
    sizes += [size for name, size in rows if name.endswith(".py")]  # bytecode takes about as much space again
    return sum(-(-size // BLOCK) * BLOCK for size in sizes), len(sizes)


def need(session: Session, wheels: Sequence[Wheel]) -> Need:
    """The space for the wheels that a board lacks; wheels that it has unpacked for another runtime count only by their number of files."""
    upload = size = files = 0
    from edgewright.connect import transfer

    parts = transfer.ask(session, [(wheel.sha256, wheel.size) for wheel in wheels])
    for wheel, part in zip(wheels, parts, strict=True):
        count = unpacked(wheel)
        files += count[1]
        if part.shared:
            continue
        upload += wheel.size - (part.offset if 0 <= part.offset <= wheel.size else 0)
        size += count[0]
    return Need(upload=upload, unpacked=size, files=files)


def check(session: Session, facts: Facts, wheels: Sequence[Wheel], what: str) -> Need:
    """Raises EdgewrightError `disk-full` if a runtime does not fit on the board's disk.

    Args:
        what: name and version of the runtime.
    """
    wanted = need(session, wheels)
    board = session.board.name
    hint = f"`edgewright fleet prune {board}` removes old releases and unused runtimes; or free space there"
    if facts.disk_known and wanted.bytes > facts.disk_free_bytes:
        raise EdgewrightError(
            f"{board} has {facts.disk_free_bytes // MIB} MiB free, {what} needs {-(-wanted.bytes // MIB)}: "
            f"{-(-wanted.upload // MIB)} to upload, {-(-wanted.unpacked // MIB)} unpacked, {SPARE_BYTES // MIB} to spare",
            hint=hint,
            code=Code.DISK_FULL,
        )
    if facts.disk_known and wanted.files + SPARE_INODES > facts.disk_free_inodes:
        raise EdgewrightError(
            f"{board} has {facts.disk_free_inodes} inodes free, {what} needs {wanted.files + SPARE_INODES}",
            hint=f"`edgewright fleet prune {board}` removes old releases; or remove small files on the board",
            code=Code.DISK_FULL,
        )
    return wanted
