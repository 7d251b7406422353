"""Kinds of PyTorch's functions, by what an int8 runtime does with their tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any


class Function(Enum):
    """A kind of function.

    Attributes:
        LAYER: convolution or dense layer. TRANSPOSED: transposed convolution. NORM: batch normalisation.
        MOVING: only moves values, so that its result has the levels of its input.
        LOOKING: reads no values.
    """

    LAYER = auto()
    TRANSPOSED = auto()
    NORM = auto()
    SUM = auto()
    RELU = auto()
    MOVING = auto()
    LOOKING = auto()
    OTHER = auto()

    @property
    def weighted(self) -> bool:
        """Whether its second argument are weights."""
        return self in (Function.LAYER, Function.TRANSPOSED)

    def fused_after(self, maker: Function) -> bool:
        """Whether converters fuse it with a function of another kind that makes its input."""
        if self is Function.NORM:
            return maker.weighted
        return self is Function.RELU and (maker.weighted or maker in (Function.NORM, Function.SUM))


_LAYERS = ("conv1d", "conv2d", "conv3d", "convolution", "linear")
_TRANSPOSED = ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
_NORMS = ("batch_norm", "native_batch_norm_legit_no_training", "cudnn_batch_norm", "native_batch_norm")
_SUMS = ("add", "radd", "iadd", "sub", "isub", "mul", "rmul", "imul")
_MOVING = (
    "view", "view_as", "reshape", "reshape_as", "unsafe_view", "flatten", "unflatten", "permute", "transpose", "t", "movedim", "moveaxis",
    "swapaxes", "swapdims", "squeeze", "unsqueeze", "expand", "expand_as", "contiguous", "clone", "alias", "to", "to_copy", "float", "type_as",
    "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_dropout", "alpha_dropout", "max_pool1d", "max_pool2d", "max_pool3d",
    "max_pool2d_with_indices", "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d", "pad", "constant_pad_nd", "getitem",
    "select", "slice", "narrow", "chunk", "split", "split_with_sizes", "tensor_split", "unbind", "repeat", "roll", "flip", "index_select",
    "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "upsample_nearest2d",
)  # fmt: skip
_LOOKING = (
    "get", "set", "size", "dim", "ndimension", "numel", "nelement", "len", "stride", "is_floating_point", "is_complex", "is_contiguous", "type",
    "get_device", "requires_grad", "retain_grad", "register_hook", "new_zeros", "new_ones", "new_empty", "zeros_like", "ones_like",
    "empty_like", "format", "repr", "hash", "bool", "sym_size", "sym_stride", "sym_numel", "guards_fn",
)  # fmt: skip


def function_of(function: Any, args: Sequence[Any], named: Mapping[str, Any]) -> Function:
    """The kind of a call."""
    name = plain_name(function)
    if name in _LAYERS:
        transposed = name == "convolution" and (args[6] if len(args) > 6 else named.get("transposed"))
        return Function.TRANSPOSED if transposed else Function.LAYER
    if name in ("relu", "relu6") or (name == "hardtanh" and _from_zero(args, named)):
        return Function.RELU
    if name in _LOOKING or name.startswith("assert"):
        return Function.LOOKING
    for names, kind in (
        (_TRANSPOSED, Function.TRANSPOSED),
        (_NORMS, Function.NORM),
        (_SUMS, Function.SUM),
        (_MOVING, Function.MOVING),
    ):
        if name in names:
            return kind
    return Function.OTHER


def in_place(function: Any, named: Mapping[str, Any]) -> bool:
    """Whether a call writes its result over its first argument."""
    name = _name(function)
    if name.startswith("__"):
        return name.startswith("__i") and name not in ("__invert__", "__index__", "__int__")
    return name.endswith("_") or bool(named.get("inplace"))


def plain_name(function: Any) -> str:
    """A function's name without underscores around it."""
    return _name(function).strip("_")


def _name(function: Any) -> str:
    return str(getattr(function, "_opname", getattr(function, "__name__", "")))


def _from_zero(args: Sequence[Any], named: Mapping[str, Any]) -> bool:
    return bool((args[1] if len(args) > 1 else named.get("min_val", -1.0)) == 0)
