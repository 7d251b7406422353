"""Which member of an .npz is for which input, and that the order in the file decides nothing."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from edgewright.compile.data import samples
from edgewright.compile.data.data_hash import calibration_sha256
from edgewright.compile.data.npz_members import paired
from edgewright.errors import DataError
from edgewright.measure import inputs
from edgewright.nouns.artifact import TensorSpec

FILE = Path("data.npz")


def specs(*names: str, **tensors: str) -> list[TensorSpec]:
    made = [TensorSpec(name=name, shape=(1, 2), dtype="float32") for name in names]
    return made + [
        TensorSpec(name=name, shape=(1, 2), dtype="float32", tensor=tensor)
        for name, tensor in tensors.items()
    ]


@pytest.mark.parametrize(
    ("names", "members", "found"),
    [
        (["zeta", "alpha"], ["alpha", "zeta"], ["zeta", "alpha"]),
        (["zeta", "alpha"], ["alpha", "file_names", "labels", "zeta"], ["zeta", "alpha"]),
        (["zeta", "alpha"], ["input_1", "input_0"], ["input_0", "input_1"]),
        (["zeta", "alpha"], ["input_1", "zeta"], ["zeta", "input_1"]),
        (["input_1", "input_2"], ["input_2", "input_1"], ["input_1", "input_2"]),  # Keras counts from 1
        (["input_1", "input_2"], ["input_0", "input_1"], ["input_0", "input_1"]),
        (["input_1", "input_0"], ["input_0", "input_1"], ["input_1", "input_0"]),
        (["net/a:1", "b"], ["b", "net_a"], ["net_a", "b"]),  # the plain form
        (["a:b", "a_b"], ["a_b", "a:b"], ["a:b", "a_b"]),
        (["image"], ["input_1", "labels"], ["input_1"]),
        (["image"], ["x", "labels", "y"], ["x"]),
        (["image"], ["anything"], ["anything"]),
        (["y"], ["y", "labels"], ["y"]),
    ],
)
def test_members_are_found(names: list[str], members: list[str], found: list[str]) -> None:
    assert paired(FILE, specs(*names), members) == found


@pytest.mark.parametrize(
    ("names", "members", "said"),
    [
        (["zeta", "alpha"], ["first", "second"], "no member for input zeta: first, second"),
        (["zeta", "alpha"], ["zeta", "beta"], "no member for input alpha: zeta, beta"),
        (["zeta", "alpha"], ["input_0", "input_1", "input_2"], "a member that is not an input: input_2"),
        (["zeta", "mask", "ids"], ["input_0", "input_1", "zeta"], "no member for input ids"),
        (
            ["input_1", "alpha"],
            ["input_1"],
            "no member for input alpha: input_1",
        ),  # one member for two inputs
        (["image"], ["one", "other"], "no member for input image: one, other"),
        (["image"], ["x", "mask"], "a member that is not an input: mask, of x, mask"),
        (["image"], ["labels"], "no member for input image: it is empty"),
    ],
)
def test_foreign_members_are_refused(names: list[str], members: list[str], said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        paired(FILE, specs(*names), members)
    assert all(name in caught.value.hint for name in names)


def test_the_name_in_the_artifacts_file_is_known_too() -> None:
    """Data that were written for a release of an earlier version."""
    signed = specs(image="serving_default_x:0", mask="serving_default_y:0")
    assert paired(FILE, signed, ["serving_default_y:0", "serving_default_x:0"]) == [
        "serving_default_x:0", "serving_default_y:0",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("tensors", "members", "lacking"),
    [
        ({"x:0": "x:0", "y": "x"}, ["x"], "y"),  # the plain form of one, the tensor of the other
        ({"a": "x", "b:0": "x_1", "x.1": "x.1"}, ["a", "x_1"], "b:0"),
        ({"a": "t", "b": "t"}, ["t"], "a"),
        ({"a": "input_1", "b": "b"}, ["input_1", "c"], "a"),  # a place, of b
    ],
)
def test_a_member_is_no_two_inputs(tensors: dict[str, str], members: list[str], lacking: str) -> None:
    with pytest.raises(DataError, match=f"no member for input {lacking}"):
        paired(FILE, specs(**tensors), members)


@pytest.mark.parametrize(
    ("tensors", "members"),
    [
        ({"a": "input_1", "b": "input_0"}, ["input_0", "input_1"]),
        ({"a": "input_2", "b": "input_1", "c": "input_0"}, ["input_0", "input_1", "input_2"]),
        ({"input_1:0": "a", "input_0:0": "b"}, ["input_0", "input_1"]),
        ({"a": "b.1", "b:0": "a.1"}, ["a", "b"]),
        ({"a": "s", "b": "t"}, ["s", "input_0", "input_1"]),
        ({"a": "s", "b": "a"}, ["a", "input_1"]),
    ],
)
def test_names_in_the_artifacts_file_change_nothing(tensors: dict[str, str], members: list[str]) -> None:
    def found(inputs: list[TensorSpec]) -> list[str] | str:
        try:
            return paired(FILE, inputs, members)
        except DataError as error:
            return error.message

    assert found(specs(**tensors)) == found(specs(*tensors))
    if set(members) == {f"input_{index}" for index in range(len(tensors))}:
        assert found(specs(**tensors)) == members


def test_the_order_in_the_file_decides_nothing(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    zeta, alpha = random.normal(size=(2, 4, 2)).astype("float32")
    one, other = tmp_path / "one.npz", tmp_path / "other.npz"
    np.savez(one, zeta=zeta, alpha=alpha)
    np.savez_compressed(other, alpha=alpha, zeta=zeta)
    rows = [list(samples.samples(path, specs("zeta", "alpha"), None)) for path in (one, other)]
    assert np.array_equal(rows[0], rows[1])
    assert calibration_sha256(one) == calibration_sha256(other)
    np.savez(other, alpha=zeta, zeta=alpha)
    assert calibration_sha256(one) != calibration_sha256(other)
    other.write_bytes(one.read_bytes()[:-40])  # no archive any more: taken as a file
    assert len(calibration_sha256(other)) == 64


def test_a_damaged_member_is_an_error_of_its_own_and_nothing_is_unpacked_for_the_key(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(path, "w", method) as archive, archive.open("x.npy", "w") as member:
            np.save(member, np.random.default_rng(1).normal(size=(99, 2)).astype("float32"))
        right = path.read_bytes()
        path.write_bytes(right[:150] + b"\xff" * 400 + right[550:])
        assert len(calibration_sha256(path)) == 64
        with pytest.raises(DataError, match=str(path)):
            list(samples.samples(path, specs("x"), None))
        with pytest.raises(DataError, match=str(path)):
            inputs.packed(path, None)
