"""Checks that a source gives the same output shapes on every run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.compile.sources import end_types
from edgewright.errors import Code, ModelError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class SteadyRun:
    """Wraps an opened source's `run`.

    Raises on a call:
        ModelError: an output has another shape than on the first call, or no values at all.
    """

    def __init__(self, model: Any, path: Path) -> None:
        self._model, self._run, self._path = model, model.run, path
        self._shapes: list[tuple[int, ...]] = []

    def __call__(self, sample: Sequence[Array]) -> list[Array]:
        """The outputs for one sample."""
        answers = list(self._run(sample))
        shapes = [tuple(answer.shape) for answer in answers]
        self._shapes = self._shapes or shapes
        if len(shapes) != len(self._shapes):
            raise ModelError(
                f"{self._path.name} answers in {len(self._shapes)} tensors, then in {len(shapes)}",
                hint="export it with a fixed number of outputs",
                code=Code.SHAPE_VARIES,
            )
        for at, (first, shape) in enumerate(zip(self._shapes, shapes, strict=True)):
            if first != shape:
                raise end_types.varies(self._name(at), self._path, (first, shape), self._model.operators())
            if 0 in shape:
                raise end_types.empty(self._name(at), self._path, shape, self._model.operators())
        return answers

    def _name(self, at: int) -> str:
        names = self._model.output_names
        return str(names[at]) if at < len(names) else f"output_{at}"


def loose_notes(model: Any, shapes: Sequence[tuple[int, ...]]) -> tuple[str, ...]:
    """One line for each output without a fixed shape in the model, if the model has operators whose result length varies."""
    loose = set(getattr(model, "loose", ()))
    names = zip(model.output_names, shapes, strict=False)
    found = [f"output {name} has no fixed shape in the model: {shape} for all samples"
             for name, shape in names if name in loose]  # fmt: skip
    return tuple(found) if found and end_types.selecting(model.operators()) else ()
