"""What to fit into which budget."""

from __future__ import annotations

from pathlib import Path

from edgewright.compile.request import ModelRequest
from edgewright.nouns.base import Noun
from edgewright.nouns.model_input import DataFile
from edgewright.nouns.optimization import OptimizeBudget
from edgewright.nouns.profile import Profile


class OptimizeRequest(Noun, frozen=True, kw_only=True):
    """What to fit into which budget.

    Attributes:
        wanted: the model with its evaluation set.
        format: of the model.
        training, deciding: labelled data, as of `CompressRequest`.
        lent: the calibration data are the training data, as no others were given; a network that was made for int8 uses its own.
        seed: of training.
        untried: limits and precisions that were left out and why, a sentence each.
    """

    wanted: ModelRequest
    format: str
    profile: Profile
    budget: OptimizeBudget
    training: Path | None = None
    deciding: Path | None = None
    lent: bool = False
    seed: int = 0
    untried: tuple[str, ...] = ()

    @property
    def inputs(self) -> Path | None:
        """Data that steps without labels take: those to train with, else the calibration data."""
        data = self.wanted.model.calibration
        return self.training or (data.path if isinstance(data, DataFile) else None)
