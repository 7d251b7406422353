"""The guard after a reboot: installed in the user's crontab, tested separately, and removed when it should be."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from edgewright_agent.boot import crontab, user_unit

OTHERS = "MAILTO=me\nSHELL=/bin/fish\n# a comment\n0 5 * * * backup --all 50\\%  # edgewright\n"
CRONTAB = """#!/bin/sh
case "$1" in
-l) test -f {table} || {{ echo "no crontab for me" >&2; exit 1; }}; cat {table} ;;
-) cat > {table}.$$ && mv {table}.$$ {table} ;;
*) exit 2 ;;
esac
"""
SYSTEMCTL = """#!/bin/sh
echo "$@" >> {log}
case "$2" in
show-environment|daemon-reload) exit 0 ;;
enable) ln -sf "$3" {units}/ ;;
is-enabled) test -L {units}/"$3" ;;
start) sh -c "$(sed -n 's/^ExecStart=//p' {units}/"$3")" ;;
disable) rm {units}/"$3" ;;
esac
"""
LOGINCTL = """#!/bin/sh
case "$1" in
enable-linger) touch {units}/linger ;;
show-user) test -f {units}/linger && echo Linger=yes || echo Linger=no ;;
esac
"""


def program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def table(tmp_path, monkeypatch):
    """A crontab of the test's own, behind a program that is used as the real one is, and a cron that runs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program(folder, "crontab", CRONTAB.format(table=tmp_path / "table"))
    shutil.copy(shutil.which("sleep"), folder / "cron")
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    daemon = subprocess.Popen([folder / "cron", "600"])
    yield tmp_path / "table"
    daemon.kill()
    daemon.wait()


@pytest.fixture
def user_systemd(tmp_path, monkeypatch):
    """A user's systemd, as far as the guard uses it: it links units, and starts them."""
    folder, units = tmp_path / "bin", tmp_path / "units"
    folder.mkdir(exist_ok=True)
    units.mkdir()
    program(folder, "systemctl", SYSTEMCTL.format(units=units, log=tmp_path / "calls"))
    program(folder, "loginctl", LOGINCTL.format(units=units))
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return units


def line_of(table: Path) -> str:
    (line,) = [line for line in table.read_text().splitlines() if line.startswith("@reboot")]
    return line


def abandoned(wire, root, kit) -> None:
    """A trial whose time is over, and whose watchdog died before it could end it: as after a power failure."""
    kit.deployed(wire, root, "b", "2", commit=False, deadline_s=3)
    slots = [json.loads(path.read_bytes().partition(b"\n")[2]) for path in root.glob("state.?.json")]
    newest = max(slots, key=lambda slot: slot["sequence"])
    os.kill(newest["models"]["digits"]["trial"]["watchdog"]["pid"], signal.SIGKILL)
    wire.close()


def test_the_guard_in_the_crontab_ends_what_a_power_failure_cut_short(connect, kit, root, table):
    table.write_text(OTHERS)
    wire = connect()
    assert wire.call("facts")["guard"] == "none"
    assert wire.call("guard", install=True) == {"guard": "cron", "tested": True, "why": ""}
    assert table.read_text() == line_of(table) + "\n" + OTHERS
    assert wire.call("facts")["guard"] == "cron"
    first = kit.deployed(wire, root, "a", "1")
    abandoned(wire, root, kit)
    assert kit.current(root) != first
    command = line_of(table).split(" ", 1)[1]
    kit.wait_until(lambda: at_boot(command) and kit.current(root) == first)


def at_boot(command: str) -> bool:
    """Run a crontab's command as cron does."""
    env = {"PATH": "/usr/bin:/bin", "HOME": "/", "SHELL": "/bin/sh"}
    return subprocess.run(["/bin/sh", "-c", command], env=env, timeout=60).returncode == 0


def test_a_guard_is_installed_once_however_often_it_is_asked_for(connect, table):
    wire = connect()
    for _ in range(2):
        assert wire.call("guard", install=True)["guard"] == "cron"
    assert table.read_text() == line_of(table) + "\n"
    assert wire.call("guard", install=False) == {"guard": "none", "tested": False, "why": ""}
    assert table.read_text() == "" and wire.call("facts")["guard"] == "none"


def test_a_trial_says_what_ends_it_after_a_reboot(connect, kit, root, table):
    wire = connect()
    kit.deployed(wire, root, "a", "1", commit=False)
    trial = wire.call("status")["models"]["digits"]["trial"]
    assert trial["guard"] == "watchdog"
    wire.call("revert", txn=trial["txn"])
    wire.call("guard", install=True)
    kit.deployed(wire, root, "b", "2", commit=False)
    assert wire.call("status")["models"]["digits"]["trial"]["guard"] == "cron"


def test_a_long_trial_needs_a_guard_or_a_word(connect, kit, root, table):
    wire = connect()
    with pytest.raises(
        kit.AgentFailureError, match=r"no-guard: a trial of 3600 s must survive a reboot"
    ) as error:
        kit.deployed(wire, root, "a", "1", commit=False, deadline_s=3600)
    assert error.value.about == {"cause": "long"}
    assert kit.current(root) is None
    wire.call("guard", install=True)
    wire.close()  # and its lease ends
    kit.deployed(connect(), root, "b", "2", commit=False, deadline_s=3600)
    assert kit.current(root) is not None


def test_a_line_that_somebody_removed_is_no_guard(connect, kit, root, table):
    wire = connect()
    wire.call("guard", install=True)
    table.write_text("")
    assert wire.call("facts")["guard"] == "none"
    kit.deployed(wire, root, "a", "1", commit=False)
    assert wire.call("status")["models"]["digits"]["trial"]["guard"] == "watchdog"
    assert table.read_text() == ""


def test_the_guard_follows_a_new_agent_and_its_file_is_not_pruned(connect, kit, root, pyz, table):
    connect().call("guard", install=True)
    old = root / "agent" / f"{kit.sha(pyz)}.pyz"
    agents = [pyz + b"\n" * number for number in (1, 2, 3)]
    for data in agents:
        hello = {"agent": {"sha256": kit.sha(data), "size": len(data)}}
        wire = connect(hello=hello, pyz=data)
    assert str(old) in line_of(table)
    wire.call("prune", keep=1)
    assert {path.stem for path in (root / "agent").iterdir()} == {
        kit.sha(data) for data in [pyz, *agents[1:]]
    }
    kit.deployed(wire, root, "a", "1")
    assert str(old) not in line_of(table) and kit.sha(agents[2]) in line_of(table)
    wire.call("prune", keep=1)
    assert not old.exists()


def test_a_purge_takes_the_guard_along(connect, kit, root, table):
    table.write_text(OTHERS)
    wire = connect()
    wire.call("guard", install=True)
    assert wire.call("purge") == {} and table.read_text() == OTHERS


@pytest.mark.parametrize(
    ("crontab_text", "daemon", "why"),
    [
        (None, True, "no crontab program"),
        ("#!/bin/sh\necho you are not allowed to use this program >&2; exit 1\n", True, "not allowed"),
        (
            "#!/bin/sh\nif [ $1 = -l ]; then echo '# empty'; else while read line; do :; done; fi\n",
            True,
            "did not keep",
        ),
        (CRONTAB, False, "no cron runs"),
    ],
)
def test_where_there_is_no_cron_it_says_so_and_deploys(
    crontab_text, daemon, why, root, tmp_path, monkeypatch
):
    from edgewright_agent.processes import programs

    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setattr(programs, "TOOL_PATH", "/bin")
    monkeypatch.setattr(crontab, "DAEMONS", ("pytest", "python") if daemon else ("no-such-daemon",))
    monkeypatch.setattr(crontab, "SIGNS", ("/",) if daemon else ())
    monkeypatch.setenv("PATH", str(folder))
    if crontab_text:
        program(folder, "crontab", crontab_text.replace("{table}", str(tmp_path / "table")))
    assert why in crontab.install(None, "0" * 32, ["/usr/bin/python3", "x"])
    assert not (tmp_path / "table").exists()


def test_a_board_without_any_guard_deploys_and_says_so(connect, kit, root, monkeypatch, tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    program(folder, "crontab", "#!/bin/sh\necho not allowed >&2; exit 1\n")
    program(folder, "systemctl", "#!/bin/sh\necho no bus >&2; exit 1\n")
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    wire = connect()
    answer = wire.call("guard", install=True)
    assert (answer["guard"], answer["tested"]) == ("none", False)
    assert "cron: " in answer["why"] and "systemd: systemctl --user show-environment: no bus" in answer["why"]
    kit.deployed(wire, root, "a", "1")
    assert wire.call("facts")["guard"] == "none"


def test_a_guard_that_fails_its_own_test_is_taken_away(connect, root, table, user_systemd):
    wire = connect()
    (root / "lock").chmod(0o600)
    for name in ("state.0.json", "state.1.json"):
        (root / name).write_bytes(b"damaged")  # it recovers nothing, and that is right
    assert wire.call("guard", install=True)["guard"] == "cron"
    wire.call("guard", install=False)
    (root / "guard.mark").mkdir()
    answer = wire.call("guard", install=True)
    assert answer["guard"] == "none" and "the line failed" in answer["why"]
    assert table.read_text() == "" and not list(user_systemd.glob("*.service"))


def test_a_user_unit_is_the_guard_where_cron_is_missing(connect, kit, root, user_systemd, tmp_path):
    program(tmp_path / "bin", "crontab", "#!/bin/sh\necho not allowed >&2; exit 1\n")
    wire = connect()
    assert wire.call("guard", install=True) == {"guard": "systemd", "tested": True, "why": ""}
    assert wire.call("facts")["guard"] == "systemd"
    first = kit.deployed(wire, root, "a", "1")
    abandoned(wire, root, kit)
    (unit,) = user_systemd.glob("*.service")
    start = next(line for line in unit.read_text().splitlines() if line.startswith("ExecStart="))
    kit.wait_until(lambda: at_boot(start[len("ExecStart=") :]) and kit.current(root) == first)
    assert connect().call("purge") == {} and not list(user_systemd.glob("*.service"))


def test_paths_that_would_have_to_be_quoted_are_refused(connect, kit, tmp_path, pyz, table):
    wire = kit.Wire(tmp_path / "with space", pyz)
    with pytest.raises(kit.AgentFailureError, match=r"no-guard: a guard needs plain paths"):
        wire.call("guard", install=True)
    wire.close()
    assert not table.exists()


def test_only_the_line_of_this_root_folder_is_touched():
    command = ["/usr/bin/python3", "/r/agent.pyz", "guard", "--root", "/r"]
    one, two = "1" * 32, "2" * 32
    both = crontab.with_line(crontab.with_line(OTHERS, command, one), command, two)
    assert crontab.without(both, one) == crontab.with_line(OTHERS, command, two)
    assert crontab.without(crontab.without(both, one), two) == OTHERS
    assert crontab.line_of(command, one).startswith(
        "@reboot /usr/bin/python3 /r/agent.pyz guard --root /r >/dev/null"
    )


def test_units_of_two_root_folders_have_two_names():
    assert user_unit.name_of("1" * 32) != user_unit.name_of("2" * 32)


def test_root_folders_of_one_user_do_not_lose_each_others_lines(connect, kit, pyz, tmp_path, table):
    wires = [kit.Wire(tmp_path / f"root-{number}", pyz) for number in range(6)]
    numbers = [wire.send("guard", install=True) for wire in wires]
    assert {wire.answer(number)["guard"] for wire, number in zip(wires, numbers, strict=True)} == {"cron"}
    assert len(set(table.read_text().splitlines())) == 6
    numbers = [wire.send("guard", install=False) for wire in wires[:5]]
    for wire, number in zip(wires, numbers, strict=False):
        wire.answer(number)
    assert str(tmp_path / "root-5") in line_of(table)
    for wire in wires:
        wire.close()
