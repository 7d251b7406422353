"""What `infer` makes of an input file, of a release that the board describes and of one that it does not."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright.errors import BoardError, DataError
from edgewright.measure.inputs import packed
from edgewright.measure.release_manifest import Released, released
from edgewright.nouns.artifact import TensorSpec

TWO = Released(
    inputs=(
        TensorSpec(name="zeta", shape=(1, 2), dtype="float32"),
        TensorSpec(name="alpha", shape=(1, 2), dtype="int8", scale=0.5, zero_point=1),
    ),
    outputs=(),
)


def taken(source: Path, about: Released | None) -> list[Any]:
    with np.load(io.BytesIO(packed(source, about))) as archive:
        return [archive[f"input_{index}"] for index in range(len(archive.files))]


def test_samples_take_the_releases_order_shape_and_dtype(tmp_path: Path) -> None:
    file = tmp_path / "in.npz"
    np.savez(file, alpha=np.full((3, 2), 1.0), zeta=np.full((3, 1, 2), 7, np.float64))
    zeta, alpha = taken(file, TWO)
    assert (zeta.dtype, zeta.shape, zeta.max()) == (np.float32, (3, 1, 2), 7)
    assert (alpha.dtype, alpha.shape, alpha.max()) == (np.int8, (3, 2), 3)  # 1.0 is quantised
    np.savez(
        file, alpha=np.array([[5, 6]]), zeta=np.array([7.0, 8.0])
    )  # one sample; integers are taken as they are
    assert [array.tolist() for array in taken(file, TWO)] == [[[[7, 8]]], [[5, 6]]]


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"alpha": np.zeros((3, 2)), "zeta": np.zeros((2, 2))}, "members of .* differ in length"),
        ({"alpha": np.full((3, 2), np.nan), "zeta": np.zeros((3, 2))}, "NaN or infinity for input alpha"),
        ({"alpha": np.full((3, 2), 200), "zeta": np.zeros((3, 2))}, "wrong dtype for input alpha: int64 instead of int8"),
        ({"alpha": np.zeros((3, 2)), "zeta": np.zeros((3, 2), int)}, "wrong dtype for input zeta"),
        ({"alpha": np.zeros((3, 3)), "zeta": np.zeros((3, 2))}, r"\[3, 3\] instead of \[samples, 1, 2\]"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(tmp_path: Path, members: dict[str, Any], said: str) -> None:
    file = tmp_path / "in.npz"
    np.savez(file, **members)
    with pytest.raises(DataError, match=said):
        packed(file, TWO)


def test_a_lone_array_for_several_inputs(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", np.zeros((1, 2)))
    with pytest.raises(DataError, match="one array for 2 inputs") as caught:
        packed(tmp_path / "in.npy", TWO)
    assert "zeta, alpha" in caught.value.hint


def test_without_the_boards_word_members_are_numbered(tmp_path: Path) -> None:
    file = tmp_path / "in.npz"
    np.savez(file, input_1=np.ones(2), input_0=np.zeros(2))
    assert [array.max() for array in taken(file, None)] == [0, 1]
    np.savez(file, whatever=np.ones(2))
    assert len(taken(file, None)) == 1
    np.savez(file, zeta=np.ones(2), alpha=np.ones(2))
    with pytest.raises(DataError, match="members of other names: zeta, alpha") as caught:
        packed(file, None)
    assert "input_0" in caught.value.hint


@pytest.mark.parametrize("code", ["bad-argument", "unknown-command", "release-damaged"])
def test_an_older_agent_cannot_describe_a_release(code: str) -> None:
    class Old:
        def call(self, do: str, **more: object) -> dict[str, Any]:
            raise BoardError("inputs of infer is not valid: None", code=code)

    def asked() -> Released | None:
        return released(Old(), "m", "1-00000000", "0" * 64)  # type: ignore[arg-type]

    if code == "release-damaged":
        with pytest.raises(BoardError):
            asked()
    else:
        assert asked() is None
