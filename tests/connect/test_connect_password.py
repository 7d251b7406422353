"""Passwords: an SSH server that asks for one (OpenSSH needs PAM or root for that)."""

from __future__ import annotations

import getpass
import logging
import socket
import threading

import paramiko
import pytest

from edgewright.connect import session
from edgewright.errors import AuthError
from edgewright.nouns.board import Board

SSH_CLIENTS = ("paramiko", "openssh")  # every test of a login runs with both


class Door(paramiko.ServerInterface):
    """Accepts one password, by the method that it offers."""

    def __init__(self, method):
        self.method = method

    def get_allowed_auths(self, username):
        return self.method

    def check_auth_password(self, username, password):
        good = self.method == "password" and password == "open sesame"
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

    def check_auth_interactive(self, username, submethods):
        return paramiko.InteractiveQuery("", "", ("Password: ", False))

    def check_auth_interactive_response(self, responses):
        return paramiko.AUTH_SUCCESSFUL if list(responses) == ["open sesame"] else paramiko.AUTH_FAILED


@pytest.fixture(params=["password", "keyboard-interactive"])
def door(request, tmp_path, new_key, fleet, pinned, ssh_client):
    """A board behind such a server."""
    key = new_key(tmp_path / "door")
    pinned(fleet, "pi", key)
    listener = socket.create_server(("127.0.0.1", 0))
    transports = []

    def serve():
        while True:
            try:
                client, _address = listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(client)
            transports.append(transport)
            transport.add_server_key(paramiko.Ed25519Key.from_private_key_file(str(key)))
            transport.start_server(event=threading.Event(), server=Door(request.param))

    thread = threading.Thread(target=serve)
    thread.start()
    yield Board(
        name="pi",
        address="127.0.0.1",
        port=listener.getsockname()[1],
        user=getpass.getuser(),
        ssh_client=ssh_client,
    )
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()
    for transport in transports:
        transport.close()


def test_password_is_asked_for(door, fleet, caplog):
    caplog.set_level(logging.DEBUG)
    answers = iter(["wrong", "open sesame"])
    prompts = []

    def ask(prompt):
        prompts.append(prompt)
        return next(answers)

    session.connect(door, fleet, ask).close()
    assert prompts == [f"password of {getpass.getuser()}@127.0.0.1"] * 2
    assert "sesame" not in caplog.text


def test_wrong_password_is_an_auth_error(door, fleet):
    tries = []

    def ask(prompt):
        tries.append(prompt)
        return f"wrong {len(tries)}"

    with pytest.raises(AuthError) as caught:
        session.connect(door, fleet, ask)
    assert len(tries) == 3 and "tried a password" in caught.value.message
    assert "wrong" not in caught.value.message


def test_the_same_wrong_answer_is_not_given_twice(door, fleet):
    prompts = []
    with pytest.raises(AuthError):
        session.connect(door, fleet, lambda prompt: prompts.append(prompt) or "wrong")
    assert len(prompts) == 2


def test_nobody_to_ask(door, fleet):
    with pytest.raises(AuthError, match="it takes"):
        session.connect(door, fleet)
