"""The only module that changes the file system. Every path is relative to the root folder.

Two exceptions, where a child writes by itself: its outputs, into the scratch folder of its session, and the bytecode of a
runtime that is being put together, into its stage below `incoming/`.

Each folder on the way is opened below its parent with O_NOFOLLOW, so no link can lead out of the root.
`step` is called before every single change: tests override it to stop, fail or drop any of them.
A failed fsync is an error for good: the bytes are thrown away, never synced again.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import stat

from edgewright_agent import shapes
from edgewright_agent.protocol import PIECE, AgentError, Code
from edgewright_agent.storage.usage_marks import alone

NOFOLLOW = os.O_NOFOLLOW | os.O_CLOEXEC
SHARED_ROOT = 0o2050  # of the mode of a root folder with a shared group
TEMPORARY = ".new"  # suffix of files that are not yet whole; none of our names has it


def failure(error: "OSError", path: "str") -> "AgentError":
    """The AgentError for an OSError on a path."""
    path = path or "the root folder"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return AgentError(
            Code.DISK_FULL,
            "the disk is full: %s" % path,
        )
    return AgentError(
        Code.IO,
        "%s: %s" % (path, os.strerror(error.errno or errno.EIO)),
    )


def make_root(path: "str") -> "None":
    """Make the root folder and those above it. OSError where that cannot be."""
    os.makedirs(path, mode=0o700, exist_ok=True)


def readable(relative: "str") -> "bool":
    """Whether a folder is one that applications read: `models`, and those below it."""
    return relative.split("/")[0] == "models"


def private(relative: "str") -> "bool":
    """Whether a folder is the agent's own, though it is below `models`."""
    parts = relative.split("/")
    return parts[0] == "models" and parts[2:] == ["records"]


class Files(object):
    """Changes below one root folder.

    Args:
        root: absolute path of an existing folder.

    Attributes:
        gid: the shared group, which may read what is below `models/`; None without one. A root folder whose
            mode is 2750 has one: so every process of the agent finds it there.

    Every method raises AgentError: `disk-full` or `io`.
    """

    def __init__(self, root: "str") -> "None":
        self.root = root
        self.descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        about = os.fstat(self.descriptor)
        self.gid = about.st_gid if about.st_mode & SHARED_ROOT == SHARED_ROOT else None

    def step(self, operation: "str", path: "str") -> "None":
        """Called before each change of the file system."""

    def path(self, relative: "str") -> "str":
        """The absolute path, for readers."""
        return os.path.join(self.root, relative)

    @contextlib.contextmanager
    def folder(self, relative: "str") -> "shapes.Iterator[int]":
        """A descriptor of a folder below the root, no link followed."""
        opened = os.dup(self.descriptor)
        try:
            for part in [part for part in relative.split("/") if part]:
                if part == "..":
                    raise AgentError(Code.BAD_ARGUMENT, "a path leaves the root folder: %s" % relative)
                inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | NOFOLLOW, dir_fd=opened)
                os.close(opened)
                opened = inner
            yield opened
        except OSError as error:
            raise failure(error, relative)
        finally:
            os.close(opened)

    def sync_folder(self, relative: "str") -> "None":
        """Make the names in a folder durable."""
        with self.folder(relative) as folder:
            self.step("fsync-folder", relative)
            os.fsync(folder)

    def make_folder(self, relative: "str") -> "None":
        """Make a folder and its parents, durably. Those there already are left alone."""
        parent, name = os.path.split(relative)
        path = self.path(relative)
        if not name or (os.path.isdir(path) and not os.path.islink(path)):
            return
        self.make_folder(parent)
        with self.folder(parent) as folder:
            self.step("mkdir", relative)
            try:
                os.mkdir(name, 0o700, dir_fd=folder)
            except FileExistsError:
                pass
            if readable(relative):
                self._share(name, folder, relative)
        self.sync_folder(parent)

    def _flush(self, descriptor: "int", relative: "str") -> "None":
        self.step("fsync", relative)
        os.fsync(descriptor)

    def _put_bytes(self, descriptor: "int", data: "bytes") -> "None":
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]

    def write(self, relative: "str", data: "bytes", mode: "int" = 0o600) -> "None":
        """Make a file have exactly these bytes: temporary, fsync, rename, fsync of the folder."""
        with self.writer(relative, mode) as write:
            write(data)

    @contextlib.contextmanager
    def writer(
        self, relative: "str", mode: "int" = 0o600, durable: "bool" = True
    ) -> "shapes.Iterator[shapes.Write]":
        """A `write(bytes)` function for a file that appears whole when the block ends, or not at all."""
        parent, name = os.path.split(relative)
        temporary = name + TEMPORARY
        with self.folder(parent) as folder:
            self.step("create", relative)
            self._drop(temporary, folder)
            file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NOFOLLOW, mode, dir_fd=folder)
            try:
                try:
                    yield lambda data: self._put_bytes(file, data)
                    if durable:
                        self._flush(file, relative)
                    else:  # begun at once, thousands of files are written long before their fsync waits for them
                        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
                finally:
                    os.close(file)
                self.step("rename", relative)
                os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                self._drop(temporary, folder)
                raise
        if durable:
            self.sync_folder(parent)

    def _drop(self, name: "str", folder: "int") -> "None":
        try:
            os.unlink(name, dir_fd=folder)
        except FileNotFoundError:
            pass

    @contextlib.contextmanager
    def appender(
        self, relative: "str", offset: "int", ended: "shapes.Callback | None" = None
    ) -> "shapes.Iterator[shapes.Write]":
        """A `write(bytes)` function that adds to a file of exactly `offset` bytes; what was written is synced at the end,
        even when the block fails, so that an upload can go on from there.

        Args:
            ended: called after a block that went well, all synced and the file still out of others' reach.
        """
        parent, name = os.path.split(relative)
        with self.folder(parent) as folder:
            self.step("append", relative)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | NOFOLLOW
            file = os.open(name, flags, 0o600, dir_fd=folder)
            try:
                alone(file, name, folder)
                if not offset and os.fstat(file).st_size:
                    os.close(os.open(name, flags | os.O_TRUNC, dir_fd=folder))
                if os.fstat(file).st_size != offset:
                    raise AgentError(
                        Code.BAD_ARGUMENT,
                        "the part does not have this length: %d" % offset,
                    )
                try:
                    yield lambda data: self._put_bytes(file, data)
                finally:
                    self._flush(file, relative)
                if ended:
                    ended()
            finally:
                os.close(file)

    def open_lock(self, relative: "str") -> "int":
        """A descriptor of a file to lock, made where it is absent. The caller closes it."""
        parent, name = os.path.split(relative)
        with self.folder(parent) as folder:
            return os.open(name, os.O_RDWR | os.O_CREAT | NOFOLLOW, 0o600, dir_fd=folder)

    def open(self, relative: "str") -> "shapes.Stream":
        """A regular file to read, as a binary file object; no link is followed on the way to it."""
        parent, name = os.path.split(relative)
        with self.folder(parent) as folder:
            file = os.open(name, os.O_RDONLY | NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
            if not stat.S_ISREG(os.fstat(file).st_mode):
                os.close(file)
                raise AgentError(Code.IO, "not a regular file: %s" % relative)
            return os.fdopen(file, "rb")

    def log(self, relative: "str", data: "bytes", limit: "int") -> "None":
        """Add to a log file; past `limit` bytes it becomes `<name>.old` and a new one begins. Not synced."""
        parent, name = os.path.split(relative)
        with self.folder(parent) as folder:
            self.step("log", relative)
            file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND | NOFOLLOW, 0o600, dir_fd=folder)
            try:
                self._put_bytes(file, data)
                if os.fstat(file).st_size > limit:
                    self._turn(file, relative, folder)
            finally:
                os.close(file)

    def _turn(self, file: "int", relative: "str", folder: "int") -> "None":
        """Rename a full log file, unless another session is at it or has done so."""
        name = os.path.basename(relative)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            there = os.stat(name, dir_fd=folder, follow_symlinks=False).st_ino
        except (BlockingIOError, FileNotFoundError):
            return
        if there == os.fstat(file).st_ino:
            self.step("rename", relative + ".old")
            os.rename(name, name + ".old", src_dir_fd=folder, dst_dir_fd=folder)

    def rename(self, source: "str", target: "str") -> "None":
        """Move a file or folder, durably; a file in the way is replaced."""
        (from_parent, from_name), (to_parent, to_name) = os.path.split(source), os.path.split(target)
        with self.folder(from_parent) as old, self.folder(to_parent) as new:
            self.step("rename", target)
            os.rename(from_name, to_name, src_dir_fd=old, dst_dir_fd=new)
        self.sync_folder(to_parent)
        if from_parent != to_parent:
            self.sync_folder(from_parent)

    def link(self, source: "str", target: "str") -> "None":
        """A second name for a file's bytes. Sync the folder afterwards."""
        (from_parent, from_name), (to_parent, to_name) = os.path.split(source), os.path.split(target)
        with self.folder(from_parent) as old, self.folder(to_parent) as new:
            self.step("link", target)
            os.link(from_name, to_name, src_dir_fd=old, dst_dir_fd=new, follow_symlinks=False)

    def copy(self, source: "str", target: "str", size: "int", mode: "int" = 0o600) -> "str":
        """Copy a file of exactly `size` bytes, durably. Returns the hex sha256 of what was copied."""
        digest, left = hashlib.sha256(), size
        with self.open(source) as file, self.writer(target, mode) as write:
            piece = file.read(PIECE)
            while piece:
                left -= len(piece)
                if left < 0:
                    break
                digest.update(piece)
                write(piece)
                piece = file.read(PIECE)
            if left:
                raise AgentError(Code.HASH_MISMATCH, "a file does not have its declared size: %s" % source)
        return digest.hexdigest()

    def swap_link(self, relative: "str", destination: "str | None") -> "None":
        """Point a symbolic link elsewhere in one atomic move; `destination` None removes it. Durable."""
        parent, name = os.path.split(relative)
        with self.folder(parent) as folder:
            if destination is None:
                self.step("unlink", relative)
                self._drop(name, folder)
            else:
                self.step("symlink", relative)
                self._drop(name + TEMPORARY, folder)
                os.symlink(destination, name + TEMPORARY, dir_fd=folder)
                self.step("replace", relative)
                os.replace(name + TEMPORARY, name, src_dir_fd=folder, dst_dir_fd=folder)
        self.sync_folder(parent)

    def remove_file(self, relative: "str") -> "None":
        """Remove a file, if it is there."""
        parent, name = os.path.split(relative)
        with self.folder(parent) as folder:
            self.step("unlink", relative)
            self._drop(name, folder)

    def remove_tree(self, relative: "str") -> "None":
        """Remove a file or a folder and all in it, no link followed."""
        parent, name = os.path.split(relative)
        with self.folder(parent) as folder:
            self._remove(name, folder, relative)

    def _remove(self, name: "str", folder: "int", relative: "str") -> "None":
        try:
            if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                self.step("unlink", relative)
                os.unlink(name, dir_fd=folder)
                return
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | NOFOLLOW, dir_fd=folder)
            try:
                for child in os.listdir(inner):
                    self._remove(child, inner, relative + "/" + child)
            finally:
                os.close(inner)
            self.step("rmdir", relative)
            os.rmdir(name, dir_fd=folder)
        except FileNotFoundError:
            pass  # another session removes the same

    def remove_root(self) -> "None":
        """Remove all there is, and the root folder itself where its parent allows it."""
        for name in os.listdir(self.descriptor):
            self.remove_tree(name)
        self.step("rmdir", "")
        try:
            os.rmdir(self.root)
        except OSError:
            pass

    def seal(self, relative: "str") -> "None":
        """Sync every file and folder below a folder, itself last."""
        with self.folder(relative) as folder:
            for name in sorted(os.listdir(folder)):
                inner = relative + "/" + name
                if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                    self.seal(inner)
                    continue
                file = os.open(name, os.O_RDONLY | NOFOLLOW, dir_fd=folder)
                try:
                    self._flush(file, inner)
                finally:
                    os.close(file)
            self.step("fsync-folder", relative)
            os.fsync(folder)

    def allocate(self, relative: "str", size: "int") -> "None":
        """Make a file whose `size` bytes really are taken from the disk."""
        parent, name = os.path.split(relative)
        with self.folder(parent) as folder:
            self.step("allocate", relative)
            file = os.open(name, os.O_WRONLY | os.O_CREAT | NOFOLLOW, 0o600, dir_fd=folder)
            try:
                os.posix_fallocate(file, 0, size)
                self._flush(file, relative)
            finally:
                os.close(file)

    def share(self, relative: "str") -> "None":
        """Let the shared group read a file or a folder and all in it; without a group nothing is done."""
        parent, name = os.path.split(relative)
        with self.folder(parent) as folder:
            self._share(name, folder, relative)

    def _share(self, name: "str", folder: "int", relative: "str") -> "None":
        if self.gid is None or private(relative):
            return
        try:
            about = os.stat(name, dir_fd=folder, follow_symlinks=False)
            is_folder = stat.S_ISDIR(about.st_mode)
            mode = 0o750 if is_folder else 0o640
            right = about.st_gid == self.gid and stat.S_IMODE(about.st_mode) == mode
            if not is_folder and (right or not stat.S_ISREG(about.st_mode)):
                return
            inner = os.open(name, os.O_RDONLY | NOFOLLOW, dir_fd=folder)
        except FileNotFoundError:
            return  # another session removed it
        try:
            for child in os.listdir(inner) if is_folder else ():
                self._share(child, inner, relative + "/" + child)
            if not right:
                self.step("chmod", relative)
                os.fchown(inner, -1, self.gid)
                os.fchmod(inner, mode)
        finally:
            os.close(inner)

    def share_root(self, gid: "int") -> "None":
        """Give what is below `models/` to a shared group, then the root folder, whose mode says so."""
        self.gid = gid
        self.share("models")
        about = os.fstat(self.descriptor)
        if about.st_gid != gid or about.st_mode & SHARED_ROOT != SHARED_ROOT:
            self.step("chmod", "")
            os.fchown(self.descriptor, -1, gid)
            os.fchmod(self.descriptor, 0o2750)
