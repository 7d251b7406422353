"""Judges a move of the ladder: compresses the network, converts it, scores it against the original, and has it measured on the board."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from edgewright import targets
from edgewright.compile.conversion import SOURCE_TASKS
from edgewright.compile.data import evaluation_set
from edgewright.compile.data.answers import Answers
from edgewright.compile.data.data_hash import calibration_in
from edgewright.compile.quality import accuracy, metrics, scored_output, significance
from edgewright.compile.workers.pool import Workers
from edgewright.compress import output, pipeline, recipes
from edgewright.compress.data_sets import Files
from edgewright.compress.frameworks import FRAMEWORKS
from edgewright.compress.request import Compressed, CompressRequest
from edgewright.deployments.artifacts import Recipe, compile_request, cpu_of
from edgewright.deployments.runtime_caps import compile_for
from edgewright.errors import BoardError, ConversionError, DataError, ModelError, UsageError
from edgewright.measure.search.engine import Move, Verdict
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.base import Noun
from edgewright.nouns.comparison import Comparison
from edgewright.nouns.metric import BOUNDLESS
from edgewright.nouns.model_input import Absent
from edgewright.nouns.progress import Progress
from edgewright.nouns.recipe import TrainingOptions
from edgewright.optimize.ladder import Kind, move
from edgewright.optimize.request import OptimizeRequest
from edgewright.optimize.verdict import verdict_of
from edgewright.precisions import EXACT

Measure = Callable[[Artifact], float]  # p95 on the board, milliseconds


class NotMeasured(BoardError):
    """A board's measurement of this candidate cannot be trusted."""


class Network(Noun, frozen=True, kw_only=True):
    """A network to convert: its file, and the multiplications of one sample, if known."""

    path: Path
    macs: int | None = None


class Candidates:
    """Makes and judges candidates.

    Args:
        folder: for compressed networks, as long as the search lasts.
        measure: None without a board.

    Attributes:
        artifacts: id -> artifact, of all that were made.
    """

    def __init__(
        self,
        request: OptimizeRequest,
        workers: Workers,
        folder: Path,
        progress: Progress,
        measure: Measure | None,
    ) -> None:
        self._request, self._workers, self._folder = request, workers, folder
        self._progress, self._measure = progress, measure
        self._original: Answers | None = None
        self.artifacts: dict[str, Artifact] = {}

    def __call__(self, wanted: Move) -> Verdict:
        """Makes and judges one candidate. What a converter, a recipe or a board refuses is a verdict, not an error.

        Raises:
            ModelError, DataError, UsageError: the model, the data or the request are at fault, whatever the move.
        """
        settings = wanted.settings
        try:
            network = self._network(settings["steps"])
            artifact = self._converted(network, wanted)
        except ConversionError as error:
            return Verdict(ok=False, rank=(-1e9,), why=error.message, code=error.code)
        self.artifacts[artifact.id] = artifact
        figures = self._figures(network, artifact)
        why = ""
        if self._measure is not None and not self._request.budget.broken(figures | {"p95_ms": 0.0}):
            try:
                figures["p95_ms"] = self._measure(artifact)
            except NotMeasured as error:
                why = error.message
        return verdict_of(artifact.id, figures, self._request.budget, why)

    def _network(self, steps: Sequence[dict[str, Any]]) -> Network:
        """The network after a recipe's steps; the original without any."""
        source, request = self._request.wanted.model, self._request
        if not steps and request.budget.macs is None:
            return Network(path=source.source)
        if request.format not in FRAMEWORKS:
            return Network(path=source.source)
        counted = [dict(one) for one in steps] or [{"use": "finetune", "epochs": 0}]
        try:
            made = self._compressed(counted)
        except (DataError, ModelError, UsageError) as error:
            if not steps:
                raise
            raise ConversionError(error.message, hint=error.hint, code=error.code) from error
        if made.why:
            raise ConversionError(made.why, hint=made.hint)
        if not steps:
            return Network(path=source.source, macs=made.steps[0].figures.macs)
        stem = source.source.name.partition(":")[0].rpartition(".")[0]
        file = Path(tempfile.mkdtemp(dir=self._folder)) / f"{stem}-compressed{made.networks[-1].file.suffix}"
        output.write(made, file)
        return Network(path=file, macs=made.steps[-1].figures.macs)

    def _compressed(self, steps: list[dict[str, Any]]) -> Compressed:
        source, request = self._request.wanted.model, self._request
        return pipeline.compress(
            CompressRequest(
                source=source.source,
                recipe=recipes.of_steps(steps, TrainingOptions(), request.seed),
                files=Files(request.inputs, request.deciding, None, source.preprocessing),
                metric=source.metric,
                score=source.score,
                trusted=bool(source.trusted),
                use_cache=request.wanted.use_cache,
            ),
            self._workers,
            self._progress,
        )

    def _converted(self, network: Network, one: Move) -> Artifact:
        request, target, precision = self._request, one.settings["target"], one.settings["precision"]
        model = msgspec.structs.replace(request.wanted.model, source=network.path)
        held = calibration_in(network.path)
        if request.lent and not isinstance(held, Absent):  # of steps that simulated int8 with them
            model = msgspec.structs.replace(model, calibration=held)
        wanted = msgspec.structs.replace(request.wanted, model=model)
        recipe = Recipe(
            target=target,
            precision=precision,
            default_precision=precision,
            accelerator=model.conversion.accelerator,
            cpu=cpu_of(wanted, request.profile, target),
        )
        compiled = compile_request(wanted, recipe)
        if request.budget.drop is not None:
            # a conversion knows only the drop from the compressed network; that from the original is judged here
            compiled = msgspec.structs.replace(compiled, max_drop=BOUNDLESS)
        try:
            artifact, _ = compile_for(request.profile, compiled, self._progress, self._workers)
        except UsageError as error:  # such as a precision that this network does not have
            raise ConversionError(error.message, hint=error.hint, code=error.code) from error
        return artifact

    def _figures(self, network: Network, artifact: Artifact) -> dict[str, float | None]:
        found: dict[str, float | None] = {
            "size_mb": artifact.manifest.model_bytes / 1024**2,
            "macs": network.macs,
            "drop": None,
            "p95_ms": None,
        }
        compared = self._compared(artifact, original=network.path == self._request.wanted.model.source)
        if compared is not None:
            found |= {
                "accuracy": compared.value, "drop": compared.drop, "drop_low": compared.low,
                "drop_high": compared.high,
            }  # fmt: skip
        return found

    def _compared(self, artifact: Artifact, *, original: bool) -> Comparison | None:
        """The artifact against the original, on the evaluation set."""
        manifest, model = artifact.manifest, self._request.wanted.model
        if model.evaluation is None or manifest.accuracy is None:
            return None
        given = evaluation_set.prepare(
            model.evaluation, manifest.inputs, model.preprocessing, workers=self._workers
        )
        scored = scored_output.as_before(
            metrics.load(model.metric), given.load_labels(), manifest.outputs, manifest.accuracy,
            names=given.names,
        )  # fmt: skip
        if original:
            self._original = accuracy.kept(manifest.accuracy.answers)
        elif self._original is None:
            self._original = self._answers_of_original(manifest.target)
        if self._original is None:
            return None
        target = targets.load(manifest.target)
        packed = self._workers.call(
            target.framework, SOURCE_TASKS, "answer_as_the_artifact",
            runner=targets.module_name(target.runs_on_host), folder=artifact.folder,
            manifest=msgspec.to_builtins(manifest), inputs=given.inputs, keep=scored.scorer.metric.keep,
            output=scored.scorer.output or 0,
        )  # fmt: skip
        return significance.compare(scored.scorer, self._original, Answers.unpacked(packed), scored.labels)

    def _answers_of_original(self, target: str) -> Answers | None:
        """The original's answers, from its conversion in 32-bit floats: no candidate without training could be made. None if that fails too."""
        plain = move(Kind(target=target, precision=EXACT.name))
        try:
            artifact = self._converted(Network(path=self._request.wanted.model.source), plain)
        except ConversionError:
            return None
        found = artifact.manifest.accuracy
        return None if found is None else accuracy.kept(found.answers)
