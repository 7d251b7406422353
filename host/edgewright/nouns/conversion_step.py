"""ConversionStep: a pass over the file that a conversion has made so far, before it becomes the artifact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from edgewright.nouns.base import Noun


class ConversionStep(Noun, frozen=True, kw_only=True):
    """One step. It runs before the last stage of a route, in that stage's worker, if an earlier stage has made a file.

    Attributes:
        worker: name of the worker whose files it accepts, such as `onnx` for ONNX files.
        run: `run(context)` gets the `StageContext` that the last stage will get. It changes the file
            `context.path`, or writes a new one next to it and points `context.path` there. Returns notes for the manifest.
        targets: names of the targets in whose conversions it runs; empty for all.
        applies: `applies(context)` decides whether it runs; None: it always does.
    """

    name: str
    worker: str
    run: Callable[[Any], Sequence[str]]
    targets: tuple[str, ...] = ()
    applies: Callable[[Any], bool] | None = None
