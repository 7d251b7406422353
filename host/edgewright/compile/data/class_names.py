"""The labels file of a project: class names, one a line, in the order of the outputs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from edgewright.errors import DataError
from edgewright.metrics.shared.labels import classes
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.listing import cut, listed

MAX_BYTES = 256 * 1024  # in a manifest: boards send one in a line, which has an end
MAX_NAME = 200  # letters of one name
_ONE = "write one class a line, in the order of the model's outputs"


def read(path: Path | None) -> tuple[str, ...]:
    """The names in a file, without what a terminal would obey; none without a file.

    Raises:
        DataError: it is missing, no text, empty, too large, or has an empty line between others.
    """
    if path is None:
        return ()
    try:
        text = path.read_text("utf-8-sig") if path.stat().st_size <= MAX_BYTES else None
    except OSError as error:
        raise DataError(f"no such labels file: {path}", hint=error.strerror or "check the path") from error
    except UnicodeDecodeError as error:
        raise DataError(f"labels file is not UTF-8: {path}", hint=_ONE) from error
    if text is None:
        raise DataError(f"labels file is larger than {MAX_BYTES // 1024} KiB: {path}", hint=_ONE)
    lines = text.rstrip().splitlines()
    names = tuple("".join(letter for letter in line if letter.isprintable()).strip() for line in lines)
    for number, name in enumerate(names, 1):
        if not name or len(name) > MAX_NAME:
            what = "is empty" if not name else f"is longer than {MAX_NAME} letters"
            raise DataError(f"line {number} of labels file {what}: {path}", hint=_ONE)
    if not names:
        raise DataError(f"labels file is empty: {path}", hint=_ONE)
    if len(json.dumps(names)) > MAX_BYTES:
        raise DataError(
            f"labels file is larger than {MAX_BYTES // 1024} KiB in a manifest: {path}", hint=_ONE
        )
    return names


def check(names: Sequence[str], outputs: Sequence[TensorSpec]) -> None:
    """Raises DataError when no output has so many classes."""
    if names and not any(scores(spec, len(names)) or _may_hold(spec, len(names)) for spec in outputs):
        found = listed([f"{cut(spec.name)} has {max(classes(spec), 2)}" for spec in outputs])
        raise DataError(f"labels file has {len(names)} classes, output {found}", hint=_ONE)


def scores(spec: TensorSpec, count: int) -> bool:
    """Whether an output has a score for each of so many classes; one score stands for two."""
    return count == classes(spec) or (count == 2 and classes(spec) == 1 and not numbers(spec))


def numbers(spec: TensorSpec) -> bool:
    """Whether an output holds whole numbers that stand for themselves, such as those of classes."""
    return spec.scale is None and spec.dtype.startswith(("int", "uint"))


def _may_hold(spec: TensorSpec, count: int) -> bool:
    """Numbers of classes, or scores at each place of a picture or a list."""
    return numbers(spec) or count in spec.shape[1:]
