"""Checkpoints: the weights of a network, the sizes of its layers, and what training needs. No pickled modules."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgewright.compress import calibration_samples
from edgewright.compress.pytorch.body import Body
from edgewright.compress.pytorch.optimiser import Optimiser
from edgewright.errors import Code, ConversionError

_FILE = "network.pt"
# attributes that hold a size that channel pruning changes
_SIZES = (
    "in_channels", "out_channels", "groups", "in_features", "out_features", "num_features", "num_parameters", "embedding_dim",
)  # fmt: skip


def write(folder: Path, body: Body, masks: Mapping[str, Any], optimiser: Optimiser | None) -> None:
    """Writes a new folder."""
    import torch

    folder.mkdir(parents=True)
    calibration_samples.write(folder, None if body.simulation is None else body.simulation.samples)
    content = {
        "tensors": _tensors(body),
        "sizes": {
            f"{name}.{size}": getattr(module, size)
            for name, module in _sized(body).items()
            for size in _SIZES
            if isinstance(getattr(module, size, None), int)
        },
        "masks": dict(masks),
        "optimiser": None if optimiser is None else optimiser.state(),
    }
    torch.save(content, folder / _FILE)


def read(folder: Path, body: Body) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Puts weights and sizes back into the network.

    Returns:
        Masks, and what `optimiser.restored` takes; None if there was no optimiser.

    Raises:
        ConversionError: the checkpoint cannot be read, or belongs to another network.
    """
    import torch

    try:
        content = torch.load(folder / _FILE, weights_only=True)
        tensors, sizes = content["tensors"], content["sizes"]
        masks, optimiser = content["masks"], content["optimiser"]
    except Exception as error:
        raise ConversionError(
            f"cannot read the checkpoint {folder}: {type(error).__name__}",
            hint="delete it and start again",
            code=Code.CONVERSION_FAILED,
        ) from error
    if set(tensors) != set(_tensors(body)):
        raise ConversionError(
            f"the checkpoint {folder} belongs to another network",
            hint="the model's code has changed: delete the checkpoint and start again",
            code=Code.CONVERSION_FAILED,
        )
    modules = dict(body.flat.named_modules(remove_duplicate=False))
    for path, size in sizes.items():
        name, _, attribute = path.rpartition(".")
        setattr(modules[name], attribute, size)
    shared: dict[int, Any] = {}
    for path, tensor in tensors.items():
        name, _, attribute = path.rpartition(".")
        _put(modules[name], attribute, tensor, shared)
    return masks, optimiser


def _tensors(body: Body) -> dict[str, Any]:
    """All parameters and buffers, also those that a state dict leaves out."""
    every = [
        *body.flat.named_parameters(remove_duplicate=False),
        *body.flat.named_buffers(remove_duplicate=False),
    ]
    return {name: tensor.detach() for name, tensor in every}


def _sized(body: Body) -> dict[str, Any]:
    """PyTorch's own layers; attributes of the user's classes are theirs, whatever their names."""
    import torch

    nn = torch.nn
    kinds = (
        nn.modules.conv._ConvNd, nn.Linear, nn.modules.batchnorm._NormBase, nn.PReLU, nn.Embedding,
    )  # fmt: skip
    return {
        name: module
        for name, module in body.flat.named_modules(remove_duplicate=False)
        if isinstance(module, kinds)
    }


def _put(module: Any, attribute: str, value: Any, shared: dict[int, Any]) -> None:
    """Sets a parameter or buffer. One of another shape replaces it; else it stays the same object, which others may share.

    Args:
        shared: id of an object that was replaced -> the old object, to keep it alive, and the new one.
    """
    import torch

    old = getattr(module, attribute)
    if id(old) in shared:
        setattr(module, attribute, shared[id(old)][1])
        return
    if old.shape == value.shape:
        with torch.no_grad():
            old.copy_(value)
        return
    if isinstance(old, torch.nn.Parameter):
        value = torch.nn.Parameter(value, requires_grad=old.requires_grad)
    shared[id(old)] = (old, value)
    setattr(module, attribute, value)
