"""Finished artifacts on a real runtime: right ones pass, and faults that are put into them afterwards are found and named."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable
from pathlib import Path

import coarse_models
import msgspec
import numpy as np
import onnx
import pytest
from flat_requests import compile_request
from onnx import helper, numpy_helper

from edgewright import targets
from edgewright.compile.data.calibration import SampleSet
from edgewright.compile.pipeline import compile_model
from edgewright.compile.quality import artifact_check
from edgewright.compile.quality.artifact_check import Checked, Subject
from edgewright.compile.quality.verdict.refusal import Unlike
from edgewright.compile.tasks import source
from edgewright.compile.tasks.source import SourceRef
from edgewright.compile.workers.pool import Workers
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.project import Compare

Check = Callable[[onnx.NodeProto | None, dict[str, np.ndarray]], Checked]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("verdicts")
    coarse_models.write_onnx(made)
    return made


@pytest.fixture
def artifact(folder: Path, workers: Workers) -> Artifact:
    """Boxes in pixels beside six scores, weights in 8 bits: four columns, then six, of 64 places."""
    return compile_model(
        compile_request(
            source=folder / "head.onnx", target="onnxruntime", precision="int8-dynamic", calibration=folder / "images.npz"
        ),
        workers=workers,
    )  # fmt: skip


@pytest.fixture
def check(artifact: Artifact, folder: Path, workers: Workers, tmp_path: Path) -> Check:
    """Checks the artifact once more, with a node put behind its output."""

    def checked(node: onnx.NodeProto | None, values: dict[str, np.ndarray]) -> Checked:
        manifest = artifact.manifest
        place = shutil.copytree(artifact.folder, tmp_path / "spoilt", dirs_exist_ok=True)
        model = onnx.load(str(place / manifest.entry))
        if node is not None:
            for one in model.graph.node:
                one.output[:] = ["raw" if name == "y" else name for name in one.output]
            model.graph.node.append(node)
        model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in values.items())
        onnx.save(model, str(place / manifest.entry))
        subject = Subject(
            targets.load("onnxruntime"), SourceRef(path=folder / "head.onnx", format="onnx"), (manifest.inputs, manifest.outputs),
            SampleSet(path=folder / "images.npz", specs=manifest.inputs), place, manifest, place / "goldens.npz", tmp_path, Compare(),
        )  # fmt: skip
        found = workers.call(subject.target.framework, artifact_check.__name__, "judged", **subject.judging())
        return artifact_check.check(workers, subject, found)

    return checked


def test_a_right_artifact_has_a_verdict_and_limits_that_it_keeps(artifact: Artifact, check: Check) -> None:
    manifest = artifact.manifest
    assert manifest.schema == 2
    (verdict,) = manifest.verdict
    assert verdict.sqnr_db == manifest.parity.sqnr_db > 25
    assert verdict.following_db is not None and 20 < verdict.following_db < verdict.sqnr_db
    assert verdict.worst is not None and 5 < verdict.worst.sqnr_db < verdict.following_db
    assert [(one.axis, len(one.noise)) for one in verdict.limits.slices] == [(1, 10), (2, 64)]
    assert all(limit is not None and limit > 0 for one in verdict.limits.slices for limit in one.noise)
    assert (verdict.limits.unequal, verdict.limits.apart) == (None, None)
    assert check(None, {}).verdict == manifest.verdict


def test_a_score_that_is_always_zero_is_refused_and_named(check: Check) -> None:
    mask = np.ones((1, 10, 1), np.float32)
    mask[0, 7] = 0
    with pytest.raises(
        Unlike, match=r"lost in output y: index 7 of axis 1 \(-\d+\.\d dB\); .* all of the output has 4"
    ) as caught:
        check(helper.make_node("Mul", ["raw", "mask"], ["y"]), {"mask": mask})
    assert caught.value.parity.sqnr_db > 30
    assert len(caught.value.verdict) == 1


def test_scores_in_another_order_are_refused_and_named(check: Check) -> None:
    order = np.array([0, 1, 2, 3, 4, 8, 6, 7, 5, 9])
    with pytest.raises(
        Unlike, match=r"other places: index 5 of axis 1 is at index 8, index 8 of axis 1 is at index 5$"
    ):
        check(helper.make_node("Gather", ["raw", "order"], ["y"], axis=1), {"order": order})


def test_a_bias_that_was_dropped_is_refused(check: Check) -> None:
    bias = np.zeros((1, 10, 1), np.float32)
    bias[0, 9] = -0.9
    with pytest.raises(Unlike, match="lost in output y: index 9 of axis 1 "):
        check(helper.make_node("Add", ["raw", "bias"], ["y"]), {"bias": bias})


def test_random_goldens_judge_no_slice(folder: Path, workers: Workers) -> None:
    manifest = compile_model(
        compile_request(source=folder / "head.onnx", target="onnxruntime", precision="int8-dynamic"),
        workers=workers,
    ).manifest
    (verdict,) = manifest.verdict
    assert manifest.goldens.origin == "random"
    assert verdict.limits.noise is not None and verdict.limits.error is not None
    assert (verdict.limits.slices, verdict.worst, verdict.not_covered) == ((), None, ())


def test_class_numbers_are_counted(folder: Path, workers: Workers) -> None:
    manifest = compile_model(
        compile_request(
            source=folder / "labels.onnx",
            target="onnxruntime",
            precision="int8",
            calibration=folder / "images.npz",
        ),
        workers=workers,
    ).manifest
    (verdict,) = manifest.verdict
    assert verdict.equal is not None and 0.9 < verdict.equal < 1
    assert verdict.limits.unequal == 68  # of 16 x 64: 51 are 5 %, and so many more are no proof
    assert (verdict.sqnr_db, verdict.limits.noise, verdict.limits.slices) == (None, None, ())


def test_an_artifact_stays_open_for_more_samples(
    artifact: Artifact, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = importlib.import_module(targets.module_name(targets.load("onnxruntime").runs_on_host))
    loaded, load = [], runner.load
    monkeypatch.setattr(runner, "load", lambda *given: loaded.append(given[0]) or load(*given))
    manifest = msgspec.to_builtins(artifact.manifest)
    place = shutil.copytree(artifact.folder, tmp_path / "copy")
    with np.load(folder / "images.npz") as archive:
        sample = [archive[name][0] for name in archive.files]

    def answer() -> np.ndarray:
        ((found,),) = source.artifact_answers(runner.__name__, place, manifest, [sample])
        return found

    first = answer()
    (place / "fresh.npz").touch()  # references for it lie beside it
    assert np.array_equal(first, answer())
    assert len(loaded) == 1
    entry = place / manifest["entry"]
    model = onnx.load(str(entry))
    model.graph.doc_string = "another file"
    onnx.save(model, str(entry))
    assert np.array_equal(first, answer())
    assert len(loaded) == 2
    source.close_artifact()
    answer()
    assert len(loaded) == 3
    source.close_artifact()
