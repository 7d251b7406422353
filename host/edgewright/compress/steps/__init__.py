"""The kinds of compression steps, one file each, and those of plug-ins."""

from __future__ import annotations

from edgewright.nouns.recipe import CompressionStep
from edgewright.records import Records

STEPS: Records[CompressionStep] = Records(
    "edgewright.compression_steps", "compression step", __name__, "STEP", CompressionStep
)
