"""Runs one input through a model on a board."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.compile.data import class_names, input_ranges
from edgewright.compile.data.answers import real_of, stored
from edgewright.compile.data.goldens import write_npz
from edgewright.connect.session import Session
from edgewright.errors import ProtocolError
from edgewright.measure.inputs import arrays_of
from edgewright.measure.release_manifest import Released
from edgewright.metrics.shared.labels import classes
from edgewright.nouns.inference import InferenceRecord, RankedClass
from edgewright.wire import commands

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

TOP = 5  # classes of a sample that are named


class Inference:
    """The answers of one inference.

    Attributes:
        outputs: name -> array with the samples along axis 0, each in the model's shape; real values, unless they were asked for raw.
        ms: of the median sample.
        labels: the classes' names; outputs with scores for them have a `top`.
        whole: names of outputs whose integers stand for themselves, such as numbers of classes.
    """

    def __init__(
        self,
        outputs: dict[str, Array],
        ms: float,
        release: str,
        runtime: str,
        accelerator: str,
        simulated: tuple[str, ...],
        warnings: Sequence[str] = (),
        about: Released | None = None,
    ) -> None:
        self.outputs = outputs
        self.ms = ms
        self.release = release
        self.runtime = runtime
        self.accelerator = accelerator
        self.simulated = simulated
        self.warnings = tuple(warnings)
        self.labels = about.labels if about else ()
        specs = about.outputs if about else ()
        self.whole = {spec.name for spec in specs if class_names.numbers(spec)}
        self._rows = {
            spec.name: classes(spec) for spec in specs if class_names.scores(spec, len(self.labels))
        }

    def save(self, path: Path) -> None:
        """Writes the outputs as `.npz`, under their names."""
        with path.open("wb") as file:
            write_npz(file, iter(self.outputs.items()))

    def top(self, name: str) -> list[list[tuple[int, str, float]]]:
        """(index, label, score) of the best classes of each sample, best first; none where the output has no scores."""
        import numpy as np

        if not self.labels or name not in self._rows:
            return []
        scores = self.outputs[name].reshape(-1, self._rows[name]).astype(np.float64)
        if scores.shape[1] < len(self.labels):  # the second class's score: a probability, or above zero
            probable = bool(((scores >= 0) & (scores <= 1)).all())
            scores = np.concatenate([(1 if probable else 0) - scores, scores], axis=1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :TOP]
        return [
            [(int(at), self.labels[at], float(row[at])) for at in places]
            for row, places in zip(scores, best, strict=True)
        ]

    def record(self) -> InferenceRecord:
        """As plain values."""
        return InferenceRecord(
            outputs={name: array.tolist() for name, array in self.outputs.items()},
            shapes={name: tuple(array.shape[1:]) for name, array in self.outputs.items()},
            ms=self.ms,
            release=self.release,
            runtime=self.runtime,
            accelerator=self.accelerator,
            simulated=self.simulated,
            warnings=self.warnings,
            top={name: ranked for name in self.outputs if (ranked := self._ranked(name))},
        )

    def _ranked(self, name: str) -> tuple[tuple[RankedClass, ...], ...]:
        return tuple(
            tuple(RankedClass(index=index, label=label, score=score) for index, label, score in sample)
            for sample in self.top(name)
        )


def run_on(
    session: Session,
    model: str,
    release: str | None,
    inputs: bytes,
    *,
    about: Released | None = None,
    raw: bool = False,
    threads: int = 1,
    accelerator: str | None = None,
) -> Inference:
    """Sends the inputs (as `inputs.packed` gives them), runs them there, brings the outputs back.

    Args:
        about: the release; without it outputs are `output_<i>`, as the board gives them.
        raw: integers stay what they are.
    """
    digest = session.put(inputs, label="input")
    answer = session.call(
        commands.Infer(model=model, release=release, inputs=digest, threads=threads, accelerator=accelerator)
    )
    given = bytes(session.get(answer.outputs))
    try:
        outputs = _outputs(given, about, raw)
        times = sorted(answer.ms)
        found = Inference(
            outputs,
            times[len(times) // 2],
            answer.release,
            answer.runtime,
            answer.accelerator,
            session.facts().simulated,
            about=about,
        )
    except (KeyError, ValueError, TypeError, IndexError, ArithmeticError) as error:
        raise ProtocolError(f"the board's outputs are not understood: {error}") from error
    found.warnings = () if about is None else tuple(outside(about, inputs))
    return found


def _outputs(given: bytes, about: Released | None, raw: bool) -> dict[str, Array]:
    """The outputs by the source's names, as real values; as the board gives them where the release is not known.

    Raises:
        ValueError, TypeError, ArithmeticError: they are not what the release has.
    """
    if about is None:
        return {f"output_{index}": array for index, array in enumerate(stored(given, None))}
    found = zip(about.outputs, stored(given, about.outputs), strict=True)
    return {spec.name: array if raw else real_of(array, spec) for spec, array in found}


def outside(about: Released, inputs: bytes) -> list[str]:
    """One line an input that leaves the range of the release's calibration data.

    Args:
        inputs: as `inputs.packed` gives them.
    """
    known = about.ranges
    if not known:
        return []
    seen = input_ranges.Ranges(about.inputs).see(list(arrays_of(inputs, len(about.inputs))))
    return input_ranges.outside(about.inputs, known, seen)
