"""Splits ncnn's `.bin` into each layer's arrays. The file has no index; a layer's settings give the lengths. Host side.

An array of weights follows a tag that gives its type, 0 for 32-bit floats. Biases and the like have no tag.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from edgewright_targets.ncnn.param_file import Layer

FLOATS = b"\0\0\0\0"  # the tag of 32-bit floats
_TAG = len(FLOATS)


class Array(NamedTuple):
    """One array of a layer: how many numbers it has, and whether a tag precedes it."""

    length: int
    tagged: bool


def arrays(layer: Layer) -> list[Array]:
    """The arrays that a layer reads, in order; none if it has no weights."""
    sizes = _SIZES.get(layer.kind)
    return [one for one in sizes(layer) if one.length] if sizes else []


def split(layers: list[Layer], data: bytes) -> dict[str, list[bytes]]:
    """{layer: the numbers of each of its arrays, as 32-bit floats}.

    Raises:
        ConversionError: the layers read more or less than the file has, so one of them has weights that are not known here.
    """
    found: dict[str, list[bytes]] = {}
    place = 0
    for layer in layers:
        for array in arrays(layer):
            if array.tagged:
                if data[place : place + _TAG] != FLOATS:
                    raise _unknown(layers)
                place += _TAG
            found.setdefault(layer.name, []).append(data[place : place + 4 * array.length])
            place += 4 * array.length
    if place != len(data):
        raise _unknown(layers)
    return found


def _unknown(layers: list[Layer]) -> Exception:
    from edgewright.sdk import Code, ConversionError

    kinds = sorted({layer.kind for layer in layers} - set(_SIZES))
    return ConversionError(
        f"cannot find the weights of each layer in ncnn's file; one of these has some: {', '.join(kinds)}",
        hint="take --precision fp32 or fp16, or another target, such as --target onnxruntime",
        code=Code.CONVERSION_FAILED,
    )


def number(layer: Layer, key: str, default: int = 0) -> int:
    """A setting that is a whole number."""
    return int(layer.setting(key) or default)


def _convolution(layer: Layer) -> list[Array]:
    weights = number(layer, "6")
    return [Array(weights, True), *([Array(number(layer, "0"), False)] if number(layer, "5") else [])]


def _inner_product(layer: Layer) -> list[Array]:
    return [
        Array(number(layer, "2"), True),
        *([Array(number(layer, "0"), False)] if number(layer, "1") else []),
    ]


def _embed(layer: Layer) -> list[Array]:
    return [
        Array(number(layer, "3"), True),
        *([Array(number(layer, "0"), False)] if number(layer, "2") else []),
    ]


def _affine(size: str, flag: str, count: int) -> Callable[[Layer], list[Array]]:
    """A normalisation: `count` arrays of the size in one setting, unless the other one switches them off."""
    return lambda layer: [Array(number(layer, size), False)] * (count if number(layer, flag, 1) else 0)


def _scale(layer: Layer) -> list[Array]:
    size = max(0, number(layer, "0"))  # below 0, the scale is an input
    return [Array(size, False)] * (2 if number(layer, "1") else 1)


def _memory(layer: Layer) -> list[Array]:
    total = 1
    for key in ("0", "1", "11", "2"):
        total *= number(layer, key) or 1
    return [Array(total, not number(layer, "21", 1))]


def _gemm(layer: Layer) -> list[Array]:
    rows, columns, inner = (number(layer, key) for key in ("7", "8", "9"))
    added = {0: 1, 1: rows, 2: rows, 3: rows * columns, 4: columns}.get(number(layer, "10"), 0)
    sizes = {"4": rows * inner, "5": inner * columns, "6": added}
    return [Array(size, True) for key, size in sizes.items() if number(layer, key)]


def _attention(layer: Layer) -> list[Array]:
    wide, query = number(layer, "0"), number(layer, "2")
    keys, values = number(layer, "3", wide) * wide, number(layer, "4", wide) * wide
    pairs = ((query, wide), (keys, wide), (values, wide), (query, query // wide))
    return [one for weights, biases in pairs for one in (Array(weights, True), Array(biases, False))]


_SIZES: dict[str, Callable[[Layer], list[Array]]] = {
    "Convolution": _convolution, "ConvolutionDepthWise": _convolution, "Convolution1D": _convolution,
    "ConvolutionDepthWise1D": _convolution, "Convolution3D": _convolution, "ConvolutionDepthWise3D": _convolution,
    "Deconvolution": _convolution, "DeconvolutionDepthWise": _convolution, "Deconvolution1D": _convolution,
    "DeconvolutionDepthWise1D": _convolution, "Deconvolution3D": _convolution, "DeconvolutionDepthWise3D": _convolution,
    "InnerProduct": _inner_product, "Embed": _embed, "Gemm": _gemm, "MultiHeadAttention": _attention,
    "BatchNorm": lambda layer: [Array(number(layer, "0"), False)] * 4,
    "LayerNorm": _affine("0", "2", 2), "GroupNorm": _affine("1", "3", 2), "InstanceNorm": _affine("0", "2", 2),
    "RMSNorm": _affine("0", "2", 1), "PReLU": lambda layer: [Array(number(layer, "0"), False)],
    "Scale": _scale, "Bias": lambda layer: [Array(number(layer, "0"), False)], "MemoryData": _memory,
}  # fmt: skip
