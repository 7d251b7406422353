"""Hashes of files on the board, computed once per session while a file is unchanged. Only regular files are opened."""

import errno
import hashlib
import os
import stat

from edgewright_agent import shapes
from edgewright_agent.protocol import PIECE


def opened(path: "str") -> "shapes.Stream":
    """Open a regular file for reading, as a binary file object; OSError for anything else: opening a pipe would block for ever."""
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return os.fdopen(file, "rb")


def listed(root: "str", relative: "str") -> "set[str]":
    """Relative paths of everything below a folder of the root except folders, including links to folders; empty if a
    link leads to the folder."""
    base = os.path.join(root, relative)
    found: "set[str]" = set()
    if os.path.realpath(base) == os.path.join(os.path.realpath(root), relative):
        for where, folders, names in os.walk(base):
            links = [name for name in folders if os.path.islink(os.path.join(where, name))]
            found.update(os.path.relpath(os.path.join(where, name), base) for name in names + links)
    return found


def sha256_of(path: "str", size: "int | None" = None) -> "str":
    """Hex sha256 of a file, or of its first `size` bytes."""
    digest, left = hashlib.sha256(), float("inf") if size is None else size
    with opened(path) as file:
        while left > 0:
            piece = file.read(int(min(PIECE, left)))
            if not piece:
                break
            digest.update(piece)
            left -= len(piece)
    return digest.hexdigest()


class Integrity(object):
    """Caches the hashes of files. Another inode, size or modification time means that the bytes may have
    changed."""

    def __init__(self) -> "None":
        self.known: "dict[tuple[int, int, int, int] | None, str]" = {}

    def _key(self, path: "str") -> "tuple[int, int, int, int] | None":
        about = os.lstat(path)
        if not stat.S_ISREG(about.st_mode):
            return None
        return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns

    def matches(self, path: "str", sha256: "str | None", size: "int") -> "bool":
        """Whether a regular file exists with this size and hash; None: any hash."""
        try:
            key = self._key(path)
            if key is None or key[2] != size:
                return False
            if sha256 is None:
                return True
            if key not in self.known:
                self.known[key] = sha256_of(path)
        except OSError:
            return False
        return self.known[key] == sha256

    def trust(self, path: "str", sha256: "str") -> "None":
        """Cache the hash of a file that was hashed while it was written."""
        self.known[self._key(path)] = sha256
