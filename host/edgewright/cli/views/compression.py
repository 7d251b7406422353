"""Shows what each step of a compression cost and bought."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgewright.cli import render
from edgewright.cli.views.measurements import compiled, footnotes, p50
from edgewright.metrics import to_show

if TYPE_CHECKING:
    from edgewright.api.step_measurement import StepsOnBoards
    from edgewright.cli.results.compress import CompressResult
    from edgewright.compress.request import Compressed
    from edgewright.nouns.comparison import Comparison
    from edgewright.nouns.compression import StepResult


def show_plan(planned: CompressResult) -> None:
    """Prints the steps of a dry run."""
    for number, step in enumerate(planned.plan, 1):
        epochs = step.options.get("epochs") or 0
        render.line(f"{number}  {step.shown}, {epochs} epochs" if epochs else f"{number}  {step.shown}")
    render.ending("nothing was compressed: leave out --dry-run to compress")


def show(found: Compressed, output: Path, boards: StepsOnBoards) -> None:
    """Prints the table of steps, what boards measured, the last look, and what was written."""
    show_steps(found.steps, found.good)
    show_boards(boards)
    for step in found.steps:
        for note in step.notes:
            render.note(f"{step.shown}: {note}")
    if found.test is not None:
        render.line(f"on the evaluation set, looked at once: {_compared(found.test)}")
    if found.why:
        render.note(f"stopped early: {found.why}")
        if found.hint:
            render.note(f"hint: {found.hint}")
    if found.good < 2:
        render.ending("nothing was written: no step was good enough; train longer, or remove less")
        return
    render.line(f"wrote {output}")
    render.ending(f"next: `edgewright convert {output}`, or `edgewright deploy {output} --to SELECTOR`")


def show_steps(steps: Sequence[StepResult], good: int) -> None:
    """Prints the table of steps; 80 columns are enough for it."""
    first, sparse = steps[0].accuracy, any(step.figures.zeros for step in steps)
    judged = (
        []
        if first is None
        else [f">{first.metric}", ">points lost" if to_show(first.metric).share else ">drop"]
    )
    columns = ["step", *judged, ">KiB", ">packed", ">MMACs", ">weights"]
    columns += [">zero", ">epochs"] if sparse else [">epochs"]
    rows = [_row(step, index < good, sparse=sparse) for index, step in enumerate(steps)]
    render.table(
        "Compressed: what was lost against the original, with 95 % intervals"
        if judged
        else "Compressed; without labels nothing shows what each step lost",
        columns,
        rows,
        ["bold" if index == good - 1 else None for index in range(len(rows))],
    )


def show_boards(found: StepsOnBoards) -> None:
    """Prints what boards measured of each step's network; nothing without boards."""
    rows, styles = [], []
    for step in found.steps:
        for one in step.measurements:
            ratio = (
                "-"
                if one.ratio is None
                else f"{one.ratio.value:.2f} ({one.ratio.low:.2f} to {one.ratio.high:.2f})"
            )
            figures = (
                p50(one),
                ratio,
                render.number(one.peak_process_mb),
                render.number(one.model_memory_mb),
            )
            rows.append((step.shown, one.board, compiled(one), *figures))
            styles.append("yellow" if one.invalid else None)
    if rows:
        columns = [
            "step",
            "board",
            "compiled to",
            ">p50 ms",
            ">of original's",
            ">process MiB",
            ">of it model",
        ]
        render.table("Measured on boards, interleaved", columns, rows, styles, spare=(">of it model",))
        every = [one for step in found.steps for one in step.measurements]
        footnotes(every, [(one.board, one.simulated) for one in every])
    for name, error in found.failed.items():
        render.note(f"not measured: {name}: {error.message}" + (f"; {error.hint}" if error.hint else ""))


def _row(step: StepResult, good: bool, *, sparse: bool) -> tuple[str, ...]:
    figures, found = step.figures, step.accuracy
    epochs = "cached" if step.cached else f"{step.best}/{step.epochs}" if step.epochs else "-"
    return (
        step.shown if good else f"{step.shown} (refused)",
        *(
            ()
            if found is None
            else (_shown(found, found.value), "-" if step.name == "original" else _lost(found))
        ),
        f"{figures.bytes / 1024:,.0f}",
        f"{figures.packed_bytes / 1024:,.0f}",
        f"{figures.macs / 1e6:.3g}",
        f"{figures.parameters:,}",
        *((f"{figures.zeros / figures.parameters:.0%}" if figures.zeros else "-",) if sparse else ()),
        epochs,
    )


def _shown(found: Comparison, value: float) -> str:
    return to_show(found.metric).shown(value)


def _lost(found: Comparison) -> str:
    """The drop with its 95 % interval: in points of a share, else as a fraction."""
    scale, digits = (100, 1) if to_show(found.metric).share else (1, 3)
    figures = [value * scale for value in (found.drop, found.low, found.high) if value is not None]
    first, *bounds = (f"{value:.{digits}f}" for value in figures)
    return f"{first} ({' to '.join(bounds)})" if len(bounds) == 2 else first


def _compared(found: Comparison) -> str:
    unit = " points" if to_show(found.metric).share else ""
    return (
        f"{found.metric} {_shown(found, found.value)} against {_shown(found, found.reference)},"
        f" lost {_lost(found)}{unit}, {found.n} samples"
    )
