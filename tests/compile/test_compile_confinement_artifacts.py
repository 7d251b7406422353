"""The files that a worker leaves: no file behind a link becomes part of an artifact."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from flat_requests import compile_request

from edgewright.compile import artifact_files
from edgewright.compile.pipeline import compile_model
from edgewright.compile.workers.pool import Workers
from edgewright.errors import ConversionError


def test_an_artifact_takes_no_other_file_along(tmp_path: Path) -> None:
    (tmp_path / "stage/inner").mkdir(parents=True)
    (tmp_path / "stage/inner/file").write_text("x")
    assert artifact_files.found(tmp_path / "stage") == {"inner/file": tmp_path / "stage/inner/file"}
    (tmp_path / "key").write_text("x")
    (tmp_path / "stage/inner/key").symlink_to(tmp_path / "key")
    with pytest.raises(ConversionError, match="made something else than a file: inner/key"):
        artifact_files.found(tmp_path / "stage")


@pytest.mark.parametrize("linked", ["goldens.npz", "stage/file", "stage"])
def test_a_file_that_became_a_link_after_the_look_is_refused(tmp_path: Path, linked: str) -> None:
    place, key = tmp_path / "place", tmp_path / "elsewhere/file"
    (place / "stage").mkdir(parents=True)
    (place / "stage/file").write_text("x")
    (place / "goldens.npz").write_text("x")
    key.parent.mkdir()
    key.write_text("key")
    files = {"goldens.npz": place, "file": place / "stage"}
    assert [artifact_files.entry(tmp_path, folder, name).size for name, folder in files.items()] == [1, 1]
    (place / linked).rename(tmp_path / "aside")
    (place / linked).symlink_to(key.parent if linked == "stage" else key)
    name = "goldens.npz" if linked == "goldens.npz" else "file"
    with pytest.raises(ConversionError, match=f"made something else than a file: {name}"):
        artifact_files.entry(tmp_path, files[name], name)


def test_goldens_that_are_a_link_never_reach_an_artifact(
    small_models: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker may leave such a link; the file behind it exists."""
    monkeypatch.setenv("EDGEWRIGHT_HOME", str(tmp_path / "home"))
    found = artifact_files.found

    def taken_over(folder: Path) -> dict[str, Path]:
        goldens = folder.parent / "goldens.npz"
        goldens.rename(tmp_path / "goldens.npz")
        goldens.symlink_to(tmp_path / "goldens.npz")
        return found(folder)

    monkeypatch.setattr(artifact_files, "found", taken_over)
    request = compile_request(
        source=small_models("onnx") / "cnn.onnx", target="onnxruntime", precision="fp32"
    )
    with (
        Workers(tmp_path / "log") as workers,
        pytest.raises(ConversionError, match=r"made something else than a file: goldens\.npz"),
    ):
        compile_model(request, workers=workers)
