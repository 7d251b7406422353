"""Starting, listing and removing labs: what remains afterwards, and what never changes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import msgspec
import pytest

from edgewright.cli.main import main
from edgewright.config import fleet as fleets
from edgewright.config import trust
from edgewright.errors import ConfigError, EdgewrightError, UsageError
from edgewright.lab import boards, demo, processes
from edgewright.lab.registry import state
from edgewright.lab.servers import openssh
from edgewright.nouns.board import BoardEntry, FleetFile, TrustFile
from edgewright.nouns.progress import ProgressEvent, silent


def running(pid: int) -> bool:
    return processes.started(pid) != ""


def gone(pid: int) -> bool:
    until = time.monotonic() + 60
    while running(pid) and time.monotonic() < until:
        time.sleep(0.02)
    return not running(pid)


def test_down_leaves_no_process_and_no_file(up, ssh, options, fleet, home):
    first, second = up(2, **options)
    left = "(setsid sleep 300 >/dev/null 2>&1 </dev/null & echo $!); sleep 0.2"
    detached = [int(ssh(board, left).stdout) for board in (first, second)]
    client = subprocess.Popen(
        ["ssh", "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
         "-o", "LogLevel=ERROR", "-i", first.identity, "-p", str(first.port), f"{first.user}@{first.address}",
         "echo $$; cat"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    with client:
        session = int(client.stdout.readline())
        pids = [first.pid, second.pid, session, *detached]
        assert all(map(running, pids))
        assert boards.down() == ["lab-1", "lab-2"]
        client.stdin.close()
    assert [pid for pid in pids if not gone(pid)] == []
    assert list(home.rglob("*")) == []
    assert list(fleet.parent.iterdir()) == []


def test_what_the_user_wrote_stays(up, fleet):
    fleets.save(
        fleet, FleetFile(name="mine", boards={"gate": BoardEntry(address="10.0.0.7", labels=("door",))})
    )
    before = fleet.read_bytes()
    up(2)
    assert sorted(fleets.load(fleet).boards) == ["gate", "lab-1", "lab-2"]
    boards.down("lab")
    assert fleet.read_bytes() == before
    assert [path.name for path in fleet.parent.iterdir()] == ["fleet.toml"]


def test_empty_files_of_the_user_stay_too(up, fleet):
    fleets.save(fleet, FleetFile(name="mine"))
    trust.save(fleets.load(fleet), TrustFile())
    up(1)
    boards.down()
    assert fleets.read_file(fleet) == FleetFile(name="mine")
    assert sorted(path.name for path in fleet.parent.iterdir()) == ["fleet.toml", "fleet.trust.toml"]


def test_a_board_of_the_user_is_never_replaced(up, fleet, home):
    fleets.save(fleet, FleetFile(boards={"lab-2": BoardEntry(address="10.0.0.7")}))
    with pytest.raises(ConfigError, match="lab-2"):
        up(2)
    assert fleets.load(fleet).boards["lab-2"].address == "10.0.0.7"
    assert boards.listing() == []
    assert not (home / "lab").exists()


def test_ten_boards_have_nothing_in_common(up):
    ten = up(10)
    assert len(ten) == 10
    assert all(board.alive for board in ten)
    for what in (
        [board.port for board in ten],
        [board.pid for board in ten],
        [(board.folder / "host_key.pub").read_text() for board in ten],
        [(board.root / "facts.json").read_text() for board in ten],
    ):
        assert len(set(what)) == 10
    assert len(boards.down()) == 10
    assert [board.pid for board in ten if not gone(board.pid)] == []


def test_a_running_lab_is_left_as_it_is(up):
    said: list[ProgressEvent] = []
    first = up(2)
    assert up(2, progress=said.append) == first
    assert [step.detail for step in said] == ["lab is running already"]


def test_a_lab_of_another_size_is_not_changed(up):
    (first,) = up(1)
    with pytest.raises(EdgewrightError, match="is there already") as error:
        up(3)
    assert "lab down" in error.value.hint
    assert running(first.pid)


def test_a_lab_that_poses_as_something_else_is_not_changed(up):
    up(2, profiles=["pi5"])
    with pytest.raises(EdgewrightError, match="is there already"):
        up(2, profiles=["pi5", "pi4b"])
    assert [board.profile for board in up(2, profiles=["pi5"])] == ["pi5", "pi5"]


def test_a_board_that_died_comes_back_with_its_home(up, ssh, options):
    first, second = up(2, **options)
    ssh(first, "echo kept > ~/mark")
    os.kill(first.pid, signal.SIGKILL)
    assert gone(first.pid)
    assert [board.alive for board in boards.listing()] == [False, True]
    again = up(2, **options)
    assert [board.alive for board in again] == [True, True]
    assert again[1].pid == second.pid
    assert ssh(again[0], "cat ~/mark").stdout == b"kept\n"


def test_a_port_that_was_taken_meanwhile_is_given_up(up, ssh, options, fleet):
    (first,) = up(1, **options)
    os.kill(first.pid, signal.SIGKILL)
    assert gone(first.pid)
    with socket.create_server((first.address, first.port)):
        (again,) = up(1, **options)
    assert again.port != first.port
    assert fleets.load(fleet).boards["lab-1"].port == again.port
    assert ssh(again, "echo there").stdout == b"there\n"


def test_an_interrupted_start_is_undone(up, fleet, home):
    pids = []

    def interrupt(step: ProgressEvent) -> None:
        pids.extend(board.pid for board in boards.listing() if board.pid)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        up(4, progress=interrupt)
    assert pids
    assert [pid for pid in pids if not gone(pid)] == []
    assert boards.listing() == []
    assert list(home.rglob("*")) == []
    assert not fleet.exists()


def test_a_start_that_was_killed_is_begun_anew(up, home):
    (first,) = up(1)
    lab = state.load("lab")
    state.save(msgspec.structs.replace(lab, ready=False))
    (again,) = up(1)
    assert gone(first.pid)
    assert again.alive


def test_a_server_that_does_not_start_is_an_error_that_leaves_nothing(up, fleet, home):
    with pytest.raises(EdgewrightError, match="did not start"):
        up(2, sshd="/bin/false")
    assert list(home.rglob("*")) == []
    assert not fleet.exists()


def test_a_recycled_process_id_is_never_killed(up):
    (board,) = up(1)
    time.sleep(
        0.05
    )  # start times are reported in clock ticks of 10 ms; two processes of one tick never had one id
    with subprocess.Popen(["sleep", "300"]) as innocent:
        try:
            lab = state.load("lab")
            os.kill(board.pid, signal.SIGKILL)
            assert gone(board.pid)
            (board.folder / "server.pid").write_text(f"{innocent.pid}\n")
            recycled = msgspec.structs.replace(lab.boards[0], pid=innocent.pid)
            state.save(msgspec.structs.replace(lab, boards=(recycled,)))
            assert [one.alive for one in boards.listing()] == [False]
            boards.down()
            assert running(innocent.pid)
        finally:
            innocent.kill()


def test_read_only_folders_on_a_board_do_not_stop_down(up, ssh, home):
    (board,) = up(1)
    ssh(board, "mkdir -p ~/a/b && touch ~/a/b/c && chmod 500 ~/a/b ~/a && ln -s /usr ~/a2")
    boards.down()
    assert list(home.rglob("*")) == []


def test_two_labs_live_side_by_side(up, fleet):
    up(1)
    (second,) = up(1, name="shop")
    assert [board.name for board in boards.listing()] == ["lab-1", "shop-1"]
    assert boards.down("lab") == ["lab-1"]
    assert list(fleets.load(fleet).boards) == ["shop-1"]
    assert running(second.pid)


def test_paths_with_spaces_and_signs(up, ssh, tmp_path, monkeypatch, options):
    monkeypatch.setenv("EDGEWRIGHT_HOME", str(tmp_path / "a b's %h"))
    (board,) = up(1, **options)
    assert ssh(board, "echo here > ~/mark").returncode == 0
    assert (board.folder / "home/mark").exists()
    boards.down()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"count": 0}, "number of boards"),
        ({"name": "../x"}, "not a name"),
        ({"profiles": ["pi9"]}, "unknown profile: pi9"),
        ({"python": "/no/such/python"}, "no such python"),
        ({"python": "/bin/true"}, "not a python"),
        ({"sshd": "/no/such/sshd"}, "no such sshd"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(up, home, options, said):
    options = {"count": 1, **options}
    with pytest.raises((UsageError, EdgewrightError), match=said) as error:
        up(options.pop("count"), **options)
    assert error.value.message[0].islower()
    assert list(home.rglob("*")) == []


def test_there_is_no_such_lab():
    with pytest.raises(EdgewrightError, match="no such lab: shop"):
        boards.down("shop")


def test_the_python_can_be_chosen(up, ssh, fleet):
    import sys

    (board,) = up(1, python=sys.executable)
    python = fleets.load(fleet).boards["lab-1"].python
    assert python == sys.executable
    version = ssh(board, f"{python} -I -S -c 'import json, sys; print(sys.version)'")
    assert version.stdout.decode().strip() == sys.version.strip()


@pytest.mark.parametrize("chosen", [True, False])
def test_a_missing_sshd_comes_with_the_line_that_installs_it(home, fleet, monkeypatch, capsys, chosen):
    if not chosen:
        monkeypatch.setattr(openssh, "find", lambda: None)
    try:
        assert main(["lab", "up", "--fleet", str(fleet), *(["--sshd", "built-in"] if chosen else [])]) == 0
    finally:
        boards.down()
    said = capsys.readouterr().err
    assert ("no sshd on this machine" in said) == ("apt-get install openssh-server" in said) == (not chosen)


def test_a_second_demo_is_refused_and_leaves_the_boards_of_the_first(home, tmp_path):
    held = (
        "import sys; from edgewright.lab import demo\nwith demo.alone(): print(flush=True); sys.stdin.read()"
    )
    first = subprocess.Popen([sys.executable, "-c", held], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert first.stdout.readline() == b"\n"
    boards.up(1, fleet_path=tmp_path / "fleet.toml", name=demo.NAME)
    with pytest.raises(EdgewrightError, match="another demo is at work") as caught:
        demo.demo(keep=False, progress=silent, on_act=print)
    assert "EDGEWRIGHT_HOME" in caught.value.hint and [board.alive for board in boards.listing()] == [True]
    first.communicate()
    with demo.alone():
        assert boards.down(demo.NAME)


def test_the_last_of_two_labs_removes_the_fleet_file_that_the_first_made(up, fleet):
    up(1, name="first")
    up(1, name="second")
    boards.down("first")
    assert fleet.exists()
    boards.down("second")
    assert not fleet.exists() and not fleet.with_name("fleet.trust.toml").exists()
