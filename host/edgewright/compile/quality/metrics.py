"""Metrics of outputs and labels: one implementation for source, host and board.

`nouns.metric.Metric` documents the arguments and results of metric functions, including the user's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgewright.compile.data.answers import Answers
from edgewright.compile.workers import user_function
from edgewright.compile.workers.framework_errors import described
from edgewright.errors import DataError, EdgewrightError, UsageError
from edgewright.files import sha256_file
from edgewright.metrics import METRICS, shown_safely
from edgewright.metrics.shared.labels import classes
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.listing import cut
from edgewright.nouns.metric import Metric, is_own

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class Scorer:
    """A metric of one output or of all outputs. Made by `load`.

    Attributes:
        sha256: of the file of a user function; empty for other metrics.
        output: index of the output that it scores; None for the first, or for all if `metric.keep` is `all`.
    """

    def __init__(
        self,
        metric: Metric,
        sha256: str = "",
        output: int | None = None,
    ) -> None:
        self.metric = metric
        self.sha256 = sha256
        self.output = output

    def of_output(self, index: int) -> Scorer:
        """The same metric for one output, whatever other outputs there are."""
        keep = "first" if self.metric.keep == "all" else self.metric.keep
        metric = msgspec.structs.replace(self.metric, keep=keep)
        return Scorer(metric, self.sha256, index)

    def labels(self, labels: Array, outputs: Sequence[TensorSpec], *, names: int = 0) -> Array:
        """The labels in the form that the metric takes, checked against the model's outputs.

        Args:
            names: as in `EvaluationSet`.

        Raises:
            DataError: the labels do not fit: another kind, another width, or a class that the model does not have.
        """
        output = outputs[0]
        if names and self.metric.classes and names != max(classes(output), 2):
            raise DataError(
                f"{names} class folders but output {cut(output.name)} has {max(classes(output), 2)} classes: cannot map folder names to class indexes",
                hint="list all classes in classes.txt, one a line, in the order of the model's outputs",
            )
        if self.metric.fit is None:
            return labels
        if output.shape and output.shape[0] != 1:  # one label per inference
            raise DataError(
                f"{self.metric.name} wants one sample an inference, output {cut(output.name)} has {output.shape[0]}",
                hint="export it with an open batch, or a batch of 1",
            )
        fitted: Array = self.metric.fit(labels, output)
        return fitted

    def score(self, answers: Answers, labels: Array) -> Array | float:
        """The scores, of shape (n,), or one value if samples have no separate scores; NaN where undefined.

        Raises:
            DataError: an answer is not finite (in `top5` answers that counts as wrong instead), or does not fit.
        """
        answers.refuse_infinite(self.output or 0)
        if len(answers) != len(labels):
            raise DataError(f"there are {len(answers)} answers and {len(labels)} labels")
        return self.raw(answers, labels)

    def raw(self, answers: Answers, labels: Array) -> Array | float:
        """As `score`, without checking the answers first."""
        import numpy as np

        given = answers.arrays[0] if len(answers.arrays) == 1 else answers.arrays
        found = self.metric.score(given, labels)
        if self.metric.own:
            found = _own_result(found, len(labels), self.metric.name)
        return found if isinstance(found, np.ndarray) else float(found)

    def value(self, answers: Answers, labels: Array) -> float:
        """The metric over all samples.

        Raises:
            DataError: as `score`, or the metric is undefined for these labels.
        """
        found = self.score(answers, labels)
        value = found if isinstance(found, float) else float(found.mean())
        if not math.isfinite(value) and self.metric.own:
            raise _not_finite(self.metric.name, found)
        if not math.isfinite(value):
            raise DataError(
                f"{self.metric.name} is not defined for these labels",
                hint=self.metric.undefined or f"it gave {value}",
            )
        return value


def load(name: str) -> Scorer:
    """The metric with that name, or the function of `module.py:function`.

    A user function takes the outputs and the labels. It sets the attribute `higher_is_better = False` if lower values
    are better.

    Raises:
        UsageError: there is no such metric.
    """
    check_name(name)
    if not is_own(name):
        metric = METRICS[name]
        return Scorer(_guarded(metric) if METRICS.plugin(name) else metric)
    function = user_function.load(name)
    higher = bool(getattr(function, "higher_is_better", True))
    title = (function.__doc__ or "the user's own").strip().splitlines()[0]
    short = Path(name).name  # the manifest must not depend on where the file is
    metric = Metric(
        name=short, title=title, score=partial(_called, function, short), keep="all", higher_is_better=higher,
        share=False, own=True,
    )  # fmt: skip
    file = own(name)
    return Scorer(metric, sha256_file(file) if file else "")


def _guarded(metric: Metric) -> Metric:
    """A plug-in's metric, wrapped so that its failures become one-line errors that name it, and its results are checked."""
    name = metric.name
    fit = None if metric.fit is None else partial(_fitted, name, metric.fit)
    return msgspec.structs.replace(shown_safely(metric), score=partial(_scored, name, metric.score), fit=fit)


def _scored(name: str, score: Callable[[Any, Any], Any], outputs: Any, labels: Any) -> Any:
    found = _run(name, "score", score, outputs, labels)
    return _own_result(found, len(labels), f"{name} of {METRICS.entry(name).distribution}")


def _fitted(name: str, fit: Callable[[Any, Any], Any], labels: Any, output: TensorSpec) -> Any:
    import numpy as np

    found = _run(name, "fit", fit, labels, output)
    if not isinstance(found, np.ndarray) or found.shape[:1] != (len(labels),):
        raise METRICS.failed(name, f"fit gave {type(found).__name__}, not an array of {len(labels)} labels")
    return found


def _run(name: str, what: str, function: Callable[[Any, Any], Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except EdgewrightError:
        raise
    except Exception as error:
        raise METRICS.failed(name, f"{what}: {described(error)}") from error


def check_name(name: str) -> None:
    """Raises UsageError if there is no such metric; does not run user code."""
    import difflib

    if name in METRICS:
        return
    found = user_function.named(name)
    if found is None:
        near = difflib.get_close_matches(name, METRICS, n=1)
        known = f"metrics are {', '.join(METRICS)}, or your own module.py:function"
        raise UsageError(f"unknown metric: {name}", hint=f"did you mean `{near[0]}`?" if near else known)
    if not found[0].is_file():
        raise UsageError(f"no such file: {found[0]}", hint="check the path before the colon of the metric")


def own(name: str) -> Path | None:
    """The file of a user's metric; None for other metrics."""
    found = user_function.named(name)
    return None if found is None else found[0]


def _called(function: Callable[[Any, Any], Any], name: str, outputs: Any, labels: Any) -> Any:
    shapes = " and ".join(
        str(one.shape) for one in (*(outputs if isinstance(outputs, list) else [outputs]), labels)
    )
    return user_function.call(
        f"metric {name}", function, outputs, labels, hint=f"try it on arrays of shapes {shapes}"
    )


def _own_result(found: Any, count: int, name: str) -> Any:
    result = user_function.numbers(f"metric {name}", found, count, each="a score per sample")
    return result if result.shape else float(result)


def _not_finite(name: str, found: Array | float) -> DataError:
    import numpy as np

    scores = np.atleast_1d(np.asarray(found))
    bad = np.flatnonzero(~np.isfinite(scores))
    where = f" for sample {bad[0]}, one of {len(bad)}" if isinstance(found, np.ndarray) else ""
    return DataError(f"metric {name} returned {scores[bad[0]]}{where}", hint="return finite numbers")
