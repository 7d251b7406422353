"""Measures the range of each layer's input over the calibration samples, using ncnn. Host side.

ncnn's 8-bit integers are symmetric, so a range is one number: the greatest absolute value. `percentile` takes a second pass
that counts the values in bins, so that memory does not grow with the number of samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright_targets.ncnn.param_file import Layer

if TYPE_CHECKING:
    import numpy as np

    Values = np.ndarray[Any, Any]

# not entropy: a MobileNet fell to 7.7 dB by it, from 20
METHODS = {"minmax": "min-max", "percentile": "percentile 99.99"}
BINS = 2048
_COVERED = 0.9999  # share of the values that are not 0


def ranges(
    param: Path, layers: list[Layer], tensors: Iterable[str], samples: Callable[..., Any], method: str
) -> dict[str, float]:
    """{tensor: the absolute value that the greatest integer stands for}; 0 for tensors that are always 0.

    Args:
        param: the model in 32-bit floats; its `.bin` is next to it.
        tensors: names of the tensors.
        samples: returns a fresh stream of lists of arrays, in the order of `in0`, `in1`, ...
    """
    wanted = sorted(set(tensors))
    greatest = dict.fromkeys(wanted, 0.0)
    for name, values in _absolute(param, layers, wanted, samples()):
        greatest[name] = max(greatest[name], float(values.max(initial=0)))
    if method == "minmax":
        return greatest
    counts = _counts(_absolute(param, layers, wanted, samples()), greatest)
    return {name: greatest[name] * _covered(counts[name]) if greatest[name] else 0.0 for name in wanted}


def _absolute(
    param: Path, layers: list[Layer], wanted: list[str], samples: Iterator[Any]
) -> Iterator[tuple[str, Values]]:
    """Yields (tensor, finite absolute values), sample by sample."""
    import numpy

    import ncnn
    from edgewright_targets.ncnn.runner import set_arithmetic

    net = ncnn.Net()
    set_arithmetic(net.opt)
    net.opt.num_threads = 1  # the layers are small: more threads mostly wait for each other
    net.opt.lightmode = False  # keep what is computed on the way to the last tensor
    if net.load_param(str(param)) or net.load_model(str(param.with_suffix(".bin"))):
        raise RuntimeError("ncnn cannot load the model that pnnx made")
    sizes = {one.gives[0]: _shape(one) for one in layers if one.kind == "Input"}
    for sample in samples:
        extractor = net.create_extractor()
        mats = []
        for place, array in enumerate(sample):
            kind = numpy.int32 if array.dtype.kind in "iu" else numpy.float32
            fed = numpy.ascontiguousarray(array, kind).reshape(sizes[f"in{place}"])
            mats.append(ncnn.Mat(fed).clone())
            extractor.input(f"in{place}", mats[-1])
        for name in wanted:
            status, found = extractor.extract(name)
            if status:
                raise RuntimeError(f"ncnn cannot compute {name}: status {status}")
            values = numpy.abs(numpy.array(found))
            yield name, values[numpy.isfinite(values)]


def _shape(layer: Layer) -> list[int]:
    from edgewright_targets.ncnn.runner import SIZES

    return [int(layer.setting(key)) for key in SIZES if layer.setting(key)]


def _counts(stream: Iterator[tuple[str, Values]], greatest: dict[str, float]) -> dict[str, Values]:
    """{tensor: how many values are in each of `BINS` bins}. Zeros are left out: they stay zeros in integers."""
    import numpy

    counts = {name: numpy.zeros(BINS, numpy.int64) for name in greatest}
    for name, values in stream:
        if greatest[name]:
            counts[name] += numpy.histogram(values[values > 0], BINS, (0, greatest[name]))[0]
    return counts


def _covered(counts: Values) -> float:
    """The share of the range that covers nearly all values."""
    import numpy

    share = numpy.cumsum(counts) / counts.sum()
    return float(numpy.searchsorted(share, _COVERED) + 1) / BINS
