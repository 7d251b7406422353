"""The nets: how each is trained, or where it comes from, and its data."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import measuring
from truth.cases import SHARED as FOLDER
from truth.cases import Absent

from compression_bench import data
from compression_bench.data import Sets
from compression_bench.rows import BASE_EPOCHS


class Net(NamedTuple):
    """A net of one framework.

    Attributes:
        prepare: `prepare(cache, seed)` returns what edgewright opens, and the sets. Raises truth.cases.Absent.
        shared: it comes from `../shared`; a seed is a fold then.
    """

    framework: str
    name: str
    prepare: Callable[[Path, int], tuple[str, Sets]]
    shared: bool = False

    @property
    def target(self) -> str:
        """Where it runs."""
        return "tflite" if self.framework == "keras" else "onnxruntime"


def _trained(framework: str, name: str, load: Callable[..., object], counts: tuple[int, int]) -> Net:
    """A net that is trained here, in a process for it alone."""

    def prepare(cache: Path, seed: int) -> tuple[str, Sets]:
        sets = data.split(load, cache, counts, None, channels_first=framework == "torch")  # type: ignore[arg-type]
        folder = cache / "nets" / f"{load.__name__}-{framework}-{name}-{seed}"
        file = folder / ("net.keras" if framework == "keras" else "net.py")
        if not file.exists():
            folder.mkdir(parents=True, exist_ok=True)
            module = f"compression_bench.{framework}_nets"
            argv = [sys.executable, "-m", module, name, seed, BASE_EPOCHS, sets.train, folder]
            measuring.process([str(one) for one in argv])
        return str(file) if framework == "keras" else f"{file}:net", sets

    return Net(framework, name, prepare)


def _fold(name: str, load: Callable[..., object], file: Callable[[Path], Path]) -> Net:
    """A net that is trained already: four fifths of the samples train it further."""

    def prepare(cache: Path, seed: int) -> tuple[str, Sets]:
        return str(file(cache)), data.split(load, cache, (80, 0), seed, channels_first=False)  # type: ignore[arg-type]

    return Net("keras", name, prepare, shared=True)


def of(load: Callable[..., object], counts: tuple[int, int]) -> tuple[Net, ...]:
    """The nets that are trained on a data set."""
    return tuple(
        _trained(framework, name, load, counts)
        for framework in ("keras", "torch")
        for name in ("residual", "depthwise")
    )


def _keywords(cache: Path) -> Path:
    """MLPerf Tiny's DS-CNN for keywords."""
    folder = cache / "nets" / "keywords"
    if not (folder / "net.keras").exists():
        saved = _there("kws_ref_model")
        folder.mkdir(parents=True, exist_ok=True)
        measuring.process([sys.executable, "-m", "compression_bench.keywords_net", str(saved), str(folder)])
    return folder / "net.keras"


def _pictures(_: Path) -> Path:
    """MLPerf Tiny's MobileNetV1 0.25 for visual wake words."""
    return _there("vww_96.h5")


def _there(name: str) -> Path:
    file = FOLDER / "models" / name
    if not file.exists():
        raise Absent(f"../shared/models/{name} is not there")
    return file


SHARED = (_fold("keywords", data.keywords, _keywords), _fold("pictures", data.pictures, _pictures))
