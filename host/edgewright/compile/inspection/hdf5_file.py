"""The header of HDF5 files."""

import struct

MAGIC = b"\x89HDF\r\n\x1a\n"


def size(head: bytes) -> int:
    """The end-of-file address in an HDF5 superblock; 0 if offsets are not 8 bytes wide."""
    if len(head) < 64:
        return 64
    version = head[8]
    width, at = (head[13], 40) if version < 2 else (head[9], 28)
    if version == 1:
        at += 4
    return int(struct.unpack_from("<Q", head, at)[0]) if width == 8 else 0
