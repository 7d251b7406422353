"""The second SSH client: the system's `ssh` program. It reaches what paramiko does not: proxy commands, hardware keys, newer algorithms."""

from __future__ import annotations

import atexit
import hashlib
import os
import re
import tempfile
import threading
from pathlib import Path

from edgewright.connect.ssh import known_hosts
from edgewright.connect.ssh.config import Endpoint
from edgewright.connect.ssh.host_keys import ALGORITHMS, HostKey
from edgewright.connect.ssh.openssh import private_config
from edgewright.connect.ssh.openssh.failure import failure
from edgewright.connect.ssh.openssh.login import Login, run_until_done, write_config
from edgewright.connect.ssh.pins import PinOf
from edgewright.connect.ssh.resolution import openssh
from edgewright.errors import Unreachable
from edgewright.files import write_atomic
from edgewright.scratch_folder import ScratchFolder
from edgewright.wire.process_channel import ProcessChannel
from edgewright.wire.transport import AskPassword

PREFIX = "edgewright-ssh-"
MOST_PARENT = 48  # bytes; a socket's name has at most 104 on macOS, of which `ssh` needs 17
_PLAIN = re.compile(r"[A-Za-z0-9/._-]+\Z")
BROKEN = 255  # the exit code of `ssh` when the link broke, or never was


def connect(endpoint: Endpoint, pin_of: PinOf, ask: AskPassword | None = None) -> OpenSshTransport:
    """Logs in, through the jump hosts, or uses the login that an earlier session of this process left behind.

    Args:
        pin_of: returns the pinned host keys of an endpoint; it may show any of them.
        ask: called with a prompt for a password, a passphrase, a PIN or a code.

    Raises:
        TrustError, AuthError, Unreachable: as of the other client.
        ConfigError: the configuration has something that cannot be passed on.
    """
    return OpenSshTransport(_LOGINS.take(endpoint, pin_of, ask))


def scan(
    endpoint: Endpoint, pin_of: PinOf, ask: AskPassword | None = None, prefer: tuple[str, ...] = ()
) -> HostKey:
    """The host key that an endpoint presents. Logs in to the jump hosts on the way, and to the endpoint only if it lets everybody in.

    Args:
        prefer: algorithms of keys that are known already, to be shown one of those if the server has it.

    Raises:
        TrustError, AuthError, Unreachable: as of the other client.
    """
    entries = private_config.way(endpoint, pin_of, known=False)
    ssh = program(endpoint)
    folder = ScratchFolder(PREFIX, parent())
    try:
        hosts, shown = folder.path / "hosts", folder.path / "shown"
        write_atomic(hosts, private_config.known_hosts(entries))
        more = (
            ("StrictHostKeyChecking", "accept-new"),
            ("UserKnownHostsFile", private_config.path(shown)),
            ("HashKnownHosts", "no"),
            ("PreferredAuthentications", "none"),
            ("HostKeyAlgorithms", ",".join(dict.fromkeys((*prefer, *ALGORITHMS)))),
        )
        login = Login(program=ssh, entries=tuple(entries), config=folder.path / "config", socket=Path("none"))
        write_config(login, private_config.text(entries, hosts, openssh.version(ssh), more), ask)
        attempt = run_until_done(login, ["-v", "-T"], ask, "exit")
        lines = known_hosts.entries(shown)
    finally:
        folder.close()
    if not lines:
        raise failure(attempt, entries)
    kind, encoded = lines[0].key.split()
    known_hosts.refuse_revoked(endpoint, lines[0].key)
    return HostKey(host=endpoint.host, type=kind, base64=encoded, jump=endpoint.jump)


def available() -> bool:
    """Whether this machine has an OpenSSH client."""
    found = openssh.client()
    return bool(found) and openssh.is_openssh(found or "")


def program(endpoint: Endpoint) -> str:
    """The OpenSSH client. Raises Unreachable if there is none."""
    found = openssh.client()
    if not found or not openssh.is_openssh(found):
        raise Unreachable(
            f"{endpoint.label} needs the OpenSSH client, which is not here",
            hint="install it, such as: apt-get install openssh-client",
        )
    return found


def parent() -> Path | None:
    """The folder for ours: None for the system's temporary folder, unless a socket's name in it is too long, or `ssh` would take it apart."""
    usual = tempfile.gettempdir()
    return None if len(os.fsencode(usual)) <= MOST_PARENT and _PLAIN.match(usual) else Path("/tmp")  # noqa: S108


class Kept:
    """A login that is up, with the transports that use it."""

    def __init__(self, login: Login) -> None:
        self.login = login
        self.users = 0
        self.broken = False


class Logins:
    """The logins of this process, one for each board, in a folder that nobody else can enter. They end with it; those of a killed process after a minute."""

    def __init__(self) -> None:
        self._reset()
        atexit.register(self.close)
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._kept: dict[str, Kept] = {}
        self._folder: ScratchFolder | None = None

    def take(self, endpoint: Endpoint, pin_of: PinOf, ask: AskPassword | None) -> Kept:
        """A login that is up, until it is given back."""
        entries = private_config.way(endpoint, pin_of)
        ssh, folder = program(endpoint), self._place()
        hosts = private_config.known_hosts(entries)
        file = folder / f"{_digest(hosts)}.hosts"
        text = private_config.text(entries, file, openssh.version(ssh))
        key = _digest(text)
        with self._lock(key):
            kept = self._kept.get(key)
            if kept is None or kept.broken or not kept.login.alive():
                write_atomic(file, hosts)
                login = Login(
                    program=ssh, entries=tuple(entries), config=folder / f"{key}.config", socket=folder / key
                )
                login.end()
                write_config(login, text, ask)
                login.begin(ask)
                kept = Kept(login)
            with self._guard:
                kept.users += 1
                self._kept[key] = kept
            return kept

    def give_back(self, kept: Kept, *, broken: bool) -> None:
        """Keeps a login for the next session, unless its link may be dead: then it ends with its last user."""
        with self._guard:
            kept.users -= 1
            kept.broken = kept.broken or broken
            over = kept.broken and not kept.users
        if over:
            kept.login.end()

    def _lock(self, key: str) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(key, threading.Lock())

    def _place(self) -> Path:
        with self._guard:
            if self._folder is None:
                self._folder = ScratchFolder(PREFIX, parent())
            return self._folder.path

    def close(self) -> None:
        """Ends all logins, at once."""
        with self._guard:
            folder, kept, self._folder, self._kept = self._folder, list(self._kept.values()), None, {}
        if folder is None:
            return
        enders = [threading.Thread(target=one.login.end) for one in kept]
        for thread in enders:
            thread.start()
        for thread in enders:
            thread.join()
        folder.close()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


_LOGINS = Logins()
log_out = _LOGINS.close


class OpenSshTransport:
    """A login by the `ssh` program; the contract is `transport.Transport`.

    It stays up for a minute without a command.
    """

    def __init__(self, kept: Kept) -> None:
        self._kept: Kept | None = kept
        self._login = kept.login
        self._channels: list[SshChannel] = []

    def run(self, command: str) -> SshChannel:
        label = self._login.entries[-1].endpoint.label
        # a program that reaches nothing: without the login that was checked, `ssh` would log in again
        options = ["-T", "-o", "ProxyCommand=false", "-o", "LogLevel=ERROR"]
        channel = SshChannel(self._login.command(options, command), f"the link to {label}")
        self._channels.append(channel)
        return channel

    def close(self) -> None:
        channels, self._channels = self._channels, []
        broken = any(channel.exit_code(0) is None for channel in channels)
        kept, self._kept = self._kept, None
        if kept:
            _LOGINS.give_back(kept, broken=broken)
        for channel in channels:
            channel.close()


class SshChannel(ProcessChannel):
    """One command over a login; the contract is `transport.Channel`."""

    def exit_code(self, timeout_s: float) -> int | None:
        code = super().exit_code(timeout_s)
        return None if code == BROKEN else code
