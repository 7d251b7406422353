"""Result of `compress`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from edgewright.api.step_measurement import StepsOnBoards
from edgewright.nouns.base import Noun
from edgewright.nouns.comparison import Comparison
from edgewright.nouns.compression import Lineage, StepResult
from edgewright.nouns.recipe import plain

if TYPE_CHECKING:
    from edgewright.api.compression import WantedCompression
    from edgewright.compress.request import Compressed


class PlannedStep(Noun, frozen=True, kw_only=True):
    """A step that a dry run would run: its kind, the step in words, its options."""

    use: str
    shown: str
    options: dict[str, Any]


class CompressResult(Noun, frozen=True, kw_only=True):
    """`edgewright compress`.

    Attributes:
        plan: the steps of a dry run; empty otherwise.
        output: the file that was written; null if none was, or in a dry run.
        steps: the original, and the steps that were run.
        good: how many of them are good; the output is of the last good one.
        test: that against the original, on `--evaluation`; null without it.
        boards: what `--on` measured.
        why, hint, code: why it stopped before the end of the recipe; empty if it did not.
    """

    dry_run: bool = False
    plan: tuple[PlannedStep, ...] = ()
    output: Path | None = None
    steps: tuple[StepResult, ...] = ()
    good: int = 0
    test: Comparison | None = None
    lineage: Lineage | None = None
    why: str = ""
    hint: str = ""
    code: str = ""
    notes: tuple[str, ...] = ()
    boards: StepsOnBoards = StepsOnBoards()

    @classmethod
    def planned(cls, wanted: WantedCompression) -> Self:
        """Of a dry run."""
        from edgewright.compress.recipe_check import shown

        steps = wanted.request.recipe.steps
        return cls(
            dry_run=True,
            plan=tuple(
                PlannedStep(use=one.use, shown=shown(one), options=plain(one.options)) for one in steps
            ),
        )

    @classmethod
    def done(cls, wanted: WantedCompression, found: Compressed, boards: StepsOnBoards) -> Self:
        """Of a compression."""
        return cls(
            output=wanted.output if found.good > 1 else None, steps=found.steps, good=found.good, test=found.test,
            lineage=found.lineage, why=found.why, hint=found.hint, code=found.code, notes=found.notes,
            boards=boards,
        )  # fmt: skip
