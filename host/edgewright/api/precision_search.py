"""Searches for the precision nearest to int8 that keeps enough accuracy, for a profile."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from edgewright import targets
from edgewright.api.callbacks import guarded
from edgewright.api.conversion import Converted, Wanted, noted, too_new
from edgewright.compile.explain import explain
from edgewright.compile.request import CompileRequest
from edgewright.compile.workers.pool import Workers
from edgewright.config import home
from edgewright.deployments.runtime_caps import newest_opset, too_old
from edgewright.errors import Aborted, Code, ConversionError, EdgewrightError, UsageError
from edgewright.measure.search.engine import STOPPED, Limits, SearchResult
from edgewright.measure.search.judge import fall_back
from edgewright.nouns.progress import Progress
from edgewright.nouns.project import MAX_DROP
from edgewright.precisions import INT8
from edgewright.store.artifacts import ArtifactStore


class Searched(NamedTuple):
    """The result of a search with at least one candidate.

    Attributes:
        converted: the best candidate.
        ok: the best candidate meets the limit. stopped: the user stopped the search.
    """

    result: SearchResult
    converted: Converted
    ok: bool
    stopped: bool


def search(
    wanted: Wanted, limits: Limits, *, explained: bool = False, progress: Progress | None = None
) -> Searched:
    """Searches the precisions that the profile's runtimes can read.

    Raises:
        UsageError: another precision, or layers to keep, were requested.
        ConversionError: no candidate could be made. Aborted: the user stopped the search before it had a candidate.
    """
    request, profile = wanted.request, wanted.profile
    check_start(request)
    if request.model.evaluation is not None and request.max_drop is None:
        request = msgspec.structs.replace(request, max_drop=MAX_DROP)
    request = msgspec.structs.replace(request, max_opset=newest_opset(profile, targets.load(request.target)))
    report = guarded(progress)
    with Workers(home.folder("logs") / "convert.log", progress=report) as workers:
        found = fall_back(request, limits, workers, report, fits=lambda manifest: too_old(manifest, profile))
        best = found.best
        if best is None:
            raise nothing_made(found)
        artifact = ArtifactStore(home.folder("artifacts")).get(best.verdict.artifact)
        explanation = explain(request, artifact, workers) if explained else None
    notes = noted(report, too_new(too_old(artifact.manifest, profile), profile))
    return Searched(
        found,
        Converted(artifact, explanation, notes),
        best.verdict.ok,
        found.stopped == STOPPED,
    )


def check_start(request: CompileRequest) -> None:
    """Raises UsageError for options that the search decides itself."""
    if request.precision not in (None, INT8.name):
        raise UsageError(
            f"--fallback starts from {INT8.name}, not from {request.precision}", hint="leave --precision out"
        )
    if request.model.conversion.keep_float:
        raise UsageError(
            "--fallback chooses the layers in floats by itself", hint="leave --keep-float or --fallback out"
        )


def nothing_made(found: SearchResult) -> EdgewrightError:
    """The error for a search without a candidate."""
    if found.stopped == STOPPED:
        return Aborted("stopped by the user before there was a candidate", hint="run it again to continue")
    why = next((trial.verdict.why for trial in found.trials), "no trial was begun")
    return ConversionError(
        f"no precision could be made of {len(found.trials)} tried: {why}",
        hint=f"{found.stopped}; --max-trials and --max-minutes allow more",
        code=Code.SEARCH_NOTHING,
    )
