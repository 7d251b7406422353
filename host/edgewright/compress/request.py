"""What to compress, and what came of it."""

from __future__ import annotations

from pathlib import Path

from edgewright.compress.data_sets import Files
from edgewright.nouns.base import Noun
from edgewright.nouns.comparison import Comparison
from edgewright.nouns.compression import Lineage, StepResult
from edgewright.nouns.metric import DEFAULT
from edgewright.nouns.recipe import Recipe


class CompressRequest(Noun, frozen=True, kw_only=True):
    """One compression.

    Attributes:
        source: model file, or `module.py:function`.
        score: output that the metric scores, by name or index.
        trusted: open a model that contains code.
        use_cache: take steps that were computed before from the same inputs.
    """

    source: Path
    recipe: Recipe
    files: Files = Files()
    metric: str = DEFAULT
    score: str | None = None
    trusted: bool = False
    use_cache: bool = True


class StepNetwork(Noun, frozen=True, kw_only=True):
    """The network after a step, in the cache.

    Attributes:
        calibration: `.npz` with the samples that its ranges were measured with, there too; None unless int8 was simulated.
    """

    file: Path
    calibration: Path | None = None


class Compressed(Noun, frozen=True, kw_only=True):
    """The result of a compression.

    Attributes:
        networks: the original, and the one after each good step.
        inputs: names of the network's inputs.
        steps: the original, and each step that was run; the last one is not good if `why` is set.
        good: how many of `steps` are good.
        lineage: of the last good network.
        test: the last good network against the original, on the samples that nothing was decided by; None without them.
        why: why it stopped before the end of the recipe; empty if it did not.
        hint, code: of that error.
    """

    networks: tuple[StepNetwork, ...]
    steps: tuple[StepResult, ...]
    good: int
    lineage: Lineage
    test: Comparison | None = None
    why: str = ""
    hint: str = ""
    code: str = ""
    inputs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
