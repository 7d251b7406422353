"""Ships the .tflite source itself."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from edgewright_targets.tflite.describe_file import described

if TYPE_CHECKING:
    from edgewright.sdk import StageContext, StageResult


def convert(work: StageContext) -> StageResult:
    """Copies the file and describes it."""
    shutil.copyfile(work.path, work.folder / work.entry)
    return described(work, "")
