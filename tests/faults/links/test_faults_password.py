"""Passwords on a real sshd, typed at a real terminal: each command asks once, and Ctrl-C ends it immediately."""

from __future__ import annotations

import shutil
import time
from types import SimpleNamespace

import numpy as np
import pytest
from msgspec.structs import replace

from edgewright.config import trust as trust_file
from edgewright.connect.opener import Opener
from edgewright.errors import AuthError
from edgewright.nouns.board import Fleet

PASSWORD = "open sesame"
# openssl passwd -6 -salt edgewright 'open sesame'
HASH = "$6$edgewright$j.z8i.enYGMFhpx2cXAtRFk.c6zWqs/GtNAhUhrhy2sMgA5r3mG7YD1lixMyVvStXkkoUSjFKI7IHGTm4Zgf11"
OTHER_HASH = HASH.replace("j.z8i", "J.z8i")
PROMPT = "password of edge@127.0.0.1: "


def with_hash(user, text, told=HASH):
    """The lines of a passwd file, with a user's password."""
    rows = [row.split(":") for row in text.splitlines()]
    return "".join(":".join([row[0], told, *row[2:]] if row[0] == user else row) + "\n" for row in rows)


@pytest.fixture(scope="module")
def door(pi, no_developer, changed, configured):
    """The board, which accepts a password and no key: `board`, `fleet` (its file is in `path`)."""
    user = pi.board.user
    passwd = pi.lab.folder / "passwd"
    path = no_developer / "passwords.toml"
    board = replace(pi.board, identity=None, profile=None)
    path.write_text(
        f'name = "passwords"\n[boards.{board.name}]\naddress = "127.0.0.1"\nport = {board.port}\nuser = "{user}"\n'
    )
    fleet = Fleet(name="passwords", path=path, boards={board.name: board})
    shutil.copy(trust_file.path_of(pi.fleet), trust_file.path_of(fleet))
    with (
        changed(passwd, lambda text: with_hash(user, text)),
        configured(pi, "PasswordAuthentication yes", "PubkeyAuthentication no"),
    ):
        yield SimpleNamespace(board=board, fleet=fleet, passwd=passwd, log=pi.lab.folder / "server.log")


class Person:
    """Answers prompts in turn; `prompts` are those that it got."""

    def __init__(self, *answers):
        self.answers, self.prompts = list(answers), []

    def __call__(self, prompt):
        self.prompts.append(prompt)
        return self.answers.pop(0) if self.answers else None


def test_a_whole_deployment_over_a_password(door, kit, survived):
    person = Person(PASSWORD)
    with Opener(door.fleet, person)(door.board) as session:
        kit.Deployment(session, kit.artifact("password"), "1").whole()
    assert person.prompts == ["password of edge@127.0.0.1"]
    assert "Accepted password for edge" in door.log.read_text()
    survived("logins: a password that OpenSSH itself checks")


def test_the_next_login_of_a_command_asks_nobody(door):
    person = Person(PASSWORD)
    opener = Opener(door.fleet, person)
    for _ in range(3):
        opener(door.board).close()
    assert len(person.prompts) == 1


def test_a_password_that_was_changed_meanwhile_is_asked_for_again(door, changed):
    person = Person(PASSWORD, None)
    opener = Opener(door.fleet, person)
    opener(door.board).close()
    with (
        changed(door.passwd, lambda text: with_hash(door.board.user, text, OTHER_HASH)),
        pytest.raises(AuthError),
    ):
        opener(door.board)
    assert len(person.prompts) == 2


def test_a_wrong_password_is_one_line_and_not_shown(door, survived):
    person = Person("wrong words", None)
    with pytest.raises(AuthError) as caught:
        Opener(door.fleet, person)(door.board)
    text = caught.value.message
    assert (
        "refused the login of edge; tried a password" in text
        and "\n" not in text
        and "wrong words" not in text
    )
    assert len(person.prompts) == 2
    survived("logins: a wrong password")


@pytest.fixture
def terminal(at_a_terminal, door):
    """Runs command lines; kills those that still run at the end."""
    return lambda *arguments: at_a_terminal(door.fleet, *arguments)


def test_a_password_is_typed_at_a_terminal_and_not_shown(terminal, door):
    line = terminal("status")
    line.until(PROMPT)
    line.write(PASSWORD.encode() + b"\n")
    assert line.end() == 0
    assert line.said.count(PROMPT.encode()) == 1 and PASSWORD.encode() not in line.said
    assert door.board.name.encode() in line.said


def test_ctrl_c_at_the_prompt_ends_at_once(terminal, survived):
    line = terminal("status")
    line.until(PROMPT)
    began = time.monotonic()
    line.write(b"half of it\x03")
    assert line.end(30) == 8, line.said.decode()
    assert time.monotonic() - began < 30
    assert b"Traceback" not in line.said and b"half of it" not in line.said
    survived("logins: Ctrl-C instead of a password")


def test_a_wrong_password_at_the_terminal_ends_in_one_line(terminal):
    line = terminal("status")
    for answer in (b"wrong\n", b"\n"):
        line.until(PROMPT)
        line.said = b""
        line.write(answer)
    assert line.end() == 2
    errors = [row for row in line.said.decode().splitlines() if "error: " in row]
    assert len(errors) == 1 and "tried a password" in errors[0] and "Traceback" not in line.said.decode()


def test_a_deployment_that_logs_in_twice_asks_once(terminal, door, tmp_path):
    """The board has no profile: it is asked what it is before the model is converted, and again afterwards."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("MatMul", ["x", "w"], ["y"])], "tiny",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
            [numpy_helper.from_array(np.random.default_rng(1).normal(size=(4, 3)).astype("float32"), "w")],
        ),
        opset_imports=[helper.make_opsetid("", 13)], ir_version=8,
    )  # fmt: skip
    onnx.save(model, tmp_path / "tiny.onnx")
    before = door.log.read_text().count("Accepted password")
    asked = ("--target", "onnxruntime", "--precision", "fp32", "--dry-run")
    line = terminal("deploy", tmp_path / "tiny.onnx", "--to", door.board.name, *asked)
    line.until(PROMPT)
    line.write(PASSWORD.encode() + b"\n")
    assert line.end() == 0, line.said.decode()
    assert line.said.count(PROMPT.encode()) == 1
    assert door.log.read_text().count("Accepted password") == before + 2 and b"activate; commit" in line.said
