"""The root folder: checks whether the agent may use it, and creates its initial content."""

import errno
import os
import re
import stat

from edgewright_agent import shapes
from edgewright_agent.protocol import MAX_LINE, AgentError, Code
from edgewright_agent.storage.failures import failure, name_of
from edgewright_agent.storage.files import make_root
from edgewright_agent.storage.integrity import opened
from edgewright_agent.storage.layout import FOLDERS, kind, put_aside
from edgewright_agent.storage.state import SLOTS, take

VOLATILE = ("tmpfs", "ramfs", "rootfs")
GROUP = re.compile(r"[a-z_][a-z0-9_-]{0,31}\Z")


def unescape(field: "str") -> "str":
    """Decode a field of mountinfo: octal escapes stand for space, tab, newline and backslash."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), field)


def mounts(text: "str") -> "list[shapes.Mount]":
    """Rows of mountinfo: (mount point, options, file system, source's options)."""
    rows = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, rest = before.split(), after.split()
        if len(fields) >= 6 and len(rest) >= 3:
            rows.append((unescape(fields[4]), fields[5].split(","), rest[0], unescape(rest[2]).split(",")))
    return rows


def mount_of(path: "str", rows: "list[shapes.Mount]") -> "shapes.Mount | None":
    """The row of the mount that a path is on: the longest mount point above it, the last one mounted there."""
    found = None
    for row in rows:
        point = row[0].rstrip("/")
        if (path == point or path.startswith(point + "/")) and (
            found is None or len(row[0]) >= len(found[0])
        ):
            found = row
    return found


def mount_problem(path: "str", mountinfo: "str", cmdline: "str") -> "str":
    """`volatile`, `read-only`, `noexec` or empty: why a path's mount cannot be used."""
    rows = mounts(mountinfo)
    row = mount_of(path, rows)
    if row is None:
        return ""
    _, options, kind, source = row
    upper = [option[len("upperdir=") :] for option in source if option.startswith("upperdir=")]
    if kind == "overlay" and upper:
        # An overlay root set up before init hides its upper folder; only the kernel's command line reveals it.
        on_memory = os.path.isdir(upper[0]) and (mount_of(upper[0], rows) or row)[2] in VOLATILE
        if on_memory or re.search(r"(^|\s)(boot=overlay|overlayroot=)", cmdline):
            return "volatile"
    if kind in VOLATILE:
        return "volatile"
    if "ro" in options or "ro" in source:
        return "read-only"
    return "noexec" if "noexec" in options else ""


def read_text(path: "str") -> "str":
    """The text of a file of /proc or of the root folder, or empty."""
    try:
        with opened(path) as file:
            return file.read(MAX_LINE).decode("utf-8", "replace")
    except OSError:
        return ""


def problem(root: "str") -> "str":
    """Why a root folder's file system cannot be used (`volatile`, `read-only`, `noexec`), or empty."""
    path = os.path.realpath(root)
    while not os.path.isdir(path) and path != "/":
        path = os.path.dirname(path)
    return mount_problem(path, read_text("/proc/self/mountinfo"), read_text("/proc/cmdline"))


def refuse(why: "str", root: "str", **about: "object") -> "AgentError":
    """The AgentError for a root folder that cannot be used."""
    return AgentError(Code.ROOT_REFUSED, "the root folder cannot be used, %s: %s" % (why, root), **about)


def open_to(files: "shapes.Files", group: "str | None") -> "None":
    """Let a shared group of the board read the models. None changes nothing.

    Raises:
        AgentError: `root-refused`: there is no such group, or the login is not a member.
    """
    gid = files.gid if group is None else gid_of(group, files.root)
    if gid is not None:
        files.share_root(gid)


def gid_of(group: "object", root: "str") -> "int":
    """The number of a group that the login belongs to."""
    import grp  # a board without a shared group may lack it

    if not isinstance(group, str) or not GROUP.match(group):
        raise AgentError(Code.BAD_ARGUMENT, "not a group's name: %.40r" % (group,))
    try:
        gid = grp.getgrnam(group).gr_gid
    except KeyError:
        raise AgentError(
            Code.ROOT_REFUSED,
            "there is no group %s on the board: %s" % (group, root),
            cause="no-group",
            group=group,
        )
    if gid not in os.getgroups() + [os.getegid()] and os.geteuid() != 0:
        raise AgentError(
            Code.ROOT_REFUSED,
            "the login is not in the group %s: %s" % (group, root),
            cause="not-in-group",
            group=group,
        )
    return gid


def prepare(root: "str") -> "str":
    """Check the root folder, create it if it is absent, and set the umask to 077.

    Returns:
        Its absolute path.

    Raises:
        AgentError: `root-refused`.
    """
    os.umask(0o077)
    path = os.path.expanduser(root)
    if not os.path.isabs(path) or os.path.normpath(path) != path.rstrip("/") or path.rstrip("/") == "":
        raise refuse("it is not a plain absolute path", root)
    path = path.rstrip("/")
    if os.path.islink(path):
        raise refuse("it is a symbolic link", path)
    why = problem(path)
    if why:
        raise refuse("it is " + why, path)
    try:
        make_root(path)
        about = os.lstat(path)
    except OSError as error:
        raise refuse(os.strerror(error.errno or 0), path)
    if not stat.S_ISDIR(about.st_mode):
        raise refuse("it is not a folder", path)
    if about.st_uid != os.geteuid():
        login = name_of(os.geteuid(), "%d")
        why = "it belongs to another user, " + name_of(about.st_uid)
        raise refuse(why, path, cause="owner" if ours(path) else "", path=path, login=login)
    if about.st_mode & 0o022:
        raise refuse("other users may write to it", path, cause="open", path=path)
    if not os.access(path, os.W_OK | os.X_OK):
        raise refuse("it is not writable", path, cause="mode", path=path)
    return path


def ours(path: "str") -> "bool":
    """Whether a folder of another user is a root folder or empty; an unreadable folder counts as one if it is in the home."""
    try:
        names = os.listdir(path)
    except OSError:
        return path.startswith(os.path.expanduser("~/"))
    return not names or not set(names).isdisjoint(SLOTS + ("board_id",))


def furnish(files: "shapes.SessionFiles") -> "str":
    """Create the folders and the board's id if they are absent. Returns the id."""
    for folder in FOLDERS:
        files.make_folder(folder)
    known = board_id(files)
    if (
        not known
        and os.path.lexists(files.path("board_id"))
        and not os.access(files.path("board_id"), os.R_OK)
    ):
        raise failure(OSError(errno.EACCES, ""), "board_id", files.root)
    if not known:
        for name in ("lock", "board_id", "board_id.new"):
            if kind(files, name) not in ("", "file"):
                put_aside(files, name)
        file = files.open_lock("lock")
        try:
            take(file)  # two first sessions at once must not greet with two ids
            known = board_id(files) or os.urandom(16).hex()
            files.write("board_id", known.encode("ascii") + b"\n")
        finally:
            os.close(file)
    return known


def board_id(files: "shapes.Files") -> "str":
    """The root folder's id, or empty."""
    known = read_text(files.path("board_id")).strip()
    return known if re.match(r"[0-9a-f]{32}\Z", known) else ""
