"""Data as a stream: arrays, images, labels, and the form that boards read."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright.compile.data import evaluation_set, goldens, goldens_selection, samples
from edgewright.compile.data.calibration import LIMIT, SampleSet, random_samples
from edgewright.compile.data.goldens import refuse_constant
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
        found = np.stack([sample[0] for sample in samples.samples(tmp_path / name, [IMAGE], None)])
        assert found.dtype == np.float32
        assert np.array_equal(found[:, 0], array)
        assert samples.length(tmp_path / name, [IMAGE]) == 5


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
    first, second = (sample[0] for sample in samples.samples(tmp_path, [IMAGE], preprocessing))
    assert first.shape == IMAGE.shape
    assert np.allclose(first[0, 2, 3], [1, 0, 0])
    assert np.allclose(second[0, 0, 0], [-1, 0, 0.1])
    swapped = TensorSpec(name="image", shape=(1, 3, 4, 6), dtype="float32")
    bgr = Preprocessing(channels="bgr", layout="nchw")
    assert next(samples.samples(tmp_path, [swapped], bgr))[0][0, :, 0, 0].tolist() == [0, 0, 255]
    with pytest.raises(DataError, match="images need preprocessing") as caught:
        next(samples.samples(tmp_path, [IMAGE], None))
    assert "edgewright.toml" in str(caught.value.hint)
    (tmp_path / "2.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"image cannot be read: .*2\.png"):
        list(samples.samples(tmp_path, [IMAGE], preprocessing))


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.pgm"])
@pytest.mark.parametrize("channels", ["gray", "rgb"])
def test_pictures_of_16_bits_keep_their_range(tmp_path: Path, name: str, channels: str) -> None:
    from PIL import Image

    ramp = (np.arange(24, dtype=np.uint16) * 2849).reshape(4, 6)
    Image.fromarray(ramp).save(tmp_path / name)
    depth = 1 if channels == "gray" else 3
    spec = TensorSpec(name="image", shape=(1, 4, 6, depth), dtype="float32")
    (found,) = next(samples.samples(tmp_path, [spec], Preprocessing(channels=channels)))
    assert np.allclose(found[0, :, :, 0], ramp / 257, atol=1e-3)
    assert np.array_equal(found[..., 0], found[..., -1])


@pytest.mark.parametrize(("kind", "word"), [("int32", "32-bit whole numbers"), ("float32", "floats")])
def test_pictures_of_an_unknown_range_are_refused(tmp_path: Path, kind: str, word: str) -> None:
    from PIL import Image

    Image.fromarray(np.full((4, 6), 70_000, kind)).save(tmp_path / "x.tif")
    with pytest.raises(DataError, match=rf"image holds {word}, .*x\.tif") as caught:
        next(samples.samples(tmp_path, [IMAGE], Preprocessing()))
    assert "8 or 16 bits" in str(caught.value.hint)


def test_hidden_files_are_no_pictures_and_no_other_data(tmp_path: Path) -> None:
    from PIL import Image

    from edgewright.compile.data.data_hash import data_sha256

    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        Image.new("RGB", (6, 4), "red").save(tmp_path / label / "0.png")
    before = data_sha256(tmp_path)
    for name in (".DS_Store", "cat/._0.png", "dog/Thumbs.db", "__MACOSX/cat/0.png", ".cache/0.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"no picture")
    assert len(list(samples.samples(tmp_path, [IMAGE], Preprocessing()))) == 2
    assert data_sha256(tmp_path) == before
    assert evaluation_set.prepare(tmp_path, [IMAGE], Preprocessing()).load_labels().tolist() == [0, 1]


def test_exif_orientation_is_an_option(tmp_path: Path) -> None:
    import msgspec
    from PIL import Image

    picture = Image.fromarray(np.repeat([[0, 250]], 2, axis=0).astype(np.uint8).repeat(8, 0).repeat(8, 1))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    picture.save(tmp_path / "x.png", exif=exif)
    spec = TensorSpec(name="image", shape=(1, 16, 16, 1), dtype="float32")
    sides = {
        turned: next(samples.samples(tmp_path, [spec], Preprocessing(channels="gray", **given)))[0][
            0, 0, :, 0
        ]
        for turned, given in ((False, {}), (True, {"exif_orientation": True}))
    }
    assert sides[False][0] < 10 < 240 < sides[False][-1]
    assert sides[True][-1] < 10 < 240 < sides[True][0]
    assert b"exif" not in msgspec.json.encode(Preprocessing())  # in manifests: it would change every id


def test_the_evaluation_set_for_boards(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(7, 4, 6, 3)).astype(np.float64)
    np.savez_compressed(tmp_path / "e.npz", x=array, y=np.arange(7)[::-1])
    made = evaluation_set.prepare(tmp_path / "e.npz", [IMAGE])
    with np.load(made.inputs) as found:
        assert sorted(found) == ["input_0"]
        assert found["input_0"].shape == (7, *IMAGE.shape)
        assert np.array_equal(found["input_0"][:, 0], array.astype(np.float32))
    assert made.load_labels().dtype == np.int32
    assert made.load_labels().tolist() == [6, 5, 4, 3, 2, 1, 0]
    first = made.inputs.read_bytes()
    made.inputs.unlink()
    assert evaluation_set.prepare(tmp_path / "e.npz", [IMAGE]).inputs.read_bytes() == first
    np.savez(tmp_path / "f.npz", x=array, y=np.zeros(5, int))
    with pytest.raises(DataError, match="7 samples and 5 labels"):
        evaluation_set.prepare(tmp_path / "f.npz", [IMAGE])
    np.savez(tmp_path / "g.npz", x=array)
    with pytest.raises(DataError, match="has no labels"):
        evaluation_set.prepare(tmp_path / "g.npz", [IMAGE])


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


class Doubles:
    """A source with two outputs: boxes in pixels, which differ for each sample, and scores, which rarely differ."""

    def __init__(self, specs: tuple[TensorSpec, ...]) -> None:
        self.inputs, self.runs = specs, 0

    def run(self, sample: Sequence[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
        self.runs += 1
        return [sample[0] * 640, np.where(sample[0] > 0.5, 1.0, 0.01)]


def test_goldens_are_spread_over_the_answers(tmp_path: Path) -> None:
    """The goldens include the rare outputs at the end of the data, keep the data's order, and take each sample once."""
    spec = TensorSpec(name="x", shape=(1, 4), dtype="float32")
    x = np.random.default_rng(0).uniform(0, 0.4, size=(120, 4)).astype(np.float32)
    x[10:20], x[100, 2], x[112, 3] = x[0], 0.9, 0.8
    np.savez(tmp_path / "x.npz", x=x)
    source, samples = Doubles((spec,)), SampleSet(path=tmp_path / "x.npz", specs=(spec,))
    inputs, outputs, origin = goldens.compute(source, samples, 32)
    assert origin == "calibration"
    assert source.runs <= 4 * 32 + 32
    places = [int(np.flatnonzero((x == row[0]).all(axis=1))[0]) for row in inputs[0]]
    assert len(set(places)) == 32
    assert places == sorted(places)
    assert {100, 112} < set(places)
    again = goldens.compute(source, samples, 32)[0]
    assert np.array_equal(inputs[0], again[0])
    assert np.array_equal(outputs[0], inputs[0] * 640)


def test_a_broken_input_is_no_golden_and_a_rare_answer_is(tmp_path: Path) -> None:
    """One value of one sample is far from all others, and calibration may clip it. Two such samples are ordinary data."""
    spec = TensorSpec(name="x", shape=(1, 4), dtype="float32")
    x = np.random.default_rng(0).uniform(0, 0.4, size=(60, 4)).astype(np.float32)
    x[50, 1], x[20, 2] = 40.0, 0.7  # broken; a rare class
    kept = {}
    for number in (1, 2):
        np.save(tmp_path / "x.npy", x)
        samples = SampleSet(path=tmp_path / "x.npy", specs=(spec,))
        inputs = goldens.compute(Doubles((spec,)), samples, 16)[0][0]
        kept[number] = {int(np.flatnonzero((x == row[0]).all(axis=1))[0]) for row in inputs}
        x[30, 3] = 35.0
    assert 50 not in kept[1] and 20 in kept[1]
    assert {30, 50} & kept[2]
    ids = TensorSpec(name="ids", shape=(1,), dtype="int64")
    extents = [((0.0, 1.0),)] * 39 + [((0.0, 9.0),)]
    assert goldens_selection.lone(extents, [spec]) == {39}
    assert goldens_selection.lone(extents, [ids]) == set()  # a rare word is not a broken value
    assert goldens_selection.lone(extents[-20:], [spec]) == set()  # one in twenty is not an exception


def test_a_large_answer_is_compared_by_little_of_it() -> None:
    """Memory stays bounded, and the one value in a million that differs still counts."""
    rng = np.random.default_rng(1)
    answers = [rng.random((1, 84, 840)) for _ in range(48)]
    answers[7][0, 50, 3] = 9.0
    signatures = [goldens_selection.signature([answer]) for answer in answers]
    assert sum(part.size for part in signatures[0]) < 1000
    assert 7 in goldens_selection.farthest(signatures, 2)
    assert goldens_selection.farthest([[np.ones(3)]] * 9, 8) == list(range(8))
    assert goldens_selection.farthest([goldens_selection.signature([np.full(3, np.nan)])] * 9, 8) == list(
        range(8)
    )


def test_constant_answers_are_found() -> None:
    refuse_constant([np.array([[1.0, 2.0], [1.0, 2.1]])])
    with pytest.raises(ConversionError):
        refuse_constant([np.array([[1.0, 2.0], [1.0, 2.0 + 1e-9]])])
