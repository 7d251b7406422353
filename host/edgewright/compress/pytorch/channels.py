"""Removes channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgewright.compress.layer_names import check_known
from edgewright.compress.pytorch.body import Body
from edgewright.compress.pytorch.channel_order import least_important
from edgewright.compress.pytorch.groups import Dependencies
from edgewright.compress.pytorch.module_copy import copied, finished
from edgewright.compress.pytorch.trial import Cut, apply, failures
from edgewright.compress.pytorch.weights import Weights
from edgewright.errors import Code, ConversionError
from edgewright.nouns.compression import ChannelPruning, ChannelReport, LayerChannels, WeightedLayer

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_NO_MODULE = (
    "give the PyTorch function (module.py:function) that makes the module instead of its exported program"
)


@dataclass(frozen=True)
class Pruned:
    """A pruned copy.

    Attributes:
        removed: whether anything was.
        masks: those held, without the channels that went.
        protected: layer -> why it keeps all its channels.
    """

    flat: Any
    removed: bool
    masks: dict[str, Any]
    protected: dict[str, str]


def prune(
    body: Body,
    weights: Mapping[str, Weights],
    masks: Mapping[str, Any],
    wanted: ChannelPruning,
    scores: Mapping[str, Array],
) -> Pruned:
    """Removes the least important channels of each group from a copy of the module.

    Groups of which it is not proved that they can be cut keep all channels; see `trial`.

    Raises:
        ConversionError: see `TorchNetwork.prune_channels`.
    """
    _check(body, weights, wanted)
    found = Dependencies(copied(body), body.samples(1)).groups(weights, wanted.protect)
    protected = {member.layer: group.reason for group in found if group.reason for member in group.members}
    cuts = []
    for number, group in enumerate(found):
        if group.reason:
            continue
        channels = least_important(group, weights, wanted, scores, number)
        layers = tuple(dict.fromkeys(member.layer for member in group.members))
        if channels:
            cuts.append(Cut(group.root, channels, layers))
        elif wanted.share:
            protected.update(
                dict.fromkeys(layers, f"{len(group.channels)} channels are too few to remove a share")
            )
    failed = failures(body, cuts) if cuts else {}
    cut = [one for one in cuts if one.root not in failed]
    if cuts and not cut:
        root, reason = next(iter(failed.items()))
        raise ConversionError(
            f"no channels can be removed; {root}: {reason}",
            hint=f"take sizes from tensors in the module's code, such as x.flatten(1) or x.shape[1], around {root}",
            code=Code.CONVERSION_FAILED,
        )
    for one in cuts:
        if one.root in failed:
            protected.update(dict.fromkeys(one.layers, failed[one.root]))
    reached = {member.layer for group in found for member in group.members}
    for name, layer in weights.items():
        if name not in reached:
            protected[name] = _unreached(layer)
    flat = copied(body, masks)
    apply(Dependencies(flat, body.samples(1)), cut)
    return Pruned(flat, bool(cut), finished(body, flat, masks), protected)


def report(
    before: Sequence[WeightedLayer], after: Sequence[WeightedLayer], protected: Mapping[str, str]
) -> ChannelReport:
    """Compares layers before and after. A layer that lost some of its channels is not `protected`, though others of them may be."""
    now = {layer.name: layer.shape[layer.outputs] for layer in after}
    cut = tuple(
        LayerChannels(layer=layer.name, before=layer.shape[layer.outputs], after=now[layer.name])
        for layer in before
        if now[layer.name] != layer.shape[layer.outputs]
    )
    changed = {layer.layer for layer in cut}
    return ChannelReport(
        layers=cut,
        protected={
            layer.name: protected[layer.name]
            for layer in before
            if layer.name in protected and layer.name not in changed
        },
    )


def _unreached(layer: Weights) -> str:
    if layer.spec.kind == "depthwise":
        return "it is depthwise, and its channels are not those of a layer that can lose some"
    return "its weights are not those of a PyTorch layer, or the outputs do not depend on it"


def _check(body: Body, weights: Mapping[str, Weights], wanted: ChannelPruning) -> None:
    if body.program:
        raise ConversionError(
            "channels cannot be removed from a torch.export program: its sizes are fixed in its graph",
            hint=_NO_MODULE,
            code=Code.MODEL_REFUSED,
        )
    check_known(wanted.protect, weights, "protect")
