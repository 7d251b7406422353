"""Metric: a figure for the accuracy of a model, and which direction is better."""

from __future__ import annotations

import re

from edgewright.nouns.base import Noun

OWN = re.compile(r".+\.py:[A-Za-z_]\w*\Z")  # `module.py:function`, the user's own
BOUNDLESS = 1e9  # the rise of an error over a reference without any; JSON has no infinity
RANKS = 5  # best classes that are kept of a sample where a metric needs no more


class Metric(Noun, frozen=True, kw_only=True):
    """One metric.

    Attributes:
        keep: what of a model's answers it needs: `top5` (the indexes of the five greatest values of output 0),
            `first` (output 0) or `all` outputs.
        higher_is_better: False for errors.
        share: a figure between 0 and 1 that people read as a percentage.
    """

    name: str
    title: str
    keep: str = "first"
    higher_is_better: bool = True
    share: bool = True

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
        return f"{value:.1%}" if self.share else f"{value:.4g}"

    def drop_shown(self, value: float) -> str:
        """A drop for people: points of a share, per cent of an error."""
        if self.share:
            return f"{value * 100:.3g} points"
        return f"{value:.3g}" if self.higher_is_better else f"{value:.2%}"


METRICS: dict[str, Metric] = {
    row.name: row
    for row in (
        Metric(name="top1", title="share of samples whose greatest output is the label's", keep="top5"),
        Metric(name="top5", title="share of samples whose label is among the five greatest outputs", keep="top5"),
        Metric(name="f1", title="F1: of the one score (from 0.5 on), else the mean over classes or labels"),
        Metric(name="auc", title="area under the ROC curve; the mean over classes or labels where there are several"),
        Metric(name="mse", title="mean squared error", higher_is_better=False, share=False),
        Metric(name="mae", title="mean absolute error", higher_is_better=False, share=False),
    )
}  # fmt: skip


def by_name(name: str) -> Metric:
    """A metric by its name; of a user's own, how its values are shown."""
    return METRICS.get(name) or Metric(name=name, title="", share=False)


def is_own(name: str) -> bool:
    """Whether a metric's name is a `module.py:function` of the user's."""
    return OWN.match(name) is not None
