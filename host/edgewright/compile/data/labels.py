"""Labels of an evaluation set: a member of an `.npz`, the sub-folders of an image folder, or its `labels.csv`."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.compile.data import images, npz_members, samples
from edgewright.errors import DataError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

TABLE = "labels.csv"
CLASSES = "classes.txt"
_GREATEST = 2**63 - 1
_FORMS = "sub-folders named after the classes, or images and labels.csv with a row `file,label` each"


def there(path: Path) -> bool:
    """Whether data have labels. Images that all lie in the folder itself, without `labels.csv` or `classes.txt`, have none.

    Raises:
        DataError: the data cannot be read.
    """
    if not path.is_dir():
        return path.suffix != ".npy" and not set(npz_members.LABELS).isdisjoint(samples.member_names(path))
    tables = any((path / name).is_file() for name in (TABLE, CLASSES))
    return tables or any(file.parent != path for file in images.found(path))


def read(path: Path) -> Array:
    """The labels, one row per sample, in the order of `data.samples`: int32, int64, float32 or float64.

    Raises:
        DataError: there are no labels, they are not numbers, or they do not match the images.
    """
    return _of_folder(path) if path.is_dir() else _of_archive(path)


def names(folder: Path) -> int:
    """How many class names of a folder were numbered in sorted order; 0 if the class numbers were given."""
    if (folder / CLASSES).is_file():
        return 0
    if not (folder / TABLE).is_file():
        return len(_sub_folders(folder))
    rows = _rows(folder / TABLE)
    named = len(rows[0]) == 2 and not all(_is_number(row[1]) for row in rows)
    return len({row[1] for row in rows}) if named else 0


def numeric(rows: Any, where: Path | str) -> Array:
    """Labels as one array of numbers.

    Raises:
        DataError: the labels differ in shape, or are not finite numbers.
    """
    import numpy as np

    try:
        found = np.asarray(rows)
    except ValueError as error:
        raise DataError(
            f"labels of {where} differ in shape", hint="give every sample a label of one shape"
        ) from error
    if found.dtype.kind not in "biuf" or not found.ndim:
        raise DataError(
            f"labels of {where} are not numbers: {found.dtype}", hint="give class numbers from 0, or figures"
        )
    if found.dtype.kind == "f":
        bad = np.flatnonzero(~np.isfinite(found).reshape(len(found), -1).all(axis=1))
        if len(bad):
            raise DataError(
                f"labels of {where} hold NaN or infinity: sample {bad[0]}, one of {len(bad)}",
                hint="remove those samples",
            )
        return found.astype(np.float64 if found.dtype.itemsize > 4 else np.float32)
    if found.size and found.max() > _GREATEST:
        raise DataError(f"label of {where} is too large: {found.max()}", hint="class numbers begin at 0")
    wide = found.size and (found.max() > 2**31 - 1 or found.min() < -(2**31))
    return found.astype(np.int64 if wide else np.int32)


def _of_archive(path: Path) -> Array:
    if path.suffix == ".npy":
        raise DataError(
            f"evaluation set has no labels: {path}", hint="give an .npz with a member named labels"
        )
    keys = [key for key in npz_members.LABELS if key in samples.member_names(path)]
    if not keys:
        raise DataError(
            f"evaluation set has no labels: {path}", hint="add a member named labels, one a sample"
        )
    return numeric(list(samples.array_rows(path, keys[0])[2]), path)


def _of_folder(folder: Path) -> Array:
    files = images.found(folder)
    if (folder / TABLE).is_file():
        return _of_table(folder, files)
    loose = next((file for file in files if file.parent == folder), None)
    if loose is not None:
        raise DataError(f"image has no label: {loose}", hint=_FORMS)
    names = [file.relative_to(folder).parts[0] for file in files]
    known = _classes(folder) or _sub_folders(folder)
    empty = sorted(set(known) - set(names)) if not (folder / CLASSES).is_file() else []
    if empty:
        raise DataError(f"class has no images: {folder / empty[0]}",
                        hint=f"remove the folder, or list all classes in {CLASSES}")  # fmt: skip
    return numeric([_number(name, known, folder / name) for name in names], folder)


def _sub_folders(folder: Path) -> list[str]:
    return sorted(
        item.name for item in folder.iterdir() if item.is_dir() and not images.hidden(Path(item.name))
    )


def _classes(folder: Path) -> list[str]:
    """The classes of `classes.txt` in the order of their indexes; empty without that file."""
    file = folder / CLASSES
    if not file.is_file():
        return []
    names = [line.strip() for line in file.read_text("utf-8").splitlines() if line.strip()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        raise DataError(
            f"{file} names {twice[0]} twice" if twice else f"{file} is empty", hint="one class a line"
        )
    return names


def _number(name: str, known: Sequence[str], where: Path | str) -> int:
    if name not in known:
        raise DataError(
            f"class {name} of {where} is not in {CLASSES}", hint=f"it lists {', '.join(known[:10])}"
        )
    return known.index(name)


def _of_table(folder: Path, files: Sequence[Path]) -> Array:
    """Labels from `labels.csv`: `file,label`, or several numeric columns after the file; a header row is skipped."""
    table = folder / TABLE
    rows = _rows(table)
    by_file: dict[str, list[str]] = {}
    for row in rows:
        if row[0] in by_file:
            raise DataError(f"{table} has {row[0]} twice", hint="one row per image")
        by_file[row[0]] = row[1:]
    names = [file.relative_to(folder).as_posix() for file in files]
    for missing, why in (
        (set(by_file) - set(names), "is not there"),
        (set(names) - set(by_file), "has no label"),
    ):
        if missing:
            raise DataError(
                f"image of {table} {why}: {min(missing)}",
                hint="one row per image, paths relative to the folder",
            )
    found = [by_file[name] for name in names]
    if len({len(row) for row in found}) > 1 or not found[0]:
        raise DataError(f"rows of {table} differ in length", hint="`file,label`, or one column a figure")
    return numeric(_values(folder, table, found), table)


def _rows(table: Path) -> list[list[str]]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = [[cell.strip() for cell in row] for row in csv.reader(file) if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"labels cannot be read: {table}", hint=f"{error}; write it as UTF-8, comma-separated"
        ) from error
    heading = rows and Path(rows[0][0]).suffix.lower() not in images.SUFFIXES
    rows = rows[1:] if heading else rows
    if not rows:
        raise DataError(f"labels are empty: {table}", hint="one row `file,label` an image")
    return rows


def _values(folder: Path, table: Path, rows: Sequence[Sequence[str]]) -> list[Any]:
    """The labels as numbers; class names become class indexes."""
    if len(rows[0]) == 1:
        texts = [row[0] for row in rows]
        known = _classes(folder)
        if known or not all(_is_number(text) for text in texts):
            return [_number(text, known or sorted(set(texts)), table) for text in texts]
    try:
        values = [[_figure(text) for text in row] for row in rows]
    except ValueError as error:
        raise DataError(
            f"label in {table} is not a number: {error}", hint="several columns are figures"
        ) from error
    return [row[0] for row in values] if len(rows[0]) == 1 else values


def _figure(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _is_number(text: str) -> bool:
    try:
        _figure(text)
    except ValueError:
        return False
    return True
