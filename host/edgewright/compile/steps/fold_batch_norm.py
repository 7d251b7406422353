"""Batch normalisations become part of the convolutions before them, where the board's converter would not do it."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from edgewright import targets
from edgewright.nouns.conversion_step import ConversionStep


def applies(context: Any) -> bool:
    """Calibration folds by itself, and as it is a file stays."""
    return not context.traits.calibrated and not context.traits.as_is


def run(context: Any) -> Sequence[str]:
    """Points the context at a file with its batch normalisations folded; a note where it is too large for that."""
    notes: list[str] = importlib.import_module(targets.module_name("tensorrt.fold_batch_norm")).fold_file(
        context
    )
    return notes


STEP = ConversionStep(name="fold-batch-norm", worker="onnx", targets=("tensorrt",), applies=applies, run=run)
