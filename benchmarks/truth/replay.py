"""The verdict on recorded answers: its own code, in this process, with recordings where it would run a model."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from edgewright.compile.quality import artifact_check
from edgewright.compile.quality.levels import Coarse
from edgewright.compile.tasks import source as source_tasks
from edgewright.errors import ConversionError
from edgewright.nouns.artifact import TensorSpec
from truth import jobs
from truth.recorded import Asked, Facts, Recording


class Missing(Exception):
    """The verdict asks for what was not recorded."""


class Samples:
    """What was asked, and the source's answers: sample by sample."""

    def __init__(self, asked: Asked) -> None:
        with np.load(asked.samples) as archive:
            self.inputs = [archive[f"input_{at}"] for at in range(len(archive.files))]
        with np.load(asked.source) as archive:
            self.answers = [archive[f"output_{at}"] for at in range(len(archive.files))]
        self._places = {_digest(row): at for at, row in enumerate(zip(*self.inputs, strict=True))}

    def place(self, sample: Sequence[Any]) -> int:
        """The index of a sample in the recordings."""
        found = self._places.get(_digest(sample))
        if found is None:
            raise Missing("a sample whose answers were not recorded")
        return found


@lru_cache(maxsize=4)
def samples(asked: Asked) -> Samples:
    """The samples of a folder, read once."""
    return Samples(asked)


class Replay:
    """Replaces Workers: runs their functions in this process, on recordings.

    Args:
        specs: the source's inputs and outputs.
    """

    def __init__(self, asked: Asked, one: Recording, specs: tuple[tuple[TensorSpec, ...], ...]) -> None:
        self._samples, self._one, self._specs = samples(asked), one, specs

    def call(self, _framework: str, module: str, function: str, /, **arguments: Any) -> Any:
        """Like `Workers.call`, while the context of `there` is open."""
        return getattr(importlib.import_module(module), function)(**arguments)

    def there(self) -> ExitStack:
        """A context in which recordings replace models."""
        stack = ExitStack()
        for place, name, other in (
            (source_tasks, "artifact_answers", self._artifact),
            (jobs, "artifact_answers", self._artifact),
            (artifact_check, "opened", self._source),
            (artifact_check, "steps", lambda *_: self._one.steps),
            (artifact_check, "_levels", self._levels),
        ):
            stack.enter_context(mock.patch.object(place, name, other))
        return stack

    def _artifact(self, _runner: str, _folder: Path, _manifest: Any, rows: Iterable[Any]) -> Iterator[list[Any]]:  # fmt: skip
        for row in rows:
            at = self._samples.place(row)
            yield [array[at] for array in self._one.answers]

    def _source(self, _source: Any) -> Any:
        return _Recorded(self._samples, self._specs)

    def _levels(self, _workers: Any, _subject: Any, parity: Any, verdict: Any) -> list[str]:
        facts: Facts = self._one.facts
        if facts.levels:
            raise Coarse(facts.levels, hint=facts.hint, parity=parity, verdict=verdict)
        return list(facts.notes)


class _Recorded:
    """An opened source that has only its recorded answers."""

    def __init__(self, asked: Samples, specs: tuple[tuple[TensorSpec, ...], ...]) -> None:
        self._asked, (self.inputs, _) = asked, specs

    def run(self, sample: Sequence[Any]) -> list[Any]:
        at = self._asked.place(sample)
        return [array[at] for array in self._asked.answers]

    def __getattr__(self, name: str) -> Any:
        raise ConversionError(f"nothing was recorded of {name}", hint="")


def _digest(sample: Sequence[Any]) -> bytes:
    return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in sample)).digest()
