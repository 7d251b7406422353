"""Prints the outputs of `infer`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgewright.cli import render

if TYPE_CHECKING:
    from edgewright.api.results import BoardAnswer
    from edgewright.measure.infer import Inference

SAMPLES = 5  # number of samples to print
_LEAST_ROOM = 20  # columns for values, at least, on a narrow terminal


def show(answers: Sequence[BoardAnswer[Inference]]) -> None:
    """Prints the outputs of each board."""
    from edgewright.api.answer import mark

    for answer in answers:
        one = answer.result
        assert one is not None  # noqa: S101 - failed boards are shown elsewhere
        render.line(
            f"{answer.board}{mark(one.simulated)}: {one.release}, {one.runtime} on {one.accelerator}, {render.number(one.ms)} ms"
        )
        for name, array in one.outputs.items():
            _output(one, name, array)
        for warning in one.warnings:
            render.line(f"  warning: {warning}")


def _output(one: Inference, name: str, array: Any) -> None:
    """Prints an output: its shape, and the best classes or first values of each sample."""
    several = f", {len(array)} samples" if len(array) > 1 else ""
    render.line(f"  {name} {list(array.shape[1:])}{several}")
    top = one.top(name)
    if len(top) == 1:
        width = max(len(label) for _, label, _ in top[0])
        for index, label, score in top[0]:
            render.line(f"    {label:{width}}  {_score(top, score):>10}  ({index})")
    elif top:
        for at, rows in enumerate(top[:SAMPLES]):
            render.line(_joined(f"    {at}: ", [f"{label} {_score(top, score)}" for _, label, score in rows]))
    else:
        for at, sample in enumerate(array[:SAMPLES]):
            _values(one, name, f"    {at}: " if len(array) > 1 else "    ", sample)
    if len(array) > SAMPLES:
        render.line(f"    ... {len(array) - SAMPLES} more; --output FILE saves all")


def _score(top: Sequence[Sequence[tuple[int, str, float]]], score: float) -> str:
    """A score as text: probabilities all have the same number of digits, other scores stay short."""
    probable = all(0 <= one <= 1 for rows in top for _, _, one in rows)
    return f"{score:.4f}" if probable else f"{score:.4g}"


def _values(one: Inference, name: str, start: str, sample: Any) -> None:
    flat = sample.reshape(-1)
    end = f"; greatest at {int(flat.argmax())}" if flat.size > 1 and flat.dtype.kind != "b" else ""
    shown = [_text(one, name, value) for value in flat[: render.console().width // 2].tolist()]
    more = [] if len(shown) == flat.size else ["..."]
    render.line(_joined(start, [*shown, *more], end))


def _text(one: Inference, name: str, value: Any) -> str:
    if name in one.whole and 0 <= value < len(one.labels):
        return f"{one.labels[value]} ({value})"
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _joined(start: str, words: Sequence[str], end: str = "") -> str:
    """Joins as many words as fit the width of the terminal."""
    room = max(_LEAST_ROOM, render.console().width - len(start) - len(end))
    found = ", ".join(words)
    count = len(words)
    while count > 1 and len(found) > room:
        count -= 1
        found = ", ".join([*words[:count], "..."])
    return start + found + end
