"""The layers with main weights, and which axes of these are their outputs and inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgewright.compress.keras import graph
from edgewright.nouns.compression import WeightedLayer


@dataclass(frozen=True)
class _Form:
    """Of the main weights of a class of layers: kind, attribute, and axes counted from the end."""

    kind: str
    attribute: str
    outputs: int
    inputs: int | None


_CONV = _Form("conv", "kernel", -1, -2)
_TRANSPOSED = _Form("conv", "kernel", -2, -1)
_DEPTHWISE = _Form("depthwise", "kernel", -2, None)
_SEPARABLE = _Form("conv", "pointwise_kernel", -1, -2)
_FORMS = {
    "Dense": _Form("dense", "kernel", -1, -2),
    **{f"Conv{size}D": _CONV for size in (1, 2, 3)},
    **{f"Conv{size}DTranspose": _TRANSPOSED for size in (1, 2, 3)},
    **{f"DepthwiseConv{size}D": _DEPTHWISE for size in (1, 2)},
    **{f"SeparableConv{size}D": _SEPARABLE for size in (1, 2)},
}


def form(layer: Any) -> _Form | None:
    """How a layer's main weights lie; None if it has none, or they are quantised."""
    found = _FORMS.get(class_name(layer))
    return found if found and hasattr(getattr(layer, found.attribute, None), "assign") else None


def _form_of(layer: Any) -> _Form:
    found = form(layer)
    if found is None:
        raise TypeError(f"layer {layer.name} has no main weights")
    return found


def class_name(layer: Any) -> str:
    """The class of Keras's own layer; empty for another's, which may do anything."""
    kind = type(layer)
    return kind.__name__ if kind.__module__.split(".")[0] == "keras" else ""


def main_weights(layer: Any) -> Any:
    """The variable of a weighted layer's main weights."""
    return getattr(layer, _form_of(layer).attribute)


def kernels(layer: Any) -> list[tuple[Any, list[int]]]:
    """All weights of a weighted layer but its bias, each with the axes that are not of output channels.

    A depthwise convolution has an output channel per pair of its last two axes.
    """
    found = _form_of(layer)
    variable = main_weights(layer)
    rank = len(variable.shape)
    kept = (rank - 2, rank - 1) if found.kind == "depthwise" else (rank + found.outputs,)
    every = [(variable, [axis for axis in range(rank) if axis not in kept])]
    if class_name(layer).startswith("Separable"):
        every.append((layer.depthwise_kernel, list(range(rank - 2))))
    return every


def channel_axis(layer: Any, rank: int) -> int:
    """The axis of a layer's inputs and outputs, of this rank, along which channels lie."""
    return 1 if getattr(layer, "data_format", "") == "channels_first" else rank - 1


def weighted(model: Any) -> dict[str, Any]:
    """Layer name -> layer, in the order of the graph."""
    return {layer.name: layer for layer in graph.layers(model) if form(layer)}


def described(layer: Any) -> WeightedLayer:
    """What compression says of the layer."""
    found = _form_of(layer)
    shape = tuple(int(size) for size in main_weights(layer).shape)
    return WeightedLayer(
        name=layer.name,
        kind=found.kind,
        shape=shape,
        outputs=len(shape) + found.outputs,
        inputs=None if found.inputs is None else len(shape) + found.inputs,
    )
