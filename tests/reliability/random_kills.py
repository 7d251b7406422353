"""Two boards over real sshds, two models on each, one host after another: a round runs one command and kills one process of it.

What must hold, whatever was killed when:
- `current` is absent or whole, at every moment and of every model;
- what the host reported is so: a release that it calls committed is current, one that it calls refused or reverted is not;
- no agent, child or watchdog outlives its session or its trial, and no lease its time;
- no trial outlives its watchdog, unless that was killed: it ends before anybody contacts the board again;
- every known-good release is whole, and one of them can be rolled back to;
- nothing but known-good releases and what they need stays on the disk after a `prune`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import signal
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from command_line import command_line

from edgewright.lab.boards import LabBoard
from edgewright.nouns import policy
from edgewright_agent.storage import state

MODELS = ("one", "two")
VICTIMS = (
    "host",
    "host",
    "agent",
    "child",
    "watchdog",
    "sshd",
)  # only a host that is gone leaves a trial to the board
COMMANDS = ("deploy",) * 5 + ("rollback", "rollback", "bench", "provision")
# a trial is the shortest part of a deployment, and the one that matters
MOMENTS = ("", "agent", "child", "watchdog", "watchdog", "watchdog")
SOON_S = 0.3  # a trial with its hook takes as long
DEADLINE_S = 5
LATEST = {
    "deploy": 3.0,
    "rollback": 1.5,
    "bench": 1.5,
    "provision": 0.8,
}  # seconds after which a command has mostly ended
USAGE = 64  # exit codes from here on are a mistake of this file
INTENT = "intent"  # of a trial that has no watchdog yet, and has not moved `current`
# within which everything of a round has ended: the deadline of a rollback's trial with its hooks, a child's last breath
QUIET_S = policy.DEADLINE_S + 20
LEASE_S = 20.0  # within which the lease of a host that was killed has run out; it is 6 s here
KEPT_BYTES = (
    16 * 2**20
)  # a root folder after a `prune`, but for its runtimes: two models, some small releases, the reserve, the log


class Round(NamedTuple):
    """What a round does.

    Attributes:
        victim: which process is killed.
        moment: after which process of the board shows up; empty: after the command began.
        after_s: how long after that, in seconds.
    """

    command: str
    model: str
    artifact: str
    board: str
    victim: str
    moment: str
    after_s: float


class Ended(NamedTuple):
    """How a round's command ended: its exit code, negative for a signal, the outcomes that it reported, its document."""

    code: int
    outcomes: list[dict[str, Any]]
    text: str


def boards_processes(board: LabBoard) -> dict[str, list[int]]:
    """The processes of a board, by what they are."""
    found: dict[str, list[int]] = {"agent": [], "child": [], "watchdog": [], "sshd": []}
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if not entry.name.isdigit() or str(board.folder) not in (entry / "mountinfo").read_text():
                continue
            name = (entry / "comm").read_text()
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if name.startswith("python"):
                parents[int(entry.name)] = parent
            elif name.startswith("sshd") and int(entry.name) != board.pid:
                found["sshd"].append(int(entry.name))
    for pid, parent in parents.items():
        kind = "agent" if parent in found["sshd"] else "child" if parent in parents else "watchdog"
        found[kind].append(pid)
    return found


def whole(root: Path, model: str, release: str) -> bool:
    """Whether a release's files are those of its manifest."""
    folder = root / "models" / model / "versions" / release
    manifest = (folder / "manifest.json").read_bytes()
    if not release.endswith(hashlib.sha256(manifest).hexdigest()[:8]):
        return False
    return all(
        hashlib.sha256((folder / one["path"]).read_bytes()).hexdigest() == one["sha256"]
        for one in json.loads(manifest)["files"]
    )


def current(root: Path, model: str) -> str:
    """The release that an application reads; empty for none."""
    with contextlib.suppress(FileNotFoundError):
        return (root / "models" / model / "current").readlink().name
    return ""


def trials(root: Path) -> Iterator[tuple[str, str]]:
    """The models that are on trial and the phases of their trials, as the newest good slot of the state has them."""
    slots = [
        slot
        for name in state.SLOTS
        if (root / name).exists() and (slot := state.decode((root / name).read_bytes()))
    ]
    for model, record in max(slots, key=lambda slot: slot["sequence"])["models"].items() if slots else ():
        if record["trial"]:
            yield model, record["trial"]["phase"]


class Arena:
    """The boards, the artifacts, and what was found wrong.

    Args:
        artifacts: ids of artifacts of the same interface. folder: for what the rounds make.
    """

    def __init__(self, boards: list[LabBoard], artifacts: list[str], folder: Path, seed: int) -> None:
        self.boards = {board.name: board for board in boards}
        self.artifacts, self.folder = artifacts, folder
        self.chance = random.Random(seed)
        self.reads, self.wrong, self.tried = 0, list[str](), Counter[str]()

    def draw(self) -> Round:
        """The next round."""
        chance = self.chance
        command, moment = chance.choice(COMMANDS), chance.choice(MOMENTS)
        return Round(
            command,
            chance.choice(MODELS),
            chance.choice(self.artifacts),
            chance.choice(list(self.boards)),
            chance.choice(VICTIMS),
            moment,
            chance.uniform(0, SOON_S if moment else LATEST[command]),
        )

    def play(self, turn: Round) -> None:
        """A round, and what must hold during it and after it."""
        before = self._currents()
        stop = threading.Event()
        pipe, pid = self._start(turn)  # before the thread: a fork takes no other thread along
        reader = threading.Thread(target=self._read, args=(stop,))
        reader.start()
        try:
            hit = self._kill(turn, pid)
            ended = finished(pipe, pid)
        finally:
            stop.set()
            reader.join()
        self.tried[turn.victim if hit else "nobody"] += 1
        self._believe(turn, ended, before)
        self._settled(turn)
        self._over(turn)
        self._good(turn)

    def _start(self, turn: Round) -> tuple[int, int]:
        """Start a round's command in a separate process: (where its document comes from, its pid)."""
        words = {
            "deploy": ["deploy", turn.artifact, "--to", turn.board, "--name", turn.model, "--deadline", DEADLINE_S,
                       "--project", self._project(turn.model)],
            "rollback": ["rollback", turn.model, "--on", turn.board],
            "bench": ["bench", turn.artifact, "--on", turn.board],
            "provision": ["provision", turn.board, "--target", "tflite", "--wheel", self._wheel()],
        }[turn.command]  # fmt: skip
        reading, writing = os.pipe()
        pid = os.fork()
        if pid:
            os.close(writing)
            return reading, pid
        code = 70
        try:
            os.setsid()
            os.close(reading)
            ran = command_line(*words, "--json")
            os.write(writing, ran.out.encode())
            code = ran.code
        finally:
            os._exit(code)

    def _project(self, model: str) -> Path:
        """A project with hooks that take a moment: the trial is what is to be hit."""
        path, hook = self.folder / f"{model}.toml", self.folder / "wait.sh"
        hook.write_text("#!/bin/sh\nsleep 0.2\n")
        path.write_text(
            f'schema = 1\nname = "{model}"\nmodel = "0.onnx"\n[hooks]\nactivate = "wait.sh"\nhealth = "wait.sh"\ntimeout_s = 2\n'
        )
        return path

    def _wheel(self) -> Path:
        """A runtime that no board has yet."""
        path = self.folder / "tflite_runtime-2.14.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("tflite_runtime/__init__.py", f"NUMBER = {self.chance.random()}\n")
            archive.writestr("tflite_runtime/interpreter.py", "class Interpreter: pass\n")
        return path

    def _kill(self, turn: Round, host: int) -> bool:
        """Kill a round's victim when its time has come; one that is not there yet as soon as it is. Whether one was."""
        if turn.moment:
            self._seen(turn.moment, turn.board, host)
        time.sleep(turn.after_s)
        pids = [host] if turn.victim == "host" else self._seen(turn.victim, turn.board, host)
        if gone(host):
            return False
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return bool(pids)

    def _seen(self, kind: str, board: str, host: int) -> list[int]:
        """Wait for processes of a kind on a board, as long as the host is there."""
        while not gone(host):
            if found := boards_processes(self.boards[board])[kind]:
                return found
            time.sleep(0.005)
        return []

    def _read(self, stop: threading.Event) -> None:
        """Read what the applications would, all along."""
        while not stop.is_set():
            for name, model, root in self._places():
                release = current(root, model)
                try:
                    fine = not release or whole(root, model, release)
                except FileNotFoundError:  # it moved on meanwhile, else it is gone
                    fine = current(root, model) != release
                self.reads += 1
                if not fine:
                    self.wrong.append(f"{name}: current {model} is not whole: {release}")
            stop.wait(0.01)

    def _places(self) -> Iterator[tuple[str, str, Path]]:
        for name, board in self.boards.items():
            for model in MODELS:
                yield name, model, board.root

    def _currents(self) -> dict[tuple[str, str], str]:
        return {(name, model): current(root, model) for name, model, root in self._places()}

    def _believe(self, turn: Round, ended: Ended, before: dict[tuple[str, str], str]) -> None:
        """Hold what the host reported against the boards."""
        now = self._currents()
        place = turn.board, turn.model
        for other in set(before) - {place}:
            self._hold(
                now[other] == before[other], turn, f"{other} moved from {before[other]} to {now[other]}"
            )
        if turn.command in ("bench", "provision"):
            self._hold(now[place] == before[place], turn, "what only looks moved `current`")
        for outcome in ended.outcomes:
            ended_as, release = outcome["outcome"], outcome["release"]
            if ended_as in ("committed", "unchanged"):
                self._hold(now[place] == release, turn, f"{ended_as} {release}, but {now[place]} is current")
            elif ended_as in ("refused", "reverted"):
                self._hold(now[place] == before[place], turn, f"{ended_as} {release}, but `current` moved")
        if turn.victim != "host":
            self._hold(0 <= ended.code < USAGE, turn, f"exit code {ended.code}: {ended.text}")

    def _settled(self, turn: Round) -> None:
        """Wait for what a round left behind."""
        until = time.monotonic() + QUIET_S
        left: dict[str, list[int]] = {}
        for board in self.boards.values():
            while any((left := boards_processes(board)).values()) and time.monotonic() < until:
                time.sleep(0.1)
            self._hold(not any(left.values()), turn, f"{board.name} still has {left}")

    def _over(self, turn: Round) -> None:
        """Hold what the boards wrote against the watchdog's duty, before a session ends trials itself."""
        for name, board in self.boards.items() if turn.victim != "watchdog" else ():
            for model, phase in trials(board.root):
                self._hold(phase == INTENT, turn, f"{name}: nothing ended the trial of {model}: {phase}")

    def _good(self, turn: Round) -> None:
        """Hold the boards against what `status` shows after a round."""
        for name, board in self.boards.items():
            ran = command_line("status", name, "--json")
            (row,) = ran.json["boards"]
            if not row["result"]:
                self._hold(False, turn, f"{name}: no status: {row}")
                continue
            for model, about in row["result"]["models"].items():
                self._hold(about["trial"] is None, turn, f"{name}: {model} is on trial")
                self._hold(
                    (about["current"] or "") == current(board.root, model), turn, f"{name}: {model} status"
                )
                for release in about["known_good"]:
                    self._hold(whole(board.root, model, release), turn, f"{name}: {release} is not whole")
                if len(about["known_good"]) > 1:
                    back = command_line("rollback", model, "--on", name, "--dry-run", "--json")
                    busy = "another deployment is at work" in back.out  # the lease of a host that was killed
                    self._hold(back.code == 0 or busy, turn, f"{name}: {model} cannot go back: {back.out}")

    def ends(self) -> None:
        """After the last round: no lease, and a disk without leftovers."""
        last = Round("prune", "", "", "", "nobody", "", 0)
        for name, board in self.boards.items():
            self._hold(self._free(name), last, f"{name} has a lease that nobody holds")
            pruned = command_line("fleet", "prune", name, "--keep", 2, "--json")
            self._hold(pruned.code == 0, last, pruned.out)
            runtimes = board.root / "runtimes"
            kept = [
                one for one in board.root.rglob("*") if not one.is_symlink() and runtimes not in one.parents
            ]
            size = sum(one.lstat().st_size for one in kept)
            self._hold(size <= KEPT_BYTES, last, f"{name} keeps {size} bytes")
            used = [one.name for one in runtimes.iterdir() if one.is_dir()]
            self._hold(len(used) <= 1, last, f"{name} keeps runtimes that nothing uses: {used}")
            for folder in ("incoming", "trash"):
                left = [str(one) for one in (board.root / folder).glob("*")]
                self._hold(not left, last, f"{name} keeps {left}")

    def _free(self, name: str) -> bool:
        """Whether a board is without a lease, once the last one has had its time: with one, `prune` keeps what it may need."""
        until = time.monotonic() + LEASE_S
        while time.monotonic() < until:
            (row,) = command_line("status", name, "--json").json["boards"]
            if row["result"] and not row["result"]["lease"]:
                return True
            time.sleep(0.5)
        return False

    def _hold(self, fine: bool, turn: Round, words: str) -> None:
        if not fine:
            self.wrong.append(f"{turn}: {words}")


def gone(pid: int) -> bool:
    """Whether a child of this process has ended; it is not waited for."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def finished(pipe: int, pid: int) -> Ended:
    """Read a command's document to its end, and wait for it."""
    with os.fdopen(pipe, "rb") as file:
        text = file.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    result = (json.loads(text)["result"] if text.strip() else None) or {}
    return Ended(code, result.get("outcomes", []), text.decode())


def play(arena: Arena, rounds: int, report: Callable[[str], None]) -> None:
    """So many rounds; ends at the first that leaves something wrong."""
    for number in range(rounds):
        turn = arena.draw()
        arena.play(turn)
        if arena.wrong:
            report(f"round {number}: {turn}")
            return
    arena.ends()
