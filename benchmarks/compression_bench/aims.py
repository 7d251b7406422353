"""The aims: what a technique should reach on MNIST, with public figures beside it, and whether it did."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import measuring
import numpy as np

from compression_bench.intervals import Mean, over_samples, over_seeds
from compression_bench.results import Record
from compression_bench.rows import BY_NAME, CONTROL, ORIGINAL

SEEDS = 5  # before which no aim is decided
_LOST = 1.0  # points that int8 has to lose before there is something to win back
LABEL_FREE = "label-free"
Tried = Mapping[str, Record]  # row -> its record, of one seed
Value = Callable[[Tried], Any]  # an array of one figure, or of one per test sample; None: not known


class Aim(NamedTuple):
    """One aim.

    Attributes:
        limits: net -> least value.
        unit: `points`, `times` or `share`.
        rows: that it needs.
        public: net -> a figure that others published, and of what.
    """

    title: str
    limits: Mapping[str, float]
    unit: str
    value: Value
    rows: tuple[str, ...]
    public: Mapping[str, str] = {}


def points(row: str, precision: str, base: str, base_precision: str) -> Value:
    """Paired differences of accuracy per test sample, in points."""

    def value(tried: Tried) -> Any:
        one, other = tried[row].bits(precision), tried[base].bits(base_precision)
        return None if one is None or other is None else 100 * (one.astype(float) - other)

    return value


def _macs(tried: Tried) -> Any:
    return np.array([tried[ORIGINAL].macs / tried["channels"].macs])


def _faster(tried: Tried) -> Any:
    found = tried["channels"].fp32
    return None if found is None or not found.ratio else np.array([found.ratio])


def _regained(tried: Tried) -> Any:
    """The share of what int8 lost that is won back; None where it lost too little."""
    lost = points(ORIGINAL, "fp32", ORIGINAL, "int8")(tried)
    won = points(LABEL_FREE, "int8", ORIGINAL, "int8")(tried)
    return (
        None if lost is None or won is None or lost.mean() <= _LOST else np.array([won.mean() / lost.mean()])
    )


def _both(limit: float) -> dict[str, float]:
    return {"residual": limit, "depthwise": limit}


AIMS = (
    Aim("half of the channels: fp32 against the control", {"residual": -0.5, "depthwise": -2.0}, "points",
        points("channels", "fp32", CONTROL, "fp32"), ("channels", CONTROL),
        {"residual": "-0.7: ResNet-20, CIFAR-10, 120 epochs", "depthwise": "-2.1: MobileNetV2, half of the weights zero"}),
    Aim("half of the channels: MACs", _both(3.0), "times", _macs, ("channels", ORIGINAL)),
    Aim("half of the channels: p50 on this host", _both(1.6), "times", _faster, ("channels",)),
    Aim("trained for int8: int8 against the control's fp32", {"residual": -0.3, "depthwise": -0.8}, "points",
        points("qat", "int8", CONTROL, "fp32"), ("qat", CONTROL),
        {"residual": "-0.2: ResNet", "depthwise": "-0.76: MobileNetV2"}),
    Aim("half of the weights zero, trained for int8: int8 against the control's int8", _both(0.0), "points",
        points("weights+qat", "int8", CONTROL, "int8"), ("weights+qat", CONTROL)),
    Aim("a student of a quarter of the parameters, new weights: learns from the original, against labels alone", _both(1.0), "points",
        points("narrow+distil", "fp32", "narrow", "fp32"), ("narrow+distil", "narrow")),
    Aim("without labels: share of the loss by int8 won back, where that is above a point", _both(0.5), "share",
        _regained, (LABEL_FREE, ORIGINAL)),
)  # fmt: skip


def table(nets: Mapping[tuple[str, str], Mapping[int, Tried]]) -> str:
    """All aims.

    Args:
        nets: (framework, net) -> seed -> row -> record.
    """
    heads = [
        "aim",
        "net",
        "at least",
        "measured",
        "95 % over seeds",
        "95 % over samples",
        "seeds",
        "verdict",
        "public",
    ]
    return measuring.markdown(heads, [
        [aim.title, " ".join(net), _shown(aim.limits[net[1]], aim.unit), *judged(aim, net[1], seeds), aim.public.get(net[1], "-")]
        for aim in AIMS for net, seeds in nets.items() if net[1] in aim.limits
    ])  # fmt: skip


def judged(aim: Aim, net: str, seeds: Mapping[int, Tried]) -> list[str]:
    """An aim's cells for one net: measured, its intervals, how many seeds, the verdict."""
    if any(row not in BY_NAME for row in aim.rows):
        return ["-", "-", "-", "0", "no row yet"]
    complete = [tried for tried in seeds.values() if all(row in tried for row in aim.rows)]
    values = [value for tried in complete if (value := aim.value(tried)) is not None]
    count = str(len(values))
    if not values:
        nothing = aim.unit == "share" and len(complete) >= SEEDS
        return [
            "-",
            "-",
            "-",
            count,
            "nothing to win back" if nothing else f"not yet decided: 0 of {SEEDS} seeds",
        ]
    mean = over_seeds([float(value.mean()) for value in values])
    sampled = over_samples(values) if values[0].size > 1 else None
    shown = [_shown(mean.value, aim.unit), _interval(mean, aim.unit), _interval(sampled, aim.unit), count]
    enough = len(values) >= SEEDS or (aim.unit == "share" and len(complete) >= SEEDS)
    return [
        *shown,
        verdict(mean, aim.limits[net]) if enough else f"not yet decided: {count} of {SEEDS} seeds",
    ]


def verdict(mean: Mean, limit: float) -> str:
    """Kept or missed by the mean, and whether the interval over seeds leaves that open."""
    word = "kept" if mean.value >= limit else "**missed**"
    open_ = mean.low is not None and mean.high is not None and mean.low < limit < mean.high
    return f"{word}, within chance" if open_ else word


def _shown(value: float, unit: str) -> str:
    return f"{value:.0%}" if unit == "share" else f"{value:.2f}x" if unit == "times" else f"{value:+.2f}"


def _interval(mean: Mean | None, unit: str) -> str:
    if mean is None or mean.low is None or mean.high is None:
        return "-"
    return f"{_shown(mean.low, unit)} to {_shown(mean.high, unit)}"
