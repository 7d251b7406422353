"""A filter of system calls: no sockets, and no way around the other layers. It needs no privileges and no kernel settings.

Landlock does not cover the owner, mode and times of a file. Frameworks copy files with their modes and times, and would fail if they could
not, so these calls succeed but change nothing.
"""

from __future__ import annotations

import ctypes
import errno
import struct

from edgewright.compile.workers.confinement import libc

_PR_SET_SECCOMP, _FILTER = 22, 2
_ALLOW, _REFUSE, _IGNORE = 0x7FFF0000, 0x00050000 | errno.EACCES, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06  # instructions of BPF
_NUMBER, _MACHINE, _SECOND_ARGUMENT, _THIRD_ARGUMENT = 0, 4, 24, 32  # where seccomp_data has them
_OTHER_ABI = 0x40000000  # numbers of x32
_DATAGRAMS, _KIND = 2, 0xF  # of a pair's type: a pair of datagram sockets can be pointed elsewhere

_MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_TIMES = {"x86_64": 280, "aarch64": 88}  # utimensat
_PAIR = {"x86_64": 53, "aarch64": 199}
# what opens sockets, reaches into other processes, the keyring or the kernel, or changes mounts, owners or attributes; (x86_64, aarch64)
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "io_uring_setup": (425, 425),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "pidfd_getfd": (438, 438),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "bpf": (321, 280), "perf_event_open": (298, 241), "open_by_handle_at": (304, 265),
    "init_module": (175, 105), "finit_module": (313, 273), "kexec_load": (246, 104), "kexec_file_load": (320, 294),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "setns": (308, 268),
    "unshare": (272, 97), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "mount_setattr": (442, 442),
    "chown": (92, None), "lchown": (94, None), "fchown": (93, 55), "fchownat": (260, 54),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": (463, 463),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "removexattrat": (466, 466),
    "file_setattr": (469, 469), "utime": (132, None), "utimes": (235, None), "futimesat": (261, None),
}  # fmt: skip
_IGNORED: dict[str, tuple[int | None, int | None]] = {
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
}  # fmt: skip


def restrict(machine: str) -> bool:
    """Sets the filter for this process and its children. Returns False if this machine is not supported.

    Raises:
        OSError: the kernel refuses.
    """
    if machine not in _MACHINES:
        return False
    code = program(machine)
    held = ctypes.create_string_buffer(code, len(code))
    head = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(held))
    libc.no_new_privileges()
    libc.call(
        "prctl", ctypes.c_int(_PR_SET_SECCOMP), ctypes.c_ulong(_FILTER), ctypes.c_char_p(head), ctypes.c_ulong(0), ctypes.c_ulong(0)
    )  # fmt: skip
    return True


def program(machine: str) -> bytes:
    """The filter in BPF."""
    column = list(_MACHINES).index(machine)
    refused, ignored = (
        [number for row in table.values() if (number := row[column]) is not None]
        for table in (_REFUSED, _IGNORED)
    )
    steps: list[tuple[int, int, int, int]] = []

    def step(code: int, value: int, yes: int | None = None, no: int | None = None) -> None:
        """`yes`, `no`: the instructions to jump to; None: the next one."""
        here = len(steps) + 1
        steps.append((code, 0 if yes is None else yes - here, 0 if no is None else no - here, value))

    pair = 4 + len(refused) + len(ignored) + 5  # where the test for it begins
    passes = pair + 4  # the first instruction behind the tests
    refuses, ignores = passes + 1, passes + 2
    step(_LOAD, _MACHINE)
    step(_EQUAL, _MACHINES[machine], no=refuses)
    step(_LOAD, _NUMBER)
    step(_AT_LEAST, _OTHER_ABI, yes=refuses)
    for number in refused:
        step(_EQUAL, number, yes=refuses)
    for number in ignored:
        step(_EQUAL, number, yes=ignores)
    step(_EQUAL, _TIMES[machine], no=pair)
    # "now" is refused: Python's touch() makes a file only if that fails
    step(_LOAD, _THIRD_ARGUMENT)
    step(_EQUAL, 0, no=ignores)
    step(_LOAD, _THIRD_ARGUMENT + 4)
    step(_EQUAL, 0, yes=refuses, no=ignores)
    step(_EQUAL, _PAIR[machine], no=passes)
    step(_LOAD, _SECOND_ARGUMENT)
    step(_AND, _KIND)
    step(_EQUAL, _DATAGRAMS, yes=refuses)
    step(_RETURN, _ALLOW)
    step(_RETURN, _REFUSE)
    step(_RETURN, _IGNORE)
    return b"".join(struct.pack("HBBI", *one) for one in steps)
