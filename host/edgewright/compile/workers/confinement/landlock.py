"""Landlock: limits the files that this process and its children may open, and denies TCP if the kernel supports that."""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable

from edgewright.compile.workers.confinement import libc
from edgewright.compile.workers.confinement.rules import Rules

# numbers and bits of linux/landlock.h; system calls this recent have the same number on all machines
_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION, _PATH_BENEATH = 1, 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE, _IOCTL = 1, 2, 4, 8, 1 << 14, 1 << 15
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
_ALL_TCP, _ALL_SCOPES = 0b11, 0b11
_READS = _EXECUTE | _READ_FILE | _READ_DIR
_FIRST = 2  # the first version cannot allow a rename into another folder, which TensorFlow does with each SavedModel
_MADE_SINCE = ((1, 13), (2, 14), (3, 15), (5, 16))  # version, its number of file rights


def version() -> int:
    """The version of the kernel's Landlock; 0 if it has none or it may not be used here."""
    try:
        return libc.syscall(_CREATE, None, 0, _VERSION)
    except OSError:
        return 0


def restrict(rules: Rules) -> int:
    """Applies the rules to this process. Returns Landlock's version; 0 if it is not available.

    Raises:
        OSError: the kernel refuses.
    """
    found = version()
    if found < _FIRST:
        return 0
    handled = (1 << max(count for since, count in _MADE_SINCE if found >= since)) - 1
    ruleset = _ruleset(found, handled)
    try:
        _add(ruleset, rules.reads, _READS & handled)
        _add(ruleset, rules.writes, handled)
        libc.no_new_privileges()
        libc.syscall(_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)
    return found


def _ruleset(found: int, handled: int) -> int:
    """Creates a ruleset and returns its descriptor."""
    fields = [handled]
    if found >= 4:
        fields.append(_ALL_TCP)
    if found >= 6:
        fields.append(_ALL_SCOPES)  # other processes' abstract sockets, and signals to them
    data = struct.pack(f"={len(fields)}Q", *fields)
    return libc.syscall(_CREATE, ctypes.c_char_p(data), len(data), 0)


def _add(ruleset: int, paths: Iterable[str], rights: int) -> None:
    for path in paths:
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:  # deleted meanwhile, or another user's
            continue
        try:
            folder = stat.S_ISDIR(os.fstat(place).st_mode)
            allowed = rights if folder else rights & _OF_FILES
            data = struct.pack("=Qi", allowed, place)
            libc.syscall(_ADD, ruleset, _PATH_BENEATH, ctypes.c_char_p(data), 0)
        finally:
            os.close(place)
