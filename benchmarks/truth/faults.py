"""The kinds of faults. Each changes a graph in place and returns a description, or None if the file has nothing of the kind."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from truth import ends
from truth.ends import Facts
from truth.layer import Graph, Layer

Random = np.random.Generator


def _bias_of_a_channel(graph: Graph, random: Random, _: Facts) -> str | None:
    found = [one for one in graph.layers if one.bias is not None and np.any(one.bias)]
    if not found:
        return None
    layer = _one(found, random)
    assert layer.bias is not None  # noqa: S101
    index = int(_one(np.flatnonzero(layer.bias), random))
    layer.bias.flat[index] = 0
    return _named(graph, layer, index)


def _bias_of_the_last_layer(graph: Graph, _random: Random, facts: Facts) -> str | None:
    bias = _choice(graph, facts).bias
    if bias is None or not np.any(bias):
        return None
    bias[...] = 0
    return "all"


def _filter_zeroed(graph: Graph, random: Random, facts: Facts) -> str | None:
    inner = [one for one in graph.layers if one is not _choice(graph, facts)]
    if not inner:
        return None
    layer = _one(inner, random)
    index = int(random.integers(layer.channels))
    layer.store(index, 0 * layer.deviations(index))
    return _named(graph, layer, index)


def _class_zeroed(graph: Graph, random: Random, facts: Facts) -> str | None:
    layer = _choice(graph, facts)
    index = int(random.integers(layer.channels))
    layer.store(index, 0 * layer.deviations(index))
    return f"class {index}"


def _classes_swapped(graph: Graph, random: Random, facts: Facts) -> str | None:
    layer = _choice(graph, facts)
    return f"classes {_swapped(layer, random)}" if layer.channels > 1 else None


def _channels_swapped(graph: Graph, random: Random, facts: Facts) -> str | None:
    inner = [one for one in graph.layers if one is not _choice(graph, facts) and one.channels > 1]
    if not inner:
        return None
    layer = _one(inner, random)
    return f"{_named(graph, layer, None)}, channels {_swapped(layer, random)}"


def _swapped(layer: Layer, random: Random) -> str:
    one, other = (int(index) for index in random.choice(layer.channels, 2, replace=False))
    for array in (np.moveaxis(layer.weight, layer.axis, 0), *layer.per_channel()):
        array[[one, other]] = array[[other, one]]
    return f"{one} and {other}"


def _zero_point(graph: Graph, random: Random, _: Facts) -> str | None:
    by = int(random.integers(4, 33)) * int(random.choice([-1, 1]))
    return f"by {by}" if graph.shift_zero(random, by) else None


def _scale(factor: float, *, one: bool = False) -> Callable[[Graph, Random, Facts], str | None]:
    def plant(graph: Graph, random: Random, _: Facts) -> str | None:
        layer = _one(graph.layers, random)
        index = int(random.integers(layer.channels))
        chosen = [index] if one else range(layer.channels)
        return _named(graph, layer, index if one else None) if layer.multiply(factor, chosen) else None

    return plant


def _fewer_bits(graph: Graph, random: Random, _: Facts) -> str | None:
    bits = int(random.integers(2, 5))
    layers = graph.layers if random.random() < 0.5 else [_one(graph.layers, random)]
    for layer in layers:
        values = [layer.deviations(index) for index in range(layer.channels)]
        step = max(float(np.abs(one).max()) for one in values) / (2 ** (bits - 1) - 0.5)
        for index, one in enumerate(values):
            layer.store(index, np.rint(one / step) * step)
    return f"{bits} bits in {'all layers' if len(layers) > 1 else _named(graph, layers[0], None)}"


def _sign(graph: Graph, random: Random, _: Facts) -> str | None:
    layer = _one(graph.layers, random)
    index = int(random.integers(layer.channels))
    layer.store(index, -layer.deviations(index))
    return _named(graph, layer, index)


def _colours(graph: Graph, _random: Random, facts: Facts) -> str | None:
    layer = graph.layers[0]
    if not facts.colours or layer.inner is None or layer.weight.shape[layer.inner] != 3:
        return None
    layer.weight[...] = np.flip(layer.weight, layer.inner)
    return "red and blue"


def _range(least: float, most: float) -> Callable[[Graph, Random, Facts], str | None]:
    def plant(graph: Graph, random: Random, facts: Facts) -> str | None:
        factor = float(random.uniform(least, most))
        if steps := graph.steps():
            graph.shrink(steps[random.integers(len(steps))], factor)
            return f"to 1/{factor:.1f}"
        return f"to 1/{factor:.1f}" if graph.cut_off(random, facts.ranges, factor) else None

    return plant


def _bits(graph: Graph, random: Random, _: Facts) -> str | None:
    count = int(random.integers(1, 9))
    for _flip in range(count):
        layer = _one(graph.layers, random)
        flat = np.ascontiguousarray(layer.weight).view(np.uint8).reshape(-1)
        place = int(random.integers(flat.size))
        flat[place] ^= 1 << int(random.integers(8))
        layer.weight[...] = flat.view(layer.weight.dtype).reshape(layer.weight.shape)
    return f"{count} bits"


def _relu(graph: Graph, random: Random, _: Facts) -> str | None:
    return "one" if graph.drop_relu(random) else None


def _one_scale(graph: Graph, random: Random, _: Facts) -> str | None:
    """The fault of a runtime that supports only one scale for each tensor."""
    found = [one for one in graph.layers if one.scale is not None and one.scale.size > 1]
    if not found:
        return None
    layer = _one(found, random)
    for array in (layer.scale, layer.bias_scale):
        if array is not None:
            array[...] = array.reshape(-1)[0]
    return _named(graph, layer, None)


def _overflow(graph: Graph, random: Random, _: Facts) -> str | None:
    """8-bit weights that wrap instead of saturating, since their range is too small."""
    found = [one for one in graph.layers if one.weight.dtype.itemsize == 1 and one.scale is not None]
    if not found:
        return None
    layer, factor = _one(found, random), float(random.uniform(1.1, 2.0))
    for index in range(layer.channels):
        zero = layer.zero_of(index)
        wide = np.rint(layer.deviations(index) * factor).astype(np.int64) + zero
        layer.channel(index)[...] = wide.astype(np.uint8).view(layer.weight.dtype)
    layer.multiply(1 / factor, range(layer.channels))
    return f"{_named(graph, layer, None)}, range over {factor:.2f}"


def _short_sums(graph: Graph, random: Random, _: Facts) -> str | None:
    """A bias of 32 bits that a sum of 16 bits takes the rest of."""
    wide = [one for one in graph.layers if one.bias is not None and one.bias.dtype == np.int32]
    found = [one for one in wide if np.abs(one.bias).max(initial=0) > 2**15 - 1]
    if not found:
        return None
    layer = _one(found, random)
    layer.bias[...] = layer.bias.astype(np.int16)
    return _named(graph, layer, None)


def _flattened_otherwise(graph: Graph, random: Random, _: Facts) -> str | None:
    """A dense layer behind a convolution reads height, width, channels as channels, height, width, or the other way round."""
    found = []
    for before, layer in pairwise(graph.layers):
        inner = None if layer.inner is None or layer.weight.ndim != 2 else layer.weight.shape[layer.inner]
        if before.weight.ndim > 2 and inner and inner > before.channels and not inner % before.channels:
            found.append((before.channels, layer))
    if not found:
        return None
    channels, layer = _one(found, random)
    assert layer.inner is not None  # noqa: S101
    rows = np.moveaxis(layer.weight, layer.inner, 0)
    turned = rows.reshape(-1, channels, *rows.shape[1:]).swapaxes(0, 1).reshape(rows.shape)
    rows[...] = turned.copy()
    return _named(graph, layer, None)


KINDS: dict[str, Callable[[Graph, Random, Facts], str | None]] = {
    "bias of a channel dropped": _bias_of_a_channel,
    "bias of the last layer dropped": _bias_of_the_last_layer,
    "filter zeroed": _filter_zeroed,
    "class zeroed": _class_zeroed,
    "two classes swapped": _classes_swapped,
    "channels of a layer swapped": _channels_swapped,
    "wrong zero point": _zero_point,
    "scale of a layer x1.1": _scale(1.1),
    "scale of a layer x2": _scale(2.0),
    "scale of a channel x2": _scale(2.0, one=True),
    "one scale for all channels": _one_scale,
    "weights in 2 to 4 bits": _fewer_bits,
    "weights wrap at 8 bits": _overflow,
    "bias wraps at 16 bits": _short_sums,
    "sign of a filter": _sign,
    "colours in another order": _colours,
    "range of an activation cut": _range(1.5, 6),
    "layer saturated": _range(8, 30),
    "bits flipped in weights": _bits,
    "ReLU dropped": _relu,
    "flattened in another order": _flattened_otherwise,
}


def plant(kind: str, graph: Graph, random: Random, facts: Facts) -> str | None:
    """Changes the graph; returns a description, or None if it has nothing of the kind."""
    if kind in ends.KINDS:
        return ends.KINDS[kind](graph, random, facts)
    return KINDS[kind](graph, random, facts) if graph.layers else None


ALL: tuple[str, ...] = (*KINDS, *ends.KINDS)


def _one(of: list, random: Random):  # type: ignore[no-untyped-def,type-arg]
    return of[random.integers(len(of))]


def _choice(graph: Graph, facts: Facts) -> Layer:
    """The layer that gives the classes."""
    fitting = [layer for layer in graph.layers if layer.channels == facts.classes]
    return (fitting or graph.layers)[-1]


def _named(graph: Graph, layer: Layer, index: int | None) -> str:
    place = next(at for at, one in enumerate(graph.layers) if one is layer)
    return f"layer {place + 1} of {len(graph.layers)}" + ("" if index is None else f", channel {index}")
