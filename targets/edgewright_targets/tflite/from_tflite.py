"""Passes a float .tflite source on to the stage that quantises it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgewright.sdk import StageContext


def convert(work: StageContext) -> None:
    """Copies the source."""
    shutil.copyfile(work.path, work.folder / work.entry)
