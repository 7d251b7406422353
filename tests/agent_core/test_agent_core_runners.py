"""Runners on the board: hashed before they run, recorded by releases, pruned with the last release that uses them."""

import json
import os
import sys

import pytest

from edgewright.connect.agent import package, runner_package
from edgewright_agent.protocol import MAX_RUNNER
from edgewright_agent.storage import state as states

# A target without a runtime. Its runner says which one it is.
RUNNER = """
from array import array
{top}
def import_runtime():
    return "toy {number}"

def accelerators():
    return ["cpu"]

def load(folder, manifest, options):
    return Session()

class Session:
    accelerator = "cpu"

    def feed(self, tensors):
        return [array("f", bytes(data)) for data in tensors]

    def infer(self, feed):
        return [array("f", [{factor} * value for value in one]) for one in feed]

    def read(self, outputs):
        return [one.tobytes() for one in outputs]

    def close(self):
        pass
"""
PROTOCOL = {"rounds": 1, "warmup_s": 0.01, "steady_s": 0.05, "min_samples": 11, "limit_s": 15}


def runner(number, top="", factor=2):
    """The toy runner of a number; with another factor than 2 the models answer wrongly."""
    text = RUNNER.format(number=number, top=top, factor=factor)
    return runner_package.packed("toy", {"toy/runner.py": text}).data


@pytest.fixture
def toy(connect, kit, root):
    return Toy(connect, kit, root)


class Toy:
    """A board whose releases run by toy runners."""

    def __init__(self, connect, kit, root) -> None:
        self.connect, self.kit, self.root = connect, kit, root
        self.wire = connect()
        self.runtime = self.wire.call(
            "provision", name="toy", target="toy", version="1.0", wheels=self.wheel()
        )["ref"]

    def wheel(self):
        data = self.kit.wheel()
        return [{"file": "toy.whl", "sha256": self.wire.put(data), "size": len(data)}]

    def install(self, txn, tag, number, version=None, **more):
        more = more or {"runner": self.kit.give(self.wire, "toy", runner(number))}
        return self.kit.install(
            self.wire, self.kit.artifact(tag, target="toy"), txn, version or tag, runtime=self.runtime, **more
        )

    def deploy(self, tag, number, **more):
        txn = self.kit.begun(self.wire)
        release = self.install(txn, tag, number, **more)
        assert (
            self.wire.call("verify", model="digits", release=release, txn=txn)["runtime"] == f"toy {number}"
        )
        self.wire.call("activate", model="digits", release=release, expected_current=self.kit.current(self.root),
                       txn=txn, deadline_s=30)  # fmt: skip
        assert self.wire.call("commit", txn=txn) == {"outcome": "committed"}
        self.wire.call("end", txn=txn)
        return release

    def file(self, number):
        return self.root / "runners" / f"{self.kit.sha(runner(number))}.json"

    def runtime_of(self, release):
        (run,) = self.wire.call("bench", model="digits", releases=[release], protocol=PROTOCOL)["runs"]
        return run["runtime"]

    def shown(self, release):
        return self.wire.call("status")["models"]["digits"]["releases"][release]["runner"]

    def forget(self):
        """Make the releases what an agent installed that carried its runners."""
        for about in (record := self.record())["releases"].values():
            del about["runner"]
        self.record(record)

    def record(self, changed=None):
        """The state's record of the model; `changed` replaces it in both slots, while no agent runs."""
        slots = [self.root / name for name in states.SLOTS if (self.root / name).exists()]
        newest = max(
            (states.decode(slot.read_bytes()) for slot in slots), key=lambda state: state["sequence"]
        )
        if changed is not None:
            newest["models"]["digits"] = changed
            for slot in slots:
                slot.write_bytes(states.encode(newest))
        return newest["models"]["digits"]


def test_a_release_runs_on_the_runner_that_it_was_installed_with(toy, kit, root):
    one, two = toy.deploy("a", 1), toy.deploy("b", 2)
    answer = toy.wire.call("bench", model="digits", releases=[two, one], protocol=PROTOCOL)
    assert [run["runtime"] for run in answer["runs"]] == ["toy 2", "toy 1"]
    assert [toy.shown(release) for release in (one, two)] == [kit.sha(runner(1)), kit.sha(runner(2))]
    record = json.loads((root / f"models/digits/records/{one}.json").read_bytes())
    assert record["runner"] == kit.sha(runner(1))


def test_the_greeting_names_the_runners_that_are_whole(toy, connect, kit):
    first, second = (kit.give(toy.wire, "toy", runner(number)) for number in (1, 2))
    toy.file(1).write_bytes(b"{}")
    greeting = connect().greeting
    assert (greeting["runners"], greeting["forced"]) == ([second], False)
    assert kit.give(toy.wire, "toy", runner(1)) == first
    assert connect().greeting["runners"] == sorted([first, second])


def test_a_rollback_needs_no_runner_from_the_host(toy, connect, kit):
    one, two = toy.deploy("a", 1), toy.deploy("b", 2)
    toy.wire.close()
    toy.wire = connect()
    txn = kit.begun(toy.wire)
    told = toy.wire.call("rollback", model="digits", to=None, txn=txn, deadline_s=30)
    assert told["release"] == one and told["from"] == two
    assert toy.wire.call("commit", txn=txn) == {"outcome": "committed"}


def spoil(file, how, evil):
    """Another runner in the file of one that a release runs on."""
    data = file.read_bytes()
    file.unlink()
    if how == "flipped":
        file.write_bytes(data.replace(b"cpu", b"cpv", 1))
    elif how == "another":
        file.write_bytes(evil)
    elif how == "long":
        file.write_bytes(data + b" " * MAX_RUNNER)
    elif how == "linked":
        (file.parent.parent / "elsewhere").write_bytes(data)
        file.symlink_to(file.parent.parent / "elsewhere")
    elif how == "folder":
        file.mkdir()
    elif how == "pipe":
        os.mkfifo(file)


@pytest.mark.parametrize("how", ["flipped", "another", "long", "linked", "folder", "pipe", "gone"])
def test_a_runner_that_was_changed_never_runs_and_is_replaced(toy, kit, tmp_path, how):
    marker = tmp_path / "it ran"
    release = toy.deploy("a", 1)
    spoil(toy.file(1), how, runner(1, top=f"open({str(marker)!r}, 'w').close()"))
    assert toy.shown(release) == ""
    txn = kit.begun(toy.wire)
    with pytest.raises(kit.AgentFailureError, match=r"runner-missing: no runner for toy"):
        toy.wire.call("verify", model="digits", release=release, txn=txn)
    with pytest.raises(kit.AgentFailureError, match=r"runner-missing"):
        toy.runtime_of(release)
    assert not marker.exists()
    kit.give(toy.wire, "toy", runner(1))
    assert toy.file(1).read_bytes() == runner(1) and not toy.file(1).is_symlink()
    assert toy.wire.call("verify", model="digits", release=release, txn=txn)["ok"] and not marker.exists()


def test_a_file_in_place_of_the_runners_folder_keeps_nobody_out(toy, connect, kit, root):
    release = toy.deploy("a", 1)
    toy.wire.close()
    toy.file(1).unlink()
    (root / "runners").rmdir()
    (root / "runners").write_text("no folder")
    toy.wire = connect()
    assert toy.wire.greeting["runners"] == [] and toy.shown(release) == ""
    with pytest.raises(kit.AgentFailureError, match="io: runners"):
        kit.give(toy.wire, "toy", runner(1))
    assert toy.wire.call("purge") == {} and not root.exists()


def test_a_release_whose_runner_is_lost_for_good_runs_on_another(toy, kit):
    one, two = toy.deploy("a", 1), toy.deploy("b", 2)
    toy.file(1).unlink()
    kit.give(toy.wire, "toy", runner(3))
    assert [toy.runtime_of(release) for release in (one, two)] == ["toy 3", "toy 2"]


def test_releases_of_an_agent_that_carried_its_runners_get_one_and_keep_it(toy, connect, kit):
    one, two = toy.deploy("a", 1), toy.deploy("b", 1)
    toy.wire.close()
    toy.forget()
    toy.wire = connect()
    assert toy.shown(one) == toy.shown(two) == ""
    txn = kit.begun(toy.wire)
    ask = {"model": "digits", "to": one, "txn": txn, "deadline_s": 30}
    with pytest.raises(kit.AgentFailureError, match=r"runner-missing"):
        toy.wire.call("rollback", **ask)
    assert kit.current(toy.root) == two
    kit.give(toy.wire, "toy", runner(4))
    kit.give(toy.wire, "toy", runner(5))
    assert toy.wire.call("rollback", **ask)["release"] == one
    assert toy.wire.call("commit", txn=txn) == {"outcome": "committed"}
    assert toy.runtime_of(one) == toy.runtime_of(two) == "toy 4"


def test_a_staged_release_takes_a_new_runner_and_a_known_good_one_keeps_its_own(toy, kit):
    good = toy.deploy("a", 1)
    txn = kit.begun(toy.wire)
    assert toy.install(txn, "a", 2) == good and toy.shown(good) == kit.sha(runner(1))
    staged = toy.install(txn, "b", 1)
    assert toy.wire.call("verify", model="digits", release=staged, txn=txn)["ok"]
    assert toy.install(txn, "b", 2) == staged and toy.shown(staged) == kit.sha(runner(2))
    assert toy.wire.call("status")["models"]["digits"]["releases"][staged]["state"] == "staged"
    assert toy.wire.call("verify", model="digits", release=staged, txn=txn)["runtime"] == "toy 2"


def test_what_failed_on_one_runner_is_tried_on_another(toy, kit):
    txn = kit.begun(toy.wire)
    wrong = kit.give(toy.wire, "toy", runner(1, factor=3))
    release = toy.install(txn, "a", 1, runner=wrong)
    assert not toy.wire.call("verify", model="digits", release=release, txn=txn)["ok"]
    with pytest.raises(kit.AgentFailureError, match="failed-before"):
        toy.install(txn, "a", 1, runner=wrong)
    assert toy.install(txn, "a", 2) == release
    assert toy.wire.call("verify", model="digits", release=release, txn=txn)["ok"]


def test_an_old_agents_note_of_a_failure_names_no_runner_and_holds_for_none(toy, connect, kit):
    """Its own runner may be what was wrong."""
    toy.deploy("b", 1)
    toy.wire.close()
    artifact = kit.artifact("a", target="toy")["sha256"]
    note = {
        "release": "a",
        "artifact": artifact,
        "runtime": toy.runtime,
        "hooks": None,
        "code": "golden",
        "why": "x",
    }
    toy.record({**toy.record(), "failed": [note]})
    toy.wire = connect()
    assert toy.install(kit.begun(toy.wire), "a", 2)


@pytest.mark.parametrize("recorded", [True, False])
def test_a_damaged_known_good_release_is_repaired_and_stays_known_good(toy, connect, kit, root, recorded):
    """With another runner than it had, and though its artifact was noted as failed meanwhile."""
    good = toy.deploy("a", 1)
    toy.deploy("b", 1)
    toy.wire.close()
    if not recorded:
        toy.forget()
    artifact, hooks = kit.artifact("a", target="toy")["sha256"], {}
    note = {
        "release": good,
        "artifact": artifact,
        "runtime": toy.runtime,
        "hooks": hooks,
        "code": "hook-failed",
        "why": "x",
    }
    toy.record({**toy.record(), "failed": [note]})
    (root / "models/digits/versions" / good / "model.tflite").write_bytes(b"damaged")
    toy.wire = connect()
    txn = kit.begun(toy.wire)
    with pytest.raises(kit.AgentFailureError, match="release-damaged"):
        toy.wire.call("rollback", model="digits", to=good, txn=txn, deadline_s=30)
    assert toy.install(txn, "a", 2) == good
    assert good in toy.wire.call("status")["models"]["digits"]["known_good"]
    assert toy.wire.call("rollback", model="digits", to=good, txn=txn, deadline_s=30)["release"] == good
    assert toy.wire.call("commit", txn=txn) == {"outcome": "committed"}


def test_a_prune_works_without_the_runners_folder(toy, connect, root):
    toy.deploy("a", 1)
    toy.wire.close()
    toy.file(1).unlink()
    (root / "runners").rmdir()
    (root / "runners").write_text("no folder")
    assert connect().call("prune", keep=1)["removed"] is not None


def test_a_prune_keeps_the_runners_of_the_releases_that_stay(toy, kit):
    releases = [toy.deploy(tag, number) for number, tag in enumerate("abc", 1)]
    kit.give(toy.wire, "toy", runner(4))
    told = toy.wire.call("prune", keep=2)
    gone = [toy.file(number) for number in (1, 4)]
    assert [one for one in told["removed"] if one.startswith("runners/")] == sorted(
        f"runners/{file.name}" for file in gone
    )
    assert not any(file.exists() for file in gone)
    assert [toy.runtime_of(release) for release in releases[1:]] == ["toy 2", "toy 3"]


def test_a_prune_leaves_the_runner_that_another_session_was_just_given(toy, connect, kit):
    kit.give(toy.wire, "toy", runner(1))
    other = connect()
    told = other.call("prune", keep=1)
    assert f"runners/{toy.file(1).name}" in told["in_use"] and toy.file(1).exists()
    toy.wire.close()
    other.call("prune", keep=1)
    assert not toy.file(1).exists()


@pytest.mark.parametrize(
    ("target", "data", "error"),
    [
        ("tflite", runner(1), "bad-argument: the runner is not for tflite"),
        ("toy", b"{", "bad-argument: not a runner"),
        ("toy", b'{"edgewright_targets/toy/runner.py": 1}', "bad-argument: not a runner"),
        ("toy", b"[" * 100_000, "bad-argument: not a runner"),
        ("toy", b"x" * (MAX_RUNNER + 1), "bad-argument: a runner is too large"),
    ],
)  # fmt: skip
def test_what_is_no_runner_of_the_target_is_refused(toy, kit, target, data, error):
    with pytest.raises(kit.AgentFailureError, match=error):
        kit.give(toy.wire, target, data)


def test_a_runner_must_be_there_before_it_is_named(toy, kit):
    with pytest.raises(kit.AgentFailureError, match="not-found: no such file was put"):
        toy.wire.call("runner", target="toy", sha256="a" * 64)
    with pytest.raises(kit.AgentFailureError, match="runner-missing"):
        toy.install(kit.begun(toy.wire), "a", 1, runner="a" * 64)
    with pytest.raises(kit.AgentFailureError, match="runner-missing"):
        toy.wire.call(
            "provision", name="toy", target="toy", version="2.0", wheels=toy.wheel(), runner="a" * 64
        )


@pytest.fixture
def installed(toy, connect, root, tmp_path):
    """The same board from now on behind an agent that an administrator installed with these runners."""

    def install(**runners):
        toy.wire.close()
        program = tmp_path / "agent.pyz"
        program.write_bytes(package.for_administrator(runners))
        command = [sys.executable, "-I", "-S", "-B", str(program), "serve", "--root", str(root)]
        toy.wire = connect(command=command, hello={"runners": {"toy": "x"}})
        assert toy.wire.greeting["forced"] is True
        return toy.wire

    return install


def test_a_forced_command_runs_what_the_administrator_installed_and_nothing_else(toy, kit, installed):
    wire = installed(toy=runner(1))
    assert wire.greeting["runners"] == [kit.sha(runner(1))]
    txn = kit.begun(wire)
    other = wire.put(runner(2))
    refused = pytest.raises(
        kit.AgentFailureError,
        match="runner-refused: the administrator .* installed another runner than " + other,
    )
    with refused:
        wire.call("runner", target="toy", sha256=other)
    with refused:
        toy.install(txn, "a", 2, runner=other)
    with refused:
        wire.call("provision", name="toy", target="toy", version="2.0", wheels=toy.wheel(), runner=other)
    for named in (None, kit.sha(runner(1))):
        release = toy.install(txn, "a", 1, runner=named)
        assert toy.shown(release) == kit.sha(runner(1))
        assert wire.call("verify", model="digits", release=release, txn=txn)["runtime"] == "toy 1"
    assert kit.give(wire, "toy", runner(1))


def test_a_forced_command_takes_no_runner_from_the_root_folder(toy, kit, installed):
    old = toy.deploy("a", 1)
    installed(toy=runner(2))
    assert toy.file(1).exists() and toy.runtime_of(old) == "toy 2"
    txn = kit.begun(toy.wire)
    with pytest.raises(kit.AgentFailureError, match="runner-refused"):
        toy.install(txn, "b", 1, runner=kit.sha(runner(1)))


def test_a_target_without_an_installed_runner_is_refused_in_one_sentence(toy, kit, installed):
    installed()
    with pytest.raises(kit.AgentFailureError, match=r"runner-refused: .* installed no runner for toy"):
        toy.install(kit.begun(toy.wire), "a", 1, runner=None)
