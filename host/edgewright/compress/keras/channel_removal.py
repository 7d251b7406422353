"""Removes channels: builds the model again with smaller layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgewright.compress.channel_flow import FIXED
from edgewright.compress.keras import graph, weighted_layers
from edgewright.compress.keras.channel_choice import choose
from edgewright.compress.keras.channel_following import follow
from edgewright.compress.keras.channel_trace import Trace
from edgewright.compress.layer_names import check_known
from edgewright.nouns.compression import ChannelPruning, ChannelReport, LayerChannels

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Removal:
    """Channels that go.

    Attributes:
        gone: bool (ids,).
    """

    trace: Trace
    gone: Array

    def stay(self, ids: Array) -> Array:
        """bool, of the shape of `ids`: which positions stay."""
        found: Array = (ids == FIXED) | ~self.gone[ids]
        return found

    def shortened(self, layer: str, weight: int, values: Array) -> Array:
        """What stays of one of a layer's weights, or of an array of its shape."""
        for cut in self.trace.cuts:
            if (cut.layer, cut.weight) == (layer, weight):
                values = values.compress(self.stay(cut.ids), axis=cut.axis)
        return values

    def masks(self, model: Any, masks: Mapping[str, Array]) -> dict[str, Array]:
        """What stays of the masks of main weights."""
        layers = weighted_layers.weighted(model)
        return {name: self.shortened(name, _main(layers[name]), mask) for name, mask in masks.items()}


def plan(model: Any, wanted: ChannelPruning, scores: Mapping[str, Array]) -> Removal:
    """Chooses the channels to remove from a functional model without nested ones. Raises UsageError for an unknown protected layer."""
    check_known(wanted.protect, [layer.name for layer in graph.layers(model)], "protect")
    trace = follow(model, wanted.protect)
    return Removal(trace, choose(weighted_layers.weighted(model), trace, wanted, scores))


def remove(model: Any, removal: Removal) -> Any:
    """The smaller model. Its layers, inputs and outputs have the same names."""
    pairs: list[tuple[Any, Any]] = []

    def copy(layer: Any) -> Any:
        made = graph.fresh(layer, **_settings(layer, removal))
        pairs.append((layer, made))
        return made

    smaller = graph.rebuild(model, copy)
    for old, new in pairs:
        if getattr(old, "weights", ()):
            arrays = [removal.shortened(old.name, at, array) for at, array in enumerate(old.get_weights())]
            graph.give_weights(new, arrays)
    return smaller


def report(model: Any, removal: Removal) -> ChannelReport:
    """What `remove` does to the model, which still has its channels."""
    trace = removal.trace
    changed: list[LayerChannels] = []
    protected: dict[str, str] = {}
    for name in weighted_layers.weighted(model):
        ids = trace.produced.get(name)
        if ids is None:
            protected[name] = trace.kept[name]
            continue
        stay = int(removal.stay(ids).sum())
        if stay < len(ids):
            changed.append(LayerChannels(layer=name, before=len(ids), after=stay))
        elif reason := _reason(trace, ids):
            protected[name] = reason
    return ChannelReport(layers=tuple(changed), protected=protected)


def _reason(trace: Trace, ids: Array) -> str | None:
    """Why all of a layer's channels are locked; None if some are not."""
    reasons = [trace.ties.locked(one) for one in ids if one != FIXED]
    if not reasons:
        return "they are those of an input"
    return None if None in reasons else reasons[0]


def _main(layer: Any) -> int:
    variable = weighted_layers.main_weights(layer)
    return next(at for at, one in enumerate(layer.weights) if one is variable)


def _settings(layer: Any, removal: Removal) -> dict[str, Any]:
    """The changes to a layer's configuration."""
    changes: dict[str, Any] = {}
    for setting in removal.trace.settings:
        if setting.layer != layer.name:
            continue
        count = int(removal.stay(setting.ids).sum())
        if setting.at is None:
            changes[setting.key] = count
        else:
            sizes = list(layer.get_config()[setting.key])
            sizes[setting.at] = count
            changes[setting.key] = tuple(sizes)
    if changes:  # a constant may have the old shape; the weights are set anyway
        changes.update(
            (key, "zeros") for key, value in layer.get_config().items() if _is_constant_array(key, value)
        )
    return changes


def _is_constant_array(key: str, value: Any) -> bool:
    """Whether a setting is an initialiser that holds values for each weight."""
    if not key.endswith("_initializer") or not isinstance(value, dict):
        return False
    return value.get("class_name") == "Constant" and not isinstance(
        value["config"].get("value"), (int, float)
    )
