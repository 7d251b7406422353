"""Reserved room on the disk, only for commands that restore or free something."""

import contextlib
import os

from edgewright_agent import shapes
from edgewright_agent.protocol import AgentError
from edgewright_agent.storage.incoming import room

RESERVE = "reserve"
RESERVE_BYTES = 4 * 1024 * 1024  # freed when a revert needs it
INODES = "reserve.inodes"  # a folder of empty files: the reserve of inodes, on disks that count them
INODES_KEPT = 16


def keep(files: "shapes.Files") -> "None":
    """Allocate the reserve, if it is not allocated yet."""
    path = files.path(RESERVE)
    if not os.path.isfile(path) or os.path.getsize(path) != RESERVE_BYTES:
        room(files, RESERVE_BYTES)
        files.allocate(RESERVE, RESERVE_BYTES)
    if not os.path.isdir(files.path(INODES)):
        take_inodes(files)


def take_inodes(files: "shapes.Files") -> "None":
    """Allocate the reserve of inodes."""
    files.make_folder(INODES)
    for number in range(INODES_KEPT):
        with files.writer("%s/%d" % (INODES, number), durable=False):
            pass


def drop(files: "shapes.Files", *names: "str") -> "None":
    """Free the reserve. A failure to remove it is ignored."""
    for name in names or (RESERVE, INODES):
        try:
            (files.remove_tree if name == INODES else files.remove_file)(name)
        except AgentError:
            pass


@contextlib.contextmanager
def eased(files: "shapes.Files") -> "shapes.Iterator[None]":
    """During the block, a full disk has the room of the reserve; afterwards the reserve is allocated again if possible."""
    drop(files)
    try:
        yield
    finally:
        for eighths in range(8, 0, -1):  # as much as possible: what is left free, another program may take
            try:
                files.allocate(RESERVE, RESERVE_BYTES * eighths // 8)
                break
            except AgentError:
                drop(files, RESERVE)
        try:
            take_inodes(files)
        except AgentError:
            pass
