"""Copies of a module for torch-pruning, which follows it by its gradients and changes it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from edgewright.compile.workers.framework_errors import described
from edgewright.compress.pytorch.body import Body
from edgewright.errors import Code, ConversionError


def copied(body: Body, masks: Mapping[str, Any] | None = None) -> Any:
    """A copy of the module that computes gradients for all weights.

    Args:
        masks: go along as gradients: torch-pruning cuts a weight's gradient as it cuts the weight.

    Raises:
        ConversionError: the module has attributes that cannot be copied.
    """
    try:
        flat = copy.deepcopy(body.flat)
    except Exception as error:
        raise ConversionError(
            f"the module cannot be copied: {described(error)}",
            hint="keep only parameters, buffers and plain values as attributes of its modules",
            code=Code.CONVERSION_FAILED,
        ) from error
    for parameter in flat.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
        parameter.grad = None
    for name, mask in (masks or {}).items():
        weight = _weight(flat, name)
        weight.grad = mask.to(weight.dtype)
    return flat


def finished(body: Body, flat: Any, masks: Mapping[str, Any]) -> dict[str, Any]:
    """The masks of a pruned copy, which then has no gradients, and is frozen where the module is."""
    cut = {name: _weight(flat, name).grad.bool() for name in masks}
    frozen = {name for name, one in body.flat.named_parameters() if not one.requires_grad}
    for name, one in flat.named_parameters():
        one.grad = None
        one.requires_grad_(one.is_floating_point() and name not in frozen)
    return cut


def _weight(flat: Any, layer: str) -> Any:
    parameters = dict(flat.inner.named_parameters())
    return parameters[f"{layer}.weight" if f"{layer}.weight" in parameters else layer]
