"""Ranges of activations whose ends a bound behind them cuts off: a scale that reaches over these wastes its steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

Span = tuple[float, float]
Step = tuple[str, Sequence[str], Sequence[str]]

_BOUNDS = {
    "clip",
    "clamp",
    "relu",
    "relu6",
    "relu_0_to_1",
    "relu_n1_to_1",
    "min",
    "minimum",
    "max",
    "maximum",
}
_MOVES = {
    "concat", "concatenation", "reshape", "flatten", "transpose", "squeeze", "unsqueeze", "expand_dims", "slice",
    "strided_slice", "split", "pack", "identity",
}  # fmt: skip
_TIMES = 4  # less is not worth another scale


def narrowed(steps: Sequence[Step], spans: Mapping[str, Span], outputs: Iterable[str]) -> dict[str, Span]:
    """{tensor: the part of its range that gets through}, for tensors whose range becomes several times narrower.

    Args:
        steps: (operator, tensors that it reads except constants, tensors that it makes), in an order in which they can be computed.
        spans: {tensor: (least, greatest value)}.
        outputs: of the model: all of these counts.
    """
    readers: dict[str, list[Step]] = {}
    for step in steps:
        for name in step[1]:
            readers.setdefault(name, []).append(step)
    through = {name: spans[name] for name in outputs if name in spans}
    made = [name for _, _, names in reversed(steps) for name in names]
    for name in (*made, *(readers.keys() - set(made))):
        after = [_behind(step, spans, through) for step in readers.get(name, ())]
        known = [span for span in after if span is not None]
        if name not in spans or name in through or not after or len(known) < len(after):
            continue
        low, high = (min(span[0] for span in known), max(span[1] for span in known))
        through[name] = max(low, spans[name][0]), min(high, spans[name][1])
    return {
        name: (min(low, 0.0), max(high, 0.0))
        for name, (low, high) in through.items()
        if low < high and (max(high, 0.0) - min(low, 0.0)) * _TIMES <= spans[name][1] - spans[name][0]
    }


def _behind(step: Step, spans: Mapping[str, Span], through: Mapping[str, Span]) -> Span | None:
    """The part of a tensor's range that a step lets through; None: all of it.

    A step with several outputs lets through what any of them does; an output that nothing reads may be anything.
    """
    kind, read, made = step
    if kind.lower() in _BOUNDS and len(read) == len(made) == 1:
        return through.get(made[0], spans.get(made[0]))
    parts = [through.get(name) for name in made]
    known = [part for part in parts if part is not None]
    if kind.lower() not in _MOVES or not known or len(known) < len(parts):
        return None
    return min(low for low, _ in known), max(high for _, high in known)
