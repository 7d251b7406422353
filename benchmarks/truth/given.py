"""Cases of the repository and of `../shared`: MLPerf Tiny's reference models with labelled data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from truth.cases import ROOT, SHARED, Absent, Builder, Case, split


def digits(_: Path) -> Case:
    """The repository's own digits: three convolutions, two dense layers, ends in probabilities."""
    folder = ROOT / "examples" / "digits"
    with np.load(folder / "calibration.npz") as pool, np.load(folder / "evaluation.npz") as held:
        return Case(
            "digits", folder / "digits-v1.keras", [pool["x"][:, None]], [held["x"][:, None]], labels=held["labels"]
        )  # fmt: skip


def keywords(_: Path) -> Case:
    """Keyword spotting."""
    model, data = _there("models/kws_ref_model"), _there("data/kws_800.npz")
    with np.load(data) as found:
        return Case("keywords", model, **split([found["input_1"][:, None]], found["labels"]))


def wakeword(_: Path) -> Case:
    """Visual wake words."""
    pictures, labels = _pictures(96)
    return Case("wakeword", _there("models/vww_96.h5"), **split([pictures / 255], labels), colours=True)


def resnet(_: Path) -> Case:
    """ResNet-8 for ten classes, on pictures of something else: what counts is whether its decisions stay the same."""
    pictures, _labels = _pictures(32)
    model = _there("models/pretrainedResnet.h5")
    return Case(
        "resnet", model, **split([pictures[..., ::-1].copy()]), colours=True, data="real, of another task"
    )


def _pictures(size: int) -> tuple[Any, Any]:
    """The wake words' pictures as floats from 0 to 255, blue first, of shape (n, 1, size, size, 3); their labels."""
    from PIL import Image

    data = _there("data/vww_800")
    rows, classes = [], []
    for label, kind in enumerate(("0_no_person", "1_person")):
        for file in sorted((data / kind).glob("*.jpg")):
            with Image.open(file) as picture:
                sized = picture if picture.size == (size, size) else picture.resize((size, size))
                rows.append(np.asarray(sized, np.uint8)[None, :, :, ::-1])  # the files hold blue first
            classes.append(label)
    return np.stack(rows).astype(np.float32), np.array(classes)


def _there(name: str) -> Path:
    if not (SHARED / name).exists():
        raise Absent(f"../shared/{name} is not there")
    return SHARED / name


CASES: dict[str, Builder] = {"digits": digits, "keywords": keywords, "wakeword": wakeword, "resnet": resnet}
