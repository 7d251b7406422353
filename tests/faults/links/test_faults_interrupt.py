"""Ctrl-C at a real terminal: boards at work end their step, no other one begins, and the exit code says so."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def two(make_lab):
    """Two boards of one machine, so that one waits while the other is measured."""
    boards = make_lab(2, name="two")
    assert boards[0].board.machine == boards[1].board.machine is not None
    for one in boards:
        one.deploy("a")
        one.deploy("b", "2")
    return boards


def test_ctrl_c_in_a_benchmark_begins_no_other_one(two, at_a_terminal, survived):
    line = at_a_terminal(two[0].fleet, "bench", "doubler", "--on", "all", "--protocol", "standard")
    line.until("bench standard")
    time.sleep(1.5)  # the first one is at work, the other one waits for its turn
    began, line.said = time.monotonic(), b""
    line.write(b"\x03")
    assert line.end() == 8, line.said.decode()
    assert time.monotonic() - began < 40
    said = line.said.decode()
    assert "stopping boards at work finish their step" in said
    assert said.count("error: ") == 2 and said.count("stopped by the user") == 2, said
    assert "internal error" not in said and "Traceback" not in said
    for one in two:
        assert not one.agents(), "something is left at work"
    survived("links: Ctrl-C in a benchmark")


def connections(port):
    """How many there are to a port of this machine."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(int(row[1].split(":")[1], 16) == port and row[3] == "01" for row in rows)


def test_ctrl_c_before_a_board_answers_leaves_it_as_it_is(two, at_a_terminal, kit, survived):
    before, servers = [one.current for one in two], [one.processes("sshd")[0] for one in two]
    kit.signal_all(servers, signal.SIGSTOP)
    try:
        line = at_a_terminal(two[0].fleet, "rollback", "doubler", "--on", "all")
        kit.wait_until(lambda: all(connections(one.board.port) for one in two), 30)
        line.write(b"\x03")
        line.until("stopping")
    finally:
        kit.signal_all(servers, signal.SIGCONT)
    assert line.end() == 8, line.said.decode()
    assert line.said.decode().count("aborted") == 2
    assert [one.current for one in two] == before
    survived("links: Ctrl-C before a board answers")
