"""Static 8-bit quantisation of weights, and of the inputs of convolutions and dense layers. Host side.

ncnn's own tools for this (ncnn2table, ncnn2int8) are in no package, so this writes their format.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright_targets.ncnn import bin_file
from edgewright_targets.ncnn.activation_ranges import METHODS, ranges
from edgewright_targets.ncnn.bin_file import number
from edgewright_targets.ncnn.param_file import Layer

if TYPE_CHECKING:
    import numpy as np

    from edgewright.sdk import StageContext

    Numbers = np.ndarray[Any, Any]

INTEGERS = b"\x38\x4b\x0d\x00"  # the tag of 8-bit weights
_TERM = "8"  # id of the setting that says which scales follow the bias
_TERMS = {
    "Convolution": 2,
    "ConvolutionDepthWise": 1,
    "InnerProduct": 2,
}  # one scale per output, or per group
_GREATEST = 127


def quantised(param: Path, layers: list[Layer], work: StageContext) -> tuple[list[Layer], bytes, str]:
    """Quantises the model in 32-bit floats at `param`.

    Returns:
        (layers, contents of the `.bin`, calibration method).

    Raises:
        UsageError: an unknown layer.
        ConversionError: there is nothing to quantise, or a layer's weights cannot be found.
    """
    chosen = _chosen(layers, work.keep_float)
    held = bin_file.split(layers, param.with_suffix(".bin").read_bytes())
    found = ranges(param, layers, [layer.takes[0] for layer in chosen], work.samples, work.calibration_method)
    names = {layer.name for layer in chosen}
    parts = []
    for layer in layers:
        arrays = held.get(layer.name, [])
        if layer.name in names:
            parts += _integers(layer, arrays, found[layer.takes[0]])
        else:
            parts += [
                bin_file.FLOATS * one.tagged + data
                for one, data in zip(bin_file.arrays(layer), arrays, strict=True)
            ]
    made = [_marked(layer) if layer.name in names else layer for layer in layers]
    return made, b"".join(parts), METHODS[work.calibration_method]


def _chosen(layers: list[Layer], kept: tuple[str, ...]) -> list[Layer]:
    """The layers to quantise. Errors as in `quantised`."""
    from edgewright.sdk import Code, ConversionError
    from edgewright.sdk.graphs import no_such_layer

    able = [layer for layer in layers if layer.kind in _TERMS and len(layer.takes) == 1]
    for name in kept:
        if name not in {layer.name for layer in able}:
            raise no_such_layer(name, (layer.name for layer in able))
    chosen = [layer for layer in able if layer.name not in kept and _is_right_in_integers(layer)]
    if not chosen:
        raise ConversionError(
            "nothing to quantise: ncnn has 8-bit convolutions and dense layers, and this model "
            + ("keeps all of them in floats" if kept else "has none that can be quantised"),
            hint=f"{'keep fewer layers in floats, or ' * bool(kept)}take --precision fp32 or fp16",
            code=Code.NOTHING_QUANTISED,
        )
    return chosen


def _is_right_in_integers(layer: Layer) -> bool:
    """Whether ncnn's 8-bit layer computes the same as the one in floats; if not, it stays in floats.

    On x86, a grouped convolution with 8 outputs per group reads memory that nothing wrote. Padding with another number than 0
    puts that number among the integers, without scaling it.
    """
    depthwise = layer.kind != "ConvolutionDepthWise" or number(layer, "0") == number(layer, "7", 1)
    return depthwise and not float(layer.setting("18") or 0)


def _marked(layer: Layer) -> Layer:
    return layer._replace(settings=(*layer.settings, f"{_TERM}={_TERMS[layer.kind]}"))


def _integers(layer: Layer, arrays: list[bytes], greatest: float) -> list[bytes]:
    """A layer's part of the file: tag, weights, bias, scales of the weights, scale of the input."""
    import numpy

    rows = number(layer, "7", 1) if layer.kind == "ConvolutionDepthWise" else number(layer, "0")
    weights = numpy.frombuffer(arrays[0], numpy.float32).reshape(rows, -1)
    scales = _scales(numpy.abs(weights).max(axis=1))
    rounded = _rounded(weights * scales[:, None]).tobytes()
    padded = rounded + b"\0" * (-len(rounded) % 4)
    return [
        INTEGERS,
        padded,
        *arrays[1:],
        scales.tobytes(),
        _scales(numpy.array([greatest], numpy.float32)).tobytes(),
    ]


def _scales(greatest: Numbers) -> Numbers:
    """What numbers are multiplied with to become integers; 1 for numbers that are all 0."""
    import numpy

    return numpy.where(greatest > 0, _GREATEST / numpy.where(greatest > 0, greatest, 1), 1).astype(
        numpy.float32
    )


def _rounded(values: Numbers) -> Numbers:
    import numpy

    return numpy.clip(numpy.rint(values), -_GREATEST, _GREATEST).astype(numpy.int8)
