"""Losses on logits or probabilities, and distillation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgewright.compress import training_functions
from edgewright.compress.pytorch.body import Body
from edgewright.errors import DataError
from edgewright.nouns.compression import Training

_SCALES = (1.0, 10.0, 100.0)  # of random inputs, to see whether outputs are probabilities
_LEAST = 1e-12  # a probability of 0 has no logarithm
_RETURN = "return one float per sample, shape (n,), made by PyTorch's operations"


def labels_tensor(labels: Any, loss: str) -> Any:
    """Labels as a tensor: class numbers (int64) for `cross_entropy`, as they are for a user's loss, else float32.

    Raises:
        DataError: their dtype or values do not fit the loss.
    """
    import numpy as np
    import torch

    labels = np.asarray(labels)
    if training_functions.is_own(loss):
        return torch.from_numpy(labels)
    if loss == "cross_entropy":
        if labels.dtype.kind not in "iu" or labels.ndim != 1:
            raise DataError(
                f"cross_entropy takes class numbers, one integer per sample: {labels.dtype}, shape {labels.shape}",
                hint="use binary_cross_entropy for labels of 0 and 1 per class, mse for numbers",
            )
        return torch.from_numpy(labels.astype("int64"))
    if loss == "binary_cross_entropy" and not np.isin(labels, (0, 1)).all():
        raise DataError("binary_cross_entropy takes labels of 0 and 1", hint="use mse for other numbers")
    return torch.from_numpy(labels.astype("float32"))


def of_labels(output: Any, labels: Any, loss: str, *, probabilities: bool) -> Any:
    """The mean loss of a batch.

    Args:
        output: the first output, shape (n, ...).
        labels: from `labels_tensor`, shape (n, ...).

    Raises:
        DataError: the shapes of the labels and the output do not fit each other, or a user's function fails or returns no loss.
    """
    import torch.nn.functional as F  # noqa: N812

    if training_functions.is_own(loss):
        return _of_user(output, labels, loss)
    output = output.float()
    if loss == "cross_entropy":
        if output.ndim != 2 or int(labels.max()) >= output.shape[1] or int(labels.min()) < 0:
            raise DataError(
                f"class numbers {int(labels.min())} to {int(labels.max())} do not fit an output of shape {tuple(output.shape[1:])}",
                hint="cross_entropy needs one output per class; use binary_cross_entropy for a single one",
            )
        return F.cross_entropy(logits(output, loss, probabilities=probabilities), labels)
    if output[0].numel() != labels[0].numel():
        raise DataError(
            f"labels of shape {tuple(labels.shape[1:])} do not fit an output of shape {tuple(output.shape[1:])}"
        )
    labels = labels.reshape(output.shape)
    if loss == "mse":
        return F.mse_loss(output, labels)
    return F.binary_cross_entropy_with_logits(logits(output, loss, probabilities=probabilities), labels)


def _of_user(output: Any, labels: Any, loss: str) -> Any:
    """The mean of what a user's function returns: one value a sample, or their mean."""
    import torch

    name = f"loss {training_functions.shown(loss)}"
    shapes = " and ".join(f"{one.dtype} of shape {tuple(one.shape)}" for one in (labels, output))
    found = training_functions.call("loss", loss, labels, output, hint=f"it is called with {shapes}")
    if not isinstance(found, torch.Tensor) or not found.is_floating_point():
        raise DataError(f"{name} returned {training_functions.kind_of(found)}", hint=_RETURN)
    if found.ndim and len(found) != len(output):
        raise DataError(
            f"{name} returned a tensor of shape {tuple(found.shape)} for {len(output)} samples", hint=_RETURN
        )
    if not found.requires_grad:
        raise DataError(
            f"{name} does not depend on the network's output by operations with a gradient", hint=_RETURN
        )
    return found.float().mean()


def logits(output: Any, loss: str, *, probabilities: bool) -> Any:
    """Logits of an output: log p for a softmax, log p - log(1 - p) for a sigmoid, which `loss` tells apart."""
    if not probabilities:
        return output
    if loss == "binary_cross_entropy":
        held = output.clamp(1e-7, 1 - 1e-7)
        return held.log() - (1 - held).log()
    return output.clamp_min(_LEAST).log()


def of_teacher(student: Any, teacher: Any, training: Training) -> Any:
    """T^2 * KL(teacher at T || student at T) of logits, mean over the samples; for `mse`, the mean squared difference.

    Each output of a `binary_cross_entropy` is a distribution over two classes. The divergences of a sample's outputs are averaged.
    """
    import torch
    import torch.nn.functional as F  # noqa: N812

    if student.shape != teacher.shape:
        raise DataError(
            f"the teacher's output has shape {tuple(teacher.shape[1:])}, the network's {tuple(student.shape[1:])}",
            hint="use a teacher with the same outputs",
        )
    if training.likeness == "mse":
        return F.mse_loss(student, teacher)
    heat = training.temperature
    if training.likeness == "binary_cross_entropy":
        student, teacher = (
            torch.stack([torch.zeros_like(x), x], -1).reshape(-1, 2) for x in (student, teacher)
        )
    ours, theirs = (F.log_softmax(x / heat, -1) for x in (student, teacher))
    return heat**2 * F.kl_div(ours, theirs, log_target=True, reduction="batchmean")


def of_hints(student: Sequence[Any], teacher: Sequence[Any]) -> Any:
    """The term of hints, see `Network.train`: the mean over pairs of outputs, each (n, ...), of any sizes."""
    import torch

    pairs = zip(student, teacher, strict=True)
    terms = [(_similarity(one) - _similarity(two)).square().sum(-1).mean() for one, two in pairs]
    return torch.stack(terms).mean()


def _similarity(output: Any) -> Any:
    """Inner products of the samples of a batch with each other, (n, n); each row has length 1."""
    import torch.nn.functional as F  # noqa: N812

    flat = output.float().flatten(1)
    return F.normalize(flat @ flat.T, dim=-1)


def gives_probabilities(body: Body) -> bool:
    """Whether a network's first output, for small and large random inputs, is that of a softmax or a sigmoid.

    A softmax sums to 1 along the last axis. A sigmoid stays between 0 and 1 for any input, and is not constant.
    """
    import torch

    given = [
        [tensor * scale if tensor.is_floating_point() else tensor for tensor in body.samples(8)]
        for scale in _SCALES
    ]
    with torch.no_grad():
        outputs = [body.run(batch)[0] for batch in given]
    every = torch.cat([output.reshape(len(output), -1) for output in outputs]).float()
    if every.numel() == 0 or not torch.isfinite(every).all() or every.min() < 0 or every.max() > 1:
        return False
    sums = torch.cat([output.float().sum(-1).reshape(-1) for output in outputs])
    if outputs[0].shape[-1] > 1 and torch.allclose(sums, torch.ones_like(sums), atol=1e-3):
        return True
    inside = ((every > 0) & (every < 1)).float().mean()
    return bool(inside > 0.1) and bool(every.std() > 0)
