"""Files that runners prepare on the board: made once, kept, verified, and rebuilt if necessary."""

import io
import json
import signal
from pathlib import Path

import numpy as np
import pytest

from edgewright.connect.agent import runner_package
from edgewright_agent.storage import state as states

# A target whose prepared file holds the factor by which inputs are multiplied: a wrong file is a wrong answer.
RUNNER = """
import os, time
from array import array

FOLDER = os.environ.get("EDGEWRIGHT_TEST_FOLDER") or {folder!r}

def setting(name):
    try:
        with open(os.path.join(FOLDER, name)) as file:
            return file.read()
    except OSError:
        return ""

def note(what):
    with open(os.path.join(FOLDER, "log"), "a") as file:
        file.write(what + "\\n")

def import_runtime():
    return "toy 1.0"

def accelerators():
    return [] if setting("absent") else ["toy"]

def prepares(options):
    return True

def environment(options):
    return {{"toy": setting("version"), "accelerator": options["accelerator"]}} if setting("version") else {{}}

def prepare(folder, manifest, options):
    note("begin")
    while setting("wait"):
        time.sleep(0.02)
    if setting("log"):
        os.write(2, (setting("log") + "\\n" * 9).encode())
    if setting("abort"):
        os.abort()
    if setting("refuse"):
        raise ValueError("this board cannot do it")
    with open(os.path.join(options["prepared"], "half.bin"), "wb") as file:
        file.write(b"half made.")
    if setting("full"):  # the kernel's own error: a test that fills the real disk harms whoever shares it
        with open("/dev/full", "wb", 0) as file:
            file.write(b"x")
    os.mkdir(os.path.join(options["prepared"], "deep"))
    with open(os.path.join(options["prepared"], "deep", "engine.plan"), "w") as file:
        file.write(setting("factor") or "2")
    if setting("nothing"):
        os.unlink(os.path.join(options["prepared"], "half.bin"))
        os.unlink(os.path.join(options["prepared"], "deep", "engine.plan"))
    note("made " + setting("version"))
    return {{}}

def load(folder, manifest, options):
    note("load " + str(options["prepared"]))
    return Session(options["prepared"])

class Session:
    accelerator = "toy"

    def __init__(self, prepared):
        path = os.path.join(prepared, "deep", "engine.plan") if prepared else None
        self.factor = float(open(path).read()) if path else 2.0

    def feed(self, tensors):
        return [array("f", bytes(data)) for data in tensors]

    def infer(self, feed):
        return [array("f", [self.factor * value for value in one]) for one in feed]

    def read(self, outputs):
        return [one.tobytes() for one in outputs]

    def placement(self):
        return {{"toy": 3}}

    def close(self):
        pass
"""


@pytest.fixture
def told(tmp_path) -> Path:
    """What the runner is to do, and what it did: a folder of files."""
    folder = tmp_path / "told"
    folder.mkdir()
    (folder / "version").write_text("1")
    return folder


@pytest.fixture
def toy(told) -> bytes:
    """The runner of one more target."""
    return runner_package.packed("toy", {"toy/runner.py": RUNNER.format(folder=str(told))}).data


@pytest.fixture
def board(connect, toy, kit, root, told):
    """A release of the toy target, installed but not yet verified, on an open session."""
    return Board(connect, toy, kit, root, told)


class Board:
    def __init__(self, connect, toy, kit, root, told) -> None:
        self.connect, self.kit, self.root, self.told = connect, kit, root, told
        self.wire = connect()
        self.runner = kit.give(self.wire, "toy", toy)
        self.txn = kit.begun(self.wire)
        self.runtime = self.provision(kit.wheel())
        self.release = kit.install(
            self.wire, kit.artifact(target="toy"), self.txn, runtime=self.runtime, runner=self.runner
        )

    def provision(self, wheel: bytes) -> str:
        """Another wheel is another runtime, of the same version."""
        row = {"file": "toy-1.0-py3-none-any.whl", "sha256": self.wire.put(wheel), "size": len(wheel)}
        return self.wire.call("provision", name="toy", target="toy", version="1.0", wheels=[row])["ref"]

    def again(self) -> None:
        """A new session, as after the first one ended."""
        self.wire.close()
        self.wire = self.connect()
        self.kit.wait_until(lambda: not self.wire.call("status")["lease"])
        self.txn = self.kit.begun(self.wire)

    def verify(self) -> dict:
        return self.wire.call("verify", model="digits", release=self.release, txn=self.txn)

    def infer(self) -> np.ndarray:
        buffer = io.BytesIO()
        np.savez(buffer, input_0=np.ones((2, 4), np.float32))
        inputs = self.wire.put(buffer.getvalue())
        answer = self.wire.call("infer", model="digits", release=self.release, inputs=inputs)
        return np.load(io.BytesIO(self.wire.get(answer["outputs"])))["output_0"]

    def log(self) -> list[str]:
        file = self.told / "log"
        return file.read_text().splitlines() if file.exists() else []

    def made(self) -> int:
        return sum(line.startswith("made") for line in self.log())

    @property
    def folder(self) -> Path:
        return self.root / "models/digits/prepared"

    def there(self) -> Path:
        """The one prepared folder, all of whose files have the hashes that it says."""
        (one,) = self.folder.iterdir()
        about = states.decode((one / "PREPARED.json").read_bytes())
        files = {str(path.relative_to(one)) for path in one.rglob("*") if path.is_file()}
        assert files == {*about["files"], "PREPARED.json"}
        for path, (sha256, size) in about["files"].items():
            data = (one / path).read_bytes()
            assert (self.kit.sha(data), len(data)) == (sha256, size)
        return one


def test_it_is_made_once_and_used_by_every_session(board):
    events: list = []
    number = board.wire.send("verify", model="digits", release=board.release, txn=board.txn)
    verdict = board.wire.answer(number, events)
    assert verdict["ok"] and verdict["accelerator"] == "toy" and verdict["placement"] == {"toy": 3}
    assert [event for event in events if event.get("what") == "prepare"]
    one = board.there()
    assert board.infer().tolist() == [[2.0] * 4] * 2
    board.again()
    assert board.verify()["ok"] and board.infer().tolist() == [[2.0] * 4] * 2
    assert board.made() == 1 and board.there() == one
    assert {line for line in board.log() if line.startswith("load")} == {f"load {one}"}


def test_of_two_sessions_that_make_it_at_once_the_first_is_kept(board):
    (board.told / "wait").write_text("yes")
    board.wire.send("verify", model="digits", release=board.release, txn=board.txn)
    other = board.connect()
    buffer = io.BytesIO()
    np.savez(buffer, input_0=np.ones((2, 4), np.float32))
    inputs = other.put(buffer.getvalue())
    number = other.send("infer", model="digits", release=board.release, inputs=inputs)
    board.kit.wait_until(lambda: board.log() == ["begin"] * 2)
    (board.told / "wait").unlink()
    assert board.wire.answer(board.wire.last)["ok"]
    one = board.there()
    identity = (one / "PREPARED.json").stat().st_ino
    assert (
        np.load(io.BytesIO(other.get(other.answer(number)["outputs"])))["output_0"].tolist()
        == [[2.0] * 4] * 2
    )
    assert board.there() == one and (one / "PREPARED.json").stat().st_ino == identity and board.made() == 2


def test_an_upgrade_makes_it_anew_and_drops_the_old_one(board):
    board.verify()
    before = board.there()
    (board.told / "version").write_text("2")
    (board.told / "factor").write_text("2.000001")
    board.again()
    assert board.infer().tolist() == [[2.0000009536743164] * 4] * 2
    assert board.there() != before and board.made() == 2


@pytest.mark.parametrize("damage", ["changed", "cut", "gone", "more", "about", "about gone"])
def test_a_damaged_one_is_made_anew_before_it_is_loaded(board, damage):
    board.verify()
    one = board.there()
    engine = one / "deep/engine.plan"
    if damage == "changed":
        engine.write_text("3")
    elif damage == "cut":
        engine.write_text("")
    elif damage == "gone":
        engine.unlink()
    elif damage == "more":
        (one / "deep/other.plan").write_text("3")
    elif damage == "about":
        about = one / "PREPARED.json"
        about.write_bytes(about.read_bytes().replace(b'"size', b'"bits').replace(b"10", b"11"))
    else:
        (one / "PREPARED.json").unlink()
    if damage != "changed":  # in the same session too
        board.again()
    assert board.infer().tolist() == [[2.0] * 4] * 2
    assert board.made() == 2 and board.there() == one


def test_a_build_that_is_killed_leaves_nothing_and_the_next_one_works(board):
    board.wire.call("end", txn=board.txn)
    board.txn = board.kit.begun(board.wire, ttl_s=3)  # how long it outlives a killed session
    (board.told / "wait").write_text("yes")
    board.wire.send("verify", model="digits", release=board.release, txn=board.txn)
    board.kit.wait_until(lambda: board.log() == ["begin"])
    board.wire.process.send_signal(signal.SIGKILL)
    board.wire.process.wait(timeout=30)
    (board.told / "wait").unlink()
    board.again()
    assert (
        not board.folder.exists() and len(list((board.root / "results").iterdir())) <= 1
    )  # the new session's own
    assert board.verify()["ok"] and board.made() == 1
    board.there()


def test_a_disk_that_is_too_small_is_said_and_not_held_against_the_artifact(board):
    (board.told / "full").write_text("yes")
    with pytest.raises(board.kit.AgentFailureError, match="disk-full: prepare: No space left on device"):
        board.verify()
    model = board.wire.call("status")["models"]["digits"]
    assert model["releases"][board.release]["state"] == "staged" and model["failed"] == []
    assert not board.folder.exists()
    (board.told / "full").unlink()
    assert board.verify()["ok"]
    board.there()


def test_a_runner_that_cannot_is_remembered(board):
    (board.told / "refuse").write_text("yes")
    with pytest.raises(
        board.kit.AgentFailureError, match=r"load-failed: the runtime refused the model: .*cannot do it"
    ):
        board.verify()
    (board.told / "refuse").unlink()
    failed = board.wire.call("status")["models"]["digits"]
    assert (
        failed["releases"][board.release]["state"] == "failed"
        and failed["failed"][0]["code"] == "load-failed"
    )
    assert not board.folder.exists()


@pytest.mark.parametrize("how", ["refuse", "abort"])
@pytest.mark.parametrize(
    "log", ["[E] [TRT] 2: Cuda failure (out of memory)", "Requested size could not be allocated: OutOfMemory"]
)
def test_a_build_that_runs_out_of_memory_is_not_held_against_the_artifact(board, how, log):
    """The cause stands in the builder's log; what it raises says nothing of it."""
    (board.told / how).write_text("yes")
    (board.told / "log").write_text(log)
    with pytest.raises(board.kit.AgentFailureError, match=r"child-crashed: .* in prepare") as error:
        board.verify()
    assert error.value.about == {"cause": "memory"}
    model = board.wire.call("status")["models"]["digits"]
    assert model["releases"][board.release]["state"] == "staged" and model["failed"] == []
    (board.told / how).unlink()
    assert board.verify()["ok"]


def test_another_runtimes_stays_until_its_release_goes(board):
    """A candidate of the same artifact: what `current` uses is not replaced by what was made for it."""
    board.verify()
    mine = board.there()
    runtime = board.provision(board.kit.wheel({"toy/__init__.py": b"VERSION = 2\n"}))
    (board.told / "version").write_text("2")
    built = board.kit.artifact(target="toy")
    candidate = board.kit.install(
        board.wire, built, board.txn, version="2", runtime=runtime, runner=board.runner
    )
    ask = {"model": "digits", "txn": board.txn}
    assert board.wire.call("verify", release=candidate, **ask)["ok"]
    (other,) = set(board.folder.iterdir()) - {mine}
    (board.told / "version").write_text("1")  # now both say the same, and still each has its own
    assert board.wire.call("verify", release=candidate, **ask)["ok"]
    assert mine.exists()
    board.again()
    assert board.verify()["ok"] and mine.exists() and board.made() == 2
    ask["txn"] = board.txn
    assert board.wire.call("verify", release=candidate, **ask)["ok"] and board.made() == 3
    assert mine.exists() and not other.exists() and len(list(board.folder.iterdir())) == 2
    board.wire.call("discard", release=candidate, **ask)
    assert board.there() == mine


def test_what_another_runner_made_stays_while_a_release_has_it(board, toy):
    """What `current` uses is not replaced by what the runner of its successor makes of the same artifact."""
    board.verify()
    mine = board.there()
    text = json.loads(toy)
    text["edgewright_targets/toy/runner.py"] = text["edgewright_targets/toy/runner.py"].replace(
        '"toy":setting("version")', '"make":2,"toy":setting("version")'
    )
    newer = board.kit.give(board.wire, "toy", json.dumps(text).encode())
    built = board.kit.artifact(target="toy")
    candidate = board.kit.install(
        board.wire, built, board.txn, version="2", runtime=board.runtime, runner=newer
    )
    assert board.wire.call("verify", model="digits", txn=board.txn, release=candidate)["ok"]
    assert board.made() == 2 and mine.exists()
    protocol = {"rounds": 1, "warmup_s": 0.01, "steady_s": 0.05, "min_samples": 11, "limit_s": 15}
    both = [candidate, board.release]
    assert len(board.wire.call("bench", model="digits", releases=both, protocol=protocol)["runs"]) == 2
    assert board.made() == 2


def test_a_board_where_the_runtime_finds_nothing_to_run_on_says_so(board):
    (board.told / "absent").write_text("yes")
    with pytest.raises(
        board.kit.AgentFailureError, match="accelerator-absent: the runtime finds nothing on this board"
    ):
        board.verify()
    (board.told / "absent").unlink()
    assert board.verify()["ok"]  # it is not held against the artifact


def test_a_runner_that_makes_nothing_is_refused(board):
    (board.told / "nothing").write_text("yes")
    with pytest.raises(board.kit.AgentFailureError, match="prepared nothing"):
        board.verify()


def test_nothing_to_prepare_here(board):
    (board.told / "version").unlink()
    assert board.verify()["ok"] and board.infer().tolist() == [[2.0] * 4] * 2
    assert not board.folder.exists() and "load None" in board.log()


def test_it_goes_with_its_release(board):
    board.verify()
    board.wire.call("discard", model="digits", release=board.release, txn=board.txn)
    assert list(board.folder.iterdir()) == []


def test_what_no_release_needs_is_tidied_up(board):
    board.verify()
    one = board.there()
    (board.folder / ("0" * 32)).mkdir()
    text = states.encode(
        {"schema": 1, "sequence": 0, "artifact": "0" * 64, "accelerator": "toy", "files": {}}
    )
    (board.folder / ("1" * 32)).mkdir()
    (board.folder / ("1" * 32) / "PREPARED.json").write_bytes(text)
    board.again()
    assert list(board.folder.iterdir()) == [one]
    assert board.verify()["ok"] and board.made() == 1
