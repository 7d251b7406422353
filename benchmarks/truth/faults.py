"""The kinds of faults. Each changes a graph in place and says what it did, or None where the file has nothing of the sort."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from truth.layer import Graph, Layer

Random = np.random.Generator


class Facts(NamedTuple):
    """What a fault may have to know of an artifact.

    Attributes:
        spread: standard deviation of the inputs. ranges: the largest value of activations in floats.
        colours: whether its input's last axis holds red, green and blue. classes: how many it tells apart.
    """

    spread: float
    ranges: dict[str, float]
    colours: bool
    classes: int


def _bias_of_a_channel(graph: Graph, random: Random, _: Facts) -> str | None:
    found = [one for one in graph.layers if one.bias is not None and np.any(one.bias)]
    if not found:
        return None
    layer = _one(found, random)
    assert layer.bias is not None  # noqa: S101
    index = int(_one(np.flatnonzero(layer.bias), random))
    layer.bias[index] = 0
    return _named(graph, layer, index)


def _bias_of_the_last_layer(graph: Graph, _random: Random, facts: Facts) -> str | None:
    bias = _choice(graph, facts).bias
    if bias is None or not np.any(bias):
        return None
    bias[...] = 0
    return "all"


def _filter_zeroed(graph: Graph, random: Random, facts: Facts) -> str | None:
    layer = _one([one for one in graph.layers if one is not _choice(graph, facts)], random)
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
    one, other = (int(index) for index in random.choice(layer.channels, 2, replace=False))
    for array in (np.moveaxis(layer.weight, layer.axis, 0), *layer.per_channel()):
        array[[one, other]] = array[[other, one]]
    return f"classes {one} and {other}"


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


def _input_scale(graph: Graph, random: Random, _: Facts) -> str | None:
    factor = float(np.exp(random.uniform(np.log(1.25), np.log(4)) * random.choice([-1, 1])))
    graph.scale_input(factor, 0.0)
    return f"x{factor:.2f}"


def _input_offset(graph: Graph, random: Random, facts: Facts) -> str | None:
    by = float(random.uniform(0.25, 1.5) * random.choice([-1, 1]))
    graph.scale_input(1.0, by * facts.spread)
    return f"by {by:.2f} deviations"


def _colours(graph: Graph, _random: Random, facts: Facts) -> str | None:
    layer = graph.layers[0]
    if not facts.colours or layer.inner is None or layer.weight.shape[layer.inner] != 3:
        return None
    layer.weight[...] = np.flip(layer.weight, layer.inner)
    return "red and blue"


def _range(graph: Graph, random: Random, facts: Facts) -> str | None:
    factor = float(random.uniform(1.5, 6))
    if steps := graph.steps():
        graph.shrink(steps[random.integers(len(steps))], factor)
        return f"to 1/{factor:.1f}"
    return f"to 1/{factor:.1f}" if graph.cut_off(random, facts.ranges, factor) else None


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


KINDS: dict[str, Callable[[Graph, Random, Facts], str | None]] = {
    "bias of a channel dropped": _bias_of_a_channel,
    "bias of the last layer dropped": _bias_of_the_last_layer,
    "filter zeroed": _filter_zeroed,
    "class zeroed": _class_zeroed,
    "two classes swapped": _classes_swapped,
    "wrong zero point": _zero_point,
    "scale of a layer x1.1": _scale(1.1),
    "scale of a layer x2": _scale(2.0),
    "scale of a channel x2": _scale(2.0, one=True),
    "weights in 2 to 4 bits": _fewer_bits,
    "sign of a filter": _sign,
    "input scaled wrongly": _input_scale,
    "input shifted": _input_offset,
    "colours in another order": _colours,
    "range of an activation cut": _range,
    "bits flipped in weights": _bits,
    "ReLU dropped": _relu,
}


def _one(of: list, random: Random):  # type: ignore[no-untyped-def,type-arg]
    return of[random.integers(len(of))]


def _choice(graph: Graph, facts: Facts) -> Layer:
    """The layer that gives the classes."""
    return [layer for layer in graph.layers if layer.channels == facts.classes][-1]


def _named(graph: Graph, layer: Layer, index: int | None) -> str:
    place = next(at for at, one in enumerate(graph.layers) if one is layer)
    return f"layer {place + 1} of {len(graph.layers)}" + ("" if index is None else f", channel {index}")
