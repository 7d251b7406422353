"""How much the kernels of one runtime disagree: several kernels together, and too little time for all."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgewright.compile.quality import kernel_spread


def written(folder: Path, name: str, *arrays: np.ndarray) -> Path:
    np.savez(folder / f"{name}.npz", *arrays)
    return folder / f"{name}.npz"


def test_the_greatest_of_all_kernels_counts(tmp_path: Path) -> None:
    first = written(tmp_path, "a", np.array([[0.0, 2.0], [1.0, 0.0]]))
    second = written(tmp_path, "b", np.array([[1.0, 0.0], [0.0, 0.0]]))
    (found,) = kernel_spread._pooled([first, second], 1)
    assert found.tolist() == [[1, 2], [1, 0]]


def test_a_kernel_without_time_for_all_goldens_is_left_out(tmp_path: Path) -> None:
    whole = written(tmp_path, "a", np.array([[0.0], [1.0]]))
    cut = written(tmp_path, "b", np.array([[9.0]]))
    assert kernel_spread._pooled([whole, cut], 1)[0].tolist() == [[0], [1]]
    assert kernel_spread._pooled([cut], 1)[0].tolist() == [[9]]
    assert kernel_spread._pooled([], 1) == []
    assert kernel_spread._pooled([whole], 2) == []  # of another model
