"""Samples that a user's function yields."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.compile.data import batches, samples
from edgewright.compile.data.npz_members import by_name
from edgewright.compile.workers import user_function
from edgewright.errors import DataError
from edgewright.nouns.artifact import TensorSpec

if TYPE_CHECKING:
    from hashlib import _Hash as Digest

    import numpy as np

    Array = np.ndarray[Any, Any]

FORM = "yield (inputs, label) a sample: an array, a list of them, or a dictionary by input name"


def generated(
    path: Path, specs: Sequence[TensorSpec], found: list[Any], seen: Digest, *, unlabelled: bool, epoch: int
) -> Iterator[list[Array]]:
    """Yields the checked inputs that a function produces; adds its labels to `found` and the inputs to `seen`.

    Args:
        unlabelled: it may yield inputs alone.
        epoch: that a function with a parameter `epoch` is called with.
    """
    function = user_function.load(path)
    if _takes_epoch(function):
        function = functools.partial(function, epoch=epoch)
    made = user_function.call(str(path), function, hint=FORM)
    if not isinstance(made, Iterable):
        raise DataError(f"{path} is not a generator, it returned {type(made).__name__}", hint=FORM)
    rows = batches.samples_of(made, str(path))
    for index, item in enumerate(user_function.each(str(path), rows, hint="run it by itself")):
        given = item
        if isinstance(item, tuple | list) and len(item) == 2:
            given = item[0]
            found.append(item[1])
        elif not unlabelled:
            raise DataError(f"{path} yields no pair at sample {index}: {type(item).__name__}", hint=FORM)
        arrays = _arrays(given, specs, path, index)
        for array in arrays:
            hash_array(seen, array)
        yield [
            samples.fitted(array, spec, str(path), index) for array, spec in zip(arrays, specs, strict=True)
        ]


def hash_array(seen: Digest, array: Array) -> None:
    """Adds an array to a checksum: its dtype, shape and values."""
    seen.update(f"{array.dtype.str} {array.shape} ".encode())
    seen.update(array.tobytes())


def _takes_epoch(function: Callable[..., Any]) -> bool:
    try:
        return "epoch" in inspect.signature(function).parameters
    except ValueError:  # no function of Python
        return False


def _arrays(given: Any, specs: Sequence[TensorSpec], path: Path, index: int) -> list[Array]:
    """One sample's inputs, in the order of the specs."""
    import numpy as np

    if isinstance(given, dict):
        keys = by_name(specs, given)
        if None in keys or len(given) != len(specs):
            raise DataError(
                f"{path} yields other inputs at sample {index}: {', '.join(map(str, given))}",
                hint=f"the model's are {', '.join(spec.name for spec in specs)}",
            )
        rows = [given[key] for key in keys]
    else:
        several = isinstance(given, tuple | list) and len(specs) > 1
        rows = list(given) if several else [given]
    if len(rows) != len(specs):
        raise DataError(
            f"{path} yields {len(rows)} inputs at sample {index}, the model has {len(specs)}", hint=FORM
        )
    return [np.asarray(row) for row in rows]
