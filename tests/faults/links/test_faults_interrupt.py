"""Ctrl-C at a real terminal, SIGTERM and SIGHUP: boards at work end their step, no other board begins, and the exit code shows it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def two(make_lab):
    """Two boards on one machine, so that one waits while the other is measured."""
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
    """The number of connections to a port of this machine."""
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
    assert len(re.findall(r"aborted +-", line.said.decode())) == 2
    assert [one.current for one in two] == before
    survived("links: Ctrl-C before a board answers")


COMMANDS = {
    "status": ["status"],
    "doctor": ["doctor", "all"],
    "logs": ["logs", "all"],
    "bench": ["bench", "doubler", "--on", "all"],
    "rollback": ["rollback", "doubler", "--on", "all"],
    "provision": ["provision", "all", "--target", "tflite"],
    "prune": ["fleet", "prune"],
    "reset": ["fleet", "reset", "all", "--yes"],
    "trust": ["fleet", "trust", "all", "--yes"],
}


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.slow)])
def test_a_signal_stops_every_command_on_boards(two, kit, survived, number):
    before, servers = [one.current for one in two], [one.processes("sshd")[0] for one in two]
    kit.signal_all(servers, signal.SIGSTOP)
    program = [sys.executable, "-c", "from edgewright.cli.main import run; run()"]
    try:
        started = {
            name: subprocess.Popen(
                [*program, *command, "--fleet", str(two[0].fleet.path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            for name, command in COMMANDS.items()
        }  # fmt: skip
        kit.wait_until(lambda: all(connections(one.board.port) >= len(COMMANDS) for one in two), 60)
        for one in started.values():
            one.send_signal(number)
        for one in started.values():
            for line in one.stdout:
                if "stopping" in line:
                    break
    finally:
        kit.signal_all(servers, signal.SIGCONT)
    ended = {name: (one.communicate(timeout=90)[0], one.returncode) for name, one in started.items()}
    for name, (said, code) in ended.items():
        assert code == 8 and "Traceback" not in said and "internal error" not in said, (name, code, said)
        assert "by the user" not in said, (name, said)  # nor the board's name twice
        assert not any(f"{one.board.name}: error: {one.board.name}: stopped" in said for one in two), (
            name,
            said,
        )
    assert [one.current for one in two] == before
    survived("links: SIGTERM and SIGHUP in every command on boards", len(started))


def test_a_terminal_that_is_closed_in_a_benchmark_ends_it(two, at_a_terminal, kit, survived):
    line = at_a_terminal(two[0].fleet, "bench", "doubler", "--on", "all", "--protocol", "standard")
    line.until("bench standard")
    time.sleep(1)
    os.close(line.descriptor)
    line.descriptor = os.open(os.devnull, os.O_RDONLY)
    limit = time.monotonic() + 180
    while not (ended := os.waitpid(line.pid, os.WNOHANG))[0]:
        assert time.monotonic() < limit
        time.sleep(0.1)
    assert os.waitstatus_to_exitcode(ended[1]) == 8
    for one in two:
        kit.wait_until(lambda one=one: not one.agents())
    survived("links: a terminal that is closed in a benchmark")


def test_a_wedged_board_does_not_hold_back_the_others(two, configured, tmp_path, survived):
    text = "import json, os, sys, time\nhello = json.loads(sys.stdin.readline())\n"
    text += "say = lambda **m: (sys.stdout.write(json.dumps(m) + chr(10)), sys.stdout.flush())\n"
    text += "say(edgewright=1, nonce=hello['nonce'], agent='1', sha256='s', python='3.9', root='/r', board_id=sys.argv[1])\n"
    text += "while True: say(id=1, event='heartbeat'); time.sleep(0.2)\n"
    (two[1].lab.folder / "wedge.py").write_text(text)
    program = "import edgewright.wire.commands as c; c.Status.limit_s = 8.0; from edgewright.cli.main import run; run()"
    with configured(two[1], f"ForceCommand python3 {two[1].lab.folder}/wedge.py x"):
        began, seen = time.monotonic(), []
        with subprocess.Popen(
            [sys.executable, "-c", program, "status", "--fleet", str(two[0].fleet.path)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            for row in process.stdout:
                if "doubler" in row:
                    seen.append(time.monotonic() - began)
            said = process.stderr.read()
    assert len(seen) == 1 and time.monotonic() - began - seen[0] > 3, (seen, said)
    assert process.returncode == 2 and "did not finish facts within" in said, said
    survived("links: a wedged board beside a good one")
