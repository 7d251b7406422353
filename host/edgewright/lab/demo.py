"""The demo: the main workflow on three simulated boards, with releases that are bad in different ways.

It deploys a small digits classifier (v1) and measures it, then tries a badly fine-tuned version (v2), a file with one
corrupted weight (v3) and a good version (v4), and finally rolls back to v1. On each board a separate process
reads `current` throughout, as an application would.
"""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO

import msgspec

from edgewright.compile.data.data_hash import calibration_of
from edgewright.compile.pipeline import compile_model
from edgewright.compile.request import CompileRequest, ModelRequest
from edgewright.compile.workers.pool import Workers
from edgewright.config import fleet as fleets
from edgewright.config import profiles
from edgewright.config import project as projects
from edgewright.config.home import folder
from edgewright.connect.session import open_session
from edgewright.deployments.bench import Bench, BenchRequest
from edgewright.deployments.deployment import deploy
from edgewright.deployments.request import DeployRequest
from edgewright.deployments.rollback import RollbackRequest, rollback
from edgewright.errors import Code, EdgewrightError
from edgewright.lab import boards as lab
from edgewright.lab import reader
from edgewright.lab.boards import LabBoard
from edgewright.nouns.artifact import Artifact, FileEntry
from edgewright.nouns.base import Noun
from edgewright.nouns.board import Fleet
from edgewright.nouns.measurement import QUICK, Measurement
from edgewright.nouns.model_input import CalibrationData, ModelInput
from edgewright.nouns.outcome import COMMITTED, REFUSED, BoardOutcome
from edgewright.nouns.progress import Progress, ProgressEvent
from edgewright.nouns.project import Project
from edgewright.precisions import EXACT
from edgewright.store.artifacts import entry, load
from edgewright.store.history import History

NAME = "demo"
MODEL = "digits"
PROFILES = ("pi4b", "jetson-orin-nano", "generic-x86_64")  # they use tflite, onnxruntime and openvino
PLAUSIBLE = (1e-4, 10.0)  # plausible magnitudes of a weight


class Act(Noun, frozen=True, kw_only=True):
    """One step of the demo.

    Attributes:
        expected: the outcome that every board should have; `ok` tells whether they all did.
        seconds: from the demo's start to this act's end.
    """

    title: str
    expected: str
    outcomes: tuple[BoardOutcome, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    ok: bool = True
    seconds: float = 0.0


class Sighting(Noun, frozen=True, kw_only=True):
    """The state of `current` on a board from a moment on, as its reader saw it."""

    board: str
    seconds: float
    version: str
    artifact: str


class DemoReport(Noun, frozen=True, kw_only=True):
    """The whole demo's report. `ok`: every act ended as expected, and no reader ever saw a broken `current`."""

    acts: tuple[Act, ...]
    timeline: tuple[Sighting, ...]
    servers: tuple[str, ...]
    seconds: float
    ok: bool


def data_folder() -> Path:
    """The folder of the digits: next to this file in a wheel, in `examples/` in a checkout."""
    here = Path(__file__).parent / "digits"
    return here if here.is_dir() else Path(__file__).parents[3] / "examples" / "digits"


def demo(*, keep: bool, progress: Progress, on_act: Callable[[Act], None]) -> DemoReport:
    """Runs the demo and removes its boards, unless `keep`; boards left by an earlier demo are removed first.

    Args:
        on_act: called with each act when it ends.

    Raises:
        EdgewrightError: the digits are missing, or another demo is running.
    """
    with alone():
        return played(keep, progress, on_act)


@contextmanager
def alone() -> Iterator[None]:
    """Allows one demo at a time, as its boards have fixed names; the lock ends with the process."""
    descriptor = os.open(folder("demo") / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            hint = "wait until it ends, or use another state folder: EDGEWRIGHT_HOME=FOLDER edgewright demo"
            raise EdgewrightError("another demo is at work", hint=hint, code=Code.DEMO_RUNNING) from None
        yield
    finally:
        os.close(descriptor)


def played(keep: bool, progress: Progress, on_act: Callable[[Act], None]) -> DemoReport:
    """As `demo`, once the lock is held."""
    data = data_folder()
    if not (data / "digits-v1.keras").is_file():
        raise EdgewrightError(
            f"the demo's models are not in {data}", hint="python examples/digits/train_digits.py makes them"
        )
    begun = time.monotonic()
    fleet_path = folder("demo") / "fleet.toml"
    if any(board.lab == NAME for board in lab.listing()):
        lab.down(NAME)
    made = lab.up(len(PROFILES), fleet_path=fleet_path, profiles=PROFILES, name=NAME, progress=progress)
    try:
        with Readers(made) as readers, Workers(folder("logs") / "convert.log") as workers:
            play = Play(fleets.load(fleet_path), data, begun, progress, on_act, workers)
            play.all()
            time.sleep(10 * reader.INTERVAL_SECONDS)  # so that the readers see the last change too
            timeline = readers.timeline()
    finally:
        if not keep:
            lab.down(NAME)
    broken = any(sighting.version == "broken" for sighting in timeline)
    return DemoReport(
        acts=tuple(play.acts),
        timeline=timeline,
        servers=tuple(sorted({board.server for board in made})),
        seconds=time.monotonic() - begun,
        ok=all(act.ok for act in play.acts) and not broken,
    )


class Play:
    """The acts, in order; all conversions share one set of workers."""

    def __init__(
        self,
        fleet: Fleet,
        data: Path,
        begun: float,
        progress: Progress,
        on_act: Callable[[Act], None],
        workers: Workers,
    ) -> None:
        self.workers = workers
        self.fleet = fleet
        self.data = data
        self.begun = begun
        self.progress = progress
        self.on_act = on_act
        self.project: Project = projects.load(data / projects.FILE_NAME)
        self.history = History()
        self.acts: list[Act] = []

    def all(self) -> None:
        """Plays every act; one with an unexpected end does not stop the next."""
        self.deploy("v1: int8, calibrated on 128 real images", "1", COMMITTED)
        self.bench("bench: what runs now, measured on its own")
        self.deploy("v2: fine-tuned wrongly, answers as its own source does", "2", REFUSED)
        self.corrupted("v3: one weight of the file is corrupted", "3")
        self.deploy("v4: trained for longer", "4", COMMITTED)
        self.rollback("rollback to v1")

    def end(
        self,
        title: str,
        expected: str,
        outcomes: list[BoardOutcome],
        measurements: list[Measurement] | None = None,
    ) -> None:
        """Records an act and reports it."""
        act = Act(
            title=title,
            expected=expected,
            outcomes=tuple(outcomes),
            measurements=tuple(measurements or ()),
            ok=all(outcome.outcome == expected for outcome in outcomes),
            seconds=time.monotonic() - self.begun,
        )
        self.acts.append(act)
        self.on_act(act)

    def request(self, version: str) -> DeployRequest:
        """The request that every deployment of the demo shares."""
        model = ModelInput(
            source=self.data / f"digits-v{version}.keras", name=MODEL, calibration=self.calibration(),
            evaluation=self.project.resolve(self.project.file.evaluation),
        )  # fmt: skip
        return DeployRequest(
            fleet=self.fleet, boards=tuple(self.fleet.boards.values()), version=version,
            wanted=ModelRequest(model=model, project=self.project),
        )  # fmt: skip

    def calibration(self) -> CalibrationData:
        """The project's calibration data."""
        return calibration_of(self.project.resolve(self.project.file.calibration))

    def deploy(self, title: str, version: str, expected: str) -> None:
        """Deploys one trained version to all boards."""
        self.end(
            title,
            expected,
            deploy(self.request(version), history=self.history, progress=self.progress, workers=self.workers),
        )

    def corrupted(self, title: str, version: str) -> None:
        """Deploys files in which one weight was changed after conversion."""
        outcomes = []
        model = ModelInput(source=self.data / "digits-v4.keras", calibration=self.calibration())
        for board in self.fleet.boards.values():
            target = profiles.load(board.profile or "").targets[0]
            good = compile_model(
                CompileRequest(model=model, target=target, precision=EXACT.name), self.progress, self.workers
            )
            with tempfile.TemporaryDirectory() as scratch:
                bad = corrupt(good, Path(scratch) / "artifact")
                request = msgspec.structs.replace(self.request(version), boards=(board,), artifact=bad)
                outcomes += deploy(
                    request, history=self.history, progress=self.progress, workers=self.workers
                )
        self.end(title, REFUSED, outcomes)

    def bench(self, title: str) -> None:
        """Measures the current release on each board."""
        run = Bench(BenchRequest(model=MODEL, protocol=QUICK, accelerator="cpu"))
        found: list[Measurement] = []
        for board in self.fleet.boards.values():
            self.progress(ProgressEvent(stage="bench", board=board.name))
            with open_session(board, self.fleet, progress=self.progress) as session:
                found += run.on_board(board, session, self.progress)
        self.end(title, "", [], found)

    def rollback(self, title: str) -> None:
        """Rolls back to the previous version."""
        request = RollbackRequest(fleet=self.fleet, boards=tuple(self.fleet.boards.values()), model=MODEL)
        self.end(title, COMMITTED, rollback(request, history=self.history, progress=self.progress))


def corrupt(artifact: Artifact, target: Path) -> Artifact:
    """A copy of an artifact in which the top bit of one weight's exponent is flipped, with a manifest that fits the file.

    The hashes of transport and store match, so only the outputs reveal it.
    """
    manifest = artifact.manifest
    target.mkdir()
    for item in manifest.files:
        (target / item.path).write_bytes((artifact.folder / item.path).read_bytes())
    victim = max(
        (item for item in manifest.files if item.path != manifest.goldens.file), key=lambda item: item.size
    )
    data = bytearray((target / victim.path).read_bytes())
    data[middle_weight(data) + 3] ^= 0x40
    (target / victim.path).write_bytes(data)
    entries: tuple[FileEntry, ...] = tuple(entry(target, item.path) for item in manifest.files)
    changed = msgspec.structs.replace(manifest, files=entries)
    (target / "manifest.json").write_bytes(changed.canonical())
    return load(target)


def middle_weight(data: bytearray) -> int:
    """Offset of the middle value of the longest run of little-endian 32-bit floats that look like weights."""
    best, start = (0, 0), 0
    count = len(data) // 4
    for index, (value,) in enumerate(struct.iter_unpack("<f", data[: count * 4])):
        if PLAUSIBLE[0] < abs(value) < PLAUSIBLE[1]:
            best = max(best, (index + 1 - start, start))
        else:
            start = index + 1
    length, first = best
    return 4 * (first + length // 2)


class Readers:
    """One process per board that reads `current` during the block."""

    def __init__(self, made: list[LabBoard]) -> None:
        self._made = made
        self._running: list[subprocess.Popen[bytes]] = []
        self._files: list[IO[bytes]] = []

    def __enter__(self) -> Readers:
        for board in self._made:
            out = tempfile.TemporaryFile()
            command = [sys.executable, "-S", str(Path(reader.__file__)), str(board.root), MODEL]
            self._files.append(out)
            self._running.append(subprocess.Popen(command, stdout=out))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        for file in self._files:
            file.close()

    def stop(self) -> None:
        """Ends the processes."""
        for process in self._running:
            process.kill()
            process.wait()

    def timeline(self) -> tuple[Sighting, ...]:
        """The readers' observations, board by board; stops the readers first."""
        self.stop()
        found = []
        for board, file in zip(self._made, self._files, strict=True):
            file.seek(0)
            for line in file.read().decode("ascii").splitlines():
                seconds, version, artifact = line.split(" ", 2)
                found.append(
                    Sighting(board=board.name, seconds=float(seconds), version=version, artifact=artifact)
                )
        return tuple(found)
