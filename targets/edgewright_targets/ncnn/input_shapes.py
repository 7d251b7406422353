"""Writes the shape of each input into its layer, in ncnn's order, without the batch axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright_targets.ncnn.param_file import Layer

if TYPE_CHECKING:
    from edgewright.sdk import TensorSpec

# ids of an input layer's sizes, from the last axis to the first: width, height, depth, channels
_IDS = {1: ("0",), 2: ("0", "1"), 3: ("0", "1", "2"), 4: ("0", "1", "11", "2")}


def with_shapes(
    layers: list[Layer], inputs: tuple[TensorSpec, ...], batch_axes: dict[str, int | None]
) -> list[Layer]:
    """The layers, with a shape in each input layer.

    Raises:
        ConversionError: an input is missing, has a batch above 1, or has more axes than ncnn.
    """
    from edgewright.sdk import Code, ConversionError

    wanted = {f"in{place}": spec for place, spec in enumerate(inputs)}
    found = {layer.name for layer in layers if layer.kind == "Input"}
    if found != set(wanted) or found != set(batch_axes):
        raise ConversionError(
            f"pnnx changed the model's inputs: {', '.join(sorted(found))}",
            hint="an input that no output depends on may be dropped: export the model without it",
            code=Code.CONVERSION_FAILED,
        )
    return [
        layer._replace(settings=_settings(wanted[layer.name], batch_axes[layer.name]))
        if layer.kind == "Input"
        else layer
        for layer in layers
    ]


def _settings(spec: TensorSpec, batch_axis: int | None) -> tuple[str, ...]:
    from edgewright.sdk import Code, ConversionError

    sizes = list(spec.shape)
    if batch_axis is not None and sizes.pop(batch_axis) != 1:
        raise ConversionError(
            f"input {spec.name} has a batch of {spec.shape[batch_axis]}, but ncnn computes one sample at a time",
            hint=f"give a batch of 1: --input-shape {spec.name}={_with_one(spec.shape, batch_axis)}",
            code=Code.CONVERSION_FAILED,
        )
    sizes = sizes or [1]
    if len(sizes) not in _IDS:
        raise ConversionError(
            f"input {spec.name} has {len(sizes)} axes besides the batch, but ncnn has 4 at most",
            hint="reshape it in the model, or take another target, such as --target onnxruntime",
            code=Code.CONVERSION_FAILED,
        )
    return tuple(f"{key}={size}" for key, size in zip(_IDS[len(sizes)], reversed(sizes), strict=True))


def _with_one(shape: tuple[int, ...], axis: int) -> str:
    return ",".join(str(1 if place == axis else size) for place, size in enumerate(shape))
