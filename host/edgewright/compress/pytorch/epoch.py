"""One epoch of training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edgewright.compress import training_functions
from edgewright.compress.pytorch import losses
from edgewright.compress.pytorch.body import Body
from edgewright.compress.pytorch.optimiser import Optimiser
from edgewright.compress.pytorch.weights import Weights
from edgewright.errors import Code, ConversionError
from edgewright.nouns.compression import Training


@dataclass(frozen=True)
class Lesson:
    """What one epoch learns from.

    Attributes:
        inputs: a tensor per input.
        labels: from `losses.labels_tensor`; None if only the teacher counts.
        taught: `taught(chosen)` returns the teacher's logits for these samples, and its outputs at the layers of hints; None without one.
    """

    inputs: tuple[Any, ...]
    labels: Any
    taught: Callable[[Any], list[Any]] | None
    training: Training
    epoch: int


def run_epoch(
    body: Body,
    weights: Mapping[str, Weights],
    masks: Mapping[str, Any],
    optimiser: Optimiser,
    lesson: Lesson,
    *,
    probabilities: bool,
) -> float:
    """Trains on all samples once, in an order and with dropout drawn from the seed and the epoch.

    Returns:
        The mean loss, penalties included.

    Raises:
        ConversionError: the loss is not finite.
    """
    import torch

    training = lesson.training
    optimiser.use(training.rate * training.factor)
    total = 0.0
    with torch.random.fork_rng(devices=[]), body.learning():
        for chosen in _batches(len(lesson.inputs[0]), training, lesson.epoch):
            optimiser.begin()
            loss = _loss(body, lesson, chosen, probabilities) + _penalties(weights, training)
            if not bool(torch.isfinite(loss)):
                raise _diverged(lesson, loss.item())
            loss.backward()
            optimiser.step()
            apply_masks(weights, masks)
            total += loss.item() * len(chosen)
    return total / len(lesson.inputs[0])


def apply_masks(weights: Mapping[str, Weights], masks: Mapping[str, Any]) -> None:
    """Sets weights to zero where their mask is False."""
    import torch

    with torch.no_grad():
        for name, mask in masks.items():
            weights[name].parameter.mul_(mask)


def _diverged(lesson: Lesson, loss: float) -> ConversionError:
    training = lesson.training
    own = training_functions.is_own(training.loss)
    check = f" and that {training_functions.shown(training.loss)} returns finite values" if own else ""
    return ConversionError(
        f"training diverged in epoch {lesson.epoch + 1}: the loss is {loss}",
        hint=f"use a learning rate below {training.rate:g}; check that the data are finite and scaled{check}",
        code=Code.TRAINING_DIVERGED,
    )


def _batches(count: int, training: Training, epoch: int) -> Iterator[Any]:
    """Indexes of each batch, and seeds dropout. A last batch of one sample joins the one before: batch normalisation needs two."""
    import numpy as np
    import torch

    random = np.random.default_rng([training.seed, epoch])
    order = torch.from_numpy(random.permutation(count))
    torch.manual_seed(int(random.integers(1 << 31)))
    ends = [*range(training.batch, count, training.batch), count]
    if len(ends) > 1 and count - ends[-2] == 1:
        del ends[-2]
    for start, end in zip([0, *ends], ends, strict=False):
        yield order[start:end]


def _loss(body: Body, lesson: Lesson, chosen: Any, probabilities: bool) -> Any:
    training, taught = lesson.training, [] if lesson.taught is None else lesson.taught(chosen)
    soft = training.soft if taught else 0.0
    hinted = [hint.student for hint in training.hints] if taught else []
    outputs = body.run([tensor[chosen] for tensor in lesson.inputs], hinted)
    output = outputs[0]
    loss = output.new_zeros(())
    if soft < 1:
        loss = losses.of_labels(output, lesson.labels[chosen], training.loss, probabilities=probabilities)
    if not taught:
        return loss
    student = losses.logits(output.float(), training.likeness, probabilities=probabilities)
    loss = (1 - soft) * loss + soft * losses.of_teacher(student, taught[0], training)
    if hinted:
        loss = loss + training.hint_weight * losses.of_hints(outputs[-len(hinted) :], taught[1:])
    return loss


def _penalties(weights: Mapping[str, Weights], training: Training) -> Any:
    loss: Any = 0.0
    for layer in weights.values():
        if training.l1:
            loss = loss + training.l1 * layer.parameter.abs().sum()
        if training.l2:
            loss = loss + training.l2 * layer.parameter.square().sum()
    return loss
