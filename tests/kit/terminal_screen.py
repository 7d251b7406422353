"""Emulates a terminal: what it shows of a program's output, with the control sequences that the command line uses."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import sys
import termios

SEQUENCE = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])")


def screen(text: str, columns: int) -> list[str]:
    """The lines on the screen, without trailing blanks."""
    rows: list[list[str]] = [[]]
    row = column = at = 0
    while at < len(text):
        sequence = SEQUENCE.match(text, at)
        if sequence:
            at = sequence.end()
            count = int(sequence[1]) if sequence[1].isdigit() else 1
            if sequence[2] == "A":
                row = max(0, row - count)
            elif sequence[2] == "K":
                rows[row] = [] if sequence[1] == "2" else rows[row][:column]
            continue
        letter, at = text[at], at + 1
        if letter == "\r":
            column = 0
        elif letter == "\n":
            row += 1
        elif letter.isprintable():
            if column == columns:
                row, column = row + 1, 0
            rows += [[] for _ in range(row + 1 - len(rows))]
            rows[row] += [" "] * (column - len(rows[row]))
            rows[row][column : column + 1] = [letter]
            column += 1
        rows += [[] for _ in range(row + 1 - len(rows))]
    return ["".join(one).rstrip() for one in rows]


def on_terminal(program: str, columns: int, *arguments: str) -> tuple[int, str]:
    """Runs a Python program on a separate terminal; returns its exit code and all that it wrote."""
    pid, descriptor = pty.fork()
    if not pid:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        os.environ.update(TERM="xterm", COLUMNS="", LINES="")
        os.execv(sys.executable, [sys.executable, "-c", program, *arguments])  # noqa: S606 - a test's program
    said = b""
    while True:
        try:
            piece = os.read(descriptor, 65536)
        except OSError:  # the other side is closed
            break
        if not piece:
            break
        said += piece
    os.close(descriptor)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said.decode()
