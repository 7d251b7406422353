"""Stands for `os` in the agent's file module: counts, records, stops or fails every change of the disk.

What is recorded is a journal over nodes (files, folders, links), like a file system's own: `images` makes the
disks from it that a power cut may leave. Nothing is really synced: that would take the time of all else.
"""

import errno
import os

STOPPED = 77  # exit code of a process that was stopped
GROWTH = ("create", "mkdir", "symlink", "link", "allocate", "write")  # what a full disk refuses
INODES = ("create", "mkdir", "symlink")  # what a disk without free inodes refuses
NOT_RECORDED = ("agent.log", "agent.log.old", "lock")  # nothing depends on them


class Node:
    """A file, folder or link of the recorded disk."""

    def __init__(self, kind, content=None, mode=0o600):
        self.kind, self.content, self.mode = kind, content, mode


def snapshot(path, nodes):
    """The node of what is at a path, with all below it; `nodes` gets them by inode number."""
    about = os.lstat(path)
    if about.st_ino in nodes:
        return nodes[about.st_ino]  # a second name of the same file
    if os.path.islink(path):
        node = Node("link", os.readlink(path))
    elif os.path.isdir(path):
        names = sorted(set(os.listdir(path)) - set(NOT_RECORDED))
        node = Node("folder", {name: snapshot(os.path.join(path, name), nodes) for name in names})
    else:
        with open(path, "rb") as file:
            node = Node("file", file.read(), about.st_mode & 0o777)
    nodes[about.st_ino] = node
    return node


class Recorder:
    """The `os` of `edgewright_agent.storage.files` while an operation is recorded, stopped or failed.

    Args:
        root: the folder; what is in it now counts as durable.
        fails: called with the number and the kind of each change; an errno that it returns is raised,
            `STOPPED` ends the process.
    """

    def __init__(self, root, fails=lambda number, kind: 0):
        self.root, self.nodes = root, {}
        self.first = snapshot(root, self.nodes)
        self.fails = fails
        self.journal = []  # (what, ...): see `images.apply`
        self.changes = 0
        self.failed = 0

    def __getattr__(self, name):
        return getattr(os, name)

    def change(self, kind):
        """Counts a change before it is made; it may be the last one, or fail."""
        self.changes += 1
        error = self.fails(self.changes, kind)
        if error == STOPPED:
            os._exit(STOPPED)
        if error:
            self.failed += 1
            raise OSError(error, os.strerror(error))

    def mark(self, word):
        """Notes that the operation has come to some point, such as an answer to the host."""
        self.journal.append(("mark", word, self.changes))

    def node(self, descriptor):
        """The node of an open file or folder; one that leads nowhere for what is not recorded."""
        return self.nodes.setdefault(os.fstat(descriptor).st_ino, Node("file", b""))

    def names(self, folder, name, node):
        if name not in NOT_RECORDED:
            place = os.readlink("/proc/self/fd/%d" % folder)[len(self.root) :]
            trash = node is None and place.startswith(("/trash", "/incoming/stage-"))
            self.journal.append(("name", self.node(folder), name, node, trash))

    def open(self, path, flags, mode=0o777, *, dir_fd=None):
        made, cut = False, bool(flags & os.O_TRUNC)
        if flags & os.O_CREAT:
            try:
                os.stat(path, dir_fd=dir_fd, follow_symlinks=False)
            except FileNotFoundError:
                made, cut = True, False
        if made or cut:
            self.change("create" if made else "truncate")
        descriptor = os.open(path, flags, mode, dir_fd=dir_fd)
        if made:
            node = self.nodes[os.fstat(descriptor).st_ino] = Node("file", b"", mode)
            self.names(dir_fd, path, node)
        elif cut:
            self.journal.append(("truncate", self.node(descriptor)))
        elif (
            path not in NOT_RECORDED and dir_fd is not None and os.fstat(descriptor).st_ino not in self.nodes
        ):
            self.adopt(descriptor, path, dir_fd)
        return descriptor

    def adopt(self, descriptor, name, folder):
        """Notes what a child of the agent made by itself, when it is first seen: nothing of it is durable yet."""
        about = os.fstat(descriptor)
        file = not os.path.isdir("/proc/self/fd/%d" % descriptor)
        node = Node("file", b"", about.st_mode & 0o777) if file else Node("folder", {})
        self.nodes[about.st_ino] = node
        self.names(folder, name, node)
        if file:
            with open("/proc/self/fd/%d" % descriptor, "rb") as copy:
                self.journal.append(("write", node, 0, copy.read()))

    def write(self, descriptor, data):
        start = os.fstat(descriptor).st_size
        try:
            self.change("write")
        except OSError as error:
            if error.errno == errno.ENOSPC and len(data) > 1:  # the disk takes what still fits
                done = os.write(descriptor, bytes(data[: len(data) // 2]))
                self.journal.append(("write", self.node(descriptor), start, bytes(data[:done])))
            raise
        done = os.write(descriptor, data)
        self.journal.append(("write", self.node(descriptor), start, bytes(data[:done])))
        return done

    def fsync(self, descriptor):
        try:
            self.change("fsync")
        except OSError:
            self.journal.append(("forget", self.node(descriptor)))  # clean in memory, and not on the disk
            raise
        self.journal.append(("sync", self.node(descriptor)))

    def posix_fallocate(self, descriptor, start, size):
        self.change("allocate")
        os.posix_fallocate(descriptor, start, size)
        self.journal.append(("write", self.node(descriptor), start, bytes(size)))

    def fchmod(self, descriptor, mode):
        self.change("chmod")
        os.fchmod(descriptor, mode)
        self.journal.append(("mode", self.node(descriptor), mode))

    def mkdir(self, path, mode=0o777, *, dir_fd=None):
        self.change("mkdir")
        os.mkdir(path, mode, dir_fd=dir_fd)
        node = self.nodes[os.stat(path, dir_fd=dir_fd).st_ino] = Node("folder", {})
        self.names(dir_fd, path, node)

    def symlink(self, source, path, *, dir_fd=None):
        self.change("symlink")
        os.symlink(source, path, dir_fd=dir_fd)
        node = Node("link", source)
        self.nodes[os.stat(path, dir_fd=dir_fd, follow_symlinks=False).st_ino] = node
        self.names(dir_fd, path, node)

    def link(self, source, path, *, src_dir_fd=None, dst_dir_fd=None, follow_symlinks=True):
        self.change("link")
        os.link(source, path, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd, follow_symlinks=follow_symlinks)
        self.names(dst_dir_fd, path, self.nodes[os.stat(path, dir_fd=dst_dir_fd).st_ino])

    def unlink(self, path, *, dir_fd=None):
        os.stat(path, dir_fd=dir_fd, follow_symlinks=False)  # what is not there is no change
        self.change("unlink")
        os.unlink(path, dir_fd=dir_fd)
        self.names(dir_fd, path, None)

    def rmdir(self, path, *, dir_fd=None):
        self.change("rmdir")
        os.rmdir(path, dir_fd=dir_fd)
        if dir_fd is not None:
            self.names(dir_fd, path, None)

    def rename(self, source, path, *, src_dir_fd=None, dst_dir_fd=None):
        if source in NOT_RECORDED:
            return os.rename(source, path, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        self.change("rename")
        os.rename(source, path, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        node = self.nodes[os.stat(path, dir_fd=dst_dir_fd, follow_symlinks=False).st_ino]
        self.journal.append(("move", self.node(src_dir_fd), source, self.node(dst_dir_fd), path, node))
        return None

    replace = rename
