"""SSH by paramiko: the only module that imports it and converts its exceptions.

The host key is checked here, against the pin, before anything is sent; only the pinned type is asked for.
"""

from __future__ import annotations

import contextlib
import logging
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from edgewright.connect.ssh import auth
from edgewright.connect.ssh import config as ssh_config
from edgewright.connect.ssh.channel import SshChannel
from edgewright.connect.ssh.config import Endpoint
from edgewright.connect.ssh.host_keys import HostKey, fingerprint
from edgewright.errors import AuthError, Code, ConfigError, EdgewrightError, TrustError, Unreachable
from edgewright.wire.transport import AskPassword

CONNECT_SECONDS = 10.0
START_SECONDS = 20.0  # to the first word of a server
STEP_SECONDS = 60.0  # for each step with one that has spoken: on a lossy link a step takes many seconds
ATTEMPTS = 6  # a server past its MaxStartups drops connections at random
WINDOW = 8 * 1024 * 1024  # bytes in flight towards this machine
UNSENT = 128 * 1024  # bytes that wait in this machine's buffer: on a slow link more would hide how far it is
ACKNOWLEDGED_AT = 120  # offset of `tcpi_bytes_acked` in Linux's `struct tcp_info`
KEY_TYPES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
FIRST_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
LAST_CIPHERS = ("aes128-ctr", "aes192-ctr", "aes256-ctr")
CHANGED = (
    "either it was set up again, or another machine answers in its place; "
    "find out which, then: edgewright fleet trust {name} --replace"
)

PinOf = Callable[
    [Endpoint], str
]  # the pinned `<type> <base64>` of an endpoint; TrustError when there is none


def lookup(path: Path | None = None) -> ssh_config.Lookup:
    """Looks hosts up in an OpenSSH client configuration, `~/.ssh/config` by default.

    Raises:
        ConfigError: the file cannot be understood.
    """
    import paramiko

    file = path or Path("~/.ssh/config").expanduser()
    failures = (paramiko.SSHException, paramiko.ssh_exception.ConfigParseError, ImportError, ValueError)
    try:
        config = paramiko.SSHConfig.from_text("\n".join(ssh_config.read_lines(file)) + "\n")
    except failures as error:
        raise ConfigError(f"cannot read {file}: {error}", hint="fix that line") from error

    def find(alias: str) -> Mapping[str, Any]:
        try:
            return dict(config.lookup(alias))
        except (*failures, KeyError) as error:
            raise ConfigError(
                f"cannot look {alias} up in {file}: {error}", hint="check its `Match exec` lines"
            ) from error

    return find


def connect(endpoint: Endpoint, pin_of: PinOf, ask: AskPassword | None = None) -> SshTransport:
    """Logs in, through the jump hosts, every host key checked against its pin.

    Args:
        pin_of: gives the pinned host key of an endpoint.
        ask: asked for a password or a passphrase, with a prompt; its answer is used once and forgotten.

    Raises:
        TrustError: a host key is unknown or not the pinned one; nothing was sent to that host.
        AuthError: a host refused every key and password.
        Unreachable: a host does not answer.
    """
    opened: list[Any] = []
    try:
        for hop in (*endpoint.jumps, endpoint):
            pin = pin_of(hop)
            transport = negotiate(hop, key_types(pin), opened)
            opened.append(transport)
            check_key(transport, hop, pin)
            with mapped(hop):
                auth.log_in(Server(transport, hop.user), hop, ask)
        return SshTransport(opened, endpoint)
    except BaseException:
        close_all(opened)
        raise


def scan(endpoint: Endpoint, pin_of: PinOf, ask: AskPassword | None = None) -> HostKey:
    """The host key that an endpoint shows; no login there, only on the jump hosts before it."""
    jump = connect_jumps(endpoint, pin_of, ask)
    opened = jump.transports if jump else []
    try:
        opened.append(negotiate(endpoint, KEY_TYPES, opened))
        shown = opened[-1].get_remote_server_key()
        return HostKey(
            host=endpoint.host, type=shown.get_name(), base64=shown.get_base64(), jump=endpoint.jump
        )
    finally:
        close_all(opened)


def connect_jumps(endpoint: Endpoint, pin_of: PinOf, ask: AskPassword | None) -> SshTransport | None:
    """A transport to the last jump host of an endpoint; None where there is none."""
    if not endpoint.jumps:
        return None
    import msgspec

    last = msgspec.structs.replace(endpoint.jumps[-1], jumps=endpoint.jumps[:-1])
    return connect(last, pin_of, ask)


def key_types(pin: str) -> tuple[str, ...]:
    """The algorithms to ask for: those of the pinned key and no other."""
    kind = pin.split()[0]
    return ("rsa-sha2-512", "rsa-sha2-256") if kind == "ssh-rsa" else (kind,)


def negotiate(endpoint: Endpoint, types: tuple[str, ...], opened: list[Any]) -> Any:
    """A paramiko Transport after its key exchange, before the login; retried while the server is too busy."""
    import paramiko

    logging.getLogger("paramiko").addHandler(logging.NullHandler())  # else its errors go to stderr
    for attempt in range(ATTEMPTS):
        try:
            with mapped(endpoint):
                return negotiate_once(endpoint, types, opened)
        except Unreachable as error:
            busy = isinstance(error.__cause__, paramiko.SSHException | EOFError | ConnectionResetError)
            if not busy or attempt == ATTEMPTS - 1:
                raise
            time.sleep(random.uniform(0.1, 0.4) * 2**attempt)  # noqa: S311  (jitter)
    raise AssertionError("unreachable")


def negotiate_once(endpoint: Endpoint, types: tuple[str, ...], opened: list[Any]) -> Any:
    """One attempt of `negotiate`."""
    import paramiko

    link = reach(endpoint, opened)
    try:
        transport = paramiko.Transport(link, default_window_size=WINDOW)
    except BaseException:
        link.close()
        raise
    try:
        transport.banner_timeout = (
            2 * START_SECONDS
        )  # `start_client` gives up first: silence is not tried again
        options = transport.get_security_options()
        options.key_types = types
        options.ciphers = ciphers()
        transport.handshake_timeout = transport.auth_timeout = STEP_SECONDS
        exchange_keys(transport)
        return transport
    except BaseException:
        transport.close()
        raise


def exchange_keys(transport: Any) -> None:
    """The key exchange; a TimeoutError where the server is silent, or takes too long once it has spoken."""
    done, limit_s = threading.Event(), START_SECONDS
    transport.start_client(event=done)
    if not done.wait(limit_s) and transport.remote_version:
        limit_s = STEP_SECONDS
        done.wait(limit_s - START_SECONDS)
    error = transport.get_exception()
    if error is not None:
        raise error
    if not transport.is_active():
        raise EOFError("the server hung up")
    if not transport.initial_kex_done:
        raise TimeoutError(f"no key exchange within {limit_s:g} s")


def reach(endpoint: Endpoint, opened: list[Any]) -> Any:
    """A stream to the endpoint's port: a socket, or a channel of the jump host opened last."""
    if opened:
        target = (endpoint.address, endpoint.port)
        return opened[-1].open_channel("direct-tcpip", target, ("127.0.0.1", 0), timeout=CONNECT_SECONDS)
    link = socket.create_connection((endpoint.address, endpoint.port), timeout=CONNECT_SECONDS)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
    return link


def acknowledged(link: Any) -> int:
    """Bytes of a TCP socket that its peer has acknowledged; 0 where the system does not tell (it is not Linux)."""
    try:
        told = link.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, ACKNOWLEDGED_AT + 8)
        return int(struct.unpack_from("=Q", told, ACKNOWLEDGED_AT)[0])
    except (AttributeError, OSError, struct.error):
        return 0


def ciphers() -> tuple[str, ...]:
    """AES-GCM first where this CPU has AES instructions: it needs no separate MAC."""
    return FIRST_CIPHERS + LAST_CIPHERS if has_aes() else LAST_CIPHERS + FIRST_CIPHERS


def has_aes() -> bool:
    """Whether this machine's CPU has AES instructions; assumed where that cannot be read."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        return True
    flags = [line.split() for line in text.splitlines() if line.lower().startswith(("flags", "features"))]
    return not flags or "aes" in flags[0]


def check_key(transport: Any, endpoint: Endpoint, pin: str) -> None:
    """Compares the host key shown with the pin."""
    shown = transport.get_remote_server_key()
    text = f"{shown.get_name()} {shown.get_base64()}"
    if text != pin:
        raise TrustError(
            f"the host key of {endpoint.label} changed: pinned {fingerprint(pin)}, shown {fingerprint(text)}",
            hint=CHANGED.format(name=endpoint.board),
            code=Code.HOST_KEY_CHANGED,
        )


def close_all(transports: list[Any]) -> None:
    """Closes the last hop first."""
    for transport in reversed(transports):
        transport.close()


@contextlib.contextmanager
def mapped(endpoint: Endpoint) -> Iterator[None]:
    """Turns the exceptions of paramiko and of sockets into this project's."""
    import paramiko

    where = f"{endpoint.label} ({endpoint.host})"
    try:
        yield
    except EdgewrightError:
        raise
    except paramiko.ssh_exception.IncompatiblePeer as error:
        if "host key" in str(error):
            raise TrustError(
                f"{where} has no host key of the pinned type any more",
                hint=CHANGED.format(name=endpoint.board),
                code=Code.HOST_KEY_CHANGED,
            ) from error
        raise Unreachable(
            f"no common SSH algorithms with {where}: {error}", hint="update its sshd"
        ) from error
    except paramiko.AuthenticationException as error:
        raise AuthError(f"{where} refused the login of {endpoint.user}: {error}", hint=auth.HINT) from error
    except paramiko.ChannelException as error:
        raise Unreachable(
            f"the jump host cannot reach {where}: {error.text}", hint="check its port"
        ) from error
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise Unreachable(f"cannot reach {where}: {reason(error)}", hint=hint_for(error)) from error


def reason(error: BaseException) -> str:
    """What went wrong, in a few words."""
    if isinstance(error, TimeoutError):
        return str(error) or "timed out"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__


def hint_for(error: BaseException) -> str:
    """What to do about an unreachable host."""
    if isinstance(error, socket.gaierror):
        return "is the address spelled right? try: ping ADDRESS"
    if isinstance(error, ConnectionRefusedError):
        return "the machine is up, its sshd is not, or listens on another port"
    if isinstance(error, OSError):
        return "is it switched on, and in this network?"
    return "is an SSH server on that port, and is it not overloaded (MaxStartups)?"


class Server:
    """A server whose host key was checked, as `ssh_login` sees it; the contract is `ssh_login.Server`."""

    def __init__(self, transport: Any, user: str) -> None:
        self._transport = transport
        self._user = user

    def active(self) -> bool:
        return bool(self._transport.is_active())

    def methods(self) -> list[str]:
        return self._wanted(lambda: self._transport.auth_none(self._user))

    def accepts_key(self, key: Any) -> bool:
        return not self._wanted(lambda: self._transport.auth_publickey(self._user, key))

    def accepts_password(self, password: str) -> bool:
        return not self._wanted(lambda: self._transport.auth_password(self._user, password))

    def load_key(self, file: Path, passphrase: str | None) -> Any:
        import paramiko

        secret = passphrase.encode("utf-8") if passphrase is not None else None
        try:
            return paramiko.PKey.from_path(file, secret)
        except TypeError as error:  # the loader's word for "encrypted, and no passphrase given"
            raise auth.Locked from error
        except (ValueError, OSError, paramiko.SSHException, paramiko.UnknownKeyType) as error:
            if secret is not None:
                raise auth.Locked from error
            return None

    def agent_keys(self) -> Iterator[tuple[str, Any]]:
        import paramiko

        try:
            agent = paramiko.Agent()
        except (paramiko.SSHException, OSError):
            return
        try:
            for key in agent.get_keys():
                yield f"ssh-agent's {key.get_name()} {key.comment or ''}".rstrip(), key
        finally:
            agent.close()

    def _wanted(self, authenticate: Callable[[], list[str]]) -> list[str]:
        """The methods that the server still wants; none when the login succeeded."""
        import paramiko

        try:
            return list(authenticate())
        except paramiko.BadAuthenticationType as error:
            return list(error.allowed_types) or ["none"]
        except (paramiko.AuthenticationException, paramiko.SSHException, EOFError):
            return ["none"]


class SshTransport:
    """A login; the contract is `transport.Transport`."""

    def __init__(self, transports: list[Any], endpoint: Endpoint) -> None:
        self.transports = transports
        self._endpoint = endpoint

    def run(self, command: str) -> SshChannel:
        last = self.transports[-1]
        # paramiko waits without a limit for the answer to exec
        alarm = threading.Timer(STEP_SECONDS, last.close)
        alarm.daemon = True
        alarm.start()
        try:
            with mapped(self._endpoint):
                channel = last.open_session(window_size=WINDOW, timeout=STEP_SECONDS)
                channel.exec_command(command)
        finally:
            alarm.cancel()
        first = self.transports[0].sock  # behind jump hosts there are only channels
        return SshChannel(channel, last.close, self._endpoint.label, lambda: acknowledged(first))

    def close(self) -> None:
        close_all(self.transports)
