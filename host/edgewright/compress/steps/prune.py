"""Sets the least important weights to zero and keeps them there while it trains."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from msgspec import structs

from edgewright.compress import masks, sensitivity
from edgewright.compress.layer_names import check_known
from edgewright.compress.step_run import StepRun
from edgewright.nouns.compression import WeightedLayer
from edgewright.nouns.recipe import CompressionStep, Share, StepOptions

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_PATTERN = re.compile(r"([1-9]\d?):([1-9]\d?)")
_RAMP = 0.5  # share of the epochs in which the sparsity rises; the rest recovers


class Options(StepOptions, frozen=True, kw_only=True):
    """Options of `prune`.

    Attributes:
        sparsity: share of the weights that become zero.
        pattern: `N:M` keeps N of every M weights along a layer's inputs, in place of `sparsity`.
        importance: `l1` (the same order as l2 for single weights), `taylor` or `random`.
        schedule: `gradual` raises the sparsity in the first half of the epochs (cubic: Zhu and Gupta, "To prune, or not to prune", 2017);
            `one-shot` sets it at once.
        across: weights of all layers are compared with each other; otherwise each layer loses the same share.
        protect: names of layers that keep all their weights.
        keep_sensitive: share of the layers, those whose loss changes the outputs most, that keep all their weights too.
    """

    epochs: int = 10
    sparsity: Share | None = None
    pattern: str = ""
    importance: Literal["l1", "taylor", "random"] = "l1"
    schedule: Literal["gradual", "one-shot"] = "gradual"
    across: bool = False
    protect: tuple[str, ...] = ()
    keep_sensitive: Share = 0.0


def shown(options: Options) -> str:
    """`CompressionStep.shown`."""
    return f"prune {options.pattern}" if options.pattern else f"prune {options.sparsity or 0:.0%}"


def problem(options: Options, earlier: Sequence[str]) -> str:
    """`CompressionStep.problem`."""
    if bool(options.pattern) == (options.sparsity is not None):
        return "give either `sparsity` or `pattern`"
    if options.pattern and not _of(options.pattern):
        return f"`pattern` is not N:M with N below M: {options.pattern}"
    return "it would change the clusters: put `cluster` after it" if "cluster" in earlier else ""


def scan(run: StepRun, options: Options) -> tuple[Options, list[str]]:
    """`CompressionStep.scan`."""
    if not options.keep_sensitive:
        return options, []
    layers = chosen(run.network.layers(), options.protect)
    made = (
        _pattern_masks(run, options, layers)
        if options.pattern
        else _masks(run, options, layers, options.sparsity or 0.0)
    )
    cuts = {name: mask for name, mask in made.items() if mask is not None}
    kept, notes = sensitivity.most_sensitive(run, cuts, options.keep_sensitive)
    return structs.replace(options, protect=(*options.protect, *kept)), notes


def begin(run: StepRun, options: Options) -> list[str]:
    """`CompressionStep.begin`."""
    layers = chosen(run.network.layers(), options.protect)
    if options.pattern:
        return _hold_pattern(run, options, layers)
    if _ramp(options) == 0:
        _hold(run, _masks(run, options, layers, options.sparsity or 0.0))
    return []


def epoch(run: StepRun, options: Options, number: int) -> float:
    """`CompressionStep.epoch`."""
    ramp = _ramp(options)
    if number < ramp:
        sparsity = (options.sparsity or 0.0) * (1 - (1 - (number + 1) / ramp) ** 3)
        _hold(run, _masks(run, options, chosen(run.network.layers(), options.protect), sparsity))
    return run.train(options, number)


def settled(options: Options) -> int:
    """`CompressionStep.settled`."""
    return max(0, _ramp(options) - 1)


def chosen(layers: Sequence[WeightedLayer], protect: Sequence[str]) -> list[WeightedLayer]:
    """The layers that are not protected.

    Raises:
        UsageError: there is no layer of a protected name.
    """
    check_known(protect, [layer.name for layer in layers], "protect")
    return [layer for layer in layers if layer.name not in protect]


def _ramp(options: Options) -> int:
    """Epochs in which the sparsity rises."""
    if options.pattern or options.schedule == "one-shot":
        return 0
    return math.ceil(options.epochs * _RAMP)


def _of(pattern: str) -> tuple[int, int] | None:
    found = _PATTERN.fullmatch(pattern)
    if found is None or int(found[1]) >= int(found[2]):
        return None
    return int(found[1]), int(found[2])


def _hold(run: StepRun, masks: dict[str, Array]) -> None:
    """Holds masks. Weights that are zero already stay so in all layers: an earlier step may have pruned them."""
    weights = {layer.name: run.network.weight(layer.name) for layer in run.network.layers()}
    held = {name: value != 0 for name, value in weights.items() if name in masks or not value.all()}
    run.network.hold({name: mask & masks[name] if name in masks else mask for name, mask in held.items()})


def _masks(
    run: StepRun, options: Options, layers: Sequence[WeightedLayer], sparsity: float
) -> dict[str, Array]:
    return masks.least(_scores(run, options, layers), sparsity, across=options.across)


def _scores(run: StepRun, options: Options, layers: Sequence[WeightedLayer]) -> dict[str, Array]:
    """The importance of each weight; 0 for weights that are zero already, so that these go first."""
    import numpy as np

    weights = {layer.name: run.network.weight(layer.name) for layer in layers}
    if options.importance == "random":
        random = np.random.default_rng(run.seed)
        return {name: random.uniform(0.1, 1.0, value.shape) * (value != 0) for name, value in weights.items()}
    if options.importance == "taylor":
        found = run.scores("taylor")
        return {name: found[name] * (value != 0) for name, value in weights.items()}
    return {name: np.abs(value) for name, value in weights.items()}


def _hold_pattern(run: StepRun, options: Options, layers: Sequence[WeightedLayer]) -> list[str]:
    made = _pattern_masks(run, options, layers)
    _hold(run, {name: mask for name, mask in made.items() if mask is not None})
    left = [name for name, mask in made.items() if mask is None]
    why = f"as their number of inputs is not a multiple of {options.pattern.partition(':')[2]}"
    return [f"layers without the pattern {options.pattern}, {why}: {', '.join(left)}"] if left else []


def _pattern_masks(
    run: StepRun, options: Options, layers: Sequence[WeightedLayer]
) -> dict[str, Array | None]:
    scores, pattern = _scores(run, options, layers), _of(options.pattern)
    assert pattern is not None  # noqa: S101 - checked by `problem`
    return {layer.name: masks.of_pattern(layer, scores[layer.name], *pattern) for layer in layers}


STEP = CompressionStep(
    name="prune",
    title="sets the least important weights to zero",
    options=Options,
    shown=shown,
    scan=scan,
    begin=begin,
    epoch=epoch,
    settled=settled,
    problem=problem,
)
