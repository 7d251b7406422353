"""Turns failures of the file system into errors that name the path, its owner, and the obstacle."""

import errno
import os
import stat

from edgewright_agent.protocol import AgentError, Code

STRANGE = (errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.EEXIST, errno.ENOTEMPTY, errno.EINVAL, errno.ENXIO)


def name_of(uid: "int", unknown: "str" = "uid %d") -> "str":
    """A user's name, else a text with the number."""
    import pwd  # needed only for errors

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return unknown % uid


def mode_of(about: "os.stat_result") -> "int":
    """The mode that a file or folder of the root needs, so that its owner can use it."""
    return stat.S_IMODE(about.st_mode) | (0o700 if stat.S_ISDIR(about.st_mode) else 0o600)


def denied(root: "str", path: "str") -> "AgentError | None":
    """The AgentError for the first part of a path, from the root folder on, that another user owns or whose mode is
    wrong; None if there is none."""
    parts = os.path.relpath(path, root).split("/")
    for number in range(len(parts) + 1):
        part = os.path.join(root, *parts[:number])
        try:
            about = os.lstat(part)
        except OSError:
            break
        if about.st_uid != os.geteuid():
            text = "%s belongs to %s" % (part, name_of(about.st_uid))
            return AgentError(Code.IO, text, cause="owner", path=part, login=name_of(os.geteuid(), "%d"))
        if not stat.S_ISLNK(about.st_mode) and mode_of(about) != stat.S_IMODE(about.st_mode):
            text = "%s has the mode %o" % (part, stat.S_IMODE(about.st_mode))
            return AgentError(Code.IO, text, cause="mode", path=part)
    return None


def failure(error: "OSError", path: "str", root: "str" = "") -> "AgentError":
    """The AgentError for an OSError on a path, which may be relative to the root folder."""
    where, number = os.path.join(root, path), error.errno or errno.EIO
    if number in (errno.ENOSPC, errno.EDQUOT):
        disk = os.statvfs(root or "/")
        if root and disk.f_files and not disk.f_favail:
            return AgentError(Code.DISK_FULL, "no inodes are left on the disk: %s" % path, cause="inodes")
        return AgentError(Code.DISK_FULL, "the disk is full: %s" % path)
    found = denied(root, where) if root and number in (errno.EACCES, errno.EPERM) else None
    text = "%s: %s" % (path or "the root folder", os.strerror(number))
    return found or (
        AgentError(Code.IO, text, cause="strange", path=where)
        if number in STRANGE
        else AgentError(Code.IO, text)
    )
