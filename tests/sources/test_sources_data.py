"""Data that are larger than memory: only what is chosen is read, and nothing is kept."""

from __future__ import annotations

import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edgewright.compile.data import samples
from edgewright.compile.data.calibration import LIMIT, SampleSet
from edgewright.errors import DataError
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.project import Preprocessing

IMAGE = TensorSpec(name="image", shape=(1, 32, 32, 3), dtype="float32")
MILLION = 1_000_000

# streams a set in a separate process: MiB of peak memory beyond what was there before, and samples
STREAM = """
import resource, sys
from pathlib import Path
import numpy as np
from edgewright.compile.data import samples as data
from edgewright.compile.data.calibration import SampleSet
from edgewright.nouns.artifact import TensorSpec
spec = TensorSpec(name="image", shape=(1, 32, 32, 3), dtype="float32")
samples = SampleSet(path=Path(sys.argv[1]), specs=(spec,))
next(samples.stream())
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
stream = samples.stream() if sys.argv[2] == "chosen" else data.samples(samples.path, (spec,), None)
count = sum(1 for _ in stream)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, count)
"""


def sparse_npy(path: Path, rows: int, marks: dict[int, float]) -> Path:
    """A .npy of `rows` images of zeros that takes no room on the disk, but for the first number of some."""
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (rows, 32, 32, 3)}
        np.lib.format.write_array_header_1_0(file, header)
        start, size = file.tell(), 32 * 32 * 3 * 4
        file.truncate(start + rows * size)
        for index, value in marks.items():
            file.seek(start + index * size)
            file.write(struct.pack("<f", value))
    return path


def streamed(path: Path, which: str) -> tuple[float, int]:
    command = [sys.executable, "-c", STREAM, str(path), which]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=250)
    used, count = done.stdout.split()
    return float(used), int(count)


def test_a_million_samples_are_spread_and_not_read(tmp_path: Path) -> None:
    """12 GB: 256 of them calibrate, evenly spread, within a second and 20 MiB."""
    marks = {index * MILLION // LIMIT: float(index) for index in range(LIMIT)}
    path = sparse_npy(tmp_path / "million.npy", MILLION, marks)
    assert path.stat().st_size > 12_000_000_000
    samples = SampleSet(path=path, specs=(IMAGE,))
    assert (samples.count(), samples.available()) == (LIMIT, MILLION)
    begun = time.process_time()
    assert [float(sample[0][0, 0, 0, 0]) for sample in samples.stream()] == list(range(LIMIT))
    assert time.process_time() - begun < 5
    used, count = streamed(path, "chosen")
    assert count == LIMIT
    assert used < 20


def test_a_set_is_streamed_whole_in_bounded_memory(tmp_path: Path) -> None:
    """600 MB."""
    used, count = streamed(sparse_npy(tmp_path / "all.npy", 50_000, {}), "all")
    assert count == 50_000
    assert used < 20


@pytest.mark.parametrize("compressed", [False, True])
def test_chosen_rows_of_an_npz(tmp_path: Path, compressed: bool) -> None:
    array = np.arange(3000, dtype=np.float32)[:, None] * np.ones((1, 6), np.float32)
    save = np.savez_compressed if compressed else np.savez
    save(tmp_path / "rows.npz", other=array[:, :2], x=array)
    spec = TensorSpec(name="x", shape=(1, 6), dtype="float32")
    chosen = [0, 1, 17, 2998, 2999]
    found = [sample[0] for sample in samples.samples(tmp_path / "rows.npz", [spec], None, chosen)]
    assert [float(row[0, 0]) for row in found] == chosen
    assert all((row == row[0, 0]).all() for row in found)
    spread = [
        float(sample[0][0, 5]) for sample in SampleSet(path=tmp_path / "rows.npz", specs=(spec,)).stream()
    ]
    assert spread == [index * 3000 // LIMIT for index in range(LIMIT)]


def test_damage_is_seen(tmp_path: Path) -> None:
    spec = TensorSpec(name="x", shape=(1, 4), dtype="float32")
    np.save(tmp_path / "cut.npy", np.ones((1000, 4), np.float32))
    whole = (tmp_path / "cut.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[:-2])
    with pytest.raises(DataError, match="cut short at sample 999"):
        list(samples.samples(tmp_path / "cut.npy", [spec], None))
    with pytest.raises(DataError, match="cut short at sample 999"):
        list(samples.samples(tmp_path / "cut.npy", [spec], None, [0, 999]))
    np.savez(tmp_path / "flip.npz", x=np.ones((10_000, 4), np.float32))
    data_bytes = bytearray((tmp_path / "flip.npz").read_bytes())
    with zipfile.ZipFile(tmp_path / "flip.npz") as archive:
        data_bytes[archive.getinfo("x.npy").header_offset + 100_000] ^= 1
    (tmp_path / "flip.npz").write_bytes(data_bytes)
    with pytest.raises(DataError, match="is damaged at sample"):
        list(samples.samples(tmp_path / "flip.npz", [spec], None))


def test_fortran_order_is_taken_from_npy(tmp_path: Path) -> None:
    array = np.asfortranarray(np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32))
    np.save(tmp_path / "f.npy", array)
    spec = TensorSpec(name="x", shape=(1, 4), dtype="float32")
    found = [sample[0][0] for sample in samples.samples(tmp_path / "f.npy", [spec], None, [3, 39])]
    assert np.array_equal(found, array[[3, 39]])


def test_ten_thousand_images_are_streamed(tmp_path: Path) -> None:
    """Files that are not chosen are not opened: they hold no image."""
    from PIL import Image

    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("RGB", (32, 32), (255, 0, 0)).save(tmp_path / "red.png")
    (tmp_path / "broken").write_bytes(b"no image")
    chosen = {index * 10_000 // LIMIT for index in range(LIMIT)}
    for index in range(10_000):
        (folder / f"{index:05d}.png").hardlink_to(tmp_path / ("red.png" if index in chosen else "broken"))
    samples = SampleSet(path=folder, preprocessing=Preprocessing(scale=1 / 255), specs=(IMAGE,))
    assert samples.available() == 10_000
    found = [float(sample[0].sum()) for sample in samples.stream()]
    assert found == [1024.0] * LIMIT
