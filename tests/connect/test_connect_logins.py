"""What logins do to the start of the agent: start-up files, forced commands, broken Pythons, in every shell, over a real sshd."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import needs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgewright.connect.agent import bootstrap, handshake, package, start
from edgewright.connect.agent.login_check import Login, judged
from edgewright.connect.session import Limits, connect, open_session, start_session
from edgewright.errors import BoardError, Exit, ProtocolError, Unreachable
from edgewright.wire import commands
from edgewright.wire.answers import Nothing
from edgewright_agent import protocol

FILES = {  # the file that a shell reads before a command over SSH
    "bash": ".bashrc",
    "zsh": ".zshenv",
    "csh": ".cshrc",
    "tcsh": ".tcshrc",
    "fish": ".config/fish/config.fish",
}
SHELLS = ["sh", "dash", *FILES]
READ = {"csh": "set x = $<", "tcsh": "set x = $<"}  # in the others: read x
GUARDS = {shell: "if (! $?prompt) exit" for shell in ("csh", "tcsh")}
GUARDS["fish"] = "status is-interactive; or return"


@pytest.fixture
def login(identity, make_sshd, make_board, fleet, pinned, tmp_path):
    """`login(shell, start-up file, python=None, path="")`: a board whose login is that shell with that start-up file."""

    def make(shell, text="", python=sys.executable, path="", lines=()):
        needs.tool(shell)
        home = tmp_path / "login"
        (home / ".config/fish").mkdir(parents=True)
        if text:
            (home / FILES[shell]).write_text(text + "\n")
        # bash reads ~/.bashrc over SSH only where SHLVL is not set
        env = f'exec env -u SHLVL HOME={home} PATH="{path}$PATH"'
        force = f'ForceCommand {env} {shutil.which(shell)} -c "$SSH_ORIGINAL_COMMAND"'
        server = make_sshd(identity, lines=(force, *lines))
        pinned(fleet, "pi", server.host_key)
        return make_board(server, python=python)

    return make


@pytest.fixture
def forced(identity, make_sshd, make_board, fleet, pinned):
    """`forced(command)`: a board whose server runs that command in place of any other."""

    def make(command):
        server = make_sshd(identity, lines=(f"ForceCommand {command}",))
        pinned(fleet, "pi", server.host_key)
        return make_board(server)

    return make


@pytest.fixture
def broken(tmp_path):
    """`broken(text)`: the folder of a python3 with that text, for the front of PATH."""

    def make(text):
        program = tmp_path / "broken" / "python3"
        program.parent.mkdir()
        program.write_bytes(text if isinstance(text, bytes) else text.encode())
        program.chmod(0o755)
        return f"{program.parent}:"

    return make


def works(board, fleet, **limits):
    """Whether a session with the board works."""
    with open_session(board, fleet, limits=Limits(**limits)) as session:
        return session.call(commands.Ping()) == Nothing()


def refusal(board, fleet, kind=BoardError, **limits):
    """The error of a session, and the seconds from the login until it came."""
    package.package()  # built once, which takes a while
    transport = connect(board, fleet)
    began = time.monotonic()
    with pytest.raises(kind) as caught:
        start_session(board, transport, limits=Limits(**limits))
    seconds = time.monotonic() - began
    transport.close()
    return caught.value, seconds


# Start-up files


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_starts_the_agent(login, fleet, shell):
    assert works(login(shell), fleet)


@pytest.mark.parametrize("shell", FILES)
def test_braces_before_the_greeting_on_its_line(login, fleet, shell, monkeypatch):
    """The script's first line is left out, so that the words stand before the greeting itself."""
    plain = bootstrap.command(sys.executable).replace('echo "edgewright-start $p"; ', "")
    monkeypatch.setattr(bootstrap, "command", lambda _: plain)
    assert works(login(shell, """printf '{"a": {"b": [ {"'"""), fleet)


@pytest.mark.parametrize("shell", FILES)
@pytest.mark.parametrize("text", ["read", "cat > /dev/null"])
def test_a_start_up_file_that_reads_stdin_is_named(login, fleet, shell, text):
    error, seconds = refusal(login(shell, READ.get(shell, "read x") if text == "read" else text), fleet)
    assert (error.code, error.exit_code) == ("start-failed", Exit.ERROR)
    assert "reads stdin" in error.message and seconds < 10
    for name in ("~/.bashrc", "~/.profile", "~/.cshrc", "config.fish", "</dev/null"):
        assert name in error.hint


@pytest.mark.parametrize("shell", FILES)
def test_the_line_of_ssh_md_leaves_the_rest_to_interactive_shells(login, fleet, shell):
    page = (Path(__file__).parents[2] / "docs/ssh.md").read_text().replace("\n", " ")
    line = GUARDS.get(shell, "case $- in *i*) ;; *) return ;; esac")
    assert f"`{line}`" in page
    assert works(login(shell, f"{line}\n{READ.get(shell, 'read x')}\nexec sh"), fleet)


def test_a_start_up_file_that_runs_ssh_is_named(login, fleet, make_sshd, identity):
    other = make_sshd(identity)
    quiet = "-F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes -q"
    board = login("bash", f"ssh {quiet} -i {identity} -p {other.port} 127.0.0.1 'sleep 1; cat >/dev/null'")
    error, seconds = refusal(board, fleet)
    assert "reads stdin" in error.message and seconds < 10


@pytest.mark.parametrize("shell", FILES)
def test_a_start_up_file_that_execs_is_named(login, fleet, shell):
    error, seconds = refusal(login(shell, "exec sh"), fleet)
    assert (error.code, error.exit_code) == ("start-failed", Exit.ERROR)
    assert "something else" in error.message and "exec" in error.hint and "~/.cshrc" in error.hint
    assert "globals()" not in error.message  # of the hello, which sh reads as a command
    assert seconds < 10


@pytest.mark.parametrize("shell", ["bash", "zsh"])  # in the others, exit ends the file alone
def test_a_start_up_file_that_exits_is_named(login, fleet, shell):
    error, _ = refusal(login(shell, "echo bye; exit 3"), fleet)
    assert "exit code 3: bye" in error.message and "~/.bashrc" in error.hint


def test_a_start_up_file_that_closes_stdin_is_named(login, fleet):
    error, seconds = refusal(login("bash", "exec </dev/null"), fleet)
    assert "reads stdin" in error.message and seconds < 10


def test_a_start_up_file_that_hangs_is_named(login, fleet):
    error, _ = refusal(login("bash", "echo just a moment; sleep 100"), fleet, greeting_s=7)
    assert (error.code, error.exit_code) == ("start-failed", Exit.ERROR)
    assert "did not start the agent within 7 s: just a moment" in error.message and "~/.bashrc" in error.hint


def test_a_start_up_file_that_prints_for_ever_is_refused(login, fleet):
    error, _ = refusal(login("bash", "yes tralala"), fleet, ProtocolError)
    assert "tralala" in error.message and "~/.bashrc" in error.hint


def test_where_only_one_command_is_allowed_a_start_up_file_that_reads_is_named_at_the_limit(login, fleet):
    board = login("bash", "read x", lines=("MaxSessions 1",))
    error, _ = refusal(board, fleet, greeting_s=7)
    assert "reads stdin" in error.message and error.exit_code == Exit.ERROR


def test_a_slow_start_up_file_works(login, fleet, monkeypatch):
    monkeypatch.setattr(start, "CHECK_AFTER_S", 0.5)
    assert works(login("bash", "sleep 3 </dev/null"), fleet)


def test_a_slow_python_works(login, fleet, broken, monkeypatch):
    monkeypatch.setattr(start, "CHECK_AFTER_S", 0.5)
    path = broken(f'#!/bin/sh\nsleep 3\nexec {sys.executable} "$@"\n')
    assert works(login("bash", python=None, path=path), fleet)


def test_a_python_that_hangs_is_named(login, fleet, broken):
    path = broken("#!/bin/sh\necho almost there\nexec sleep 100\n")
    board = login("bash", python=path[:-1] + "/python3")
    error, _ = refusal(board, fleet, Unreachable, greeting_s=6)
    assert f"{path[:-1]}/python3 started" in error.message and "almost there" in error.message
    assert "`python`" in error.hint


# Forced commands


def test_a_slow_agent_of_an_administrator_works(forced, fleet, tmp_path, monkeypatch):
    monkeypatch.setattr(start, "CHECK_AFTER_S", 0.5)
    (tmp_path / "agent.pyz").write_bytes(package.package().data)
    serve = f"{sys.executable} -I -S -B {tmp_path}/agent.pyz serve --root {tmp_path}/forced"
    assert works(forced(f"sleep 3; exec {serve}"), fleet)


@pytest.mark.parametrize("code", [0, 1, 7])
@pytest.mark.parametrize("reads", ["", "read x; "])
@pytest.mark.parametrize("end", ["\\n", ""])
def test_the_words_of_a_forced_command_are_shown(forced, fleet, code, reads, end):
    board = forced(f'{reads}printf "Closed for repairs.{end}"; printf "Ask Ann.{end}" >&2; exit {code}')
    error, _ = refusal(board, fleet)
    assert f"exit code {code}: Closed for repairs.: Ask Ann." in error.message
    assert (error.code, error.exit_code) == ("start-failed", Exit.ERROR) and "forced command" in error.hint


def test_many_words_on_stderr_do_not_hide_those_on_stdout(forced, fleet):
    error, _ = refusal(forced('echo Closed.; printf "x%.0s" $(seq 1000) >&2; exit 1'), fleet)
    assert "exit code 1: Closed.: xxx" in error.message


@pytest.mark.parametrize(
    "command",
    [
        "/usr/sbin/nologin",
        "exec bash -r -c 'exec sh'",
        "internal-sftp",
        "echo This account is currently not available.; exit 0",
    ],
)
def test_an_account_without_a_shell_gets_a_hint(forced, fleet, command):
    error, seconds = refusal(forced(command), fleet)
    assert error.code == "start-failed" and "shell" in error.hint and "chsh" in error.hint and seconds < 10


# Pythons

ALIEN = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xff\xff\x01" + bytes(40)


@pytest.mark.parametrize("shell", ["sh", "bash", "fish"])
@pytest.mark.parametrize(
    "text",
    [
        "#!/bin/sh\nexit 1\n",
        "#!/bin/sh\nexit 127\n",
        "#!/bin/sh\ncat > /dev/null & kill -9 $$\n",
        "#!/bin/sh\nread hello\nexit 3\n",
        "#!/no/interpreter\n",
        "#!/bin/sh\nexit 94\n",
        ALIEN,
    ],
    ids=["fails", "127", "killed", "reads", "no interpreter", "old", "another architecture"],
)
def test_a_broken_python_does_not_hide_the_next_one(login, fleet, broken, monkeypatch, shell, text):
    monkeypatch.setattr(bootstrap, "PYTHONS", ("python3", sys.executable))
    assert works(login(shell, python=None, path=broken(text)), fleet)


def test_a_python_with_a_broken_library_does_not_hide_the_next_one(login, fleet, broken, monkeypatch):
    monkeypatch.setattr(bootstrap, "PYTHONS", ("python3", sys.executable))
    program = "import sys;sys.modules['zipfile']=None;exec(sys.argv.pop(1))"
    text = f"""#!/bin/sh
while [ "$1" != -c ]; do shift; done; exec {sys.executable} -S -c "{program}" "$2"
"""
    assert works(login("sh", python=None, path=broken(text)), fleet)


def test_a_python_2_does_not_hide_the_next_one(login, fleet, tmp_path, monkeypatch):
    old = tmp_path / "old"
    old.mkdir()
    (old / "python3").symlink_to(needs.python("2.7"))
    monkeypatch.setattr(bootstrap, "PYTHONS", ("python3", sys.executable))
    assert works(login("sh", python=None, path=f"{old}:"), fleet)


def test_a_python_2_alone_gets_a_clear_message(login, fleet):
    python = str(needs.python("2.7"))
    error, _ = refusal(login("sh", python=python), fleet)
    assert error.code == "no-python" and "3.6" in error.hint
    assert f"no Python on the board works, 3.6 or newer is needed: {python} is Python 2.7." in error.message


def test_a_broken_python_alone_is_named_with_its_words(login, fleet, broken):
    python = broken("#!/bin/sh\necho libpython3.so: not found >&2; exit 9\n")[:-1] + "/python3"
    error, _ = refusal(login("sh", python=python), fleet)
    assert error.code == "no-python"
    assert f"{python} ends with exit code 9: libpython3.so: not found" in error.message


def test_where_only_one_command_is_allowed_at_a_time_the_next_python_is_found(
    login, fleet, broken, monkeypatch
):
    monkeypatch.setattr(bootstrap, "PYTHONS", ("python3", sys.executable))
    path = broken("#!/bin/sh\nexit 1\n")
    assert works(login("sh", python=None, path=path, lines=("MaxSessions 1",)), fleet)


def test_a_good_python_is_started_once(login, fleet, monkeypatch):
    monkeypatch.setattr(bootstrap, "search", lambda _: pytest.fail("a Python was tried"))
    monkeypatch.setattr(start, "LoginCheck", lambda _: pytest.fail("the login was checked"))
    assert works(login("sh"), fleet)


# What a person sees


def written(board):
    """The fleet file of a board."""
    return (
        f'schema = 1\nname = "test"\n[boards.pi]\naddress = "127.0.0.1"\nport = {board.port}\n'
        f'user = "{board.user}"\nroot = "{board.root}"\n'
    )


def test_doctor_advises_a_board_whose_first_python_is_broken(login, fleet, broken, monkeypatch, capsys):
    from edgewright.cli.main import main

    monkeypatch.setattr(bootstrap, "PYTHONS", ("python3", sys.executable))
    fleet.path.write_text(written(login("sh", python=None, path=broken("#!/bin/sh\nexit 7\n"))))
    assert main(["doctor", "pi", "--fleet", str(fleet.path)]) == Exit.OK
    shown = " ".join(capsys.readouterr().out.split())
    assert f"python3 ends with exit code 7: each session tries that before {sys.executable}" in shown
    assert f'set `python = "{sys.executable}"` for pi in the fleet file, or repair it' in shown


@pytest.mark.parametrize(
    ("shell", "text"), [("fish", "read x"), ("tcsh", "exec sh"), ("bash", "echo bye; exit 3")]
)
def test_doctor_names_the_start_up_file(login, fleet, shell, text, capsys):
    from edgewright.cli.main import main

    board = login(shell, text)
    fleet.path.write_text(written(board) + f'python = "{board.python}"\n')
    assert main(["doctor", "pi", "--fleet", str(fleet.path)]) == Exit.SOME_FAILED
    shown = capsys.readouterr()
    print(shown.out + shown.err)
    assert "start-up file" in shown.out + shown.err and "Traceback" not in shown.err


def test_a_shell_that_reads_the_hello_as_a_command_runs_nothing_of_it():
    """All of it is inside double quotes there."""
    assert not set("$`") & set(package.package().loader)


# The greeting in its line

NONCE = "0123456789abcdef" * 2
short = st.text(max_size=6)
words = st.lists(
    st.sampled_from(["{", '{"', "}", '"', "[", '{"a":', "\\", '{"nonce":"x"}', "\x00", "\xff"]) | short,
    max_size=8,
).map(lambda parts: "".join(parts).replace("\n", " ").encode("utf-8", "replace"))
answers = st.dictionaries(short, words.map(repr) | st.dictionaries(short, short, max_size=2), max_size=3)
quick = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@quick
@given(before=words, more=answers, after=words)
def test_an_answer_is_found_wherever_it_stands(before, more, after):
    answer = {**more, "nonce": NONCE, "agent": "1"}
    answer.pop("loader", None)
    line = before + b"\xff" + protocol.encode(answer).rstrip() + after + b"\n"
    found = handshake.found_answer(line, NONCE)
    assert found is not None and found["nonce"] == NONCE and found["agent"] == "1"
    assert handshake.found_answer(line, "f" * 32) is None


@quick
@given(before=words, after=words)
def test_a_hello_that_comes_back_is_no_answer(before, after):
    hello = protocol.encode({"nonce": NONCE, "loader": "x = {}", "agent": {"sha256": "0"}})
    assert handshake.found_answer(before + hello.rstrip() + after, NONCE) is None


def test_an_answer_with_many_braces_is_found():
    answer = {"error": {"code": "protocol", "message": "{" * 500}, "nonce": NONCE}
    assert handshake.found_answer(protocol.encode(answer), NONCE) == answer


@pytest.mark.parametrize(
    ("head", "unit"),
    [("", one) for one in ("{", '{"a":', '{"a":[', '{"a":"b",', '{}{"a":1}', '"{')]
    + [('{"a":' * 800 + "[", "0,")],
)
def test_a_hostile_line_costs_little(head, unit):
    room = protocol.MAX_NOISE - 99
    line = (head + unit * room)[:room] + f'"nonce":"{NONCE}"'
    began = time.process_time()
    try:
        assert handshake.found_answer(line.encode(), NONCE) is None
    except ProtocolError as error:
        assert "nested too deeply" in error.message
    assert time.process_time() - began < 4


# The scripts


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "command", [bootstrap.check(), bootstrap.search("/no/python3")], ids=["check", "search"]
)
def test_every_shell_reads_the_other_scripts(shell, command):
    needs.tool(shell)
    done = subprocess.run([shell, "-c", command], input=b"#", capture_output=True, timeout=60)
    good = (0, b"edgewright-login\nedgewright-stdin #\n", b"")
    assert (done.returncode, done.stdout, done.stderr) in (good, (protocol.NO_PYTHON_EXIT, b"", b""))


def test_a_login_that_prints_the_command_did_not_run_it():
    for command in (bootstrap.command(), bootstrap.search(), bootstrap.check()):
        line = command.encode() + b"\n"
        marks = (bootstrap.STARTED, bootstrap.FAILED, bootstrap.LOGIN_RAN, bootstrap.STDIN_CAME)
        assert not any(mark.search(line) for mark in marks)
    assert judged(bootstrap.check().encode(), 0) is Login.RUNS_ANOTHER
