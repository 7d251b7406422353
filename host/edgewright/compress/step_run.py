"""StepRun: what a compression step works on, in the worker of the network's framework."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edgewright.compress import training_functions
from edgewright.compress.network import Network
from edgewright.nouns.compression import Training
from edgewright.nouns.recipe import StepOptions, TrainingOptions

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class StepRun:
    """One step in progress.

    Attributes:
        network: the network that the step changes.
        inputs: training samples, one array per input, shape (n, *shape of one sample).
        teacher: `teacher(path)` returns the network in that file; None stands for the network as it was before the recipe.
        labels: shape (n, ...); empty, shape (0,), without labels.
        loss: as of `Training`.
        seed: of everything random in this step.

    Args:
        training: of the recipe; its rate is set.
        teacher_loss: as of `Training`.
    """

    def __init__(
        self,
        network: Network,
        teacher: Callable[[str | None], Network],
        data: tuple[list[Array], Array],
        loss: str,
        training: TrainingOptions,
        seed: int,
        teacher_loss: str = "",
    ) -> None:
        self.network = network
        self.teacher = teacher
        self.inputs, self.labels = data
        self.loss = loss
        self.seed = seed
        self._training, self._teacher_loss = training, teacher_loss

    def training(self, options: StepOptions, epoch: int, **changes: Any) -> Training:
        """How to train in an epoch of this step; `changes` are fields of `Training`."""
        chosen = options.training.over(self._training)
        factor = training_functions.factor(chosen.schedule or "", epoch, options.epochs)
        fields = {"rate": chosen.rate, "factor": factor, "optimiser": chosen.optimiser, "batch": chosen.batch}
        return Training(loss=self.loss, teacher_loss=self._teacher_loss, seed=self.seed, **(fields | changes))

    def train(
        self, options: StepOptions, epoch: int, *, teacher: Network | None = None, **changes: Any
    ) -> float:
        """Trains the network for one epoch; returns the mean loss."""
        return self.network.train(
            self.inputs, self.labels, self.training(options, epoch, **changes), epoch, teacher
        )

    def scores(self, importance: str) -> dict[str, Array]:
        """What the network says of its weights (`Network.importance`), if that kind of importance needs data; else nothing."""
        if importance not in ("taylor", "activation"):
            return {}
        return self.network.importance(self.inputs, self.labels, self.loss, importance)
