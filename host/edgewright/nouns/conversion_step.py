"""ConversionStep: a pass over the file that a conversion has made so far, before the artifact is made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from edgewright.nouns.base import Noun


class ConversionStep(Noun, frozen=True, kw_only=True):
    """One step. It runs before the last stage of a route, in that stage's worker, where an earlier stage has made a file.

    Attributes:
        worker: name of the worker whose files it takes, such as `onnx` for ONNX files.
        run: `run(context)` is given what the last stage will be given (a `StageContext`). It changes the file
            `context.path`, or writes another beside it and points `context.path` there. Returns notes for the manifest.
        targets: names of the targets in whose conversions it runs; empty: in those of all.
        applies: `applies(context)`, asked before it runs; None: it always does.
    """

    name: str
    worker: str
    run: Callable[[Any], Sequence[str]]
    targets: tuple[str, ...] = ()
    applies: Callable[[Any], bool] | None = None
