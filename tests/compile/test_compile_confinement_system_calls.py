"""The filter of system calls, for each kind of machine."""

from __future__ import annotations

import socket
import struct

import pytest

from edgewright.compile.workers.confinement import seccomp


def passes(program: bytes, machine: int, number: int, second: int = 0) -> bool:
    """Interprets BPF: returns the filter's answer to a system call."""
    data = struct.pack("<IIQQQQ", number, machine, 0, 0, second, 0)
    steps = list(struct.iter_unpack("HBBI", program))
    at = value = 0
    while True:
        code, yes, no, operand = steps[at]
        at += 1
        match code:
            case 0x20:
                value = struct.unpack_from("<I", data, operand)[0]
            case 0x54:
                value &= operand
            case 0x15:
                at += yes if value == operand else no
            case 0x35:
                at += yes if value >= operand else no
            case 0x06:
                return bool(operand == 0x7FFF0000)


@pytest.mark.parametrize(("machine", "mark", "sockets", "pair", "read", "others"), [
    ("x86_64", 0xC000003E, (41, 42, 49), 53, 0, (101, 165, 272, 308, 321, 425, 92, 260, 188, 199, 90, 268, 280)),
    ("aarch64", 0xC00000B7, (198, 203, 200), 199, 63, (117, 40, 97, 268, 280, 425, 54, 55, 5, 16, 52, 53, 88)),
])  # fmt: skip
def test_the_filter_of_each_machine(
    machine: str, mark: int, sockets: tuple[int, ...], pair: int, read: int, others: tuple[int, ...]
) -> None:
    program = seccomp.program(machine)
    assert passes(program, mark, read) and passes(program, mark, 4000)
    assert not any(passes(program, mark, number) for number in (*sockets, *others))
    assert passes(program, mark, pair, socket.SOCK_STREAM)
    assert not passes(program, mark, pair, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    assert not passes(program, 0x40000003, read), "a call of a 32-bit program"
    assert machine != "x86_64" or not passes(program, mark, 0x40000000 | 41)
