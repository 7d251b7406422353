"""Noise: banners, floods on stderr, runtimes and hooks that print or do not end."""

from __future__ import annotations

import os
import resource
import signal
import socket
import threading
import time
from contextlib import contextmanager

import pytest

from edgewright.connect.ssh import limits
from edgewright.errors import BoardError, Unreachable
from edgewright.wire import commands
from edgewright_agent.protocol import HOOK_SECONDS


@contextmanager
def peer(talk):
    """The port of a server that sends bytes on each connection until the client is gone."""

    def serve():
        while True:
            try:
                client, _address = listener.accept()
            except OSError:
                return
            with client:
                try:
                    talk(client)
                except OSError:
                    pass

    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def endless(data):
    """Sends the same bytes forever."""

    def talk(client):
        while True:
            client.sendall(data)

    return talk


def silent(client):
    """Reads everything and sends nothing."""
    while client.recv(65536):
        pass


TALKS = {
    "lines": endless(b"Welcome to this board.\r\n"),
    "one line": endless(b"x" * 65536),
    "noise after the version": lambda client: (
        client.sendall(b"SSH-2.0-x\r\n"),
        endless(os.urandom(65536))(client),
    ),
    "nothing": silent,
    "nothing after the version": lambda client: (client.sendall(b"SSH-2.0-x\r\n"), silent(client)),
}


SOON = ("nothing", "one line")


@pytest.mark.parametrize(
    "talk", [pytest.param(one, marks=() if one in SOON else pytest.mark.slow) for one in sorted(TALKS)]
)
def test_what_is_no_ssh_server_ends_soon_and_in_little_memory(pi, monkeypatch, survived, talk):
    monkeypatch.setattr(limits, "START_SECONDS", 1.0)
    monkeypatch.setattr(limits, "STEP_SECONDS", 2.0)
    monkeypatch.setattr(limits, "ATTEMPTS", 2)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with peer(TALKS[talk]) as port, pytest.raises(Unreachable, match="cannot reach"):
        pi.open(port=port)
    assert time.monotonic() - began < 15
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150 * 1024
    survived("links: endless or silent before the key exchange")


@pytest.mark.slow
def test_a_silent_server_is_not_tried_again(pi, monkeypatch):
    monkeypatch.setattr(limits, "START_SECONDS", 0.7)
    count = []

    def talk(client):
        count.append(1)
        silent(client)

    for _ in range(3):
        with peer(talk) as port, pytest.raises(Unreachable):
            pi.open(port=port)
    assert len(count) == 3


FLOOD = 'ForceCommand head -c 30000000 /dev/zero >&2; (yes flood >&2 &) ; exec sh -c "$SSH_ORIGINAL_COMMAND"'


def test_a_deployment_while_stderr_is_flooded(pi, kit, configured, survived):
    with configured(pi, FLOOD), pi.open() as session:
        kit.Deployment(session, kit.artifact("flood"), "flood").whole()
        assert len(session.log_tail(10**6)) <= 256 * 1024
    kit.wait_until(lambda: not pi.processes("yes"))
    survived("links: a flood on stderr during a whole deployment")


PRINTS = "os.write(1, b'{\"id\":1,\"ok\":{}}\\n' * 20000)\nos.write(2, b'no end ' * 200000)\nprint('hello')"


@pytest.mark.parametrize("at", ["import", "load", pytest.param("invoke", marks=pytest.mark.slow)])
def test_a_runtime_that_prints_reaches_nobody(pi, kit, survived, at):
    assert pi.deploy(at, f"prints-{at}", runtime=kit.wheel(at, PRINTS)) == pi.current
    survived("runtimes: printing to descriptors 1 and 2")


HARM = {
    "abort": ("invoke", "os.abort()", "child-crashed"),
    "stop": ("load", "os.kill(os.getpid(), signal.SIGSTOP)", None),
    "kill": (
        "load",
        "os.kill(os.getpid(), signal.SIGKILL)",
        "child-crashed",
    ),  # as the kernel does when memory runs out
    "close": ("load", "os.closerange(0, 64)", "load-failed"),
    "answer": (
        "load",
        "[os.write(n, b'{\"ok\":{}}\\n') for n in range(3, 20) if os.path.exists('/proc/self/fd/%d' % n)]",
        None,
    ),
    "fork": ("load", "[os.fork() or time.sleep(600) for _ in range(1)]", None),
}


@pytest.mark.parametrize(
    "harm",
    [pytest.param(one, marks=() if one in ("abort", "fork") else pytest.mark.slow) for one in sorted(HARM)],
)
def test_a_runtime_that_does_harm_ends_in_an_answer(pi, kit, hasty_agent, survived, harm):
    at, code, expected = HARM[harm]
    old = pi.current or pi.deploy("old", "old")
    with pi.open() as session:
        one = kit.Deployment(session, kit.artifact(harm), harm, runtime=kit.wheel(at, code))
        one.begin(), one.put(), one.provision(), one.install()
        try:
            answer = one.verify()
            assert answer.goldens == 8 and harm in ("answer", "fork")
        except BoardError as error:
            assert error.code == expected or expected is None, error.message
        session.call(commands.Ping())
        one.end()
    assert pi.current == old
    kit.wait_until(lambda: not pi.agents())
    survived("runtimes: crashing, stopping, forking, answering for the child")


HOOKS = {
    "leaves a daemon": "#!/bin/sh\nsetsid tail -f /dev/null >/dev/null 2>&1 &\n",
    "leaves a daemon with its output": "#!/bin/sh\nsetsid tail -f /dev/null &\necho started\n",
    "prints without end": "#!/bin/sh\nhead -c 50000000 /dev/zero\n",
    "closes everything": "#!/bin/sh\nexec 0<&- 1>&- 2>&-\nsleep 0.2\n",
}


@pytest.mark.parametrize(
    "kind", [pytest.param(one, marks=() if "leaves" in one else pytest.mark.slow) for one in sorted(HOOKS)]
)
def test_a_hook_that_is_odd_but_ends_well(pi, kit, survived, kind):
    began = time.monotonic()
    assert pi.deploy(kind, kind.replace(" ", "-"), hooks={"activate": HOOKS[kind]}) == pi.current
    assert time.monotonic() - began < HOOK_SECONDS / 2
    assert (pi.root / "agent.log").stat().st_size < 300 * 1024
    if kind == "leaves a daemon":  # its process may not have executed its program yet
        kit.wait_until(lambda: len(pi.processes("tail")) == 1)
    kit.signal_all(pi.processes("tail"), signal.SIGKILL)
    survived("hooks: daemons, floods, closed descriptors")


ENDLESS = {
    "sleeps": "#!/bin/sh\nsleep 61.5\n",
    "ignores signals": "#!/bin/sh\ntrap '' TERM HUP INT\nwhile :; do sleep 0.1; done\n",
    "stops itself": "#!/bin/sh\nkill -STOP $$\n",
    "waits for a child": "#!/bin/sh\nsleep 61.5 & wait\n",
}


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(one, marks=() if one == "ignores signals" else pytest.mark.slow)
        for one in sorted(ENDLESS)
    ],
)
def test_a_hook_that_never_ends_is_killed_with_all_it_started(pi, kit, hasty_agent, survived, kind):
    old = pi.current or pi.deploy("old", "old")
    with pi.open() as session:
        one = kit.Deployment(session, kit.artifact(kind), "endless", hooks={"health": ENDLESS[kind]}).ready()
        with pytest.raises(BoardError, match="took longer than") as caught:
            one.activate()
        assert caught.value.code == "hook-failed"
        one.end()
    assert pi.current == old
    kit.wait_until(lambda: not pi.processes("sleep") and not pi.processes("sh"))
    survived("hooks: never ending")


@pytest.mark.slow
def test_the_real_limit_of_a_hook(pi, kit):
    with pi.open() as session:
        one = kit.Deployment(
            session, kit.artifact("limit"), "limit", hooks={"health": ENDLESS["sleeps"]}
        ).ready()
        began = time.monotonic()
        with pytest.raises(BoardError):
            one.activate(deadline_s=300)
        assert HOOK_SECONDS - 1 < time.monotonic() - began < HOOK_SECONDS + 60
        one.end()
