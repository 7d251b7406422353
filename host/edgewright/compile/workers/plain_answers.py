"""Reads workers' answers. A model that took over its worker may have written them, so a pickle may name only records and arrays, nothing that runs code.

It may name nothing of numpy either, whose constructors take pointers, fields and objects from a pickle.
"""

from __future__ import annotations

import importlib
import io
import pickle
import sys
from enum import Enum
from typing import Any, ClassVar

from edgewright.compile.workers import plain_arrays
from edgewright.errors import EdgewrightError
from edgewright.nouns.base import Noun

_PACKAGES = ("edgewright", "edgewright_targets", "edgewright_agent")
_NAMED = {
    ("collections", "OrderedDict"), ("msgspec._core", "UNSET"), ("msgspec._utils", "rebuild"),
    *((f"pathlib{inner}", name) for inner in ("", "._local") for name in ("PosixPath", "PurePosixPath")),
}  # fmt: skip


class StrangeAnswer(Exception):
    """An answer names something that no job returns, or is not a pickle."""


# the pure Python one, which can be prevented from setting attributes of classes
class _Reader(pickle._Unpickler):
    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)
    stack: list[Any]

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _NAMED:
            return getattr(importlib.import_module(module), name)
        if module == plain_arrays.__name__ and name in plain_arrays.MADE:
            return plain_arrays.MADE[name]
        package = module.partition(".")[0]
        # of a plug-in: only modules that the host has already imported
        known = importlib.import_module(module) if package in _PACKAGES else sys.modules.get(module)
        found = getattr(known, name, None)
        if isinstance(found, type) and (issubclass(found, Noun | EdgewrightError | Enum) or _is_row(found)):
            return found
        raise StrangeAnswer(f"{module}.{name}")

    def load_build(self) -> None:
        owner = self.stack[-2]
        if not isinstance(owner, EdgewrightError):  # records and arrays are created complete
            raise StrangeAnswer(f"attributes of {owner!r:.80}")
        super().load_build()  # type: ignore[misc]

    dispatch[pickle.BUILD[0]] = load_build


class _Writer(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        return plain_arrays.reduced(value)


def _is_row(found: type) -> bool:
    """Whether it is a NamedTuple."""
    return issubclass(found, tuple) and hasattr(found, "_fields")


def written(value: Any) -> bytes:
    """An answer's bytes, for `read`."""
    data = io.BytesIO()
    _Writer(data).dump(value)
    return data.getvalue()


def read(data: bytes) -> Any:
    """The value of an answer.

    Raises:
        StrangeAnswer: it names something other than records, arrays and errors.
    """
    try:
        return _Reader(io.BytesIO(data)).load()
    except StrangeAnswer:
        raise
    except Exception as error:
        raise StrangeAnswer(f"{type(error).__name__}: {error}") from error
