"""Steps that were computed, by content, and the step that is under way: each in one folder of the state folder."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from edgewright.compress import calibration_samples
from edgewright.compress.worker_files import WorkerFiles
from edgewright.config import folder_lock, home, usage_marks
from edgewright.files import write_atomic
from edgewright.nouns.base import Noun
from edgewright.nouns.compression import StepResult

CHECKPOINT, ANSWERS, _RESULT, _STATE = "checkpoint", "answers.npz", "result.json", "state.json"


class Progressed(Noun, frozen=True, kw_only=True):
    """How far a step is.

    Attributes:
        epochs: that are done; the folder `epoch-<n>` continues from there.
        best: the best of them, numbered from 1; 0 if none may be the result yet. value: of the metric there.
        seconds: taken so far.
        notes: of the step.
        options: of the step, with what its scan found; None before that.
    """

    epochs: int = 0
    best: int = 0
    value: float | None = None
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    options: dict[str, Any] | None = None


class StepFolder:
    """The folder of one step.

    Args:
        key: hex sha256 of all that determines the step's result.
        suffix: of the network's file.
    """

    def __init__(self, key: str, suffix: str) -> None:
        self.path = home.folder("compressions") / key
        self.partial = self.path.with_name(f"{key}.partial")
        self.network = self.path / f"network{suffix}"

    def result(self) -> StepResult | None:
        """The step's result, if it was computed; marks it as in use."""
        if not usage_marks.hold(self.path):
            return None
        try:
            return msgspec.json.decode((self.path / _RESULT).read_bytes(), type=StepResult)
        except (OSError, msgspec.DecodeError):
            return None

    @property
    def calibration(self) -> Path | None:
        """What the step's network was calibrated with; None if int8 is not simulated."""
        file = self.path / CHECKPOINT / calibration_samples.FILE
        return file if file.is_file() else None

    def progressed(self) -> Progressed:
        """How far the step is. Call it within `taken`."""
        try:
            found = msgspec.json.decode((self.partial / _STATE).read_bytes(), type=Progressed)
        except (OSError, msgspec.DecodeError):
            return Progressed()
        known = all(self.epoch(n).is_dir() for n in (found.epochs, found.best) if n)
        return found if known else Progressed()

    def epoch(self, number: int) -> Path:
        """The checkpoint after an epoch, numbered from 1."""
        return self.partial / f"epoch-{number}"

    def note(self, state: Progressed) -> None:
        """Records how far the step is, and removes the checkpoints that are not needed any more."""
        write_atomic(self.partial / _STATE, msgspec.json.encode(state))
        needed = {self.epoch(state.epochs), self.epoch(state.best)}
        for folder in self.partial.glob("epoch-*"):
            if folder not in needed:
                shutil.rmtree(folder, ignore_errors=True)

    def finish(self, made: WorkerFiles, result: StepResult, answers: bytes | None) -> None:
        """Stores a finished step, completely or not at all.

        Args:
            made: its checkpoint and network.
            answers: to the deciding samples.
        """
        with tempfile.TemporaryDirectory(prefix="tmp-", dir=self.path.parent) as scratch:
            whole = Path(scratch) / "step"
            made.copy(whole)
            if answers is not None:
                (whole / ANSWERS).write_bytes(answers)
            (whole / _RESULT).write_bytes(msgspec.json.encode(result))
            if self.path.exists():  # damaged, or --no-cache
                self.path.rename(Path(scratch) / "before")
            whole.rename(self.path)
        usage_marks.hold(self.path)

    def keep_epoch(self, made: WorkerFiles, number: int) -> None:
        """Stores the checkpoint after an epoch, numbered from 1, completely or not at all."""
        with tempfile.TemporaryDirectory(prefix="tmp-", dir=self.partial) as scratch:
            whole = Path(scratch) / "epoch"
            made.copy(whole)
            shutil.rmtree(self.epoch(number), ignore_errors=True)
            whole.rename(self.epoch(number))

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Keeps other processes from running this step, and waits for one that does. What it left unfinished is kept; see `drop`."""
        while True:
            with folder_lock.locked(self.partial) as held:
                if held():  # else the other process has finished and removed it
                    yield
                    return

    def drop(self) -> None:
        """Removes what an unfinished step left."""
        shutil.rmtree(self.partial, ignore_errors=True)


def key(**parts: Any) -> str:
    """Hex sha256 of plain values."""
    text = json.dumps(_sorted(parts), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _sorted(parts: Mapping[str, Any]) -> Any:
    return msgspec.to_builtins(dict(parts), str_keys=True)
