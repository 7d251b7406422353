"""The only module that changes the file system. Every path is relative to the root folder.

Two exceptions, where a child writes by itself: its outputs, into the scratch folder of its session, and bytecode, into the
stage below `incoming/` of a runtime that is being unpacked.

Each folder on a path is opened below its parent with O_NOFOLLOW, so no link can lead out of the root.
`step` is called before every single change: tests override it to stop, fail or drop any of them.
A failed fsync is final: the bytes are discarded and never synced again.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import stat

from edgewright_agent import shapes
from edgewright_agent.protocol import PIECE, AgentError, Code
from edgewright_agent.storage.failures import failure, mode_of
from edgewright_agent.storage.usage_marks import alone

NOFOLLOW = os.O_NOFOLLOW | os.O_CLOEXEC
SHARED_ROOT = 0o2050  # bits in the mode of a root folder with a shared group
TEMPORARY = ".new"  # suffix of incomplete files; no other file has it


def make_root(path: "str") -> "None":
    """Make the root folder and its parents. Raises OSError."""
    os.makedirs(path, mode=0o700, exist_ok=True)


def readable(relative: "str") -> "bool":
    """Whether applications read a folder: `models`, and those below it."""
    return relative.split("/")[0] == "models"


def private(relative: "str") -> "bool":
    """Whether a folder is only for the agent, although it is below `models`."""
    parts = relative.split("/")
    return parts[0] == "models" and parts[2:] == ["records"]


def regular(name: "str", flags: "int", folder: "int") -> "int":
    """A descriptor of a regular file; OSError for anything else: opening a pipe would block for ever."""
    file = os.open(name, flags | NOFOLLOW | os.O_NONBLOCK, 0o600, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), name)
    return file


class Files(object):
    """Changes below one root folder.

    Args:
        root: absolute path of an existing folder.

    Attributes:
        gid: the shared group, which may read the files below `models/`; None without one. The mode 2750 of the root
            folder marks a shared group: so every process of the agent finds it.

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
        """The absolute path, for reading."""
        return os.path.join(self.root, relative)

    @contextlib.contextmanager
    def folder(self, relative: "str") -> "shapes.Iterator[int]":
        """A descriptor of a folder below the root; follows no link."""
        opened = os.dup(self.descriptor)
        try:
            for part in filter(None, relative.split("/")):
                if part == "..":
                    raise AgentError(Code.BAD_ARGUMENT, "a path leaves the root folder: %s" % relative)
                inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | NOFOLLOW, dir_fd=opened)
                os.close(opened)
                opened = inner
            yield opened
        except OSError as error:
            name = error.filename2 or error.filename
            known = isinstance(name, str) and os.path.basename(name) not in relative.split("/")
            path = os.path.join(relative, name) if known else relative
            raise failure(error, path[: -len(TEMPORARY)] if path.endswith(TEMPORARY) else path, self.root)
        finally:
            os.close(opened)

    def sync_folder(self, relative: "str") -> "None":
        """Make the names in a folder durable."""
        with self.folder(relative) as folder:
            self.step("fsync-folder", relative)
            os.fsync(folder)

    def make_folder(self, relative: "str") -> "None":
        """Make a folder and its parents, durably. Existing folders stay as they are."""
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
        """Write exactly these bytes to a file: temporary file, fsync, rename, fsync of the folder."""
        with self.writer(relative, mode) as write:
            write(data)

    @contextlib.contextmanager
    def writer(
        self, relative: "str", mode: "int" = 0o600, durable: "bool" = True
    ) -> "shapes.Iterator[shapes.Write]":
        """A `write(bytes)` function for a file that appears complete when the block ends, or does not appear."""
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
                    else:  # start writing now: thousands of files reach the disk long before their fsync
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
        """A `write(bytes)` function that appends to a file of exactly `offset` bytes. The bytes are synced at the end,
        even if the block fails, so that an upload can resume from there.

        Args:
            ended: called after a block that succeeded, with all bytes synced and the file still locked.
        """
        parent, name = os.path.split(relative)
        with self.folder(parent) as folder:
            self.step("append", relative)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            file = regular(name, flags, folder)
            try:
                alone(file, name, folder)
                if not offset and os.fstat(file).st_size:
                    os.close(regular(name, flags | os.O_TRUNC, folder))
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
        """A descriptor of a file to lock; creates the file if it is absent. The caller closes it."""
        parent, name = os.path.split(relative)
        with self.folder(parent) as folder:
            return regular(name, os.O_RDWR | os.O_CREAT, folder)

    def open(self, relative: "str") -> "shapes.Stream":
        """Open a regular file for reading, as a binary file object; follows no link on its path."""
        parent, name = os.path.split(relative)
        with self.folder(parent) as folder:
            return os.fdopen(regular(name, os.O_RDONLY, folder), "rb")

    def log(self, relative: "str", data: "bytes", limit: "int") -> "None":
        """Append to a log file; above `limit` bytes it becomes `<name>.old` and a new one starts. Not synced."""
        parent, name = os.path.split(relative)
        with self.folder(parent) as folder:
            self.step("log", relative)
            file = regular(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, folder)
            try:
                self._put_bytes(file, data)
                if os.fstat(file).st_size > limit:
                    self._turn(file, relative, folder)
            finally:
                os.close(file)

    def _turn(self, file: "int", relative: "str", folder: "int") -> "None":
        """Rename a full log file, unless another session is doing so or has done so."""
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
        """Make a hard link to a file. The caller syncs the folder afterwards."""
        (from_parent, from_name), (to_parent, to_name) = os.path.split(source), os.path.split(target)
        with self.folder(from_parent) as old, self.folder(to_parent) as new:
            self.step("link", target)
            os.link(from_name, to_name, src_dir_fd=old, dst_dir_fd=new, follow_symlinks=False)

    def copy(self, source: "str", target: "str", size: "int", mode: "int" = 0o600) -> "str":
        """Copy a file of exactly `size` bytes, durably. Returns the hex sha256 of the copied bytes."""
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
        """Change the destination of a symbolic link atomically and durably; `destination` None removes it."""
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

    def check_link(self, relative: "str") -> "None":
        """Raise AgentError if a link cannot be swapped: there is a folder in its place, or its parent is not writable."""
        parent = os.path.dirname(relative)
        if os.path.isdir(self.path(relative)) and not os.path.islink(self.path(relative)):
            raise failure(OSError(errno.EISDIR, ""), relative, self.root)
        if os.path.isdir(self.path(parent)) and not os.access(self.path(parent), os.W_OK | os.X_OK):
            raise failure(OSError(errno.EACCES, ""), parent, self.root)

    def remove_file(self, relative: "str") -> "None":
        """Remove a file, if it is there."""
        parent, name = os.path.split(relative)
        with self.folder(parent) as folder:
            self.step("unlink", relative)
            self._drop(name, folder)

    def remove_tree(self, relative: "str") -> "None":
        """Remove a file or a folder with its contents; follows no link."""
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
            pass  # another session removes the same file
        except OSError as error:
            raise failure(error, relative, self.root)

    def own(self, relative: "str") -> "None":
        """Make this user the owner of a file or folder, if allowed, and set the mode that it needs."""
        parent, name = os.path.split(relative)
        with self.folder(parent) as folder:
            about = os.stat(name, dir_fd=folder, follow_symlinks=False)
            self.step("chmod", relative)
            if about.st_uid != os.geteuid():
                os.chown(name, os.geteuid(), -1, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISLNK(about.st_mode):
                os.chmod(name, mode_of(about), dir_fd=folder)

    def gone(self) -> "bool":
        """Whether the root folder no longer exists, or another one is in its place."""
        try:
            return not os.path.samestat(os.stat(self.root), os.fstat(self.descriptor))
        except OSError:
            return True

    def remove_root(self) -> "None":
        """Remove everything in the root folder, and the folder itself if its parent allows it."""
        for name in os.listdir(self.descriptor):
            self.remove_tree(name)
        self.step("rmdir", "")
        try:
            os.rmdir(self.root)
        except OSError:
            pass

    def seal(self, relative: "str") -> "None":
        """Sync every file and folder below a folder, and the folder itself last."""
        with self.folder(relative) as folder:
            for name in sorted(os.listdir(folder)):
                inner = relative + "/" + name
                if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                    self.seal(inner)
                    continue
                file = regular(name, os.O_RDONLY, folder)
                try:
                    self._flush(file, inner)
                finally:
                    os.close(file)
            self.step("fsync-folder", relative)
            os.fsync(folder)

    def allocate(self, relative: "str", size: "int") -> "None":
        """Make a file whose `size` bytes are really allocated on the disk."""
        parent, name = os.path.split(relative)
        with self.folder(parent) as folder:
            self.step("allocate", relative)
            file = regular(name, os.O_WRONLY | os.O_CREAT, folder)
            try:
                os.posix_fallocate(file, 0, size)
                self._flush(file, relative)
            finally:
                os.close(file)

    def share(self, relative: "str") -> "None":
        """Let the shared group read a file or a folder with its contents; does nothing without a group."""
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
        """Give the files below `models/` to a shared group, then the root folder, whose mode marks that."""
        self.gid = gid
        self.share("models")
        about = os.fstat(self.descriptor)
        if about.st_gid != gid or about.st_mode & SHARED_ROOT != SHARED_ROOT:
            self.step("chmod", "")
            os.fchown(self.descriptor, -1, gid)
            os.fchmod(self.descriptor, 0o2750)
