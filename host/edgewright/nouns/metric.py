"""Metric: a measure of a model's accuracy, and which direction is better."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from edgewright.nouns.base import Noun

OWN = re.compile(r".+\.py:[A-Za-z_]\w*\Z")  # `module.py:function`, a user's metric
BOUNDLESS = 1e9  # the drop if an error appears where the reference has none; JSON has no infinity
DEFAULT = "top1"
RANKS = 5  # how many of the best classes are kept per sample for metrics that look at the ranks alone
TOP = f"top{RANKS}"  # the name of such answers, on the wire too


class Metric(Noun, frozen=True, kw_only=True):
    """A metric.

    Attributes:
        score: `score(outputs, labels)` returns the value, or an array of shape (n,) with a score per sample, whose mean is the
            value. `outputs` is an array of shape (n, *output.shape), or a list of them if `keep` is `all` and the model has
            several; for `TOP` answers, int32 of shape (n, 5). NaN means undefined for these labels.
        fit: `fit(labels, output)` returns the labels in the form that `score` takes, or raises DataError if they do not
            fit the output, a TensorSpec. None: labels are used unchanged.
        keep: which part of a model's outputs it needs: `TOP` (the indexes of the five greatest values of output 0),
            `first` (output 0) or `all` outputs.
        higher_is_better: False for errors.
        share: a value between 0 and 1 that people read as a percentage.
        show: formats a value for people, if it is neither a percentage nor a plain number.
        classes: its labels are class numbers, or rows of 0 and 1 as long as the output.
        undefined: what to change if it is undefined for these labels.
        own: it is a user's function, which may be slow and gets more checks.
    """

    name: str
    title: str
    score: Callable[[Any, Any], Any]
    fit: Callable[[Any, Any], Any] | None = None
    keep: str = "first"
    higher_is_better: bool = True
    share: bool = True
    show: Callable[[float], str] | None = None
    classes: bool = False
    undefined: str = ""
    own: bool = False

    def drop(self, reference: float, value: float) -> float:
        """How much worse a value is than a reference; below 0 it is better.

        The plain difference if higher is better. If lower is better, errors are in the labels' unit and
        unbounded, so it is the rise as a fraction of the reference: 0.02 for an error that grew by a fiftieth.
        """
        if self.higher_is_better:
            return reference - value
        if reference == 0:
            return 0.0 if value == 0 else BOUNDLESS
        return (value - reference) / abs(reference)

    def shown(self, value: float) -> str:
        """Formats a value for people."""
        if self.show is not None:
            return self.show(value)
        return f"{value:.1%}" if self.share else f"{value:.4g}"

    def drop_shown(self, value: float) -> str:
        """Formats a drop for people: points of a share, per cent of an error."""
        if self.share:
            return f"{value * 100:.3g} points"
        return f"{value:.3g}" if self.higher_is_better else f"{value:.2%}"


def recorded(name: str, *, higher_is_better: bool) -> Metric:
    """A metric in a manifest that cannot be computed here: a user's own, or one of a removed plug-in."""

    def score(outputs: Any, labels: Any) -> Any:  # noqa: ARG001
        raise LookupError(name)

    return Metric(name=name, title="", score=score, higher_is_better=higher_is_better, share=False, own=True)


def is_own(name: str) -> bool:
    """Whether a metric's name is a user's `module.py:function`."""
    return OWN.match(name) is not None
