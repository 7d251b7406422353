"""The layout of the root folder. Anything else that people or other programs left there goes to `aside/`; it is not deleted."""

import os
import stat

from edgewright_agent import shapes
from edgewright_agent.storage.reserve import INODES, RESERVE
from edgewright_agent.storage.state import SLOTS

ASIDE = "aside"
FOLDERS = ("agent", "runtimes", "incoming", "trash", "models", "results", "hooks", "runners")
FILES = SLOTS + ("lock", "board_id", "agent.log", "agent.log.old", "guard.json", "guard.mark", RESERVE)
INSIDE = (
    (
        "runtimes/* models/* models/*/versions models/*/versions/* models/*/records models/*/prepared",
        "folder",
    ),
    ("models/*/records/* agent/* hooks/* runners/* incoming/* %s/*" % INODES, "file"),
    ("models/*/current models/*/current.new", "link"),
)


def kind(files: "shapes.Files", relative: "str") -> "str":
    """The kind of a file, as text; empty if it does not exist."""
    try:
        mode = os.lstat(files.path(relative)).st_mode
    except OSError:
        return ""
    known = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}
    return known.get(stat.S_IFMT(mode), "pipe, socket or device")


def link_of(files: "shapes.Files", model: "str") -> "str | None":
    """The destination of a model's `current` link; None if it is not a link."""
    path = files.path("models/%s/current" % model)
    return os.readlink(path) if os.path.islink(path) else None


def places(files: "shapes.Files", pattern: "str", base: "str" = "") -> "list[str]":
    """The relative paths that match a pattern; each `*` matches any name in its folder."""
    head, star, tail = pattern.partition("*")
    if not star:
        return [base + head]
    try:
        names = sorted(os.listdir(files.path(base + head)))
    except OSError:
        return []
    return [one for name in names for one in places(files, tail, base + head + name)]


def rows(files: "shapes.Files") -> "shapes.Iterator[tuple[str, str]]":
    """(relative path, expected kind), folders before their contents."""
    for name in (ASIDE, INODES) + FOLDERS:
        yield name, "folder"
    for name in FILES:
        yield name, "file"
        yield name + ".new", "file"
    for patterns, wanted in INSIDE:
        for pattern in patterns.split():
            for name in places(files, pattern):
                if not name.startswith("incoming/stage-"):
                    yield name, wanted


def place(files: "shapes.Files", relative: "str") -> "str":
    """A free name below `aside`; next to it if the file to move is `aside` itself."""
    name = relative.replace("/", "-")[-60:]  # a name has at most 255 bytes
    base, number = name if relative == ASIDE else "%s/%s" % (ASIDE, name), 1
    while kind(files, "%s.%d" % (base, number)):
        number += 1
    return "%s.%d" % (base, number)


def put_aside(files: "shapes.SessionFiles", relative: "str") -> "str":
    """Move a file or folder aside, durably. Returns its new path."""
    if relative != ASIDE:
        if kind(files, ASIDE) not in ("", "folder"):
            put_aside(files, ASIDE)
        files.make_folder(ASIDE)
    to = place(files, relative)
    files.rename(relative, to)
    files.note("%s: moved to %s" % (relative, to))
    return to
