"""Tries a row on a net: compresses it, converts it for the net's runtime in fp32 and int8, and asks both about the test set."""

from __future__ import annotations

import tempfile
import zlib
from pathlib import Path

import measuring
from truth import unjudged

from compression_bench import latency
from compression_bench.data import Sets
from compression_bench.nets import Net
from compression_bench.results import Artifact, Record, packed
from compression_bench.rows import BATCH, ORIGINAL, Row
from edgewright.api import compression, conversion
from edgewright.api.models import ModelOptions
from edgewright.compile.pipeline import compile_model
from edgewright.compile.workers.pool import Workers
from edgewright.compress import output, pipeline, recipes
from edgewright.errors import ConversionError, EdgewrightError
from edgewright.nouns.artifact import Artifact as Converted
from edgewright.nouns.progress import ProgressEvent
from edgewright.nouns.recipe import TrainingOptions

PRECISIONS = ("fp32", "int8")
_COUNT = {"use": "finetune", "epochs": 0}  # trains nothing: it counts parameters


class Trials:
    """All rows of one net.

    Args:
        prepared: what edgewright opens, and the sets.
        folder: for files, as long as the benchmark runs.
    """

    def __init__(
        self, net: Net, seed: int, prepared: tuple[str, Sets], workers: Workers, folder: Path
    ) -> None:
        self._net, self._seed, self._workers, self._folder = net, seed, workers, folder
        self._source, self._sets = prepared
        self._made: dict[tuple[str, str], tuple[Converted, str]] = {}

    def run(self, row: Row) -> Record:
        """Tries a row."""
        steps = [dict(step) for step in row.steps] or [_COUNT]
        recipe = recipes.of_steps(steps, TrainingOptions(batch=BATCH), self._seed)
        sets = compression.Sets(self._sets.train, self._sets.decide)
        suffix = ".keras" if self._net.framework == "keras" else ".pt2"
        file = Path(tempfile.mkdtemp(dir=self._folder)) / f"{row.name}{suffix}"
        wanted = compression.wanted_of(self._source, recipe, sets, output=file)
        made = pipeline.compress(wanted.request, self._workers, _say)
        if made.why:
            raise ConversionError(made.why, hint=made.hint)
        output.write(made, file)
        found, why = self._artifacts(str(file) if row.steps else self._source, row)
        figures = made.steps[-1].figures
        return Record(
            self._net.framework, self._net.name, self._seed, row.name, row.key, len(self._sets.labels),
            figures.parameters, figures.macs, found["fp32"], found["int8"],
            round(sum(step.seconds for step in made.steps), 1), why,
        )  # fmt: skip

    def _artifacts(self, source: str, row: Row) -> tuple[dict[str, Artifact | None], str]:
        """The artifact of each precision, and why one is missing."""
        found: dict[str, Artifact | None] = dict.fromkeys(PRECISIONS)
        why = ""
        for precision in PRECISIONS:
            try:
                found[precision] = self._artifact(source, precision, row)
            except EdgewrightError as error:
                why = f"{precision}: {error.message}"
                measuring.say(why)
        return found, why

    def _artifact(self, source: str, precision: str, row: Row) -> Artifact:
        made, refused = self._converted(
            source, precision, qat=any(step["use"] == "qat" for step in row.steps)
        )
        ratio = 0.0
        if row.name != ORIGINAL:
            ratio = latency.ratio(self._converted(self._source, precision)[0].folder, made.folder)
        file = latency.model_file(made.folder)
        content, right = file.read_bytes(), latency.answers(file, self._sets.test) == self._sets.labels
        return Artifact(packed(right), len(content), len(zlib.compress(content, 9)), refused, round(ratio, 3))

    def _converted(self, source: str, precision: str, *, qat: bool = False) -> tuple[Converted, str]:
        """The artifact, also if the verdict refuses it; and why it does. A net that was trained for int8 holds its samples."""
        if (source, precision) not in self._made:
            options = ModelOptions(target=self._net.target, precision=precision, use_cache=False)
            if precision == "int8" and not qat:
                options["calibration"] = str(self._sets.calibration)
            with unjudged.verdict() as said:
                made = compile_model(conversion.wanted_of(source, options).request, workers=self._workers)
            self._made[source, precision] = made, "" if said.refused is None else said.refused.message
        return self._made[source, precision]


def _say(event: ProgressEvent) -> None:
    if event.stage == "train":
        measuring.say(event.detail)
