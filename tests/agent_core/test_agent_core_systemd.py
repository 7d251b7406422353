"""The guard as a unit of a real systemd: a user's own, with a real bus and a real logind, in a view of the machine
that nobody else sees."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import needs
import pytest

from edgewright_agent import clock, protocol

# Its own /run (so no systemd, bus or login of the machine's is touched) and /var/lib/systemd (who lingers).
VIEW = """\
set -e
mount -t tmpfs none /run
mkdir -p -m 755 /run/systemd/system /run/systemd/users /run/systemd/seats /run/systemd/sessions /run/systemd/inhibit
mkdir -p -m 755 /run/udev /run/dbus /run/user
mkdir -m 700 /run/user/0
mount -t tmpfs none /var/lib/systemd
echo 0 > {group}/cgroup.procs
exec unshare --cgroup --mount sh -ec 'umount -l /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup
echo ready; exec sleep 600'
"""
PLACES = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "XDG_RUNTIME_DIR": "/run/user/0",
}
PYTHON = os.environ.get("EDGEWRIGHT_AGENT_PYTHON", sys.executable)
UP = ("running", "degraded")
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or " cgroup2 " not in Path("/proc/mounts").read_text(),
    reason="only root can start a separate systemd, and only with version 2 of control groups",
)


def cgroup_root() -> Path:
    """Where this machine's control groups are."""
    rows = [row.split() for row in Path("/proc/mounts").read_text().splitlines()]
    return Path(next(row[1] for row in rows if row[2] == "cgroup2"))


class UserSystemd:
    """The systemd of user 0 in the view.

    Attributes:
        enter: what starts a program in the view.
    """

    def __init__(self, home: Path) -> None:
        needs.tool("dbus-daemon", "systemctl")
        self.home, self.running = home, []
        self.group = cgroup_root() / f"edgewright-{os.getpid()}"
        self.group.mkdir()
        view = ["unshare", "--mount", "--propagation", "private", "sh", "-c", VIEW.format(group=self.group)]
        self.holder = subprocess.Popen(view, stdout=subprocess.PIPE)
        assert self.holder.stdout.readline() == b"ready\n"
        self.enter = ["nsenter", f"--target={self.holder.pid}", "--mount", "--cgroup", "--"]

    def start(self, wait_until) -> None:
        """Starts the bus, logind and the user's systemd."""
        self.run("dbus-daemon", "--system", "--nofork", "--nopidfile")
        wait_until(lambda: self.ask("busctl", "list")[0] == 0)
        self.run("/lib/systemd/systemd-logind")
        wait_until(lambda: self.ask("loginctl", "list-users")[0] == 0)
        self.boot(wait_until)

    def run(self, *command: str) -> subprocess.Popen:
        """Starts a program of the system's, inside."""
        inside = 'echo 0 > "$0/cgroup.procs"; exec "$@"'
        process = subprocess.Popen(
            ["sh", "-c", inside, self.group, *self.enter, *command],
            env={**PLACES, "HOME": str(self.home)}, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.running.append(process)
        return process

    def ask(self, *command: str) -> tuple[int, str]:
        """Runs a program inside; its exit code and what it printed."""
        done = subprocess.run([*self.enter, *command], capture_output=True, text=True, env=PLACES)
        return done.returncode, done.stdout.strip()

    def boot(self, wait_until) -> None:
        """Starts the user's systemd, as logind does at boot for those who linger."""
        self.systemd = self.run("/lib/systemd/systemd", "--user")
        wait_until(lambda: self.ask("systemctl", "--user", "is-system-running")[1] in UP)

    def shut_down(self) -> None:
        """Ends the user's systemd, with no time for good-byes."""
        self.systemd.kill()
        self.systemd.wait()

    def close(self) -> None:
        """Ends all that runs in the control group, and removes it."""
        (self.group / "cgroup.kill").write_text("1")
        for process in (*self.running, self.holder):
            process.wait(timeout=10)
        self.holder.stdout.close()
        for folder, _folders, _files in os.walk(self.group, topdown=False):
            Path(folder).rmdir()


@pytest.fixture
def user_systemd(tmp_path, monkeypatch, kit):
    home, programs = tmp_path / "home", tmp_path / "bin"
    home.mkdir()
    programs.mkdir()
    refuses = programs / "crontab"
    refuses.write_text("#!/bin/sh\necho not allowed >&2; exit 1\n")
    refuses.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "DBUS_SESSION_BUS_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    systemd = UserSystemd(home)
    try:
        systemd.start(kit.wait_until)
        yield systemd
    finally:
        systemd.close()


def test_a_user_unit_ends_at_boot_what_a_power_failure_cut_short(user_systemd, connect, kit, root, survived):
    command = [*user_systemd.enter, PYTHON, "-I", "-S", "-B", "-c", protocol.BOOT]
    wire = connect(command=command)
    assert wire.call("guard", install=True) == {"guard": "systemd", "tested": True, "why": ""}
    assert wire.call("facts")["guard"] == "systemd"
    (enabled,) = (user_systemd.home / ".config/systemd/user/default.target.wants").iterdir()
    first = kit.deployed(wire, root, "a", "1")
    kit.deployed(wire, root, "b", "2", commit=False, deadline_s=3)
    slots = [json.loads(path.read_bytes().partition(b"\n")[2]) for path in root.glob("state.?.json")]
    trial = max(slots, key=lambda slot: slot["sequence"])["models"]["digits"]["trial"]
    assert trial["guard"] == "systemd"
    os.kill(trial["watchdog"]["pid"], signal.SIGKILL)
    wire.close()
    second = kit.current(root)
    user_systemd.shut_down()
    kit.wait_until(lambda: trial["deadline"]["at"] < clock.now())
    assert kit.current(root) == second != first
    user_systemd.boot(kit.wait_until)
    kit.wait_until(lambda: kit.current(root) == first)
    wire = connect(command=command)
    assert wire.call("guard", install=False) == {"guard": "none", "tested": False, "why": ""}
    assert not enabled.is_symlink() and wire.call("facts")["guard"] == "none"
    survived("guards: a trial ended after a boot by a unit of a real systemd")
