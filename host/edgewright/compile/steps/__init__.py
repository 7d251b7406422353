"""Conversion steps from plug-ins, which run between the stages of a conversion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgewright.compile.workers.framework_errors import telling
from edgewright.errors import Code, ConversionError, EdgewrightError
from edgewright.nouns.conversion_step import ConversionStep
from edgewright.plugins import Unusable
from edgewright.records import Records

STEPS: Records[ConversionStep] = Records(
    "edgewright.steps", "conversion step", __name__, "STEP", ConversionStep
)


def steps_of(target: str, stages: Sequence[tuple[str, str]], *, as_is: bool = False) -> tuple[str, ...]:
    """Names of the steps that may run in a conversion, sorted, edgewright's own first.

    Args:
        as_is: the file is passed through unchanged, so no step runs.

    Raises:
        UsageError: a plug-in's step cannot be loaded. It might have applied, so the conversion does not continue without it.
    """
    if as_is or len(stages) < 2:  # the last stage reads the source itself, which no step may change
        return ()
    for fault in STEPS.faults():
        raise Unusable(STEPS.kind, fault)
    worker, _ = stages[-1]
    return tuple(
        step.name
        for step in (*STEPS.own(), *STEPS.foreign())
        if step.worker == worker and (not step.targets or target in step.targets)
    )


def run_steps(names: Sequence[str], context: Any) -> list[str]:
    """Runs the steps that apply and returns their notes, with a note for each plug-in's step.

    Raises:
        ConversionError: a step failed.
    """
    notes: list[str] = []
    for name in names:
        step = STEPS[name]
        try:
            if step.applies is not None and not step.applies(context):
                continue
            found = step.run(context)
        except EdgewrightError:
            raise
        except Exception as error:
            source = STEPS.entry(name).distribution
            raise ConversionError(
                f"conversion step {name} failed: {telling(error)}",
                hint=f"it is of {source}; uninstall that to convert without it" if source else "",
                code=Code.CONVERSION_FAILED,
            ) from error
        if found is not None and not _are_notes(found):
            raise ConversionError(
                f"conversion step {name} returned {type(found).__name__}, not a list of notes",
                hint=f"it is of {STEPS.entry(name).distribution}: report it to who made it",
                code=Code.CONVERSION_FAILED,
            )
        if source := STEPS.entry(name).distribution:
            notes.append(f"conversion step {name} of {source} changed the model")
        notes += found or ()
    return notes


def _are_notes(found: Any) -> bool:
    return isinstance(found, list | tuple) and all(isinstance(one, str) for one in found)
