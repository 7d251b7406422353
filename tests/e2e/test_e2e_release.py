"""A release's whole life over real SSH: kept, refused, staged, rolled back, and the output of each command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from loaded_modules import UNNEEDED, imports_of

from edgewright.measure import benchmark
from edgewright.nouns import measurement

Run = Callable[..., Any]


def current(lab: Path, board: str, model: str = "tiny") -> str:
    """The file that the application on a board would read."""
    link = lab / board / "home" / ".edgewright" / "models" / model / "current"
    manifest = json.loads((link / "manifest.json").read_bytes())
    assert all((link / entry["path"]).stat().st_size == entry["size"] for entry in manifest["files"])
    return link.readlink().name


@pytest.fixture(scope="module")
def story(run: Run, deployed: Run, models: Path, lab: Path) -> dict[str, Any]:
    """v1, an unchanged v1, a wrong v2, a staged v3, v3 itself, in order on board e-2; each answer by name."""
    evaluation = ("--evaluation", models / "evaluation.npz")
    told: dict[str, Any] = {}
    told["first"] = deployed("good.onnx", *evaluation)
    told["first current"] = current(lab, "e-2")
    told["again"] = deployed("good.onnx", *evaluation)
    assert deployed("good.onnx", model="plain").code == 0
    told["imports"] = imports_of(
        "deploy", models / "good.onnx", "--to", "e-2", "--name", "plain", "--target", "onnxruntime", "--precision", "fp32", "--json",
    )  # fmt: skip
    told["wrong"] = deployed("wrong.onnx", *evaluation)
    told["wrong current"] = current(lab, "e-2")
    told["dry"] = deployed("retrained.onnx", *evaluation, "--dry-run")
    told["staged"] = deployed("retrained.onnx", *evaluation, "--stage")
    told["staged current"] = current(lab, "e-2")
    told["second"] = deployed("retrained.onnx", *evaluation)
    told["second current"] = current(lab, "e-2")
    return told


def only(ran: Any) -> dict[str, Any]:
    """The one board's outcome."""
    assert len(ran.json["outcomes"]) == 1, ran.err
    return dict(ran.json["outcomes"][0])


def test_a_good_release_is_measured_and_kept(story: dict[str, Any]) -> None:
    assert story["first"].code == 0, story["first"].err
    outcome = only(story["first"])
    assert outcome["outcome"] == "committed"
    assert outcome["current"] == outcome["release"] == story["first current"]
    assert outcome["measurement"]["latency"]["p50"] > 0
    assert outcome["measurement"]["latency"]["n"] >= 22
    assert outcome["measurement"]["peak_rss_mb"] > 0
    assert {"answers", "accuracy against its source", "p50", "validity"} <= {
        check["name"] for check in outcome["checks"]
    }
    assert outcome["runtime"].startswith("onnxruntime ")
    assert "memory_mb" in outcome["simulated"]


def test_the_same_again_changes_nothing(story: dict[str, Any]) -> None:
    assert only(story["again"])["outcome"] == "unchanged"
    assert only(story["again"])["sent_bytes"] == 0


def test_an_unchanged_deployment_imports_no_more_than_it_needs(story: dict[str, Any]) -> None:
    done = story["imports"]
    (outcome,) = json.loads(done.out)["result"]["outcomes"]
    assert outcome["outcome"] == "unchanged"
    assert not done.modules & {*UNNEEDED, "rich"}


def test_a_release_that_answers_as_its_source_but_is_wrong_is_refused_by_its_accuracy(
    story: dict[str, Any],
) -> None:
    assert story["wrong"].code == 2
    outcome = only(story["wrong"])
    assert outcome["outcome"] == "refused"
    failed = [check["name"] for check in outcome["checks"] if not check["ok"]]
    assert "accuracy against the incumbent" in failed
    assert {check["name"]: check["ok"] for check in outcome["checks"]}["answers"]
    assert story["wrong current"] == story["first current"]


def test_a_dry_run_says_what_it_would_do(story: dict[str, Any]) -> None:
    outcome = only(story["dry"])
    assert outcome["outcome"] == "planned"
    assert "verify" in outcome["steps"]


def test_a_staged_release_is_measured_against_the_incumbent_and_not_activated(story: dict[str, Any]) -> None:
    outcome = only(story["staged"])
    assert outcome["outcome"] == "staged"
    assert outcome["incumbent"]["release"] == story["first current"]
    assert story["staged current"] == story["first current"]


def test_then_rollback_status_history_and_bench_agree(
    run: Run, story: dict[str, Any], lab: Path, models: Path, tmp_path: Path
) -> None:
    assert only(story["second"])["outcome"] == "committed"
    assert story["second current"] != story["first current"]

    status = run("status", "e-2", "--json").json["boards"][0]["result"]["models"]["tiny"]
    assert status["current"] == story["second current"]
    assert status["known_good"] == [story["first current"], story["second current"]]

    for more, code, word in (
        ((), 0, "planned"),
        (("--to", "99"), 2, "not-found"),
        (("--to", current(lab, "e-2")), 2, "nothing-to-roll-back"),
    ):
        plan = run("rollback", "tiny", "--on", "e-2", *more, "--dry-run", "--json")
        assert (plan.code, only(plan)["code"] or only(plan)["outcome"]) == (code, word), plan.out
        assert current(lab, "e-2") == story["second current"]
    assert (
        only(run("rollback", "tiny", "--on", "e-2", "--dry-run", "--json"))["release"]
        == story["first current"]
    )
    assert run("rollback", "nothing", "--on", "e-2", "--dry-run").code == 2

    back = run("rollback", "tiny", "--on", "e-2", "--json")
    assert back.code == 0, back.err
    assert only(back)["current"] == story["first current"] == current(lab, "e-2")

    forth = run("rollback", "tiny", "--on", "e-2", "--to", story["second current"].split("-")[0], "--json")
    assert forth.code == 0, forth.out
    assert current(lab, "e-2") == story["second current"]
    assert run("rollback", "tiny", "--on", "e-2", "--json").code == 0

    for more in (("--dry-run",), ()):
        nowhere = run("rollback", "tiny", "--on", "e-2", *more, "--json")
        assert nowhere.code == 2
        assert only(nowhere)["code"] == "nothing-to-roll-back"
        assert only(nowhere)["hint"]
    assert current(lab, "e-2") == story["first current"]

    measured = run("bench", "tiny", "--on", "e-2", "--protocol", "quick", "--json")
    assert measured.code == 0, measured.err
    assert measured.json["boards"][0]["result"]["measurements"][0]["release"] == story["first current"]

    kinds = [
        (event["action"], event["outcome"])
        for event in run("history", "--model", "tiny", "--json").json["events"]
    ]
    assert kinds.count(("rollback", "committed")) == 3
    assert ("deploy", "refused") in kinds

    image = np.load(models / "evaluation.npz")["image"][:1]
    np.save(tmp_path / "image.npy", image)
    saved = tmp_path / "out.npz"
    inferred = run(
        "infer", "tiny", "--on", "e-2", "--input", tmp_path / "image.npy", "--output", saved, "--json"
    )
    assert inferred.code == 0, inferred.err
    assert np.load(saved)["scores"].reshape(-1).argmax() == np.load(models / "evaluation.npz")["labels"][0]

    logged = run("logs", "e-2")
    assert logged.code == 0
    assert story["second current"] in logged.out

    assert run("fleet", "prune", "e-2", "--keep", "1", "--json").code == 0
    assert current(lab, "e-2") == story["first current"]


def test_a_runtime_that_starts_slower_than_the_protocol_lasts_is_measured_all_the_same(
    run: Run, story: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here every import takes longer than this limit; on small boards some take longer than the real one."""
    hurried = msgspec.structs.replace(measurement.QUICK, limit_s=0.1)
    monkeypatch.setitem(measurement.PROTOCOLS, "quick", hurried)
    monkeypatch.setattr(benchmark, "SLOW_START", 200)
    measured = run("bench", "tiny", "--on", "e-2", "--protocol", "quick", "--json")
    assert measured.code == 0 and "it starts slowly" in measured.err, measured.err
    assert measured.json["boards"][0]["result"]["measurements"][0]["release"] == story["first current"]


def test_an_artifact_can_be_measured_without_being_released(run: Run, models: Path, lab: Path) -> None:
    made = run("convert", models / "good.onnx", "--target", "openvino", "--precision", "fp32", "--json")
    assert made.code == 0, made.err
    measured = run("bench", made.json["artifact"], "--on", "e-1", "--protocol", "quick", "--json")
    assert measured.code == 0, measured.err + measured.out
    assert measured.json["boards"][0]["result"]["measurements"][0]["artifact"] == made.json["artifact"]
    status = run("status", "e-1", "--json").json["boards"][0]["result"]["models"]
    assert all(not model["releases"] and model["current"] is None for model in status.values())


def test_tables_for_people(run: Run, story: dict[str, Any]) -> None:
    for arguments, word in (
        (["status", "e-2"], "tiny"), (["history"], "refused"), (["doctor", "e-1"], "Raspberry Pi 5"), (["fleet", "list"], "pinned"),
        (["lab", "list"], "openssh"), (["fleet", "show", "e-1"], "localhost"),
    ):  # fmt: skip
        ran = run(*arguments)
        assert ran.code == 0, ran.err
        assert word in ran.out
