"""Data as a stream: arrays, images, labels, and the form that boards read."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from edgewright.compile import data, evaluation, parity
from edgewright.compile.calibrate import LIMIT, SampleSet, random_samples
from edgewright.compile.goldens import refuse_constant
from edgewright.errors import ConversionError, DataError
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.project import Preprocessing

IMAGE = TensorSpec(name="image", shape=(1, 4, 6, 3), dtype="float32")


def test_npy_npz_and_either_batch_axis_give_the_same(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(5, 4, 6, 3)).astype(np.float32)
    np.save(tmp_path / "a.npy", array)
    np.savez_compressed(tmp_path / "b.npz", whatever=array)
    np.savez(tmp_path / "c.npz", input_0=array[:, None].astype(np.float64), labels=np.zeros(5))
    for name in ("a.npy", "b.npz", "c.npz"):
        found = np.stack([sample[0] for sample in data.samples(tmp_path / name, [IMAGE], None)])
        assert found.dtype == np.float32
        assert np.array_equal(found[:, 0], array)
        assert data.length(tmp_path / name, [IMAGE]) == 5


def test_a_large_set_is_not_read_whole(tmp_path: Path) -> None:
    spec = TensorSpec(name="x", shape=(1, 100_000), dtype="float32")
    np.savez(tmp_path / "large.npz", x=np.ones((200, 100_000), np.float32))  # 80 MB
    tracemalloc.start()
    count = sum(1 for _ in SampleSet(path=tmp_path / "large.npz", specs=(spec,)).stream())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 200
    assert peak < 8_000_000


def test_calibration_is_spread_over_the_set(tmp_path: Path) -> None:
    spec = TensorSpec(name="x", shape=(1, 1), dtype="int32")
    np.savez(tmp_path / "x.npz", x=np.arange(1000, dtype=np.int64)[:, None])
    chosen = [int(sample[0][0, 0]) for sample in SampleSet(path=tmp_path / "x.npz", specs=(spec,)).stream()]
    assert len(chosen) == LIMIT
    assert chosen[0] == 0
    assert 990 < chosen[-1] < 1000


def test_images_become_inputs(tmp_path: Path) -> None:
    from PIL import Image

    for index, colour in enumerate([(255, 0, 0), (0, 0, 51)]):
        Image.new("RGB", (12, 8), colour).save(tmp_path / f"{index}.png")
    preprocessing = Preprocessing(scale=1 / 255, mean=(0.5, 0.0, 0.0), std=(0.5, 1.0, 2.0))
    first, second = (sample[0] for sample in data.samples(tmp_path, [IMAGE], preprocessing))
    assert first.shape == IMAGE.shape
    assert np.allclose(first[0, 2, 3], [1, 0, 0])
    assert np.allclose(second[0, 0, 0], [-1, 0, 0.1])
    swapped = TensorSpec(name="image", shape=(1, 3, 4, 6), dtype="float32")
    bgr = Preprocessing(channels="bgr", layout="nchw")
    assert next(data.samples(tmp_path, [swapped], bgr))[0][0, :, 0, 0].tolist() == [0, 0, 255]
    with pytest.raises(DataError, match="images need preprocessing"):
        next(data.samples(tmp_path, [IMAGE], None))
    (tmp_path / "2.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"image cannot be read: .*2\.png"):
        list(data.samples(tmp_path, [IMAGE], preprocessing))


def test_the_evaluation_set_for_boards(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(7, 4, 6, 3)).astype(np.float64)
    np.savez_compressed(tmp_path / "e.npz", x=array, y=np.arange(7)[::-1])
    made = evaluation.prepare(tmp_path / "e.npz", [IMAGE])
    with np.load(made.inputs) as found:
        assert sorted(found) == ["input_0"]
        assert found["input_0"].shape == (7, *IMAGE.shape)
        assert np.array_equal(found["input_0"][:, 0], array.astype(np.float32))
    assert made.load_labels().dtype == np.int32
    assert made.load_labels().tolist() == [6, 5, 4, 3, 2, 1, 0]
    first = made.inputs.read_bytes()
    made.inputs.unlink()
    assert evaluation.prepare(tmp_path / "e.npz", [IMAGE]).inputs.read_bytes() == first
    np.savez(tmp_path / "f.npz", x=array, y=np.zeros(5, int))
    with pytest.raises(DataError, match="7 samples and 5 labels"):
        evaluation.prepare(tmp_path / "f.npz", [IMAGE])
    np.savez(tmp_path / "g.npz", x=array)
    with pytest.raises(DataError, match="has no labels"):
        evaluation.prepare(tmp_path / "g.npz", [IMAGE])


def test_random_samples_are_seeded_and_in_range() -> None:
    specs = [
        TensorSpec(name="a", shape=(1, 500), dtype="int8"),
        TensorSpec(name="b", shape=(1, 500), dtype="int32"),
        TensorSpec(name="c", shape=(1, 500), dtype="float32"),
    ]
    first, again = next(random_samples(specs, 1)), next(random_samples(specs, 1))
    assert all(np.array_equal(left, right) for left, right in zip(first, again, strict=True))
    assert first[0].min() < -100
    assert first[0].max() > 100
    assert 0 <= first[1].min() <= first[1].max() < 10
    assert [array.dtype.name for array in first] == ["int8", "int32", "float32"]


def test_parity_is_what_it_says() -> None:
    reference = np.array([[3.0, 4.0], [0.0, 5.0]])
    same = parity.compare([reference], [reference])
    assert (same.sqnr_db, same.max_abs, same.cosine, same.top1_agreement) == (200, 0, 1, 1)
    off = parity.compare([reference], [reference + np.array([[0.5, 0.0], [0.0, 0.0]])])
    assert off.max_abs == 0.5
    assert off.max_relative == 0.1
    assert off.sqnr_db == pytest.approx(10 * np.log10(50 / 0.25), rel=1e-5)
    turned = parity.compare([reference], [reference[:, ::-1]])
    assert turned.top1_agreement == 0
    assert parity.compare([reference], [reference * np.nan]).sqnr_db == -200


def test_constant_answers_are_found() -> None:
    refuse_constant([np.array([[1.0, 2.0], [1.0, 2.1]])])
    with pytest.raises(ConversionError):
        refuse_constant([np.array([[1.0, 2.0], [1.0, 2.0 + 1e-9]])])
