"""Real SSH servers on the loopback address, and a fleet of them."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgewright.config import trust as trust_file
from edgewright.connect.ssh.openssh.client import log_out
from edgewright.nouns.board import PARAMIKO, Board, Fleet, Pin, TrustFile

KEYGEN = shutil.which("ssh-keygen") or "ssh-keygen"
SSHD = (
    shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin") or "/usr/sbin/sshd"
)


def keygen(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    """Makes a key pair; returns the path of the private key."""
    size = ["-b", "2048"] if kind == "rsa" else []
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([KEYGEN, "-q", "-t", kind, *size, "-N", passphrase, "-C", "test", "-f", path], check=True)
    return path


def public(path: Path) -> str:
    """`<type> <base64>` of a key pair."""
    return " ".join(path.with_name(path.name + ".pub").read_text().split()[:2])


def free_port() -> int:
    """A TCP port without a listener."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def read_proc(name: str) -> str:
    """A file of /proc; empty if its process has ended."""
    try:
        return Path("/proc", name).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


@dataclass
class Sshd:
    """One running OpenSSH server."""

    folder: Path
    port: int
    host_key: Path
    config: list[str]
    process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        """Starts it and waits until it listens."""
        file = self.folder / "sshd_config"
        file.write_text("\n".join([*self.config, f"HostKey {self.host_key}", ""]))
        subprocess.run([SSHD, "-t", "-f", file], check=True)
        with (self.folder / "sshd.log").open("ab") as log:
            self.process = subprocess.Popen([SSHD, "-D", "-e", "-f", file], stderr=log, stdout=log)
        until = time.monotonic() + 60
        while self.process.poll() is None and time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError(self.log())

    def log(self, sentence: str = "", times: int = 1) -> str:
        """Its log. A server writes of a login just after it has let the client in: so this waits until a sentence is there so many times, 10 s at most."""
        until = time.monotonic() + 10
        while (found := (self.folder / "sshd.log").read_text()).count(sentence) < times:
            if time.monotonic() > until:
                break
            time.sleep(0.02)
        return found

    def stop(self) -> None:
        """Ends the listener and the remaining sessions."""
        if self.process is not None:
            for pid in self.children():
                with contextlib.suppress(ProcessLookupError):  # it ended by itself meanwhile
                    os.kill(pid, 9)
            self.process.terminate()
            self.process.wait()
            self.process = None

    def children(self) -> list[int]:
        """The pids of its sessions' processes, without their children."""
        assert self.process is not None
        found, queue = [], [self.process.pid]
        while queue:
            parent = queue.pop()
            for pid in map(int, read_proc(f"{parent}/task/{parent}/children").split()):
                if read_proc(f"{pid}/comm").startswith("sshd"):
                    found.append(pid)
                    queue.append(pid)
        return found


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A separate home folder for the test, so that it uses no key, configuration or agent of the developer."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("EDGEWRIGHT_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return home


@pytest.fixture
def identity(own_home: Path) -> Path:
    """The user's key, at its default path."""
    return keygen(own_home / ".ssh" / "id_ed25519")


@pytest.fixture
def make_sshd(tmp_path: Path) -> Iterator[Callable[..., Sshd]]:
    """Starts servers: `make_sshd(authorized, *lines, key="ed25519")`."""
    servers: list[Sshd] = []

    def make(*authorized: Path, lines: tuple[str, ...] = (), key: str = "ed25519") -> Sshd:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd refuses to start without it
        folder = tmp_path / f"sshd{len(servers)}"
        host_key = keygen(folder / "host_key", key)
        keys = folder / "authorized_keys"
        keys.write_text("".join(public(path) + "\n" for path in authorized))
        port = free_port()
        config = [
            *lines,
            f"Port {port}",
            "ListenAddress 127.0.0.1",
            "PidFile none",
            f"AuthorizedKeysFile {keys}",
            "StrictModes no",
            "UsePAM no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin yes",
            "LogLevel VERBOSE",
        ]
        server = Sshd(folder=folder, port=port, host_key=host_key, config=config)
        server.start()
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.stop()


@pytest.fixture
def sshd(make_sshd: Callable[..., Sshd], identity: Path) -> Sshd:
    """A server that accepts the user's key."""
    return make_sshd(identity)


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    """A fleet without boards; tests pass boards in addition."""
    return Fleet(name="test", path=tmp_path / "fleet.toml", boards={})


@pytest.fixture(autouse=True)
def no_login_left() -> Iterator[None]:
    """Ends the logins that the `ssh` program keeps."""
    yield
    log_out()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Repeats each login of a file for each of its `SSH_CLIENTS`."""
    only = metafunc.definition.get_closest_marker("ssh_clients")
    clients = only.args if only else getattr(metafunc.module, "SSH_CLIENTS", ())
    if clients and "ssh_client" in metafunc.fixturenames:
        metafunc.parametrize("ssh_client", clients)


@pytest.fixture
def ssh_client() -> str:
    """The client that logs in."""
    return PARAMIKO


@pytest.fixture
def make_board(tmp_path: Path, ssh_client: str) -> Callable[..., Board]:
    """A board at a server, with its root folder in the test's folder."""

    def make(server: Sshd, name: str = "pi", **more: object) -> Board:
        fields = {
            "address": "127.0.0.1",
            "port": server.port,
            "user": getpass.getuser(),
            "root": str(tmp_path / f"root-{name}"),
            "ssh_client": ssh_client,
        }
        return Board(name=name, **{**fields, **more})

    return make


def trust_key(fleet: Fleet, name: str, key: Path, *, jump: bool = False) -> None:
    """Pins a server's key."""
    trust = trust_file.load(fleet)
    pins = {name: Pin(host_key=public(key))}
    boards = trust.boards if jump else {**trust.boards, **pins}
    hosts = {**trust.hosts, **pins} if jump else trust.hosts
    trust_file.save(fleet, TrustFile(boards=boards, hosts=hosts))


@pytest.fixture
def pinned() -> Callable[..., None]:
    """`pinned(fleet, name, key)`: pins a server's key, like `trust_key`."""
    return trust_key


@pytest.fixture
def new_key() -> Callable[..., Path]:
    """`new_key(path, kind, passphrase)`: like `keygen`."""
    return keygen


@pytest.fixture
def wait_for() -> Callable[[Callable[[], bool], float], bool]:
    """Waits until a condition holds, for at most some seconds."""

    def wait(check: Callable[[], bool], seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not check() and time.monotonic() < end:
            time.sleep(0.05)
        return check()

    return wait
