"""Arrays in answers: text, numbers and bytes instead of numpy's own pickles, which can make arrays that point anywhere in memory."""

from __future__ import annotations

import math
import re
import sys
from typing import Any

_SIMPLE = re.compile(r"[<>|][biufcSU][0-9]{1,6}")  # no objects, no fields, no types of other packages


def reduced(value: Any) -> Any:
    """How a pickle holds an array, a numpy number or a dtype, as `__reduce__` returns it; NotImplemented for anything else."""
    numpy = sys.modules.get("numpy")  # without numpy there are no arrays
    if numpy is None:
        return NotImplemented
    if isinstance(value, numpy.dtype) and _SIMPLE.fullmatch(value.str):
        return dtype, (value.str,)
    known = type(value) in (numpy.ndarray, numpy.memmap) or isinstance(value, numpy.generic)
    if not known or not _SIMPLE.fullmatch(value.dtype.str):
        return NotImplemented
    made = number if isinstance(value, numpy.generic) else array
    held = numpy.asarray(value)  # the dtype of an empty text alone has no length, though its bytes have
    return made, (held.dtype.str, held.shape, held.tobytes())


def dtype(text: str) -> Any:
    """A dtype. Raises ValueError if it is not a simple one."""
    import numpy as np

    if not _SIMPLE.fullmatch(text):
        raise ValueError(f"dtype {text!r:.40}")
    return np.dtype(text)


def array(text: str, shape: tuple[int, ...], data: bytes) -> Any:
    """An array that owns its bytes. Raises ValueError if its parts do not fit."""
    import numpy as np

    kind = dtype(text)
    fits = len(data) == math.prod(shape) * kind.itemsize and all(size >= 0 for size in shape)
    if not fits or not kind.itemsize:  # numpy reserves room even for texts without a length
        raise ValueError(f"{len(data)} bytes for an array of {shape!r:.80}")
    if not data:
        return np.zeros(shape, kind)
    return np.frombuffer(bytes(data), kind).reshape(shape).copy()


def number(text: str, shape: tuple[int, ...], data: bytes) -> Any:
    """A numpy number. Raises ValueError, as `array`."""
    return array(text, shape, data)[()]


MADE = {made.__name__: made for made in (dtype, array, number)}
"""The functions that a pickle may name."""
