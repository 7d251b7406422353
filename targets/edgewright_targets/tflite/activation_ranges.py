"""Measures the ranges of a float .tflite file's activations over calibration samples. Host side.

Percentiles take two passes: the first finds each tensor's least and greatest value, the second counts its values in
bins between them, so that memory does not grow with the number of samples.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from edgewright_targets._onnx.widen_floats import wide
from edgewright_targets.tflite.describe_file import plain_interpreter
from edgewright_targets.tflite.graph import constants, lowest_fills, operators, output_names

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


BINS = 4096
COVERED = 0.9999  # share of a tensor's values that the percentile method keeps within the range


def ranges(data: bytes, samples: Callable[..., Any], method: str) -> dict[str, dict[str, Array]]:
    """{tensor name: {"min", "max"}}, arrays of as many axes as the tensor has.

    Args:
        data: the bytes of the file.
        samples: returns a fresh stream of lists of arrays, in the file's order of inputs.
        method: `minmax` or `percentile`.
    """
    import numpy

    found = _extremes(data, samples())
    if method == "percentile":
        found = _percentiles(data, samples(), found)
    for made, given in lowest_fills(
        data
    ).items():  # the fill becomes the lowest integer, so it still never is the maximum
        if made in found and given in found:
            found[made] = found[given]
    _join(found, data)
    _clip(found, data)
    return {
        name: {"min": numpy.full(shape, low, numpy.float32), "max": numpy.full(shape, high, numpy.float32)}
        for name, (low, high, shape) in found.items()
    }


def _join(found: dict[str, tuple[float, float, tuple[int, ...]]], data: bytes) -> None:
    """Gives a concatenation that feeds another one the other's range, so that its values are not requantised each time."""
    joins = [operator for operator in operators(data) if operator.kind == "CONCATENATION"]
    made = {operator.outputs[0].name for operator in joins} & set(found)
    for operator in reversed(joins):
        for tensor in operator.inputs:
            if {tensor.name, operator.outputs[0].name} <= made:
                found[tensor.name] = found[operator.outputs[0].name]


def _clip(found: dict[str, tuple[float, float, tuple[int, ...]]], data: bytes) -> None:
    """Takes from the ranges what a bound behind them cuts off, through what only moves values: integers are cut off there too."""
    from edgewright.sdk.graphs import narrowed

    steps = [
        (
            operator.kind,
            [one.name for one in operator.inputs if not one.constant],
            [one.name for one in operator.outputs],
        )
        for operator in operators(data)
        if operator.outputs
    ]
    spans = {name: (low, high) for name, (low, high, _) in found.items()}
    for name, (low, high) in narrowed(steps, spans, set(output_names(data))).items():
        found[name] = (low, high, found[name][2])


def _tensors(data: bytes, samples: Iterator[Any]) -> Iterator[tuple[str, Array]]:
    """Yields (name, values) of every float activation, sample by sample."""
    import numpy

    # XNNPACK and memory sharing would overwrite tensors before they are read
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about this mode being for debugging
        interpreter = plain_interpreter(data, experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    inputs = [detail["index"] for detail in interpreter.get_input_details()]
    fixed = constants(data)
    wanted = [
        detail
        for detail in interpreter.get_tensor_details()
        if detail["dtype"] == numpy.float32 and detail["name"] and detail["index"] not in fixed
    ]
    for sample in samples:
        for index, array in zip(inputs, sample, strict=True):
            interpreter.set_tensor(index, wide(array))
        interpreter.invoke()
        for detail in wanted:
            try:
                values = interpreter.get_tensor(detail["index"])
            except ValueError:  # not computed, such as a kernel's scratch space
                continue
            if values.size:
                yield detail["name"], values


def _extremes(data: bytes, samples: Iterator[Any]) -> dict[str, tuple[float, float, tuple[int, ...]]]:
    found: dict[str, tuple[float, float, tuple[int, ...]]] = {}
    for name, values in _tensors(data, samples):
        low, high = float(values.min()), float(values.max())
        if name in found:
            low, high = min(low, found[name][0]), max(high, found[name][1])
        found[name] = (low, high, (1,) * values.ndim)
    return found


def _percentiles(
    data: bytes, samples: Iterator[Any], extremes: dict[str, tuple[float, float, tuple[int, ...]]]
) -> dict[str, tuple[float, float, tuple[int, ...]]]:
    """The narrowest range that leaves half of the uncovered share out at each end; it always includes zero."""
    import numpy

    counts = {name: numpy.zeros(BINS, numpy.int64) for name in extremes}
    for name, values in _tensors(data, samples):
        low, high, _ = extremes[name]
        if high > low and numpy.isfinite(high - low):
            counts[name] += numpy.histogram(values, BINS, (low, high))[0]
    found = {}
    for name, (low, high, shape) in extremes.items():
        total = counts[name].sum()
        if total:  # no counts if there are infinities: nothing that reaches that far is quantised
            share = numpy.cumsum(counts[name]) / total
            width = (high - low) / BINS
            first = int(numpy.searchsorted(share, (1 - COVERED) / 2, side="right"))
            last = int(numpy.searchsorted(share, 1 - (1 - COVERED) / 2, side="left"))
            low, high = min(0.0, low + first * width), max(0.0, low + (last + 1) * width)
        found[name] = (low, high, shape)
    return found
