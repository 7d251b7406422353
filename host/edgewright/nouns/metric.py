"""Metric: a figure for the accuracy of a model, and which direction is better."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from edgewright.nouns.base import Noun

OWN = re.compile(r".+\.py:[A-Za-z_]\w*\Z")  # `module.py:function`, the user's own
BOUNDLESS = 1e9  # the rise of an error over a reference without any; JSON has no infinity
DEFAULT = "top1"
RANKS = 5  # best classes that are kept of a sample where a metric needs no more
TOP = f"top{RANKS}"  # what those answers are called, on the wire too


class Metric(Noun, frozen=True, kw_only=True):
    """One metric.

    Attributes:
        score: `score(outputs, labels)` is the value, or an array of shape (n,): a score a sample, whose mean is the value.
            `outputs` is an array of shape (n, *output.shape), or a list of them where `keep` is `all` and the model has
            several; of `TOP` answers int32 of shape (n, 5). NaN: it is not defined for these labels.
        fit: `fit(labels, output)` gives the labels in the form that `score` takes, or raises DataError where they do not
            fit the output, a TensorSpec. None: they are taken as they are.
        keep: what of a model's answers it needs: `TOP` (the indexes of the five greatest values of output 0),
            `first` (output 0) or `all` outputs.
        higher_is_better: False for errors.
        share: a figure between 0 and 1 that people read as a percentage.
        show: a value for people, where neither a percentage nor a plain number is what they read.
        classes: its labels are numbers of classes, or rows of 0 and 1 as long as the output.
        undefined: what to change where it is not defined for these labels.
        own: it is a function of the user's, which may be slow and is checked more.
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

        The plain difference where higher is better. Where lower is better, errors have the labels' unit and no
        upper end: the rise as a fraction of the reference, 0.02 for an error that grew by a fiftieth.
        """
        if self.higher_is_better:
            return reference - value
        if reference == 0:
            return 0.0 if value == 0 else BOUNDLESS
        return (value - reference) / abs(reference)

    def shown(self, value: float) -> str:
        """A value for people."""
        if self.show is not None:
            return self.show(value)
        return f"{value:.1%}" if self.share else f"{value:.4g}"

    def drop_shown(self, value: float) -> str:
        """A drop for people: points of a share, per cent of an error."""
        if self.share:
            return f"{value * 100:.3g} points"
        return f"{value:.3g}" if self.higher_is_better else f"{value:.2%}"


def recorded(name: str, *, higher_is_better: bool) -> Metric:
    """A metric that a manifest names and nobody here can compute: the user's own, or one of a plug-in that is gone."""

    def score(outputs: Any, labels: Any) -> Any:  # noqa: ARG001
        raise LookupError(name)

    return Metric(name=name, title="", score=score, higher_is_better=higher_is_better, share=False, own=True)


def is_own(name: str) -> bool:
    """Whether a metric's name is a `module.py:function` of the user's."""
    return OWN.match(name) is not None
