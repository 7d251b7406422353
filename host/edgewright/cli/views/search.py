"""Runs a search of precisions, and prints the trials and the best candidate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from edgewright.cli import render
from edgewright.errors import Exit

if TYPE_CHECKING:
    from edgewright.api.conversion import Wanted
    from edgewright.measure.search.engine import SearchResult, Trial

FIGURES = (
    ("sqnr_db", ">SQNR dB"),
    ("least_db", ">worst dB"),
    ("accuracy", ">accuracy"),
    ("drop", ">drop"),
    ("size_mb", ">MiB"),
)


def search_and_show(
    wanted: Wanted,
    max_trials: int | None,
    max_minutes: float | None,
    *,
    output: Path | None,
    explained: bool,
    as_json: bool,
) -> None:
    """Searches the precisions that the profile's runtimes can read, and prints the trials and the best candidate.

    Exits with 2 if the best candidate misses the limit, and with 8 if the user stopped the search.
    """
    from edgewright.api.conversion import copied
    from edgewright.api.precision_search import search
    from edgewright.cli.progress import shown
    from edgewright.cli.views.artifact import record, show_converted
    from edgewright.measure.search.engine import Limits

    limits = Limits(trials=max_trials, seconds=None if max_minutes is None else 60 * max_minutes)
    with shown() as progress:
        found = search(wanted, limits, explained=explained, progress=progress)
    converted = found.converted._replace(artifact=copied(found.converted.artifact, output))
    if as_json:
        render.result("convert", record(converted, found.result), ok=found.ok and not found.stopped)
    else:
        show_trials(found.result)
        show_converted(converted)
    if not found.ok and found.result.best is not None:
        render.note(f"the best candidate misses the limit: {found.result.best.verdict.why}")
    if not as_json:
        render.ending(ending(converted.artifact.id[:12], ok=found.ok))
    if found.stopped:
        raise typer.Exit(Exit.ABORTED)
    if not found.ok:
        raise typer.Exit(Exit.SOME_FAILED)


def ending(artifact: str, *, ok: bool) -> str:
    """The closing sentence."""
    if ok:
        return f"next: `edgewright deploy {artifact} --to SELECTOR`, or `edgewright bench {artifact} --on SELECTOR`"
    return "raise --max-drop, or search longer with --max-trials and --max-minutes"


def show_trials(found: SearchResult, figures: Sequence[tuple[str, str]] = FIGURES) -> None:
    """Prints the table of trials and why the search stopped.

    Args:
        figures: key and heading of each figure.
    """
    best = found.best
    render.table(
        "Tried",
        ["", "candidate", *(heading for _, heading in figures), ">s", "why not"],
        [_row(trial, trial is best, figures) for trial in found.trials],
        ["bold" if trial is best else None for trial in found.trials],
    )
    render.line(f"stopped after {len(found.trials)} trials: {found.stopped}")


def _row(trial: Trial, chosen: bool, figures: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    mark = "*" if chosen else ""
    shown = (_figure(key, trial.verdict.figures.get(key)) for key, _ in figures)
    return (mark, trial.move.label, *shown, f"{trial.seconds:.1f}", trial.verdict.why)


def _figure(key: str, value: float | None) -> str:
    if value is None:
        return "-"
    if key in ("accuracy", "drop"):
        return f"{value:.4f}"
    return f"{value:.1f}" if key.endswith("_db") else render.number(value)
