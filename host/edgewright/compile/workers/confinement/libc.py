"""System calls for which Python has no functions."""

from __future__ import annotations

import ctypes
import os
from typing import Any

_PR_SET_NO_NEW_PRIVS, _PR_CAPBSET_DROP = 38, 24
_CAPABILITY_VERSION = 0x20080522
_LAST_CAPABILITY = 63
# root still opens files whatever their modes, so that a user's model stays readable, but cannot change owners or modes
_KEPT_CAPABILITIES = 0b00110  # DAC_OVERRIDE, DAC_READ_SEARCH
CAPSET = {"x86_64": 126, "aarch64": 91}


def syscall(number: int, *arguments: Any) -> int:
    """Returns the result of a system call. Raises OSError."""
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    taken = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    return checked(library.syscall(ctypes.c_long(number), *taken))


def call(name: str, *arguments: Any) -> int:
    """Returns the result of a function of the C library. Raises OSError, also if the library has no such function."""
    library = ctypes.CDLL(None, use_errno=True)
    try:
        function = getattr(library, name)
    except AttributeError as error:
        raise OSError(f"no function {name}") from error
    return checked(function(*arguments))


def checked(result: int) -> int:
    """Returns a result that is not an error. Raises OSError."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def prctl(option: int, *arguments: int) -> None:
    """Calls prctl. Raises OSError."""
    filled = [*arguments, 0, 0, 0, 0][:4]
    call("prctl", ctypes.c_int(option), *(ctypes.c_ulong(one) for one in filled))


def no_new_privileges() -> None:
    """Prevents programs that this process starts from gaining rights by set-user-id. Raises OSError."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def drop_capabilities(machine: str) -> None:
    """Drops the capabilities that give root more rights than the owner of files. Raises OSError."""
    for number in range(_LAST_CAPABILITY + 1):
        if not _KEPT_CAPABILITIES >> number & 1:
            try:
                prctl(_PR_CAPBSET_DROP, number)
            except OSError:  # not root, or no such capability
                break
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    kept = _KEPT_CAPABILITIES if os.geteuid() == 0 else 0
    data = (ctypes.c_uint32 * 6)(kept, kept, 0, 0, 0, 0)
    syscall(CAPSET[machine], ctypes.byref(header), ctypes.byref(data))
