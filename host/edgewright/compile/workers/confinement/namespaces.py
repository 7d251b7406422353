"""Mount and network namespaces, for kernels without Landlock or seccomp: a file tree with only the allowed files, and no network."""

from __future__ import annotations

import ctypes
import os
import stat
import tempfile
from pathlib import Path

from edgewright.compile.workers.confinement import libc
from edgewright.compile.workers.confinement.rules import Rules

# bits of sched.h and mount.h
_NEW_MOUNTS, _NEW_USER, _NEW_NETWORK = 0x00020000, 0x10000000, 0x40000000
_READ_ONLY, _NO_SUID, _NO_DEVICES, _NO_EXEC, _REMOUNT, _BIND, _RECURSIVE, _PRIVATE = (
    1,
    2,
    4,
    8,
    32,
    4096,
    16384,
    1 << 18,
)
_DETACH = 2
_ACCESS_TIMES = 1024 | 2048 | (1 << 21)  # noatime, nodiratime, relatime
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_KERNELS_OWN = ("/proc", "/sys", "/dev")
_SETTINGS = ("/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs", "/sys")
_MOST_LINKS = 40


def no_network() -> bool:
    """Moves this process to an empty network namespace. Raises OSError."""
    _unshare(_NEW_NETWORK)
    return True


def restrict(rules: Rules, machine: str) -> bool:
    """Replaces this process's file tree. Returns False if this machine is not supported.

    Raises:
        OSError: namespaces may not be created here.
    """
    if machine not in _PIVOT_ROOT:
        return False
    folder = os.getcwd()
    _unshare(_NEW_MOUNTS)
    _mount("none", "/", _RECURSIVE | _PRIVATE)
    root = Path(tempfile.mkdtemp())  # only this process and its children see what is mounted on it
    _mount("none", str(root), _NO_SUID | _NO_DEVICES, "tmpfs", b"size=16m,mode=755")
    wanted = sorted([(path, True) for path in rules.reads] + [(path, False) for path in rules.writes])
    for path, read_only in wanted:
        _appear(root, path, read_only)
    _keep_settings(root)
    _mount("none", str(root), _REMOUNT | _BIND | _READ_ONLY | _NO_SUID | _NO_DEVICES)
    os.chdir(root)
    libc.syscall(_PIVOT_ROOT[machine], b".", b".")
    libc.call("umount2", b".", _DETACH)
    os.chdir(folder if os.path.isdir(folder) else "/")
    return True


def _unshare(what: int) -> None:
    """Unshares namespaces, in a new user namespace if this user may not do it otherwise. Raises OSError."""
    try:
        libc.call("unshare", what)
    except PermissionError:
        user, group = os.geteuid(), os.getegid()
        libc.call("unshare", what | _NEW_USER)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def _appear(root: Path, path: str, read_only: bool) -> None:
    """Shows a file or a folder in the new tree at its own path; links on the way there stay links."""
    real = _walked(root, path)
    if real is None:
        return
    place = f"{root}{real}"
    found = os.stat(real)
    if not os.path.lexists(place):
        if stat.S_ISDIR(found.st_mode):
            os.makedirs(place)
        else:
            os.makedirs(os.path.dirname(place), exist_ok=True)
            Path(place).touch()
    _mount(real, place, _BIND | _RECURSIVE)
    if read_only and (real in _SETTINGS or not real.startswith(_KERNELS_OWN)):
        _mount("none", place, _REMOUNT | _BIND | _READ_ONLY | _kept(real))


def _keep_settings(root: Path) -> None:
    """Makes the kernel's settings read-only: root could set a program there that would run outside this tree."""
    for path in _SETTINGS:
        if path != "/sys" and os.path.exists(f"{root}{path}"):  # this one is already a mount
            _appear(root, path, read_only=True)
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for place in mounts:
        if place.startswith(tuple(f"{root}{path}/" for path in _SETTINGS)):  # such as control groups
            _mount("none", place, _REMOUNT | _BIND | _READ_ONLY | _kept(place))


def _walked(root: Path, path: str) -> str | None:
    """The path without links; also creates each link on the way in the new tree."""
    parts, here = list(Path(path).parts[1:]), "/"
    for _ in range(_MOST_LINKS + len(parts)):
        if not parts:
            return here
        step = os.path.normpath(os.path.join(here, parts.pop(0)))
        if not os.path.islink(step):
            here = step
            continue
        target = os.readlink(step)
        copy = f"{root}{step}"
        if not os.path.lexists(copy):
            os.makedirs(os.path.dirname(copy), exist_ok=True)
            os.symlink(target, copy)
        whole = os.path.normpath(os.path.join(os.path.dirname(step), target))
        parts, here = [*Path(whole).parts[1:], *parts], "/"
    return None


def _kept(path: str) -> int:
    """The options of the mount that a path is on: another user namespace may not remove them."""
    return os.statvfs(path).f_flag & (_NO_SUID | _NO_DEVICES | _NO_EXEC | _READ_ONLY | _ACCESS_TIMES)


def _mount(source: str, place: str, flags: int, kind: str = "", options: bytes | None = None) -> None:
    libc.call("mount", source.encode(), place.encode(), kind.encode() or None, ctypes.c_ulong(flags), options)
