"""Weights of 8 or 4 bits, activations in floats. Host side, in the `openvino` worker."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openvino import Model


_WIDTHS = {"int8-dynamic": ("i8", "u8"), "int8-weights": ("i8", "u8"), "int4-weights": ("i4", "u4")}
_GROUP, _LEAST_GROUP = 128, 16  # weights that share a scale of int4; halved where a layer has fewer


def compress(model: Model, precision: str) -> Model:
    """The model with compressed weights.

    `int8-dynamic` leaves it to the runtime to quantise the activations of matrix products while it runs;
    the others tell it not to.

    Raises:
        ConversionError: the model has no weights that can be compressed so.
    """
    from edgewright.sdk import ConversionError

    for made in _attempts(model, precision):
        if _has(made, _WIDTHS[precision]):
            if precision != "int8-dynamic":
                made.set_rt_info("0", ["runtime_options", "DYNAMIC_QUANTIZATION_GROUP_SIZE"])
            return made
    raise ConversionError(
        f"model has no weights that can be made {precision}",
        hint="it is for matrix products, with 8 bits for convolutions too; take fp16 or int8",
        code="nothing-quantised",
    )


def _attempts(model: Model, precision: str) -> Iterator[Any]:
    """Models to choose from, the most exact first: NNCF by itself leaves the last layer at 8 bits."""
    import nncf
    from nncf.quantization.advanced_parameters import AdvancedCompressionParameters, GroupSizeFallbackMode

    if precision != "int4-weights":
        yield nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_SYM)
        return
    for last_too in (False, True):
        yield nncf.compress_weights(
            model.clone(),
            mode=nncf.CompressWeightsMode.INT4_ASYM,
            group_size=_GROUP,
            all_layers=last_too,
            advanced_parameters=AdvancedCompressionParameters(
                group_size_fallback_mode=GroupSizeFallbackMode.ADJUST, min_adjusted_group_size=_LEAST_GROUP
            ),
        )


def _has(model: Model, widths: Collection[str]) -> bool:
    """Whether some constant is of one of these types."""
    return any(
        one.get_type_name() == "Constant" and one.get_element_type().get_type_name() in widths
        for one in model.get_ops()
    )
