"""Runs a recipe: step after step, each judged on the deciding samples, cached by content, and resumed where it was interrupted."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgewright.compile import cache_key
from edgewright.compile.data import labels
from edgewright.compile.data.answers import Answers
from edgewright.compile.formats import FORMATS
from edgewright.compile.inspection import calibration_member, code_fingerprint, lineage_file
from edgewright.compile.quality import metrics
from edgewright.compile.recognition import Recognised, recognise
from edgewright.compile.workers import user_function
from edgewright.compile.workers.pool import Workers
from edgewright.compress import data_sets, recipe_check, training_functions
from edgewright.compress.data_sets import Sets
from edgewright.compress.distillation import DistillationOptions
from edgewright.compress.frameworks import of_format, trains
from edgewright.compress.request import Compressed, CompressRequest, StepNetwork
from edgewright.compress.session import Session
from edgewright.compress.step_runner import StepRunner
from edgewright.compress.step_store import StepFolder, key
from edgewright.compress.steps import STEPS
from edgewright.compress.tasks import NetworkFile
from edgewright.errors import Code, ConversionError, DataError, EdgewrightError, ModelError, UsageError
from edgewright.nouns.comparison import Comparison
from edgewright.nouns.compression import Lineage, LineageStep, StepResult
from edgewright.nouns.progress import Progress, ProgressEvent
from edgewright.nouns.recipe import RecipeStep, plain

_ROUNDING = 1e-9  # less than one sample's share: a drop of exactly the limit passes


class BrokenFloor(ConversionError):
    """A step's network is worse than the recipe allows."""

    code = Code.BELOW_FLOOR


def compress(request: CompressRequest, workers: Workers, progress: Progress) -> Compressed:
    """Compresses a network.

    Raises:
        ModelError: the network cannot be compressed so. DataError: the data do not fit it.
        UsageError: the steps cannot be in this order, or need data that are missing.
        EdgewrightError: the first step failed; if a later one fails, the result says so.
    """
    found, teachers = checked(request)
    for one in (found, *teachers.values()):
        workers.may_read(one.files or (one.path,))
    for step in request.recipe.steps:
        workers.may_read(training_functions.files(step.options.training.over(request.recipe.training)))
    with workers.folder() as folder:
        return _Compression(request, found, teachers, (workers, folder), progress).run()


def checked(request: CompressRequest) -> tuple[Recognised, dict[str, Recognised]]:
    """The network's file and those of teachers, by the paths in the recipe. Opens and trains nothing.

    Raises:
        EdgewrightError: as `compress`, for all that can be known so far.
    """
    found = recognised(request, request.source)
    if not trains(found.source.format):
        recipe_check.check_untrained(request.recipe)
    recipe_check.check_order(request.recipe)
    recipe_check.check_training(request.recipe)
    files = request.files
    recipe_check.check_data(
        request.recipe, training=files.training is not None, deciding=files.deciding is not None
    )
    for path in filter(None, (files.training, files.deciding, files.test)):
        there = user_function.named(path) or (path, "")
        if not there[0].exists():
            raise DataError(f"no such data file: {there[0]}", hint="check the path", code=Code.FILE_NOT_FOUND)
    recipe_check.check_redraw(request.recipe, files.training)
    if files.training is not None and not user_function.named(files.training):
        _check_labels(request, labelled=labels.there(files.training))
    paths = filter(None, map(recipe_check.teacher, request.recipe.steps))
    return found, {path: _teacher(request, found, Path(path)) for path in paths}


def _check_labels(request: CompressRequest, *, labelled: bool) -> None:
    """Raises UsageError if the recipe cannot be carried out with training data of that kind."""
    deciding = request.files.deciding is not None
    if not labelled:
        recipe_check.check_labels(request.recipe, deciding=deciding)
    elif not deciding and recipe_check.redraws(request.recipe):
        raise UsageError(
            "`redraw` draws all training data again in each epoch, so none of them can be held out to decide by",
            hint="give a separate set with --validation, or leave `redraw` out",
            code=Code.RECIPE,
        )


def recognised(request: CompressRequest, path: Path) -> Recognised:
    """The model file.

    Raises:
        ModelError: its format cannot be compressed, or it has integer arithmetic. ConversionError: its framework is not installed.
    """
    found = recognise(path, trusted=request.trusted)
    of_format(found.source.format, FORMATS[found.source.format].title)
    if found.quantised:
        raise ModelError(
            f"{path} is quantised already: its weights are integers",
            hint="compress the float model that it was made from",
            code=Code.QUANTISED_ALREADY,
        )
    _tools(found)
    return found


class _Compression:
    """One compression in progress.

    Args:
        place: the workers, and a folder that they may write to.
    """

    def __init__(
        self,
        request: CompressRequest,
        found: Recognised,
        teachers: dict[str, Recognised],
        place: tuple[Workers, Path],
        progress: Progress,
    ) -> None:
        self.request, self.found, self.teachers = request, found, teachers
        workers, folder = place
        self.suffix = of_format(found.source.format, "").suffix
        progress(ProgressEvent(stage="open", detail=request.source.name))
        self.session = Session(workers, _file(found, request), folder)
        opened = self.session.opened
        self.sets: Sets = data_sets.prepare(
            request.files, opened, metrics.load(request.metric), request.score, request.recipe.seed, workers,
            fresh=not request.use_cache,
        )  # fmt: skip
        if self.sets.training is not None:
            _check_labels(request, labelled=self.sets.labelled)
        for path, teacher in teachers.items():
            self.session.check_teacher(_file(teacher, request), path)
        self._check_hints()
        self.runner = StepRunner(self.session, request.recipe, self.sets, progress)

    def run(self) -> Compressed:
        """Runs all steps."""
        first = place = StepFolder(self._first_key(), self.suffix)
        inherited = calibration_member.extracted(self.found.path)
        before = self._test_answers()
        results, why, hint, code = [self.runner.original(first)], "", "", ""
        networks = [StepNetwork(file=first.network, calibration=inherited)]
        for index, step in enumerate(self.request.recipe.steps):
            after = StepFolder(self._step_key(index, place), self.suffix)
            try:
                results.append(self._result(step, (first, place, after)))
                refuse_below_floor(step, results[-1], self.sets)
            except EdgewrightError as error:
                if len(results) == 1:
                    raise
                why, hint, code = f"{recipe_check.shown(step)}: {error.message}", error.hint, str(error.code)
                break
            place = after
            networks.append(StepNetwork(file=place.network, calibration=place.calibration or inherited))
        good = len(networks)
        test, untested = self._tested(place, before) if good > 1 else (None, "")
        return Compressed(
            networks=tuple(networks), steps=tuple(results), good=good, lineage=self._lineage(results[:good]),
            test=test, why=why, hint=hint, code=code, notes=(*self._notes(), *filter(None, [untested])),
            inputs=tuple(spec.name for spec in self.session.opened.inputs),
        )  # fmt: skip

    def _result(self, step: RecipeStep, folders: tuple[StepFolder, StepFolder, StepFolder]) -> StepResult:
        """A step's result, computed if it is not in the cache."""
        cached = folders[-1].result() if self.request.use_cache else None
        if cached is not None:
            return msgspec.structs.replace(cached, cached=True)
        return self.runner.run(step, *folders, self._teacher(step), resume=self.request.use_cache)

    def _teacher(self, step: RecipeStep) -> NetworkFile | None:
        path = recipe_check.teacher(step)
        return None if path is None else _file(self.teachers[path], self.request)

    def _check_hints(self) -> None:
        """Before hours of training: no step changes the names of layers."""
        for step in self.request.recipe.steps:
            if isinstance(step.options, DistillationOptions) and step.options.hints:
                self.session.check_hints(step.options.hints, self._teacher(step))

    def _test_answers(self) -> Answers | None:
        return None if self.sets.test is None else self.session.answers(self.sets.test)

    def _tested(self, place: StepFolder, before: Answers | None) -> tuple[Comparison | None, str]:
        """The network after a step against the original, on the samples that nothing was decided by; and why there is no such comparison."""
        if self.sets.test is None or before is None:
            return None, ""
        try:
            self.runner.go(place)
            return self.sets.test.compared(before, self.session.answers(self.sets.test)), ""
        except EdgewrightError as error:  # the network is good by what decided, so it must not be lost
            return None, f"the evaluation set was not answered: {error.message}"

    def _notes(self) -> tuple[str, ...]:
        found = [one.note for one in (self.sets.deciding,) if one is not None and one.note]
        if self.sets.deciding is not None and self.sets.test is None:
            found.append(
                "the figures are of the samples that decided, so they flatter: give others with --evaluation"
            )
        unknown = self.sets.training is not None and not (self.sets.labelled or self.sets.deciding)
        if unknown and self.sets.loss == "mse" and recipe_check.leaves_loss_open(self.request.recipe):
            found.append(
                "no labels say what the outputs stand for, so they were compared as they are (mse): for a classifier's logits, give"
                " --loss cross_entropy"
            )
        return tuple(found)

    def _lineage(self, results: list[StepResult]) -> Lineage:
        first, earlier = results[0].accuracy, lineage_file.read(self.found.path)
        steps = tuple(
            LineageStep(
                use=one.name, shown=one.shown, metric=None if one.accuracy is None else one.accuracy.value
            )
            for one in results[1:]
        )
        if earlier is not None:  # it was compressed before
            return msgspec.structs.replace(earlier, steps=(*earlier.steps, *steps))
        return Lineage(
            file=self.request.source.name,
            sha256=self.found.source.sha256,
            steps=steps,
            seed=self.request.recipe.seed,
            data_sha256=self.sets.sha256,
            metric="" if first is None else first.metric,
            original=None if first is None else first.value,
        )

    def _first_key(self) -> str:
        """Of everything that all steps depend on."""
        deciding, seed = self.sets.deciding, self.request.recipe.seed
        rows = None if deciding is None else msgspec.structs.replace(deciding.rows, inputs="", labels="")
        return key(
            source=self.found.source, code=_code(), tools=_tools(self.found),
            deciding=[self.sets.deciding_sha256, rows], metric=self.request.metric, score=self.request.score,
            metric_sha256="" if deciding is None else deciding.scorer.sha256, seed=seed,
        )  # fmt: skip

    def _step_key(self, index: int, before: StepFolder) -> str:
        step, path = self.request.recipe.steps[index], recipe_check.teacher(self.request.recipe.steps[index])
        options = {
            name: value for name, value in plain(step.options).items() if name not in ("floor", "max_drop")
        }
        training = step.options.training.over(self.request.recipe.training)
        return key(
            before=before.path.name, use=step.use, options=options, training=training,
            functions=training_functions.hashes(training), data=self.sets.sha256,
            teacher="" if path is None else self.teachers[path].source.sha256,
            plugins=code_fingerprint.of_plugins([STEPS.plugin(step.use).split(".")[0]]),
        )  # fmt: skip


def _teacher(request: CompressRequest, network: Recognised, path: Path) -> Recognised:
    """A teacher's model file.

    Raises:
        ModelError: it would be opened by another worker than the network: of another framework, or a file beside the user's own code, which
            runs with the user's rights.
    """
    found = recognised(request, path)
    ours, theirs = FORMATS[network.source.format], FORMATS[found.source.format]
    if ours.worker != theirs.worker:
        raise ModelError(
            f"{theirs.title} cannot teach {ours.title}",
            hint=f"give a teacher of the network's own kind: {ours.known_as}",
            code=Code.TEACHER_UNLIKE,
        )
    return found


def refuse_below_floor(step: RecipeStep, result: StepResult, sets: Sets) -> None:
    """Raises BrokenFloor if a step's network is worse than its options allow."""
    options, found = step.options, result.accuracy
    if found is None or sets.deciding is None:
        return
    metric = sets.deciding.scorer.metric
    if options.max_drop is not None and not found.drop <= options.max_drop + _ROUNDING:
        raise BrokenFloor(
            f"{found.metric} fell from {metric.shown(found.reference)} to {metric.shown(found.value)}, by more than"
            f" {metric.drop_shown(options.max_drop)}",
            hint="train longer, remove less, or raise `max_drop`",
        )
    if options.floor is None:
        return
    margin = found.value - options.floor if metric.higher_is_better else options.floor - found.value
    if not margin >= -_ROUNDING:
        raise BrokenFloor(
            f"{found.metric} is {metric.shown(found.value)}, the floor is {metric.shown(options.floor)}",
            hint="train longer, remove less, or change `floor`",
        )


def _tools(found: Recognised) -> dict[str, str]:
    """Distribution -> version of what the network's framework needs. Raises ConversionError if one is missing."""
    return cache_key.versions(of_format(found.source.format, "").tools, "compress")


def _file(found: Recognised, request: CompressRequest) -> NetworkFile:
    return NetworkFile(path=found.path.absolute(), format=found.source.format, trusted=request.trusted)


def _code() -> str:
    """Hex sha256 over the code of compression, and of the layers that it runs through."""
    root = Path(__file__).parent
    return code_fingerprint.fingerprint() + code_fingerprint.of(
        {str(file.relative_to(root)): file for file in root.rglob("*.py")}
    )
