"""Compresses weights to 8 or 4 bits, with activations in floats. Host side, in the `openvino` worker."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openvino import Model

    from edgewright.sdk import Precision


_WIDTHS = {8: ("i8", "u8"), 4: ("i4", "u4")}
_GROUP, _LEAST_GROUP = 128, 16  # weights that share a scale of int4; halved if a layer has fewer


def compress(model: Model, traits: Precision) -> Model:
    """The model with compressed weights.

    With `int8-dynamic` the runtime quantises the activations of matrix products at run time;
    the other precisions disable that.

    Raises:
        ConversionError: the model has no weights that can be compressed this way.
    """
    from edgewright.sdk import Code, ConversionError

    for made in _candidates(model, traits.weight_bits):
        if _has(made, _WIDTHS[traits.weight_bits]):
            if traits.kind != "dynamic":
                made.set_rt_info("0", ["runtime_options", "DYNAMIC_QUANTIZATION_GROUP_SIZE"])
            return made
    raise ConversionError(
        f"model has no weights that can be made {traits.name}",
        hint="it is for matrix products, with 8 bits for convolutions too; take fp16 or int8",
        code=Code.NOTHING_QUANTISED,
    )


def _candidates(model: Model, bits: int) -> Iterator[Any]:
    """The candidate models, most exact first: by default NNCF leaves the last layer at 8 bits."""
    import nncf
    from nncf.quantization.advanced_parameters import AdvancedCompressionParameters, GroupSizeFallbackMode

    if bits != 4:
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
    """Whether any constant has one of these types."""
    return any(
        one.get_type_name() == "Constant" and one.get_element_type().get_type_name() in widths
        for one in model.get_ops()
    )
