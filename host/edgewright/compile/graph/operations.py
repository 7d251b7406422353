"""The operations of a model's graph in any format, and which of them follow a layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from edgewright.nouns.base import Noun

LAYER, NORM, ACTIVATION = "layer", "batch normalisation", "activation"

_LAYERS = {
    "conv", "conv1d", "conv2d", "conv3d", "convolution", "groupconvolution", "depthwiseconv2dnative",
    "depthwise_conv_2d", "conv_2d", "conv_3d", "convtranspose", "transpose_conv", "conv2dbackpropinput",
    "convolutionbackpropdata", "conv_transpose2d", "fusedconv", "nhwcfusedconv", "nhwcconv", "qlinearconv", "convinteger",
    "matmul", "batchmatmulv2", "batchmatmul", "batch_matmul", "gemm", "fullyconnected", "fully_connected", "linear",
    "addmm", "mm", "bmm", "fusedgemm", "fusedmatmul", "qgemm", "qlinearmatmul", "matmulinteger", "matmulnbits",
    "matmulintegertofloat", "dynamicquantizematmul",
}  # fmt: skip
_NORMS = {
    "batchnormalization", "fusedbatchnormv3", "fusedbatchnorm", "fusedbatchnormv2", "batch_norm", "batchnorminference",
    "_native_batch_norm_legit_no_training", "native_batch_norm",
}  # fmt: skip
_ACTIVATIONS = {
    "relu", "relu6", "relu_0_to_1", "relu_n1_to_1", "clip", "clamp", "hardtanh", "leakyrelu", "leaky_relu", "elu", "selu",
    "prelu", "sigmoid", "logistic", "tanh", "hardsigmoid", "hardswish", "hard_swish", "hsigmoid", "hswish", "swish", "gelu",
    "silu", "mish", "softplus",
}  # fmt: skip
_SCALES = {"mul", "multiply"}  # after a layer, with a constant: what is left of a batch normalisation
_BETWEEN = {
    "biasadd", "add", "addv2", "sub", "subtract", "identity", "cast", "convert", "reshape", "squeeze", "unsqueeze",
    "transpose", "getitem", "quantizelinear", "dequantizelinear", "quantize", "dequantize", "fakequantize",
    "reorderoutput", "reorderinput", "reorder", "expanddims", "batchtospacend", "permute", "view",
}  # fmt: skip


class Operation(Noun, frozen=True, kw_only=True):
    """One operation; constants and variables are not operations.

    Attributes:
        operator: the format's name for it, such as `Conv`, `CONV_2D` or `Convolution`.
        layer: it is a convolution or a dense layer, whatever it is called. Those of the formats that several targets use are known by name.
        takes: names of the operations whose results it reads.
        absorbed: what was fused into it, such as `RELU`, or the layers that were folded into it.
        arithmetic: for a layer `fp32`, `fp16`, `int8`, `int16x8`, `int8 weights`, ...; empty for others.
        ends: names of the model outputs that it produces.
        largest: for operators that may be part of a mask, the greatest magnitude among the float constants that it reads.
        spread: for scaling by constants, the ratio of the greatest to the least nonzero magnitude; for adding constants, the
            difference between the greatest and the least. 0 if they are all equal.
        fixed: its result does not depend on the model's input.
        widths: the range of each float input, extended to include zero, as a scale has to cover it; empty if not measured.
        width: the same for its float result.
    """

    name: str
    operator: str
    layer: bool = False
    takes: tuple[str, ...] = ()
    absorbed: tuple[str, ...] = ()
    arithmetic: str = ""
    ends: tuple[str, ...] = ()
    largest: float = 0.0
    spread: float = 0.0
    fixed: bool = False
    widths: tuple[float, ...] = ()
    width: float = 0.0


def kind(operation: Operation) -> str:
    """`layer`, `batch normalisation`, `activation`, or nothing."""
    name = operation.operator.lower()
    if operation.layer or name in _LAYERS:
        return LAYER
    if name in _NORMS:
        return NORM
    return ACTIVATION if name in _ACTIVATIONS else ""


def is_layer(operation: Operation) -> bool:
    """Whether it is a convolution or a dense layer."""
    return kind(operation) == LAYER


def chains(graph: Sequence[Operation]) -> list[list[Operation]]:
    """Each layer, followed by its batch normalisation and activation if nothing else reads the values in between."""
    readers: dict[str, list[Operation]] = {}
    for operation in graph:
        for name in dict.fromkeys(operation.takes):
            readers.setdefault(name, []).append(operation)
    return [_chain(operation, readers) for operation in graph if is_layer(operation)]


def standing(graph: Sequence[Operation]) -> dict[str, int]:
    """How many batch normalisations and activations follow a layer as separate operations.

    A multiplication by a constant after a layer counts as a batch normalisation: it is what remains of one.
    """
    found = Counter(
        NORM if operation.operator.lower() in _SCALES else kind(operation)
        for chain in chains(graph)
        for operation in chain[1:]
    )
    return {NORM: found[NORM], ACTIVATION: found[ACTIVATION]}


def _chain(layer: Operation, readers: dict[str, list[Operation]]) -> list[Operation]:
    chain, last, seen = [layer], layer, {layer.name}
    while True:
        following = readers.get(last.name, [])
        if len(following) != 1 or following[0].name in seen or len(set(following[0].takes)) != 1:
            return chain
        last = following[0]
        seen.add(last.name)
        name = last.operator.lower()
        if kind(last) in (NORM, ACTIVATION) or name in _SCALES:
            chain.append(last)
            if kind(last) == ACTIVATION:
                return chain
        elif name not in _BETWEEN:
            return chain
