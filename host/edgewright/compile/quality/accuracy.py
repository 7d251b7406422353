"""Scores an artifact and its source on the same labelled samples, on this machine."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.compile.data.answers import Answers
from edgewright.compile.data.evaluation_set import EvaluationSet
from edgewright.compile.quality import significance
from edgewright.compile.quality.metrics import Scorer
from edgewright.config import home, usage_marks
from edgewright.errors import Code, ConversionError
from edgewright.files import write_atomic
from edgewright.nouns.artifact import Accuracy
from edgewright.nouns.comparison import Comparison
from edgewright.nouns.metric import Metric

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_DIGEST = re.compile(r"[0-9a-f]{64}")
ROUNDING = 1e-9  # less than one sample's share: a drop of exactly the limit passes


class Dropped(ConversionError):
    """The artifact's accuracy dropped by more than is allowed. `comparison` holds the figures."""

    code = Code.MAX_DROP

    def __init__(self, message: str, *, hint: str, comparison: Comparison) -> None:
        super().__init__(message, hint=hint)
        self.comparison = comparison


def of(
    scorer: Scorer,
    labelled: EvaluationSet,
    labels: Array,
    source: bytes,
    artifact: bytes,
    limit: float | None,
) -> Accuracy:
    """The accuracy of both; the source's answers are kept, so that boards' answers can be paired with them later.

    Args:
        labels: as `Scorer.labels` gave them.
        source, artifact: packed answers.
        limit: greatest drop that is allowed; None for no limit.

    Raises:
        DataError: the metric is not defined for these labels, or the source's answers are not finite.
        Dropped: the drop is greater than the limit.
    """
    theirs = Answers.unpacked(source)
    scorer.value(theirs, labels)  # report faults of the set or the source before blaming the artifact
    found = significance.compare(scorer, theirs, Answers.unpacked(artifact), labels)
    if limit is not None and not found.drop <= limit + ROUNDING:
        raise Dropped(
            f"accuracy falls from {scorer.metric.shown(found.reference)} to {scorer.metric.shown(found.value)}"
            f" ({scorer.metric.name}): {interval(scorer.metric, found)}, the limit is {scorer.metric.drop_shown(limit)}",
            hint="try a more exact precision, or calibration data that are like the model's real inputs",
            comparison=found,
        )
    return Accuracy(
        metric=scorer.metric.name, evaluation_sha256=labelled.sha256, n=found.n, source=found.reference,
        artifact=found.value, higher_is_better=scorer.metric.higher_is_better, drop=found.drop, low=found.low,
        high=found.high, p=found.p, method=found.method, answers=keep(source),
        metric_sha256=scorer.sha256, output=scorer.output,
    )  # fmt: skip


def outweighed(low: ConversionError | None, found: Accuracy | None) -> list[str]:
    """Notes on outputs that are less exact than the precision allows although the accuracy is good enough."""
    if low is None or found is None:
        return []
    return [
        f"{low.message}; accepted because {found.metric} is {found.artifact:.4g} against {found.source:.4g} on {found.n} labelled samples"
    ]


def said(metric: Metric, found: Comparison) -> str:
    """A comparison in words: both values, the drop with its interval, n and p."""
    return f"{metric.name} {metric.shown(found.value)} against {metric.shown(found.reference)}, {interval(metric, found)}"


def interval(metric: Metric, found: Comparison) -> str:
    """The drop in words, with its interval, n and p."""
    text = f"drop {metric.drop_shown(found.drop)}"
    if found.low is None or found.high is None:
        return f"{text}, {found.n} samples"
    bounds = f"95 % interval {metric.drop_shown(found.low)} to {metric.drop_shown(found.high)}"
    verdict = "excludes no drop" if found.clear else "includes no drop"
    return f"{text}, {bounds} ({verdict}), {found.n} samples, p {found.p:.2g}"


def keep(packed: bytes) -> str:
    """Stores packed answers by content; returns their hex sha256."""
    digest = hashlib.sha256(packed).hexdigest()
    place = _place(digest)
    if not usage_marks.hold(place):
        write_atomic(place, packed)
    return digest


def kept(digest: str) -> Answers | None:
    """The answers with that sha256; None if this machine does not have them or no longer has them."""
    if _DIGEST.fullmatch(digest) is None:  # the digest comes from a manifest that anyone may have written
        return None
    usage_marks.hold(_place(digest))
    try:
        packed = _place(digest).read_bytes()
    except OSError:
        return None
    return Answers.unpacked(packed) if hashlib.sha256(packed).hexdigest() == digest else None


def _place(digest: str) -> Path:
    return home.folder("answers") / f"{digest}.npz"
