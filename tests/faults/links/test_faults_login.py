"""Difficult logins: shells, refusals, jump hosts, forced commands, no SFTP."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import needs
import paramiko
import pytest

from edgewright.connect import session, trust
from edgewright.connect.agent import package, runner_package
from edgewright.connect.session import start_session
from edgewright.errors import BoardError, Unreachable
from edgewright.wire import commands

SHELLS = ("/bin/bash", "/bin/csh", "/bin/dash", "/usr/bin/fish")


def said(board, command):
    """The output of a command on a board."""
    transport = session.connect(board.board, board.fleet)
    try:
        channel, text = transport.run(command), b""
        while piece := channel.receive(65536, 10):
            text += piece
        return text.decode().strip()
    finally:
        transport.close()


@pytest.mark.parametrize(
    "shell",
    [pytest.param(one, marks=() if "csh" in one or "fish" in one else pytest.mark.slow) for one in SHELLS],
)
def test_a_whole_deployment_under_every_login_shell(pi, changed, survived, shell):
    needs.tool(Path(shell).name)

    def change(text):
        rows = [row.split(":") for row in text.splitlines()]
        return "".join(
            ":".join([*row[:6], shell if row[0] == pi.board.user else row[6]]) + "\n" for row in rows
        )

    with changed(pi.lab.folder / "passwd", change):
        seen = said(pi, "sh -c 'readlink /proc/$PPID/exe'; true")
        assert Path(seen).name == Path(shell).resolve().name
        assert pi.deploy(shell, Path(shell).name) == pi.current
    survived("logins: bash, csh, dash and fish as the login shell")


def test_no_sftp_is_needed(pi, survived):
    transport = session.connect(pi.board, pi.fleet)
    try:
        with pytest.raises(paramiko.SSHException):
            transport.transports[-1].open_session().invoke_subsystem("sftp")
    finally:
        transport.close()
    assert pi.deploy("no-sftp", "no-sftp") == pi.current
    survived("logins: a server without SFTP")


def test_refused_connections_are_tried_again(pi, make_link, survived):
    link = make_link(pi.board.port)
    link.refusals = 3
    pi.open(port=link.port).close()
    assert link.opened == 4
    survived("logins: connections dropped before the greeting of SSH", 3)


def test_many_at_once_get_past_max_startups(pi, configured, survived):
    with configured(pi, "MaxStartups 2:70:4", "LogLevel VERBOSE"):
        with ThreadPoolExecutor(8) as pool:
            models = list(pool.map(lambda _: said(pi, "echo in"), range(16)))
        assert models == ["in"] * 16
        log = (pi.lab.folder / "server.log").read_text()
    drops = log.count("drop connection")
    assert drops, "nobody was refused, so this shows nothing: " + log
    survived("logins: refused by MaxStartups", drops)


def test_a_server_that_never_has_room_is_given_up(pi, make_link, monkeypatch):
    from edgewright.connect.ssh import limits

    waits = []
    monkeypatch.setattr(limits, "time", SimpleNamespace(sleep=waits.append))  # only this module's
    link = make_link(pi.board.port)
    link.refusals = 100
    with pytest.raises(Unreachable, match="cannot reach") as caught:
        pi.open(port=link.port)
    assert "MaxStartups" in caught.value.hint and link.opened == limits.ATTEMPTS
    assert len(waits) == limits.ATTEMPTS - 1 and len(set(waits)) == len(waits) and waits[-1] > waits[0]


def test_a_deployment_through_a_jump_host_that_is_cut_and_comes_back(
    make_lab, home, kit, make_link, survived
):
    from msgspec.structs import replace

    pi, gate = make_lab(2, name="jump")
    link = make_link(gate.board.port)
    shutil.copy(gate.lab.identity, home / "user" / ".ssh" / "id_ed25519")
    far = kit.LabBoard(replace(pi.board, jump=f"{gate.board.user}@127.0.0.1:{link.port}"), pi.fleet, pi.lab)
    (key,) = trust.scan(far.board, far.fleet)
    assert key.jump
    trust.pin(far.board, far.fleet, key)
    old = far.deploy("far")
    with far.open() as one:
        deployment = kit.Deployment(one, kit.artifact("far-2"), "2").ready()
        link.cut()
        with pytest.raises(Unreachable):
            deployment.activate()
    assert far.current == old
    kit.wait_until(lambda: not far.agents())
    assert far.deploy("far-3", "3") == far.current
    log = (gate.lab.folder / "server.log").read_text()
    assert log.count("Accepted publickey") >= 3
    survived("links: a jump host cut in the middle of a deployment")


def test_a_forced_command_answers_whatever_is_asked_for(pi, changed, kit, survived):
    program = pi.lab.folder / "agent.pyz"
    own = package.for_administrator({"tflite": runner_package.package("tflite").data})
    program.write_bytes(own)
    force = f'restrict,command="python3 -I -S -B {program} serve --root ~/.edgewright" '
    old = pi.current or pi.deploy("old", "old")
    with changed(pi.lab.folder / "authorized_keys", lambda text: force + text):
        with pi.open(root="~/elsewhere", python="/no/such/python3") as one:
            assert one.greeting.root.endswith("/.edgewright")
            kit.Deployment(one, kit.artifact("forced"), "forced").whole()
            assert one.greeting.sha256 == kit.sha(own) and one.runners is None
            refused = one.put(runner_package.package("onnxruntime").data)
            with pytest.raises(
                BoardError, match=r"administrator .* installed no runner for onnxruntime"
            ) as caught:
                one.call(commands.Runner(target="onnxruntime", sha256=refused))
            assert caught.value.code == "runner-refused" and "fleet agent" in caught.value.hint
        transport = session.connect(pi.board, pi.fleet)
        try:
            channel = transport.run("touch ~/written")
            channel.finish()
            channel.exit_code(10)
            with pytest.raises(paramiko.SSHException):
                transport.transports[-1].open_channel(
                    "direct-tcpip", ("127.0.0.1", pi.board.port), ("127.0.0.1", 0)
                )
        finally:
            transport.close()
        with pi.open() as one:
            kit.Deployment(one, kit.artifact("forced-2"), "forced-2").ready().activate(deadline_s=3)
        kit.wait_until(lambda: pi.current != f"forced-2-{kit.artifact('forced-2').sha256[:8]}")
    assert pi.current.startswith("forced-") and pi.current != old
    assert not (pi.root.parent / "written").exists() and not (pi.root.parent / "elsewhere").exists()
    survived("logins: a forced command with `restrict`")


def test_an_agent_of_another_version_behind_a_forced_command_still_talks(pi, changed, tmp_path, kit):
    """The host offers its own agent; the administrator's answers."""
    sources = tmp_path / "edgewright_agent"
    shutil.copytree(package.source_folder("edgewright_agent"), sources)
    (sources / "__init__.py").write_text('__version__ = "0.0.1"\n')
    other = package.build(sources)
    program = pi.lab.folder / "other.pyz"
    program.write_bytes(other.data)
    force = f'restrict,command="python3 -I -S -B {program} serve --root ~/.edgewright" '
    with changed(pi.lab.folder / "authorized_keys", lambda text: force + text):
        transport = session.connect(pi.board, pi.fleet)
        with start_session(pi.board, transport) as one:
            assert (one.greeting.agent, one.greeting.sha256) == ("0.0.1", other.sha256)
            one.call(commands.Ping())
