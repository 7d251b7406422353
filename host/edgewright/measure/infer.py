"""Runs one input through a model on a board."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from edgewright.compile.data import class_names, input_ranges
from edgewright.compile.data.answers import real_of
from edgewright.compile.data.board_archive import stored
from edgewright.compile.data.goldens import write_npz
from edgewright.connect.session import Session
from edgewright.errors import ProtocolError
from edgewright.measure import output_limits
from edgewright.measure.inputs import arrays_of, samples_in
from edgewright.measure.release_manifest import Released
from edgewright.metrics.shared.labels import classes
from edgewright.nouns.inference import InferenceRecord, RankedClass
from edgewright.wire import commands

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

TOP = 5  # classes shown per sample


class Inference:
    """The results of one inference.

    Attributes:
        outputs: name -> array with the samples along axis 0, each in the model's shape; real values, unless raw values were requested.
        ms: time of the median sample, ms.
        labels: the classes' names; outputs with scores for them have a `top`.
        whole: names of outputs with plain integers, such as class indexes.
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
        """(index, label, score) of the best classes of each sample, best first; none if the output has no scores."""
        import numpy as np

        if not self.labels or name not in self._rows:
            return []
        scores = self.outputs[name].reshape(-1, self._rows[name])
        lone = scores.shape[1] < len(
            self.labels
        )  # a single score is that of the second class: a probability, or a logit (positive means yes)
        probable = lone and bool(((scores >= 0) & (scores <= 1)).all())
        found = []
        for row in scores:  # one at a time: there may be many
            values = row.astype(np.float64)
            if lone:
                values = np.concatenate([(1 if probable else 0) - values, values])
            places = np.argsort(-values, kind="stable")[:TOP]
            found.append([(int(at), self.labels[at], float(values[at])) for at in places])
        return found

    def record(self) -> InferenceRecord:
        """The result as plain values."""
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
    as_text: bool = False,
) -> Inference:
    """Sends the inputs (from `inputs.packed`), runs them on the board and fetches the outputs.

    Args:
        about: the release; without it outputs are named `output_<i>`, as on the board.
        raw: return quantised integers instead of real values.
        as_text: all values will be written out, which takes much more memory than they do: fewer are taken from a board that alone
            knows how many are right.

    Raises:
        UsageError: the outputs of these samples exceed what is accepted from a board.
        ProtocolError: the outputs are not what the release has for these inputs.
    """
    count = samples_in(inputs)
    most = output_limits.most_of(about, count, as_text)
    digest = session.put(inputs, label="input")
    answer = session.call(
        commands.Infer(model=model, release=release, inputs=digest, threads=threads, accelerator=accelerator)
    )
    try:
        if len(answer.ms) != count:
            raise ValueError(f"{len(answer.ms)} times for {count} samples")
        if about is None:
            output_limits.check_unknown(answer.outputs.size, most)
        with session.get_file(answer.outputs, most=most) as given:
            outputs = _outputs(given, about, raw, count)
        times = sorted(answer.ms)
        found = Inference(
            outputs,
            times[len(times) // 2],
            answer.release,
            answer.runtime,
            answer.accelerator,
            session.simulated(),
            about=about,
        )
    except (KeyError, ValueError, TypeError, IndexError, ArithmeticError) as error:
        raise ProtocolError(f"the board's outputs are not understood: {error}") from error
    found.warnings = () if about is None else tuple(outside(about, inputs))
    return found


def _outputs(given: BinaryIO, about: Released | None, raw: bool, count: int) -> dict[str, Array]:
    """The outputs by the source's names, as real values; or unchanged if the release is unknown.

    Raises:
        ValueError, TypeError, ArithmeticError: they do not match the release.
    """
    if about is None:
        return {f"output_{index}": array for index, array in enumerate(stored(given, None, count))}
    found = zip(about.outputs, stored(given, about.outputs, count), strict=True)
    return {spec.name: array if raw else real_of(array, spec) for spec, array in found}


def outside(about: Released, inputs: bytes) -> list[str]:
    """One line per input whose values are outside the range of the release's calibration data.

    Args:
        inputs: from `inputs.packed`.
    """
    known = about.ranges
    if not known:
        return []
    seen = input_ranges.Ranges(about.inputs).see(list(arrays_of(inputs, len(about.inputs))))
    return input_ranges.outside(about.inputs, known, seen)
