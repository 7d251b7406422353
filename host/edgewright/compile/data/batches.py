"""Takes apart the batches of a framework's own data sets: a `tf.data.Dataset` or a PyTorch `DataLoader`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

from edgewright.errors import DataError

_ENDLESS = -1  # tf.data.INFINITE_CARDINALITY


def samples_of(made: Iterable[Any], what: str) -> Iterable[Any]:
    """(inputs, label) or the inputs of each sample, if `made` is a framework's data set; anything else is returned as it is.

    Args:
        what: the user's function, for messages.

    Raises:
        DataError: the data set has no end.
    """
    if _is(made, "tensorflow", "data", "Dataset"):
        if int(made.cardinality()) == _ENDLESS:  # type: ignore[attr-defined]
            raise DataError(f"{what} returned a data set without an end", hint="leave .repeat() out")
        return _rows(made) if _batched(made.element_spec) else made  # type: ignore[attr-defined]
    loader = _is(made, "torch.utils.data", "DataLoader")
    return _rows(made) if loader and made.batch_size is not None else made  # type: ignore[attr-defined]


def _is(made: Any, module: str, *names: str) -> bool:
    """Whether it is an instance of a class of a module, if that is imported; a data set's own module always is."""
    found: Any = sys.modules.get(module)
    for name in names:
        found = getattr(found, name, None)
    return isinstance(found, type) and isinstance(made, found)


def _batched(spec: Any) -> bool:
    """Whether `Dataset.batch` was called: the first axis of everything, labels too, is then an open or a common one."""
    import tensorflow as tf

    shapes = [part.shape for part in tf.nest.flatten(spec)]
    if any(shape.rank in (None, 0) for shape in shapes):
        return False
    return len({shape[0] for shape in shapes}) == 1


def _rows(batches: Iterable[Any]) -> Iterator[Any]:
    """The samples of batches: (inputs, labels), or inputs alone. Items of another form are passed on, to be refused where samples are
    checked."""
    for batch in batches:
        several = isinstance(batch, tuple | list)
        if several and len(batch) == 2:
            inputs, labels = batch
            for index in range(len(labels)):
                yield _at(inputs, index), labels[index]
            continue
        inputs = batch[0] if several and len(batch) == 1 else batch
        arrays = list(inputs.values()) if isinstance(inputs, dict) else inputs
        arrays = arrays if isinstance(arrays, tuple | list) else [arrays]
        if not (arrays and hasattr(arrays[0], "shape")):
            yield batch
            continue
        for index in range(len(arrays[0])):
            yield _at(inputs, index)


def _at(inputs: Any, index: int) -> Any:
    if isinstance(inputs, dict):
        return {name: array[index] for name, array in inputs.items()}
    if isinstance(inputs, tuple | list):
        return [array[index] for array in inputs]
    return inputs[index]
