"""Metrics from outputs and labels: one implementation for source, host and board.

What a metric's function is given and gives, the user's own too, is in `nouns.metric.Metric`.
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
    """A metric of one output, or of all. `load` makes one.

    Attributes:
        sha256: of the file of the user's own function; empty for the others.
        output: index of the output that it scores; None: the first, or all where `metric.keep` is `all`.
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
        """The same metric of one output, whatever others there are."""
        keep = "first" if self.metric.keep == "all" else self.metric.keep
        metric = msgspec.structs.replace(self.metric, keep=keep)
        return Scorer(metric, self.sha256, index)

    def labels(self, labels: Array, outputs: Sequence[TensorSpec], *, names: int = 0) -> Array:
        """The labels in the form that the metric takes, checked against the model's outputs.

        Args:
            names: as of an `EvaluationSet`.

        Raises:
            DataError: they do not fit: other kind, another width, a class that the model does not have.
        """
        output = outputs[0]
        if names and self.metric.classes and names != max(classes(output), 2):
            raise DataError(
                f"{names} class folders but output {cut(output.name)} has {max(classes(output), 2)} classes: cannot map folder names to class indexes",
                hint="list all classes in classes.txt, one a line, in the order of the model's outputs",
            )
        if self.metric.fit is None:
            return labels
        if output.shape and output.shape[0] != 1:  # there is one label an inference
            raise DataError(
                f"{self.metric.name} wants one sample an inference, output {cut(output.name)} has {output.shape[0]}",
                hint="export it with an open batch, or a batch of 1",
            )
        fitted: Array = self.metric.fit(labels, output)
        return fitted

    def score(self, answers: Answers, labels: Array) -> Array | float:
        """The scores of shape (n,), or one value where samples have no separate scores; NaN where it is not defined.

        Raises:
            DataError: an answer is not finite (a `top5` answer that is not counts as wrong), or does not fit.
        """
        answers.refuse_infinite(self.output or 0)
        if len(answers) != len(labels):
            raise DataError(f"there are {len(answers)} answers and {len(labels)} labels")
        return self.raw(answers, labels)

    def raw(self, answers: Answers, labels: Array) -> Array | float:
        """As `score`, without looking at every answer first."""
        import numpy as np

        given = answers.arrays[0] if len(answers.arrays) == 1 else answers.arrays
        found = self.metric.score(given, labels)
        if self.metric.own:
            found = _own_result(found, len(labels), self.metric.name)
        return found if isinstance(found, np.ndarray) else float(found)

    def value(self, answers: Answers, labels: Array) -> float:
        """The metric over all samples.

        Raises:
            DataError: as `score`, or it is not defined for these labels.
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
    """The metric of that name, or of `module.py:function`.

    The user's own function takes the outputs and the labels, and says by an attribute `higher_is_better = False` of
    its own that it is an error.

    Raises:
        UsageError: there is none.
    """
    check_name(name)
    if not is_own(name):
        metric = METRICS[name]
        return Scorer(_guarded(metric) if METRICS.plugin(name) else metric)
    function = user_function.load(name)
    higher = bool(getattr(function, "higher_is_better", True))
    title = (function.__doc__ or "the user's own").strip().splitlines()[0]
    short = Path(name).name  # a manifest must not depend on where the file lies
    metric = Metric(
        name=short, title=title, score=partial(_called, function, short), keep="all", higher_is_better=higher,
        share=False, own=True,
    )  # fmt: skip
    file = own(name)
    return Scorer(metric, sha256_file(file) if file else "")


def _guarded(metric: Metric) -> Metric:
    """A plug-in's metric whose functions fail with one line that names it, and whose result is checked."""
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
    """Raises UsageError when there is no such metric; runs nothing of the user's."""
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
    """The file of the user's own metric, None for the others."""
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
    import numpy as np

    hint = f"return a number, or an array of shape ({count},): a score a sample"
    try:
        result = np.asarray(found)
    except Exception as error:  # lists of different lengths, a tensor of some framework
        raise DataError(
            f"metric {name} returned no numbers: {user_function.said(error)}", hint=hint
        ) from error
    if result.dtype.kind not in "fiub" or result.shape not in ((), (count,)):
        raise DataError(f"metric {name} returned {user_function.kind_of(found, result)}", hint=hint)
    result = result.astype(np.float64)
    return result if result.shape else float(result)


def _not_finite(name: str, found: Array | float) -> DataError:
    import numpy as np

    scores = np.atleast_1d(np.asarray(found))
    bad = np.flatnonzero(~np.isfinite(scores))
    where = f" for sample {bad[0]}, one of {len(bad)}" if isinstance(found, np.ndarray) else ""
    return DataError(f"metric {name} returned {scores[bad[0]]}{where}", hint="return finite numbers")
