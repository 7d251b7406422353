"""Tables of measurements, for bench and demo, and what to know about them."""

from __future__ import annotations

from collections.abc import Sequence

from edgewright.cli import render
from edgewright.nouns.measurement import Measurement, Ratio


def measurements(title: str, results: Sequence[Measurement]) -> None:
    """Prints the measurements, the conditions, how releases compare, and the footnotes."""
    styles = ["yellow" if one.invalid else None for one in results]
    figures = [
        (
            one.board, one.release, compiled(one), render.number(one.latency.p50), interval(one),
            render.number(one.latency.p95), render.number(one.latency.p99), render.number(one.peak_process_mb),
            render.number(one.model_memory_mb),
        )
        for one in results
    ]  # fmt: skip
    heads = [">p50 ms", ">95 % interval", ">p95", ">p99", ">process MiB", ">of it model"]
    render.table(title, ["board", "release", "compiled to", *heads], figures, styles, spare=(">p99", ">p95"))
    render.line("")
    conditions = [
        (
            one.board, one.release, one.runtime, one.accelerator, one.threads, render.number(one.latency.load_ms),
            render.number(one.latency.first_ms), one.latency.n,
        )
        for one in results
    ]  # fmt: skip
    heads = ["runtime", "ran on", ">threads", ">load ms", ">first ms", ">samples"]
    render.table("", ["board", "release", *heads], conditions, styles, spare=(">samples",))
    footnotes(results, [(one.board, one.simulated) for one in results])
    bad = {(one.board, one.release) for one in results if one.invalid}
    for one in results:
        if one.ratio is not None:
            valid = not bad & {(one.board, one.release), (one.board, one.ratio.reference)}
            render.line(f"{one.board}: {compared(one, one.ratio, valid=valid)}")


def compiled(measurement: Measurement) -> str:
    """Target and precision."""
    return f"{measurement.target} {measurement.precision}".strip() or "-"


def compared(measurement: Measurement, ratio: Ratio, *, valid: bool = True) -> str:
    """How a release's latency compares with another release's."""
    text = (
        f"{measurement.release} takes {ratio.value:.2f} times as long as {ratio.reference}, "
        f"95 % interval {ratio.low:.2f} to {ratio.high:.2f}"
    )
    if not valid:
        return f"{text}: invalid, as above"
    if ratio.low <= 1 <= ratio.high:
        return f"{text}: no difference is proven"
    return f"{text}: it is {'faster' if ratio.high < 1 else 'slower'}"


def p50(measurement: Measurement | None) -> str:
    """The p50 latency in ms, without its interval."""
    if measurement is None or measurement.latency.p50 is None:
        return "-"
    return render.number(measurement.latency.p50) + (" invalid" if measurement.invalid else "")


def interval(measurement: Measurement) -> str:
    """The confidence interval of p50."""
    figures = measurement.latency
    if figures.p50 is None:
        return "-"
    if measurement.invalid:
        return "invalid"
    return f"{render.number(figures.p50_low)} to {render.number(figures.p50_high)}"


def footnotes(
    results: Sequence[Measurement], simulated: Sequence[tuple[str, tuple[str, ...]]], known: str = ""
) -> None:
    """Prints reasons, caveats and what `simulated` means, without duplicates. `known`: reasons that are already printed."""
    seen: dict[str, list[str]] = {}
    for one in results:
        for text in (
            *(f"invalid: {reason}" for reason in one.invalid if reason not in known),
            *(f"caveat: {text}" for text in one.caveats),
        ):
            boards = seen.setdefault(text, [])
            if one.board not in boards:
                boards.append(one.board)
    for text, boards in seen.items():
        render.line(f"{text} ({', '.join(boards)})")
    facts = sorted({fact for _, row in simulated for fact in row})
    if facts:
        where = ", ".join(dict.fromkeys(board for board, row in simulated if row))
        render.line(
            f"simulated ({where}): these facts were substituted, latency is this machine's: {', '.join(facts)}"
        )
