"""SSH through paramiko: the only module that imports paramiko and converts its exceptions.

It checks the host key against the pins before it sends anything else; only the pinned types are requested.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import logging
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgewright.connect.ssh import auth, incoming, known_hosts, limits, negotiation
from edgewright.connect.ssh.channel import SshChannel
from edgewright.connect.ssh.config import Endpoint
from edgewright.connect.ssh.host_keys import ALGORITHMS, HostKey, algorithms, fingerprint
from edgewright.connect.ssh.pins import PinOf, not_revoked
from edgewright.connect.ssh.server import Server
from edgewright.errors import AuthError, Code, EdgewrightError, TrustError, Unreachable
from edgewright.wire.caps import WINDOW
from edgewright.wire.transport import AskPassword

UNSENT = 128 * 1024  # bytes in this machine's send buffer: on a slow link, more would hide the real progress
ACKNOWLEDGED_AT = 120  # offset of `tcpi_bytes_acked` in Linux's `struct tcp_info`
FIRST_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
_IMPORTING = threading.Lock()
LAST_CIPHERS = ("aes128-ctr", "aes192-ctr", "aes256-ctr")


def connect(endpoint: Endpoint, pin_of: PinOf, ask: AskPassword | None = None) -> SshTransport:
    """Logs in, through the jump hosts, checking every host key against its pin.

    Args:
        pin_of: returns the pinned host keys of an endpoint; it may show any of them.
        ask: called with a prompt for a password or a passphrase; its answer is used once and forgotten.

    Raises:
        TrustError: a host key is unknown or not a pinned one; nothing was sent to that host.
        AuthError: a host refused every key and password.
        Unreachable: a host did not answer.
    """
    opened: list[Any] = []
    try:
        for hop in (*endpoint.jumps, endpoint):
            pinned = not_revoked(hop, pin_of(hop))
            transport = negotiate(hop, requested(hop, pinned), opened)
            opened.append(transport)
            check_key(transport, hop, pinned)
            with mapped(hop):
                auth.log_in(Server(transport, hop.user), hop, ask)
        return SshTransport(opened, endpoint)
    except BaseException:
        close_all(opened)
        raise


def scan(
    endpoint: Endpoint, pin_of: PinOf, ask: AskPassword | None = None, prefer: tuple[str, ...] = ()
) -> HostKey:
    """The host key that an endpoint presents; logs in only to the jump hosts on the way, not to the endpoint.

    Args:
        prefer: algorithms of keys that are known already, to be shown one of those if the server has it.

    Raises:
        TrustError: a `known_hosts` file revokes the key; or as `connect`, for a jump host.
        AuthError, Unreachable: as `connect`.
    """
    jump = connect_jumps(endpoint, pin_of, ask)
    opened = jump.transports if jump else []
    try:
        types = tuple(dict.fromkeys((*prefer, *ALGORITHMS)))
        opened.append(negotiate(endpoint, types, opened))
        shown = opened[-1].get_remote_server_key()
        key = HostKey(
            host=endpoint.host, type=shown.get_name(), base64=shown.get_base64(), jump=endpoint.jump
        )
        known_hosts.refuse_revoked(endpoint, key.text)
        return key
    finally:
        close_all(opened)


def connect_jumps(endpoint: Endpoint, pin_of: PinOf, ask: AskPassword | None) -> SshTransport | None:
    """A transport to the last jump host of an endpoint; None if there are no jump hosts."""
    if not endpoint.jumps:
        return None
    import msgspec

    last = msgspec.structs.replace(endpoint.jumps[-1], jumps=endpoint.jumps[:-1])
    return connect(last, pin_of, ask)


def requested(endpoint: Endpoint, pinned: tuple[str, ...]) -> tuple[str, ...]:
    """The algorithms to request: only those of the pinned keys; raises NoCommonAlgorithm if all are unsupported."""
    types = algorithms(pinned)
    if not types:
        raise negotiation.unsupported(endpoint, pinned)
    return types


@functools.cache
def library() -> Any:
    """paramiko, imported without Invoke, which takes longer to import than all the rest.

    Only paramiko's reader of configurations needs it, and edgewright does not use that. In a program that does, Invoke is imported then.
    """
    with _IMPORTING:
        absent = sys.modules.setdefault("invoke", None) is None  # type: ignore[arg-type]
        try:
            import paramiko
        finally:
            if absent:
                del sys.modules["invoke"]
    if paramiko.config.invoke is None:
        paramiko.config.invoke = _Invoke()
    return paramiko


class _Invoke:
    """Invoke, imported at first use."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module("invoke"), name)


def negotiate(endpoint: Endpoint, types: tuple[str, ...], opened: list[Any]) -> Any:
    """A paramiko Transport after its key exchange, before the login; retried while the server is too busy."""
    paramiko = library()
    logging.getLogger("paramiko").addHandler(logging.NullHandler())  # otherwise its errors go to stderr
    for attempt in range(limits.ATTEMPTS):
        try:
            with mapped(endpoint):
                return negotiate_once(endpoint, types, opened)
        except Unreachable as error:
            busy = isinstance(error.__cause__, paramiko.SSHException | EOFError | ConnectionResetError)
            if isinstance(error, negotiation.NoCommonAlgorithm) or not busy or attempt == limits.ATTEMPTS - 1:
                raise
            limits.pause(attempt)
    raise AssertionError("unreachable")


def negotiate_once(endpoint: Endpoint, types: tuple[str, ...], opened: list[Any]) -> Any:
    """One attempt of `negotiate`."""
    import paramiko

    link = reach(endpoint, opened)
    try:
        transport = paramiko.Transport(link, default_window_size=WINDOW.most)
    except BaseException:
        link.close()
        raise
    try:
        incoming.bound(transport)
        transport.banner_timeout = (
            2 * limits.START_SECONDS
        )  # `start_client` gives up first: a silent server is not retried
        options = transport.get_security_options()
        options.key_types = types
        options.ciphers = ciphers()
        transport.handshake_timeout = transport.auth_timeout = limits.STEP_SECONDS
        exchange_keys(transport, endpoint)
        return transport
    except BaseException:
        transport.close()
        raise


def exchange_keys(transport: Any, endpoint: Endpoint) -> None:
    """Exchanges keys.

    Raises:
        TimeoutError: the server is silent, or takes too long after its first byte.
        NoCommonAlgorithm, TrustError: it has no algorithm, or no host key, that suits.
    """
    import paramiko

    offer = negotiation.Offer(transport)
    done, limit_s = threading.Event(), limits.START_SECONDS
    transport.start_client(event=done)
    if not done.wait(limit_s) and transport.remote_version:
        limit_s = limits.STEP_SECONDS
        done.wait(limit_s - limits.START_SECONDS)
    error = transport.get_exception()
    if isinstance(error, paramiko.ssh_exception.IncompatiblePeer):
        raise negotiation.refusal(endpoint, offer, error) from error
    if error is not None and not isinstance(error, paramiko.SSHException | EOFError | OSError):
        # paramiko believes that every list is UTF-8, and more
        raise paramiko.SSHException(f"it sent a broken message ({type(error).__name__})") from error
    if error is not None:
        raise error
    if not transport.is_active():
        raise EOFError("the server hung up")
    if not transport.initial_kex_done:
        raise TimeoutError(f"no key exchange within {limit_s:g} s")


def reach(endpoint: Endpoint, opened: list[Any]) -> Any:
    """A stream to the endpoint's port: a socket, or a channel of the last jump host."""
    if opened:
        return tunnel(endpoint, opened[-1])
    link = socket.create_connection((endpoint.address, endpoint.port), timeout=limits.CONNECT_SECONDS)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
    return link


def tunnel(endpoint: Endpoint, jump: Any) -> Any:
    """A channel from a jump host to the endpoint's port; raises Unreachable if the jump host cannot open it."""
    import paramiko

    target = (endpoint.address, endpoint.port)
    try:
        return jump.open_channel("direct-tcpip", target, ("127.0.0.1", 0), timeout=limits.CONNECT_SECONDS)
    except paramiko.ChannelException as error:
        raise Unreachable(
            f"the jump host cannot reach {endpoint.label} ({endpoint.host}): {error.text}",
            hint="check its port",
        ) from error


def acknowledge_at_once(link: Any) -> None:
    """Acknowledges what comes next without the delay of 40 ms, which a server's second short message waits for."""
    if hasattr(socket, "TCP_QUICKACK"):
        with contextlib.suppress(OSError):
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def acknowledged(link: Any) -> int:
    """Bytes of a TCP socket that its peer has acknowledged; 0 if the system does not report it (outside of Linux)."""
    try:
        state = link.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, ACKNOWLEDGED_AT + 8)
        return int(struct.unpack_from("=Q", state, ACKNOWLEDGED_AT)[0])
    except (AttributeError, OSError, struct.error):
        return 0


def ciphers() -> tuple[str, ...]:
    """The ciphers, with AES-GCM first if this CPU has AES instructions: it needs no separate MAC."""
    return FIRST_CIPHERS + LAST_CIPHERS if has_aes() else LAST_CIPHERS + FIRST_CIPHERS


def has_aes() -> bool:
    """Whether this machine's CPU has AES instructions; assumed if that cannot be read."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        return True
    flags = [line.split() for line in text.splitlines() if line.lower().startswith(("flags", "features"))]
    return not flags or "aes" in flags[0]


def check_key(transport: Any, endpoint: Endpoint, pinned: tuple[str, ...]) -> None:
    """Checks that the presented host key is one of the pinned ones."""
    shown = transport.get_remote_server_key()
    text = f"{shown.get_name()} {shown.get_base64()}"
    known_hosts.refuse_revoked(endpoint, text)
    if text not in pinned:
        known = ", ".join(fingerprint(one) for one in pinned)
        raise TrustError(
            f"the host key of {endpoint.label} changed: pinned {known}, shown {fingerprint(text)}",
            hint=negotiation.CHANGED.format(name=endpoint.board),
            code=Code.HOST_KEY_CHANGED,
        )


def close_all(transports: list[Any]) -> None:
    """Closes the transports, last hop first."""
    for transport in reversed(transports):
        transport.close()


@contextlib.contextmanager
def mapped(endpoint: Endpoint) -> Iterator[None]:
    """Converts the exceptions of paramiko and of sockets into this project's."""
    import paramiko

    where = f"{endpoint.label} ({endpoint.host})"
    try:
        yield
    except EdgewrightError:
        raise
    except paramiko.AuthenticationException as error:
        raise AuthError(f"{where} refused the login of {endpoint.user}: {error}", hint=auth.HINT) from error
    except paramiko.ChannelException as error:
        raise Unreachable(
            f"{where} refused to open a session: {error.text}",
            hint="check MaxSessions and the user's restrictions in its sshd_config",
        ) from error
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise Unreachable(f"cannot reach {where}: {reason(error)}", hint=hint_for(error)) from error


def reason(error: BaseException) -> str:
    """The reason for a failure, in a few words."""
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
    return limits.BUSY_HINT


class SshTransport:
    """A login; the contract is `transport.Transport`."""

    def __init__(self, transports: list[Any], endpoint: Endpoint) -> None:
        self.transports = transports
        self._endpoint = endpoint

    def run(self, command: str) -> SshChannel:
        last = self.transports[-1]
        # without a timeout, paramiko waits forever for the answer to exec
        alarm = threading.Timer(limits.STEP_SECONDS, last.close)
        alarm.daemon = True
        alarm.start()
        try:
            with mapped(self._endpoint):
                acknowledge_at_once(self.transports[0].sock)
                channel = last.open_session(window_size=WINDOW.most, timeout=limits.STEP_SECONDS)
                acknowledge_at_once(self.transports[0].sock)
                channel.exec_command(command)
        finally:
            alarm.cancel()
        first = self.transports[0].sock  # behind jump hosts, all but the first are channels
        return SshChannel(channel, last.close, self._endpoint.label, lambda: acknowledged(first))

    def close(self) -> None:
        close_all(self.transports)
