"""compile_model: from a source model to an artifact in the store."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

import msgspec

from edgewright.compile import machine_code, routes
from edgewright.compile.cache_key import cache_key, tools
from edgewright.compile.data import model_calibration
from edgewright.compile.data.goldens import LEAST
from edgewright.compile.inspection import code_fingerprint
from edgewright.compile.quality import metrics, user_comparison
from edgewright.compile.recognition import Recognised, recognise
from edgewright.compile.request import CompileRequest, Plan, check_limit
from edgewright.compile.routes import Edge
from edgewright.compile.workers.framework_errors import CONVERTERS, with_ways
from edgewright.compile.workers.pool import Workers
from edgewright.config import home
from edgewright.errors import Code, ConversionError, ModelError, UsageError
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.progress import Progress, ProgressEvent, silent
from edgewright.nouns.target import Target
from edgewright.store import cache
from edgewright.store.artifacts import ArtifactStore


class PlannedCompilation(NamedTuple):
    """A request with everything that is known before anything is converted."""

    request: CompileRequest
    found: Recognised
    edge: Edge
    plan: Plan


def plan(request: CompileRequest) -> Plan:
    """What `compile_model` would do. Imports no framework and makes no artifact.

    Raises:
        ModelError, DataError, UsageError, ConversionError: the request cannot be met.
    """
    return prepare(request).plan


def compile_model(
    request: CompileRequest, progress: Progress = silent, workers: Workers | None = None
) -> Artifact:
    """Makes the artifact, or takes it from the cache.

    Args:
        workers: the command's workers, which several compilations share; by default this compilation starts its own.

    Raises:
        ModelError: the source is missing, damaged, misnamed, or has dynamic shapes that were not given.
        DataError: calibration or evaluation data do not fit the model.
        UsageError: unknown target or precision, missing calibration data, or `max_drop` without labelled data.
        ConversionError: there is no such route; a converter failed or crashed; the outputs deviate by more than the
            precision's tolerance; the accuracy drops by more than `max_drop`. Nothing is stored then.
    """
    return carry_out(prepare(request), progress, workers)


def carry_out(
    planned: PlannedCompilation, progress: Progress = silent, workers: Workers | None = None
) -> Artifact:
    """Like `compile_model`, for a compilation that is already planned."""
    bound = cache.limit()
    request, found, edge, steps = planned
    store = ArtifactStore(home.folder("artifacts"))
    if request.use_cache and (artifact := store.cached(steps.key)):
        progress(
            ProgressEvent(stage="convert", detail=f"cached {artifact.id[:12]}", done=1, total=1, unit="steps")
        )
        return artifact
    # it brings all that judges an artifact: not for one from the cache
    from edgewright.compile.compilation import Compilation

    with ExitStack() as stack:
        used = workers or stack.enter_context(Workers(home.folder("logs") / "convert.log", progress=progress))
        place = stack.enter_context(used.folder())
        stack.enter_context(model_calibration.copied(request.model))
        try:
            artifact = Compilation(request, found, edge, used, place, progress, steps.steps).run(
                store, partial(check_unchanged, planned)
            )
        except ConversionError as error:
            if error.code in CONVERTERS:
                with_ways(error, routes.elsewhere(edge, error.hint))
            raise
    if code_fingerprint.unchanged():
        store.remember(steps.key, artifact)
    cache.prune(max_bytes=bound)
    return artifact


def check_unchanged(planned: PlannedCompilation) -> None:
    """Raises ModelError if the model or its data are not those of the plan any more: the goldens would be another model's."""
    if prepare(planned.request).plan.key != planned.plan.key:
        raise ModelError(
            f"{planned.request.model.source} or its data changed during the conversion",
            hint="convert it again once nothing writes to them",
        )


def _for_a_cpu(request: CompileRequest, target: Target) -> CompileRequest:
    """The request with the CPU that the target compiles for; without one for a target whose artifacts run on every CPU."""
    cpu = (request.cpu or machine_code.default(target)) if target.compiles_for else None
    if cpu is not None and cpu.arch not in target.compiles_for:
        raise ConversionError(
            f"{target.name} does not compile for {cpu.arch}",
            hint=f"it compiles for {', '.join(target.compiles_for)}",
            code=Code.NO_EDGE,
        )
    return msgspec.structs.replace(request, cpu=cpu)


def prepare(request: CompileRequest) -> PlannedCompilation:
    """Like `plan`; the result can be carried out.

    Raises:
        ModelError, DataError, UsageError, ConversionError: the request cannot be met.
    """
    metrics.check_name(request.model.metric)
    user_comparison.check_name(request.model.compare)
    if request.goldens < LEAST:
        raise UsageError(
            f"too few goldens: {request.goldens}", hint=f"at least {LEAST} show a wrong answer reliably"
        )
    check_limit(request.max_drop, request.model)
    found = recognise(request.model.source, trusted=bool(request.model.trusted))
    edge = routes.edge(found, request)
    request = _for_a_cpu(request, edge.target)
    key = cache_key(found, request, edge, tools(edge))
    artifact = ArtifactStore(home.folder("artifacts")).cached(key) if request.use_cache else None
    steps = ["read the model", "compute goldens"]
    steps += [f"convert ({framework})" for framework, _ in edge.route.stages]
    steps += ["check answers"]
    if request.model.evaluation is not None:
        steps += ["score the source", "score the artifact"]
    made = Plan(
        source=found.source,
        target=edge.target.name,
        precision=edge.precision,
        steps=tuple(steps),
        key=key,
        artifact=None if artifact is None else artifact.id,
    )
    return PlannedCompilation(request, found, edge, made)
