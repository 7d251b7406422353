"""Today's code on the files that commit 8d6a898 left on a host: read as they were meant, and written on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edgewright import targets
from edgewright.compile.toolchains import environments
from edgewright.compile.toolchains.build import python_in
from edgewright.config import fleet, profiles, project, trust
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.outcome import BoardOutcome
from edgewright.store.artifacts import ArtifactStore
from edgewright.store.history import History


@pytest.fixture
def home(home: Path, kit) -> Path:
    return kit.restore_home(home)


@pytest.fixture
def config(kit, home: Path, tmp_path: Path) -> Path:
    """The old files that a user wrote, in a separate folder; the profile where profiles are."""
    folder = shutil.copytree(kit.OLD / "config", tmp_path / "config")
    (home / "profiles").mkdir()
    (folder / "shelf-pc.toml").rename(home / "profiles" / "shelf-pc.toml")
    return folder


def holds(meant: object, found: object, where: str = "") -> list[str]:
    """Where what is read today differs from what was meant; what is new today may be there besides."""
    if isinstance(meant, dict) and isinstance(found, dict):
        return [one for key in meant for one in holds(meant[key], found.get(key), f"{where}.{key}")]
    return [] if meant == found else [f"{where}: meant {meant!r}, read {found!r}"]


def read_all(config: Path) -> dict[str, object]:
    boards = fleet.load(config / "fleet.toml")
    read = {
        "fleet": boards.boards,
        "trust": trust.load(boards),
        "project": project.load(config / "edgewright.toml").file,
        "init": project.load(config / "init.toml").file,
        "profile": profiles.load("shelf-pc"),
    }
    return json.loads(msgspec.json.encode(read))  # type: ignore[no-any-return]


def test_config_files_mean_what_they_meant(config):
    meant = json.loads((config / "meaning.json").read_text())
    assert holds(meant, read_all(config)) == []


def test_config_files_that_today_writes_on_mean_the_same(config):
    meant = json.loads((config / "meaning.json").read_text())
    fleet.save(config / "fleet.toml", fleet.read_file(config / "fleet.toml"))
    boards = fleet.load(config / "fleet.toml")
    trust.save(boards, trust.load(boards))
    assert holds(meant, read_all(config)) == []


def test_artifacts_are_whole_and_keep_their_ids(home, kit):
    names = sorted(path.name for path in (home / "artifacts/objects").iterdir())
    store = ArtifactStore(home / "artifacts")
    assert [store.get(name).id for name in names] == names and len(names) == 5
    for name in names:
        data = (home / "artifacts/objects" / name / "manifest.json").read_bytes()
        assert store.get(name).manifest.canonical() == data  # else boards would get it under another id
    kinds = {(one.manifest.target, one.manifest.source.format) for one in store.list()}
    assert kinds >= {("onnxruntime", "onnx"), ("tflite", "keras")}
    listed = kit.run("cache", "list", "--json")
    assert listed.code == 0 and all(name in listed.out for name in names)


@pytest.mark.parametrize("target", ["onnxruntime", "tflite"])
def test_artifacts_answer_as_they_did(home, target):
    """By today's runner, on the runtime of this machine."""
    found = [one for one in ArtifactStore(home / "artifacts").list() if one.manifest.target == target]
    real = [one for one in found if one.manifest.source.file != "toy.tflite"]
    assert real
    for one in real:
        answers_as_its_goldens(one)


def answers_as_its_goldens(artifact: Artifact) -> None:
    """An artifact of one input and output, by today's runner of its target."""
    manifest, runner = msgspec.to_builtins(artifact.manifest), targets.runner(artifact.manifest.target)
    runner.import_runtime()
    model = runner.load(
        str(artifact.folder), manifest, {"threads": 1, "accelerator": "cpu", "prepared": None}
    )
    with np.load(artifact.folder / manifest["goldens"]["file"]) as goldens:
        for given, wanted in zip(goldens["input_0"], goldens["output_0"], strict=True):
            (answer,) = model.read(model.infer(model.feed([given.tobytes()])))
            assert np.allclose(np.frombuffer(answer, wanted.dtype), wanted.ravel(), rtol=1e-3, atol=1e-5)


def test_a_cache_of_old_gives_an_artifact_that_is_right(home, kit):
    """The old one where nothing changed since, else another one: never one that does not fit its own manifest."""
    ran = kit.run(
        "convert", kit.OLD / "models/tiny.onnx", "--target", "onnxruntime", "--precision", "fp32", "--json"
    )
    assert ran.code == 0, ran.err
    store = ArtifactStore(home / "artifacts")
    assert {one.id for one in store.list()} >= {
        path.name for path in (kit.OLD / "home/artifacts/objects").iterdir()
    }
    answers_as_its_goldens(store.get(ran.json["artifact"]))


def test_history_lists_what_it_held_and_takes_more(home, kit):
    events = History().events()
    assert [(event["action"], event["outcome"], event["release"][:2]) for event in events] == [
        ("deploy", "committed", "1-"), ("rollback", "committed", "1-"), ("deploy", "refused", "3-"),
        ("deploy", "committed", "2-"), ("deploy", "committed", "1-"),
    ]  # fmt: skip
    documents = [msgspec.convert(event["document"], BoardOutcome) for event in events]
    assert documents[0].measurement and documents[2].checks and documents[0].measurement.latency.p50 > 0
    ran = kit.run("history")
    assert ran.code == 0 and ran.out.count("committed") == 4 and "accuracy against the incumbent" in ran.out
    tiny = [event["artifact"] for event in events if event["model"] == "tiny" and event["action"] == "deploy"]
    assert History().version_for("fleet", "tiny", [tiny[1]]) == "2"
    assert History().version_for("fleet", "tiny", ["another"]) == "4"
    History().record("deploy", "fleet", "4", [msgspec.structs.replace(documents[0], board="new")])
    assert [event["board"] for event in History().events()][:2] == ["new", "old-3"]


def test_the_next_deployment_of_an_old_artifact_keeps_its_version(home):
    toy = next(
        one for one in ArtifactStore(home / "artifacts").list() if one.manifest.source.file == "toy.tflite"
    )
    assert History().version_for("fleet", "toy", [toy.id]) == "1"


def test_a_lab_of_old_is_listed_and_taken_down(home, kit):
    listed = kit.run("lab", "list", "--json")
    assert listed.code == 0
    assert [board["name"] for board in listed.json["boards"]] == ["old-1", "old-2", "old-3"]
    assert not any(board["alive"] for board in listed.json["boards"])
    down = kit.run("lab", "down", "--json")
    assert down.code == 0 and not (home / "lab").exists()


def test_an_old_toolchain_is_read_and_no_more_than_outdated(home, kit):
    python = python_in(environments.folder("onnx2tf"))
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text("")  # the fixture has its record alone
    listed = kit.run("toolchain", "list", "--json")
    assert listed.code == 0, listed.err
    states = {row["name"]: row["state"] for row in listed.json["toolchains"]}
    assert states["onnx2tf"] in ("ready", "outdated")


def test_a_bundle_of_old_is_verified_and_its_wheels_are_found(home, kit):
    from edgewright.runtimes import wheel_sets

    ran = kit.run("provision", "--bundle", kit.OLD / "models/toy.bundle", "--json")
    assert ran.code == 0 and "tflite-runtime" in ran.out
    (kept,) = wheel_sets.kept()
    assert kept.distribution == "tflite-runtime" and wheel_sets.stored(kept)


def test_old_answers_and_evaluation_sets_are_what_the_cache_knows(home, kit):
    listed = kit.run("cache", "list", "--json").json
    kinds = {entry["kind"] for entry in listed["entries"]}
    assert kinds >= {"artifact", "answers", "evaluation", "wheel"}
    pruned = kit.run("cache", "prune", "--max-size", "0", "--json")
    assert pruned.code == 0 and History().events()
