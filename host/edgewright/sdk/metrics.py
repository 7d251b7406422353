"""Metrics: their record, the forms that labels are fitted to, and the errors of answers."""

from __future__ import annotations

from edgewright.metrics.shared.errors import errors
from edgewright.metrics.shared.labels import class_ids, class_rows, classes, values
from edgewright.nouns.metric import RANKS, TOP, Metric

__all__ = ["RANKS", "TOP", "Metric", "class_ids", "class_rows", "classes", "errors", "values"]
