"""A project's labels file: class names, one per line, in the order of the outputs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from edgewright.errors import DataError
from edgewright.metrics.shared.labels import classes
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.listing import cut, listed

MAX_BYTES = 256 * 1024  # in a manifest: boards send it in one line, and the length of a line is limited
MAX_NAME = 200  # characters of one name
_HINT = "write one class a line, in the order of the model's outputs"


def read(path: Path | None) -> tuple[str, ...]:
    """The names in a file, without terminal control characters; no names if there is no file.

    Raises:
        DataError: it is missing, empty, too large or not text, or has an empty line between others.
    """
    if path is None:
        return ()
    try:
        text = path.read_text("utf-8-sig") if path.stat().st_size <= MAX_BYTES else None
    except OSError as error:
        raise DataError(f"no such labels file: {path}", hint=error.strerror or "check the path") from error
    except UnicodeDecodeError as error:
        raise DataError(f"labels file is not UTF-8: {path}", hint=_HINT) from error
    if text is None:
        raise DataError(f"labels file is larger than {MAX_BYTES // 1024} KiB: {path}", hint=_HINT)
    lines = text.rstrip().splitlines()
    names = tuple("".join(letter for letter in line if letter.isprintable()).strip() for line in lines)
    for number, name in enumerate(names, 1):
        if not name or len(name) > MAX_NAME:
            what = "is empty" if not name else f"is longer than {MAX_NAME} letters"
            raise DataError(f"line {number} of labels file {what}: {path}", hint=_HINT)
    if not names:
        raise DataError(f"labels file is empty: {path}", hint=_HINT)
    if len(json.dumps(names)) > MAX_BYTES:
        raise DataError(
            f"labels file is larger than {MAX_BYTES // 1024} KiB in a manifest: {path}", hint=_HINT
        )
    return names


def check(names: Sequence[str], outputs: Sequence[TensorSpec]) -> None:
    """Raises DataError if no output fits this number of class names."""
    if names and not any(scores(spec, len(names)) or _may_hold(spec, len(names)) for spec in outputs):
        found = listed([f"{cut(spec.name)} has {max(classes(spec), 2)}" for spec in outputs])
        raise DataError(f"labels file has {len(names)} classes, output {found}", hint=_HINT)


def scores(spec: TensorSpec, count: int) -> bool:
    """Whether an output has one score for each of `count` classes; a single score stands for two classes."""
    return count == classes(spec) or (count == 2 and classes(spec) == 1 and not numbers(spec))


def numbers(spec: TensorSpec) -> bool:
    """Whether an output holds plain integers, such as class indexes."""
    return spec.scale is None and spec.dtype.startswith(("int", "uint"))


def _may_hold(spec: TensorSpec, count: int) -> bool:
    """Whether an output may hold class indexes, or scores at each position of an image or a list."""
    return numbers(spec) or count in spec.shape[1:]
