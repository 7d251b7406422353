"""Which SSH client logs in to a board: paramiko, or the system's `ssh` program where paramiko lacks what is needed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from edgewright.connect.ssh import client, pins
from edgewright.connect.ssh.config import Endpoint
from edgewright.connect.ssh.host_keys import HostKey
from edgewright.connect.ssh.negotiation import NoCommonAlgorithm
from edgewright.connect.ssh.openssh import client as program
from edgewright.connect.ssh.openssh.agent import holds_token_key
from edgewright.errors import ConfigError
from edgewright.nouns.board import AUTO, OPENSSH, PARAMIKO, Board, Fleet
from edgewright.wire.transport import AskPassword, Transport

_SECURITY_KEY = ("sk-ssh-", "sk-ecdsa-")
T = TypeVar("T")


def connect(board: Board, fleet: Fleet, endpoint: Endpoint, ask: AskPassword | None) -> Transport:
    """Logs in. Raises what the clients raise."""
    pin_of = pins.pin_of(board, fleet)

    def by_paramiko() -> Transport:
        return client.connect(endpoint, pin_of, ask)

    def by_openssh() -> Transport:
        return program.connect(endpoint, pin_of, ask)

    return _by_either(board, endpoint, by_paramiko, by_openssh)


def scan(
    board: Board, fleet: Fleet, endpoint: Endpoint, ask: AskPassword | None, prefer: tuple[str, ...] = ()
) -> HostKey:
    """The host key that an endpoint, the board or a jump host on the way to it, presents.

    Args:
        prefer: the algorithms of host keys to request first.
    """
    pin_of = pins.pin_of(board, fleet)
    return _by_either(
        board,
        endpoint,
        lambda: client.scan(endpoint, pin_of, ask, prefer),
        lambda: program.scan(endpoint, pin_of, ask, prefer),
    )


def _by_either(board: Board, endpoint: Endpoint, paramiko: Callable[[], T], openssh_: Callable[[], T]) -> T:
    """Runs the client that fits; the other one after it where only the server's answer tells."""
    if board.ssh_client == OPENSSH or (board.ssh_client == AUTO and reason(endpoint) and program.available()):
        return openssh_()
    if endpoint.proxy_command:
        raise ConfigError(
            f"the SSH configuration has a ProxyCommand for {board.name}, which only the OpenSSH client runs",
            hint=f"edgewright fleet add {board.name} --ssh-client {AUTO}"
            if board.ssh_client == PARAMIKO
            else "install the OpenSSH client, or use ProxyJump",
        )
    try:
        return paramiko()
    except NoCommonAlgorithm:
        if board.ssh_client == PARAMIKO or not program.available():
            raise
    return openssh_()


def reason(endpoint: Endpoint) -> str:
    """Why a login needs the `ssh` program; empty if paramiko can do it."""
    if endpoint.proxy_command:
        return "ProxyCommand"
    for hop in (*endpoint.jumps, endpoint):
        if dict(hop.settings.for_client).get("pkcs11provider", "none") != "none":
            return "PKCS11Provider"
        own = (hop.identity,) if hop.identity else ()
        agent = hop.settings.identity_agent
        # `ssh` asks for a touch only if the server would take the key; paramiko asks for one each time it offers it
        if agent and holds_token_key(agent):
            return "a key on a security token"
        if any(_on_token(file) for file in (*own, *hop.settings.identity_files)):
            return "a key on a security token"
    return ""


def _on_token(file: Path) -> bool:
    """Whether a key file is the handle of a key on a FIDO token."""
    public = file if file.suffix == ".pub" else file.with_name(f"{file.name}.pub")
    try:
        with public.open("rb") as opened:
            return opened.read(16).decode("ascii", "replace").startswith(_SECURITY_KEY)
    except OSError:
        return False
