"""Two sessions on one root folder at once: one acts while the other is in the middle of a command."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgewright_agent.lifecycle.agent import Agent
from edgewright_agent.protocol import AgentError
from edgewright_agent.session import server
from edgewright_agent.session.commands import Commands
from edgewright_agent.storage import incoming, usage_marks
from edgewright_agent.storage import root as roots


@pytest.fixture
def agents(root, pyz, kit):
    """Agents of two sessions."""

    def made(number):
        agent = Agent(roots.prepare(str(root)), kit.sha(pyz))
        roots.furnish(agent.files)
        agent.keep(pyz)
        agent.files.session = f"{number}-1"
        return agent

    return made(1), made(2)


@pytest.fixture
def clock(monkeypatch):
    """Time that passes when somebody sleeps, and what happens then."""
    clock = SimpleNamespace(now=0.0, happens=lambda: None)

    def sleep(seconds):
        clock.now += seconds
        clock.happens()

    for module in (incoming, usage_marks):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now, sleep=sleep))
    return clock


def put(agent, kit, data):
    agent.incoming.put(kit.sha(data), len(data), 0, iter([data]))
    return {"file": "toy.whl", "sha256": kit.sha(data), "size": len(data)}


def once(agent, operation, end, do):
    """Has something happen before a session's first change of a kind."""
    left = [do]

    def step(kind, path):
        if kind == operation and path.endswith(end) and left:
            left.pop()()

    agent.files.step = step


def provision(agent, wheels):
    return agent.runtimes.provision("toy", "tflite", "1.0", wheels)


@pytest.mark.parametrize("moment", [("create", "toy/__init__.py"), ("fsync-folder", "stage-1-1")])
def test_who_provisions_more_slowly_takes_what_the_quicker_one_made(agents, kit, root, moment):
    one, two = agents
    wheels = [put(one, kit, kit.wheel()), put(one, kit, kit.wheel({"other.py": b"X = 1\n"}))]
    told, places = [], []

    def quicker():
        told.append(provision(two, wheels))
        places.append(Path(told[0]["path"]).stat().st_ino)

    once(one, *moment, quicker)
    assert provision(one, wheels) == told[0]
    assert Path(told[0]["path"]).stat().st_ino == places[0]
    for agent in agents:
        assert agent.runtimes.find(told[0]["ref"])["path"] == told[0]["path"]
    assert list((root / "incoming").iterdir()) == list((root / "trash").iterdir()) == []


def test_a_damaged_runtime_is_moved_away_whole_and_who_holds_it_finds_the_new_one_at_once(agents, kit, root):
    one, two = agents
    ref = provision(one, [put(one, kit, kit.wheel())])["ref"]
    assert two.runtimes.listing()
    (folder,) = (root / "runtimes").iterdir()
    (folder / "toy" / "__init__.py").write_bytes(b"VERSION = 2\n")
    steps = []
    two.files.step = lambda kind, path: steps.append((kind, path))
    assert provision(two, [put(two, kit, kit.wheel())])["ref"] == ref
    assert ("rename", "trash/0") in steps and list((root / "trash").iterdir()) == []
    assert not [
        path for kind, path in steps if kind == "unlink" and path.startswith(f"runtimes/{folder.name}/toy")
    ]
    assert one.runtimes.find(ref)["path"] == str(folder)


def test_what_a_prune_counts_is_waited_for(agents, kit, root, clock):
    one, two = agents
    ref = provision(one, [put(one, kit, kit.wheel())])["ref"]
    relative = f"runtimes/{next((root / 'runtimes').iterdir()).name}"
    one.uses.drop(relative)
    for ask in (lambda: two.runtimes.listing()[0]["ref"], lambda: two.runtimes.find(ref)["ref"]):
        with contextlib.ExitStack() as prune:
            assert prune.enter_context(one.uses.taken(relative))
            clock.happens = prune.close
            assert ask() == ref
        two.uses.drop(relative)


def test_an_upload_that_cannot_be_marked_does_not_begin(agents, kit, clock):
    one, two = agents
    with one.uses.taken("incoming") as free, pytest.raises(AgentError, match="prunes this board") as caught:
        assert free
        Commands(two, None).part(kit.sha(b"x"), 1)
    assert caught.value.code == "busy" and clock.now >= usage_marks.WAIT_SECONDS


def test_an_upload_of_the_same_bytes_is_waited_for_as_long_as_it_grows(agents, kit, clock):
    one, two = agents
    data = bytes(2000)
    name = f"incoming/{kit.sha(data)}.part"
    with contextlib.ExitStack() as upload:
        write, left = upload.enter_context(one.files.appender(name, 0)), [len(data) - 1]

        def grow():
            left[0] -= 1
            write(b"\0") if left[0] else upload.close()

        clock.happens = grow
        assert two.incoming.part(kit.sha(data), len(data))["offset"] == len(data) - 2
    assert clock.now > 5 * incoming.WAIT_SECONDS
    clock.now, clock.happens = 0.0, lambda: None
    with one.files.appender(name, len(data) - 2), pytest.raises(AgentError, match="another session"):
        two.incoming.part(kit.sha(data), len(data))
    assert incoming.WAIT_SECONDS <= clock.now < incoming.WAIT_SECONDS + 1


def test_a_whole_upload_is_out_of_others_reach_until_it_has_its_name(agents, kit):
    one, two = agents
    data, told = b"whole" * 1000, []

    def other():
        with pytest.raises(AgentError) as caught:
            put(two, kit, data)
        told.append(caught.value.code)

    once(one, "rename", kit.sha(data), other)
    put(one, kit, data)
    assert told == ["busy"]
    assert Path(two.incoming.find(kit.sha(data), len(data))).read_bytes() == data


def test_prune_says_what_it_leaves_to_other_sessions(agents, kit, root):
    one, two = agents
    provision(one, [put(one, kit, kit.wheel())])
    relative = f"runtimes/{next((root / 'runtimes').iterdir()).name}"
    for dry_run in (True, False):
        told = Commands(two, None).prune(1, dry_run)
        assert (told["removed"], told["in_use"]) == ([], [relative])
    one.uses.drop(relative)
    Commands(one, None).begin("digits", kit.txn(), "test", 60)
    assert Commands(two, None).prune(1, True)["in_use"] == [relative]


def test_a_host_that_is_gone_before_the_greeting_is_no_fault(root):
    hello = {"root": str(root), "nonce": "n", "agent": {"sha256": "0" * 64}}
    code = "import json, sys; sys.path.insert(0, sys.argv[1]); from edgewright_agent.session import server; "
    code += "server.main(json.loads(sys.argv[2]), b'')"
    top = Path(server.__file__).parents[2]
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-B", "-c", code, top, json.dumps(hello)],
            stdin=subprocess.PIPE, stdout=write, stderr=subprocess.PIPE, timeout=60,
        )  # fmt: skip
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (0, b"edgewright: the host takes no more\n")
