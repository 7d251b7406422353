"""Hashes of files on the board, each computed once a session while the file stays as it is."""

import hashlib
import os
import stat

from edgewright_agent.protocol import PIECE


def sha256_of(path: "str", size: "int | None" = None) -> "str":
    """Hex sha256 of a file, or of its first `size` bytes."""
    digest, left = hashlib.sha256(), float("inf") if size is None else size
    with open(path, "rb") as file:
        while left > 0:
            piece = file.read(int(min(PIECE, left)))
            if not piece:
                break
            digest.update(piece)
            left -= len(piece)
    return digest.hexdigest()


class Integrity(object):
    """Remembers which files had which hash. Changed bytes show as another inode, size or modification
    time."""

    def __init__(self) -> "None":
        self.known: "dict[tuple[int, int, int, int] | None, str]" = {}

    def _key(self, path: "str") -> "tuple[int, int, int, int] | None":
        about = os.lstat(path)
        if not stat.S_ISREG(about.st_mode):
            return None
        return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns

    def matches(self, path: "str", sha256: "str", size: "int") -> "bool":
        """Whether a regular file is there with this size and hash."""
        try:
            key = self._key(path)
            if key is None or key[2] != size:
                return False
            if key not in self.known:
                self.known[key] = sha256_of(path)
        except OSError:
            return False
        return self.known[key] == sha256

    def trust(self, path: "str", sha256: "str") -> "None":
        """Note the hash of a file that was hashed while it was written."""
        self.known[self._key(path)] = sha256
