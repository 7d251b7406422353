"""A copy of a module with new weights, as its parts draw them."""

from __future__ import annotations

import math
from typing import Any

from edgewright.compile.workers.framework_errors import described
from edgewright.compress.pytorch.body import Body
from edgewright.compress.pytorch.module_copy import copied, finished
from edgewright.errors import Code, ConversionError


def renewed(body: Body, seed: int) -> tuple[Any, dict[str, str]]:
    """The copy, and module -> why it keeps its weights.

    Raises:
        ConversionError: no module draws a parameter again, or one fails to.
    """
    import torch

    flat = copied(body)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for parameter in flat.parameters():
            if parameter.is_floating_point():
                parameter.fill_(math.nan)  # to see what was drawn
        # parts before the whole, which may draw its parts' weights differently
        for name, module in reversed(list(flat.inner.named_modules())):
            _draw(name, module)
        kept = _frozen(body)
        for name in kept:
            new, old = (one.inner.get_submodule(name) for one in (flat, body.flat))
            for tensors in ("named_parameters", "named_buffers"):
                values = dict(getattr(old, tensors)(recurse=False))
                for own, tensor in getattr(new, tensors)(recurse=False):
                    tensor.copy_(values[own])
    _check_drawn(flat)
    finished(body, flat, {})
    return flat, dict.fromkeys(kept, "it is not trained")


def _draw(name: str, module: Any) -> None:
    draw = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
    try:
        if draw is not None:
            draw()
    except Exception as error:
        raise ConversionError(
            f"{name or 'the module'}: its reset_parameters() failed: {described(error)}",
            hint="let it work without arguments, for layers of any size",
            code=Code.CONVERSION_FAILED,
        ) from error


def _frozen(body: Body) -> list[str]:
    """The modules with parameters that the user froze."""
    modules = body.flat.inner.named_modules()
    return [
        name
        for name, module in modules
        if not all(one.requires_grad for one in module.parameters(recurse=False))
    ]


def _check_drawn(flat: Any) -> None:
    left = [name for name, one in flat.inner.named_parameters() if one.isnan().any()]
    if left:
        raise ConversionError(
            f"nothing draws new weights for {left[0]}: its module has no reset_parameters()",
            hint="add that method to its class: it fills the module's parameters with their first values",
            code=Code.CONVERSION_FAILED,
        )
