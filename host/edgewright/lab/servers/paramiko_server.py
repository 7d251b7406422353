"""A small SSH server for one simulated board, on paramiko: `python -m edgewright.lab.servers.paramiko_server CONFIG.json`.

It supports exec requests only, for one account. Each command runs in `/bin/sh -c` with pipes for its
streams; the end of each stream is passed on separately, as sshd does; the exit status comes last.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import paramiko

PIECE = 64 * 1024
BACKLOG = 128
AUTH_SECONDS = 60
SHELL_PATH = "/usr/local/bin:/usr/bin:/bin"
PORT_TAKEN_EXIT = 98
LOG = logging.getLogger("edgewright.lab.servers.paramiko_server")


class Config:
    """The contents of `server.json`.

    port, user, home, host_key (path), client_key (`<type> <base64>`), pid_file, log; and optionally
    `password`, which the user may also log in with.
    """

    def __init__(self, path: Path) -> None:
        self.values: dict[str, Any] = json.loads(path.read_text())

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    def environment(self) -> dict[str, str]:
        """The environment variables of a session."""
        user = str(self["user"])
        return {"HOME": self["home"], "USER": user, "LOGNAME": user, "SHELL": "/bin/sh", "PATH": SHELL_PATH}


def main(path: Path) -> int:
    """Listens, detaches, then serves until a signal arrives."""
    config = Config(path)
    try:
        listener = socket.create_server(("127.0.0.1", config["port"]), backlog=BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return PORT_TAKEN_EXIT
        raise
    import paramiko

    key = paramiko.Ed25519Key.from_private_key_file(config["host_key"])
    child = os.fork()
    if child:
        Path(config["pid_file"]).write_text(f"{child}\n")
        os._exit(0)
    detach(Path(config["log"]))
    serve(listener, config, key)
    return 0


def detach(log: Path) -> None:
    """Detaches from the caller's session and its streams."""
    os.setsid()
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for target, source in ((0, null), (1, null), (2, out)):
        os.dup2(source, target)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")


def serve(listener: socket.socket, config: Config, key: paramiko.PKey) -> None:
    """Accepts connections, each in its own thread."""
    while True:
        client, address = listener.accept()
        LOG.info("connection from port %d", address[1])
        threading.Thread(target=welcome, args=(client, config, key), daemon=True).start()


def welcome(client: socket.socket, config: Config, key: paramiko.PKey) -> None:
    """Negotiates one connection; the commands then run in their channels' threads."""
    import paramiko

    transport = paramiko.Transport(client)
    transport.auth_timeout = AUTH_SECONDS
    transport.add_server_key(key)
    try:
        transport.start_server(server=account(config))
        channels: list[
            paramiko.Channel
        ] = []  # keeps the channels: the garbage collector closes one that nothing refers to
        while transport.is_active():
            opened = transport.accept(1.0)
            channels = [one for one in (*channels, opened) if one is not None and not one.closed]
    except (paramiko.SSHException, EOFError, OSError) as error:
        LOG.info("connection ended: %s", error)
        transport.close()


def account(config: Config) -> paramiko.ServerInterface:
    """The account that a connection may log in to."""
    import paramiko

    password = config.values.get("password")

    class Account(paramiko.ServerInterface):  # type: ignore[misc]  # paramiko has no types
        """One user, who may only run commands."""

        def get_allowed_auths(self, username: str) -> str:  # noqa: ARG002 (paramiko's names)
            return "publickey,password" if password else "publickey"

        def check_auth_password(self, username: str, given: str) -> int:
            good = bool(password) and username == config["user"] and given == password
            LOG.info("%s password for %s", "accepted" if good else "refused", username)
            return int(paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED)

        def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
            good = (
                username == config["user"] and f"{key.get_name()} {key.get_base64()}" == config["client_key"]
            )
            LOG.info("%s key for %s", "accepted" if good else "refused", username)
            return int(paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED)

        def check_channel_request(self, kind: str, chanid: int) -> int:  # noqa: ARG002
            known = kind == "session"
            return int(paramiko.OPEN_SUCCEEDED if known else paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED)

        def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
            threading.Thread(target=run, args=(channel, command, config), daemon=True).start()
            return True

    return Account()


def run(channel: paramiko.Channel, command: bytes, config: Config) -> None:
    """Runs one command and forwards its streams until its output ends."""
    try:
        process = subprocess.Popen(
            [b"/bin/sh", b"-c", command],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            cwd=config["home"], env=config.environment(), start_new_session=True, bufsize=0,
        )  # fmt: skip
    except OSError as error:
        LOG.info("no command can be run: %s", error)
        channel.close()
        return
    threading.Thread(target=feed, args=(channel, process.stdin), daemon=True).start()
    outputs = [
        threading.Thread(target=drain, args=(process.stdout, channel.sendall), daemon=True),
        threading.Thread(target=drain, args=(process.stderr, channel.sendall_stderr), daemon=True),
    ]
    for output in outputs:
        output.start()
    status = process.wait()
    for output in outputs:
        output.join()
    try:
        channel.send_exit_status(status if status >= 0 else 128 - status)
        channel.shutdown_write()
        channel.close()
    except (OSError, EOFError):
        LOG.info("the client left before the exit status")


def feed(channel: paramiko.Channel, stdin: IO[bytes]) -> None:
    """Forwards the client's input to the command; closes the pipe when the client's stream ends."""
    try:
        while piece := channel.recv(PIECE):
            view = memoryview(piece)
            while view:
                view = view[stdin.write(view) :]
    except OSError:
        LOG.info("the command no longer reads")
    finally:
        try:
            stdin.close()
        except OSError:
            pass


def drain(pipe: IO[bytes], send: Any) -> None:
    """Forwards the command's output to the client; closes the command's pipe when the client is gone."""
    with pipe:
        try:
            while piece := pipe.read(PIECE):
                send(piece)
        except (OSError, EOFError):
            LOG.info("the client no longer reads")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
