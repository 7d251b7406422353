"""The stages of a route, one after another, in worker processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from edgewright.compile import machine_code
from edgewright.compile.data import input_ranges
from edgewright.compile.data.calibration import SampleSet
from edgewright.compile.data.input_ranges import Range
from edgewright.compile.formats import FORMATS, stage_module
from edgewright.compile.request import CompileRequest
from edgewright.compile.routes import Edge
from edgewright.compile.tasks.source import Order, SourceRef
from edgewright.compile.toolchains import environments
from edgewright.compile.workers.pool import Workers
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.progress import Progress, ProgressEvent

SOURCE_TASKS = "edgewright.compile.tasks.source"


Ends = tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]


class Converted(NamedTuple):
    """What the stages made.

    Attributes:
        folder: the last stage's; its files are the artifact's.
        made: what the last stage returned, with the notes of all.
        ranges: of the data that the model ran on, where there are any.
    """

    folder: Path
    made: dict[str, Any]
    ranges: tuple[Range, ...]


class Jobs:
    """The jobs of one compilation, each in the worker of its framework and shown as one of the plan's steps."""

    def __init__(self, workers: Workers, progress: Progress, steps: tuple[str, ...]) -> None:
        self._workers, self._progress, self._steps, self._done = workers, progress, steps, 0

    def run(self, framework: str, function: str, /, within: str = SOURCE_TASKS, **kwargs: Any) -> Any:
        """What the worker's function returns, or raises."""
        done, total = self._done, len(self._steps)
        what = self._steps[done] if done < total else function.replace("_", " ")
        self._progress(ProgressEvent(stage="convert", detail=what, done=done, total=total, unit="steps"))
        result = self._workers.call(framework, within, function, **kwargs)
        self._done += 1
        return result


class Stages:
    """The stages of one compilation: the route from its source to the artifact's files."""

    def __init__(self, request: CompileRequest, edge: Edge, source: SourceRef, place: Path) -> None:
        self._request, self._edge, self._source, self._place = request, edge, source, place
        self._framework = FORMATS[source.format].framework

    def run(self, jobs: Jobs, ends: Ends, samples: SampleSet, seen: tuple[Range, ...]) -> Converted:
        """Runs the stages, each in its own folder.

        Args:
            ends: the source's inputs and outputs.
            seen: the ranges of the data that the goldens were chosen from.
        """
        path, made, folder, notes = self._source.path, {}, self._place, []
        last = len(self._edge.route.stages) - 1
        for index, (framework, module) in enumerate(self._edge.route.stages):
            folder = self._place / f"stage{index}"
            folder.mkdir()
            made = jobs.run(
                FORMATS[self._source.format].worker_of(framework),
                "convert",
                module=stage_module(self._edge.source, module),
                source=self._source,
                open_source=framework == self._framework,
                samples=samples,
                order=self._order(path, folder, ends, samples, self._edge.steps if index == last else ()),
            )
            produced = folder / self._edge.target.entry
            path = produced if produced.is_file() else folder
            notes += [note for note in made["notes"] if note not in notes]
            seen = input_ranges.joined(seen, made["ranges"]) if samples.path else ()
        return Converted(folder, {**made, "notes": notes}, seen)

    def _order(
        self, path: Path, folder: Path, ends: Ends, samples: SampleSet, steps: tuple[str, ...]
    ) -> Order:
        request, target = self._request, self._edge.target
        inputs, outputs = ends
        return Order(
            path=path,
            folder=folder,
            entry=target.entry,
            precision=self._edge.made,
            inputs=inputs,
            outputs=outputs,
            opset=request.opset,
            max_opset=min(filter(None, (request.max_opset, target.max_opset)), default=None),
            count=samples.count(),
            synthetic=samples.path is None,
            float64=target.float64,
            conversion=request.model.conversion,
            toolchains={name: environments.python_of(name) for name in self._edge.route.toolchains},
            steps=steps,
            cpu=request.cpu,
            twin=machine_code.counterpart(request.cpu),
        )
