"""Runs a search of precisions, and prints the trials and the best candidate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from edgewright.cli import render
from edgewright.errors import Aborted, Code, ConversionError, EdgewrightError, Exit, UsageError

if TYPE_CHECKING:
    from edgewright.compile.request import CompileRequest
    from edgewright.measure.search.engine import SearchResult, Trial
    from edgewright.nouns.profile import Profile

FIGURES = (
    ("sqnr_db", ">SQNR dB"),
    ("least_db", ">worst dB"),
    ("accuracy", ">accuracy"),
    ("drop", ">drop"),
    ("size_mb", ">MiB"),
)


def search_and_show(
    request: CompileRequest,
    max_trials: int | None,
    max_minutes: float | None,
    *,
    profile: Profile,
    output: Path | None,
    explain: bool,
    as_json: bool,
) -> None:
    """Searches what the profile's runtimes read, prints the table and the best candidate.

    Ends with exit code 2 when that misses the limit, and with 8 when the user stopped it.

    Raises:
        UsageError: another precision, or layers to keep, were asked for.
        ConversionError: nothing could be made at all. Aborted: nothing was yet, when the user stopped it.
    """
    import msgspec

    from edgewright import targets
    from edgewright.cli.progress import shown
    from edgewright.cli.views.artifact import copied, record, show_artifact, show_too_old
    from edgewright.cli.views.explain import show_explanation
    from edgewright.compile.explain import explain as explain_artifact
    from edgewright.compile.workers.pool import Workers
    from edgewright.config import home
    from edgewright.deploy.runtime_caps import newest_opset, too_old
    from edgewright.measure.search.engine import STOPPED, Limits
    from edgewright.measure.search.judge import fall_back
    from edgewright.nouns.project import MAX_DROP
    from edgewright.store.artifacts import ArtifactStore

    check_start(request)
    if request.model.evaluation is not None and request.max_drop is None:
        request = msgspec.structs.replace(request, max_drop=MAX_DROP)
    request = msgspec.structs.replace(request, max_opset=newest_opset(profile, targets.load(request.target)))
    limits = Limits(trials=max_trials, seconds=None if max_minutes is None else 60 * max_minutes)
    with shown() as progress, Workers(home.folder("logs") / "convert.log") as workers:
        found = fall_back(
            request, limits, workers, progress, fits=lambda manifest: too_old(manifest, profile)
        )
        best = found.best
        if best is None:
            raise nothing_made(found)
        artifact = ArtifactStore(home.folder("artifacts")).get(best.verdict.artifact)
        explanation = explain_artifact(request, artifact, workers) if explain else None
    folder = copied(artifact.folder, output)
    if as_json:
        ok = best.verdict.ok and found.stopped != STOPPED
        render.result("convert", record(artifact, folder, explanation, found), ok=ok)
    else:
        show_trials(found)
        show_artifact(artifact, folder)
        show_too_old(too_old(artifact.manifest, profile), profile)
        if explanation is not None:
            show_explanation(explanation)
    if not best.verdict.ok:
        render.note(f"the best candidate misses the limit: {best.verdict.why}")
    if found.stopped == STOPPED:
        raise typer.Exit(Exit.ABORTED)
    if not best.verdict.ok:
        raise typer.Exit(Exit.SOME_FAILED)


def check_start(request: CompileRequest) -> None:
    """Raises UsageError for what the search decides by itself."""
    from edgewright.precisions import INT8

    if request.precision not in (None, INT8.name):
        raise UsageError(
            f"--fallback starts from {INT8.name}, not from {request.precision}", hint="leave --precision out"
        )
    if request.model.conversion.keep_float:
        raise UsageError(
            "--fallback chooses the layers in floats by itself", hint="leave --keep-float or --fallback out"
        )


def nothing_made(found: SearchResult) -> EdgewrightError:
    """The error of a search without a candidate."""
    from edgewright.measure.search.engine import STOPPED

    if found.stopped == STOPPED:
        return Aborted("stopped by the user before there was a candidate", hint="run it again to go on")
    why = next((trial.verdict.why for trial in found.trials), "no trial was begun")
    return ConversionError(
        f"no precision could be made of {len(found.trials)} tried: {why}",
        hint=f"{found.stopped}; --max-trials and --max-minutes allow more",
        code=Code.SEARCH_NOTHING,
    )


def show_trials(found: SearchResult) -> None:
    """Prints the table of trials and why the search stopped."""
    best = found.best
    render.table(
        "Tried",
        ["", "candidate", *(heading for _, heading in FIGURES), ">s", "why not"],
        [_row(trial, trial is best) for trial in found.trials],
        ["bold" if trial is best else None for trial in found.trials],
    )
    render.line(f"stopped after {len(found.trials)} trials: {found.stopped}")


def _row(trial: Trial, chosen: bool) -> tuple[str, ...]:
    figures = trial.verdict.figures
    mark = "*" if chosen else ""
    shown = (_figure(key, figures.get(key)) for key, _ in FIGURES)
    return (mark, trial.move.label, *shown, f"{trial.seconds:.1f}", trial.verdict.why)


def _figure(key: str, value: float | None) -> str:
    if value is None:
        return "-"
    if key in ("accuracy", "drop"):
        return f"{value:.4f}"
    return f"{value:.1f}" if key.endswith("_db") else render.number(value)
