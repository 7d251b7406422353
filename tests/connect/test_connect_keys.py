"""Which keys a real OpenSSH server is offered: agents, `IdentitiesOnly`, certificates, several factors; and what a refusal says."""

from __future__ import annotations

import getpass
import re
import socket
import subprocess
import threading
import time

import paramiko
import pytest

from edgewright.connect import session
from edgewright.connect.opener import Login
from edgewright.connect.ssh import auth, key_ring, limits
from edgewright.connect.ssh.openssh.askpass import MOST_PROMPTS
from edgewright.connect.ssh.openssh.client import log_out
from edgewright.errors import AuthError, Unreachable
from edgewright.nouns.board import Board

SSH_CLIENTS = ("paramiko", "openssh")  # every test of a login runs with both


def enter(board, fleet, ask=None):
    """Logs in and out again."""
    session.connect(board, fleet, ask).close()
    log_out()  # the `ssh` program would keep the login for the next session


def offered(server):
    """The fingerprints of the keys that a server was asked to accept, in their order."""
    log = server.log("Accepted publickey")
    return re.findall(r"(?:Accepted|Failed|Postponed) publickey for \S+ from .* (SHA256:\S+)", log)


def fingerprint(key):
    """As `ssh-keygen -l` shows it."""
    done = subprocess.run(["ssh-keygen", "-lf", key], capture_output=True, text=True, check=True)
    return done.stdout.split()[1]


def certify(authority, key):
    """Makes a certificate beside a key, for this user and with the id `me`."""
    name = getpass.getuser()
    subprocess.run(["ssh-keygen", "-q", "-s", authority, "-I", "me", "-n", name, f"{key}.pub"], check=True)


@pytest.fixture
def agent(tmp_path, monkeypatch):
    """`agent(*keys)` starts a real ssh-agent that holds keys, for `SSH_AUTH_SOCK`; the path of its socket."""
    running = []

    def start(*keys, path=None):
        place = path or tmp_path / f"agent{len(running)}"
        running.append(subprocess.Popen(["ssh-agent", "-D", "-a", place], stdout=subprocess.DEVNULL))
        until = time.monotonic() + 60
        with socket.socket(socket.AF_UNIX) as probe:
            while probe.connect_ex(str(place)) and time.monotonic() < until:
                time.sleep(0.02)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(place))
        for key in keys:
            subprocess.run(["ssh-add", "-q", key], check=True, timeout=60)
        return place

    yield start
    for one in running:
        one.terminate()
        one.wait()


@pytest.fixture
def configure(own_home):
    """Writes `~/.ssh/config` for all hosts."""
    return lambda *lines: (own_home / ".ssh" / "config").write_text(
        "Host *\n" + "".join(f"  {one}\n" for one in lines)
    )


@pytest.mark.parametrize("named", ["private", "public", "public alone"])
def test_identities_only_takes_the_agents_key_that_is_named(
    named, tmp_path, new_key, agent, configure, make_sshd, make_board, fleet, pinned
):
    right, others = new_key(tmp_path / "right"), [new_key(tmp_path / f"other{index}") for index in range(8)]
    server = make_sshd(right, lines=("MaxAuthTries 2",))
    pinned(fleet, "pi", server.host_key)
    agent(*others, right)
    if named == "public alone":  # as 1Password and hardware keys have it
        right.unlink()
    configure(f"IdentityFile {right}{'.pub' if named == 'public' else ''}", "IdentitiesOnly yes")
    enter(make_board(server), fleet)
    assert offered(server) == [fingerprint(f"{right}.pub")]


def test_the_fleets_identity_may_be_a_public_key(
    tmp_path, new_key, agent, make_sshd, make_board, fleet, pinned
):
    right, others = new_key(tmp_path / "right"), [new_key(tmp_path / f"other{index}") for index in range(8)]
    server = make_sshd(right, lines=("MaxAuthTries 2",))
    pinned(fleet, "pi", server.host_key)
    agent(*others, right)
    enter(make_board(server, identity=f"{right}.pub"), fleet)
    assert offered(server) == [fingerprint(f"{right}.pub")]


def test_identities_only_leaves_the_agents_other_keys_out(
    tmp_path, new_key, agent, configure, make_sshd, make_board, fleet, pinned
):
    key = new_key(tmp_path / "agents")
    server = make_sshd(key)
    pinned(fleet, "pi", server.host_key)
    agent(key)
    configure("IdentityFile none", "IdentitiesOnly yes")
    with pytest.raises(AuthError, match="tried nothing: no usable key; it takes publickey"):
        enter(make_board(server), fleet)
    configure("IdentityFile none")
    enter(make_board(server), fleet)


def test_identity_agent(
    tmp_path, new_key, agent, configure, make_sshd, make_board, fleet, pinned, monkeypatch
):
    key = new_key(tmp_path / "agents")
    server = make_sshd(key)
    pinned(fleet, "pi", server.host_key)
    place = agent(key)
    configure("IdentityAgent none")
    with pytest.raises(AuthError):
        enter(make_board(server), fleet)
    monkeypatch.delenv("SSH_AUTH_SOCK")
    configure(f"IdentityAgent {place}")
    enter(make_board(server), fleet)


def test_an_encrypted_key_that_the_agent_holds_is_not_asked_for(
    tmp_path, new_key, agent, configure, make_sshd, make_board, fleet, pinned
):
    key = new_key(tmp_path / "locked")
    server = make_sshd(key)
    pinned(fleet, "pi", server.host_key)
    agent(key)
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", key], check=True)
    prompts = []
    enter(make_board(server, identity=str(key)), fleet, lambda prompt: prompts.append(prompt))
    assert prompts == []


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
@pytest.mark.parametrize(
    "held", ["beside the key", "CertificateFile", "in the agent", "CertificateFile, agent"]
)
def test_certificates(kind, held, tmp_path, new_key, agent, configure, make_sshd, make_board, fleet, pinned):
    authority, key = new_key(tmp_path / "ca"), new_key(tmp_path / "user", kind)
    certify(authority, key)
    server = make_sshd(new_key(tmp_path / "another"), lines=(f"TrustedUserCAKeys {authority}.pub",))
    pinned(fleet, "pi", server.host_key)
    certificate = tmp_path / "user-cert.pub"
    lines = [f"IdentityFile {key}"]
    if held == "in the agent":
        agent(key)
        lines = ["IdentityFile none"]
    elif held.startswith("CertificateFile"):
        other = tmp_path / "elsewhere.pub"
        certificate.rename(other)
        lines = [f"IdentityFile {key}", f"CertificateFile {other}"]
        if held.endswith("agent"):
            agent(key)
            lines = [f"IdentityFile {key}.pub", f"CertificateFile {other}"]
    configure(*lines)
    enter(make_board(server), fleet)
    log = server.log("Accepted publickey")
    assert re.search(r"Accepted publickey .* ID me ", log), log


@pytest.mark.ssh_clients("paramiko")  # `ssh` offers what the configuration names
def test_a_certificate_of_another_key_is_not_offered(
    tmp_path, new_key, configure, make_sshd, make_board, fleet, pinned
):
    authority, key, other = (new_key(tmp_path / name) for name in ("ca", "user", "other"))
    certify(authority, other)
    server = make_sshd(key, lines=("MaxAuthTries 1",))
    pinned(fleet, "pi", server.host_key)
    configure(f"IdentityFile {key}", f"CertificateFile {tmp_path / 'other-cert.pub'}")
    enter(make_board(server), fleet)
    assert offered(server) == [fingerprint(f"{key}.pub")]


def test_two_keys_one_after_the_other(tmp_path, new_key, configure, make_sshd, make_board, fleet, pinned):
    one, two = new_key(tmp_path / "one"), new_key(tmp_path / "two")
    server = make_sshd(one, two, lines=("AuthenticationMethods publickey,publickey",))
    pinned(fleet, "pi", server.host_key)
    configure(f"IdentityFile {one}")
    with pytest.raises(AuthError) as caught:
        enter(make_board(server), fleet)
    assert f"it accepted {one} and wants more" in caught.value.message
    assert "it takes publickey" in caught.value.message
    configure(f"IdentityFile {one}", f"IdentityFile {two}")
    enter(make_board(server), fleet)


class TwoFactors(paramiko.ServerInterface):
    """Wants a key, then a second factor."""

    def __init__(self, second):
        self.second, self.keys, self.banner = second, False, "a text of the house\n"

    def get_allowed_auths(self, username):
        return self.second if self.keys else "publickey"

    def get_banner(self):
        return self.banner, "en"

    def check_auth_publickey(self, username, key):
        self.keys = True
        return paramiko.AUTH_PARTIALLY_SUCCESSFUL

    def check_auth_password(self, username, password):
        return paramiko.AUTH_SUCCESSFUL if self.keys and password == "open sesame" else paramiko.AUTH_FAILED

    def check_auth_interactive(self, username, submethods):
        return paramiko.InteractiveQuery(
            "Two factors", "", ("Password: ", False), ("Verification code: ", True)
        )

    def check_auth_interactive_response(self, responses):
        good = self.keys and list(responses) == ["open sesame", "123456"]
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED


@pytest.fixture
def house(tmp_path, new_key, fleet, pinned, ssh_client):
    """`house(server)`: a board behind a paramiko server; OpenSSH's needs PAM to ask questions."""
    key = new_key(tmp_path / "house")
    pinned(fleet, "pi", key)
    started = []

    def start(make):
        listener = socket.create_server(("127.0.0.1", 0))

        def serve():
            while True:
                try:
                    link, _address = listener.accept()
                except OSError:
                    return
                transport = paramiko.Transport(link)
                started.append(transport)
                transport.add_server_key(paramiko.Ed25519Key.from_private_key_file(str(key)))
                transport.start_server(event=threading.Event(), server=make(transport))

        thread = threading.Thread(target=serve)
        thread.start()
        started.append((listener, thread))
        return Board(
            name="pi",
            address="127.0.0.1",
            port=listener.getsockname()[1],
            user=getpass.getuser(),
            ssh_client=ssh_client,
        )

    yield start
    for one in started:
        if isinstance(one, tuple):
            one[0].shutdown(socket.SHUT_RDWR)
            one[0].close()
            one[1].join()
        else:
            one.close()


def test_a_key_and_a_password(house, identity, fleet):
    board = house(lambda _: TwoFactors("password"))
    prompts = []
    enter(board, fleet, lambda prompt: prompts.append(prompt) or "open sesame")
    assert prompts == [f"password of {getpass.getuser()}@127.0.0.1"]


def test_a_key_and_questions(house, identity, fleet):
    board = house(lambda _: TwoFactors("keyboard-interactive"))
    me = f"{getpass.getuser()}@127.0.0.1"
    answers = {f"password of {me}": "open sesame", f"{me} asks: Two factors Verification code": "123456"}
    enter(board, fleet, answers.__getitem__)


def test_a_second_factor_that_nobody_can_be_asked_for(house, identity, fleet):
    board = house(lambda _: TwoFactors("keyboard-interactive"))
    with pytest.raises(AuthError) as caught:
        enter(board, fleet)
    assert f"it accepted {identity} and wants more" in caught.value.message
    assert "it takes keyboard-interactive" in caught.value.message
    assert "it says: a text of the house" in caught.value.message
    assert "terminal" in caught.value.hint


def test_a_second_factor_that_is_refused(house, identity, fleet):
    board = house(lambda _: TwoFactors("keyboard-interactive"))
    given = []
    with pytest.raises(AuthError, match="tried its questions") as caught:
        enter(board, fleet, lambda prompt: given.append(prompt) or f"secret{len(given)}")
    assert len(given) == 6, "three times two questions"
    assert "secret" not in caught.value.message + caught.value.hint


class InRounds(TwoFactors):
    """Asks for a password, then for a code, as PAM does."""

    def __init__(self):
        super().__init__("keyboard-interactive")
        self.given = []

    def check_auth_interactive(self, username, submethods):
        return paramiko.InteractiveQuery("", "", ("Password: ", False))

    def check_auth_interactive_response(self, responses):
        self.given += responses
        if self.given == ["open sesame"]:
            return paramiko.InteractiveQuery("", "Look at your phone", ("Verification code: ", False))
        return paramiko.AUTH_SUCCESSFUL if self.given == ["open sesame", "123456"] else paramiko.AUTH_FAILED


def test_questions_in_rounds_are_asked_in_the_thread_that_logs_in(house, identity, fleet):
    board = house(lambda _: InRounds())
    me = f"{getpass.getuser()}@127.0.0.1"
    answers = {
        f"password of {me}": "open sesame",
        f"{me} asks: Look at your phone Verification code": "123456",
    }
    threads = set()

    def ask(prompt):
        threads.add(threading.current_thread())
        return answers[prompt]

    enter(board, fleet, ask)
    assert threads == {threading.main_thread()}


@pytest.mark.ssh_clients("paramiko")  # `ssh` has its own limits
def test_too_many_questions_end_the_link(house, identity, fleet):
    class Curious(TwoFactors):
        def check_auth_interactive(self, username, submethods):
            return paramiko.InteractiveQuery("", "", *[("?", False)] * (auth.MOST_QUESTIONS + 1))

    asked = []
    with pytest.raises(Unreachable):
        enter(
            house(lambda _: Curious("keyboard-interactive")),
            fleet,
            lambda prompt: asked.append(prompt) or "x",
        )
    assert asked == []


@pytest.mark.ssh_clients("openssh")
def test_questions_without_end_end_with_the_program_too(house, identity, fleet):
    class Endless(TwoFactors):
        def check_auth_interactive_response(self, responses):
            return self.check_auth_interactive("", "")

    asked = []
    with pytest.raises(Unreachable, match="questions"):
        enter(
            house(lambda _: Endless("keyboard-interactive")),
            fleet,
            lambda prompt: asked.append(prompt) or str(len(asked)),
        )
    assert len(asked) == MOST_PROMPTS


@pytest.mark.ssh_clients("openssh")
def test_no_empty_password_is_sent(house, identity, fleet):
    given = []

    class Counting(TwoFactors):
        def check_auth_password(self, username, password):
            given.append(password)
            return paramiko.AUTH_FAILED

    with pytest.raises(AuthError, match="it takes password"):
        enter(house(lambda _: Counting("password")), fleet, lambda _: "wrong")
    assert given == ["wrong"]


@pytest.mark.ssh_clients("paramiko")  # `ssh` has its own limits
def test_questions_without_end_end(house, identity, fleet):
    class Endless(TwoFactors):
        def check_auth_interactive_response(self, responses):
            return self.check_auth_interactive("", "")

    asked = []
    with pytest.raises(Unreachable):
        enter(
            house(lambda _: Endless("keyboard-interactive")),
            fleet,
            lambda prompt: asked.append(prompt) or "x",
        )
    assert len(asked) == 2 * auth.MOST_ROUNDS


def test_a_server_that_does_not_answer_a_key_is_unreachable(house, identity, fleet, monkeypatch):
    class Slow(TwoFactors):
        def check_auth_publickey(self, username, key):
            time.sleep(4)
            return paramiko.AUTH_FAILED

    monkeypatch.setattr(limits, "START_SECONDS", 2.0)
    monkeypatch.setattr(limits, "STEP_SECONDS", 1.0)
    prompts = []
    with pytest.raises(Unreachable, match="no answer to the login"):
        enter(house(lambda _: Slow("password")), fleet, lambda prompt: prompts.append(prompt) or "x")
    assert prompts == []


def test_an_agents_key_that_does_not_sign_is_passed_over(
    tmp_path, new_key, agent, configure, make_sshd, make_board, fleet, pinned, monkeypatch
):
    asked, right = new_key(tmp_path / "asked"), new_key(tmp_path / "right")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setenv("SSH_ASKPASS", "/bin/false")  # nobody confirms
    place = agent()
    subprocess.run(["ssh-add", "-q", "-c", asked], check=True, timeout=60)
    server = make_sshd(asked, right)
    pinned(fleet, "pi", server.host_key)
    configure(f"IdentityAgent {place}", f"IdentityFile {asked}.pub", f"IdentityFile {right}")
    enter(make_board(server), fleet)
    configure(f"IdentityAgent {place}", f"IdentityFile {asked}.pub", "IdentitiesOnly yes")
    with pytest.raises(AuthError, match="the agent refused to sign"):
        enter(make_board(server), fleet)


def test_an_agent_may_hold_a_certificate_alone(
    tmp_path, new_key, agent, configure, make_sshd, make_board, fleet, pinned
):
    authority, key = new_key(tmp_path / "ca"), new_key(tmp_path / "user")
    certify(authority, key)
    server = make_sshd(new_key(tmp_path / "another"), lines=(f"TrustedUserCAKeys {authority}.pub",))
    pinned(fleet, "pi", server.host_key)
    agent()
    subprocess.run(["ssh-add", "-q", key], check=True, timeout=60)
    subprocess.run(["ssh-add", "-q", "-d", f"{key}.pub"], check=True, timeout=60)
    shown = subprocess.run(["ssh-add", "-l"], capture_output=True, text=True, check=True).stdout
    assert shown.count("\n") == 1 and "CERT" in shown
    configure("IdentityFile none")
    enter(make_board(server), fleet)


def test_the_agents_key_is_found_by_an_encrypted_file_without_its_public_half(
    tmp_path, new_key, agent, configure, make_sshd, make_board, fleet, pinned
):
    key = new_key(tmp_path / "locked")
    server = make_sshd(key)
    pinned(fleet, "pi", server.host_key)
    agent(key)
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", key], check=True)
    key.with_suffix(".pub").unlink()
    configure(f"IdentityFile {key}", "IdentitiesOnly yes")
    enter(make_board(server), fleet)


@pytest.mark.parametrize("passphrase", ["", "open sesame"])
def test_a_damaged_certificate_beside_a_key_is_passed_over(
    passphrase, own_home, new_key, make_sshd, make_board, fleet, pinned
):
    key = new_key(own_home / ".ssh" / "id_ed25519", "ed25519", passphrase)
    (own_home / ".ssh" / "id_ed25519-cert.pub").write_text("garbage\n")
    server = make_sshd(key)
    pinned(fleet, "pi", server.host_key)
    enter(make_board(server), fleet, lambda _: passphrase)


def test_a_code_is_not_given_a_second_time():
    answers = iter(["open sesame", "1", "2"])
    first = Login({}, lambda _: next(answers))
    assert [first("password of me@pi"), first("me@pi asks: Verification code")] == ["open sesame", "1"]
    second = Login(first.given, lambda _: next(answers))
    assert [second("password of me@pi"), second("me@pi asks: Verification code")] == ["open sesame", "2"]


def test_a_real_banner_is_shown_when_a_login_fails(
    tmp_path, new_key, identity, make_sshd, make_board, fleet, pinned
):
    text = tmp_path / "banner"
    text.write_text("Ask the workshop\nfor a key.\x1b[31m\n" + "x" * 5000)
    server = make_sshd(new_key(tmp_path / "another"), lines=(f"Banner {text}",))
    pinned(fleet, "pi", server.host_key)
    with pytest.raises(AuthError) as caught:
        enter(make_board(server), fleet)
    assert "it says: Ask the workshop for a key." in caught.value.message
    assert len(caught.value.message) < 1000 and "\x1b" not in caught.value.message


def test_a_passphrase_that_nobody_gave_is_not_called_wrong(
    own_home, new_key, make_sshd, make_board, fleet, pinned
):
    key = new_key(own_home / "locked", "ed25519", "open sesame")
    server = make_sshd(key)
    pinned(fleet, "pi", server.host_key)
    board = make_board(server, identity=str(key))
    with pytest.raises(AuthError, match="encrypted, no passphrase was given") as caught:
        enter(board, fleet, lambda _: None)
    assert "wrong" not in caught.value.message
    with pytest.raises(AuthError, match="wrong passphrase"):
        enter(board, fleet, lambda _: "guess")


def test_an_agent_that_hangs_is_named_and_the_files_are_tried(
    tmp_path, identity, sshd, make_board, fleet, pinned, monkeypatch
):
    monkeypatch.setattr(key_ring, "AGENT_SECONDS", 0.5)
    pinned(fleet, "pi", sshd.host_key)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent"))
        silent.listen()
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "silent"))
        enter(make_board(sshd), fleet)
        identity.rename(tmp_path / "away")
        with pytest.raises(AuthError, match=r"ssh-agent \(.*silent did not answer within 0.5 s\)"):
            enter(make_board(sshd), fleet)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "gone"))
    with pytest.raises(AuthError, match=r"ssh-agent \(.*gone: No such file"):
        enter(make_board(sshd), fleet)


def test_a_banner_without_end_ends(house, identity, fleet, monkeypatch):
    class Chatty(TwoFactors):
        def __init__(self, transport):
            super().__init__("password")
            self.transport = transport

        def check_auth_publickey(self, username, key):
            message = paramiko.Message()
            message.add_byte(paramiko.common.cMSG_USERAUTH_BANNER)
            message.add_string("for ever ")
            message.add_string("en")
            while self.transport.is_active():
                self.transport._send_message(message)
            return paramiko.AUTH_FAILED

    monkeypatch.setattr(limits, "STEP_SECONDS", 2.0)
    with pytest.raises(Unreachable, match=r"no answer to the login|says too much"):
        enter(house(Chatty), fleet)


def test_a_file_without_a_private_key_says_why(identity, sshd, make_board, fleet, pinned, tmp_path):
    pinned(fleet, "pi", sshd.host_key)
    file = tmp_path / "broken"
    file.touch(mode=0o600)
    file.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nbm90IGEga2V5\n-----END OPENSSH PRIVATE KEY-----\n")
    identity.unlink()
    with pytest.raises(AuthError, match="not a private key that can be read"):
        enter(make_board(sshd, identity=str(file)), fleet)
    file.with_suffix(".pub").write_text(identity.with_suffix(".pub").read_text())
    with pytest.raises(AuthError, match="a public key, and the agent does not hold its private key"):
        enter(make_board(sshd, identity=str(file.with_suffix(".pub"))), fleet)
