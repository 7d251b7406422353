"""Metrics, sets and intervals through the command line: convert here, deploy to a real board over SSH, score its answers."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from sklearn import metrics as reference

from edgewright.metrics import METRICS

pytestmark = pytest.mark.slow
Run = Callable[..., Any]
FEATURES, COUNT = 6, 300


def save(path: Path, weights: np.ndarray, *, sigmoid: bool = False, twice: bool = False) -> None:
    """`x (1, 6) -> scores (1, k)`, and on request a second output that is its double."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["raw"]),
        helper.make_node("Sigmoid" if sigmoid else "Identity", ["raw"], ["scores"]),
        *([helper.make_node("Add", ["scores", "scores"], ["twice"])] if twice else []),
    ]
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, weights.shape[1]])
        for name in ("scores", "twice")[: 1 + twice]
    ]
    graph = helper.make_graph(
        nodes, "linear", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, FEATURES])], outputs,
        [numpy_helper.from_array(weights.astype(np.float32), "w")],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Models, inputs, and the models' outputs: `folder`, `x`, `w`, `answers`."""
    random = np.random.default_rng(4)
    folder = tmp_path_factory.mktemp("linear")
    x = random.normal(size=(COUNT, FEATURES)).astype(np.float32)
    w = random.normal(size=(FEATURES, 8)).astype(np.float32)
    worse = w + random.normal(size=w.shape).astype(np.float32) * 0.4
    save(folder / "good.onnx", w)
    save(folder / "worse.onnx", worse)
    save(folder / "both.onnx", w, twice=True)
    save(folder / "both_worse.onnx", worse, twice=True)
    save(folder / "yes.onnx", w[:, :1], sigmoid=True)
    return {"folder": folder, "x": x, "w": w, "answers": x @ w, "worse": x @ worse}


@pytest.fixture(scope="module")
def deploy(run: Run, board: Callable[[str], str], module_home: Path) -> Run:
    """Deploys a model with more options."""

    def deployed(model: Path, name: str, *more: object) -> Any:
        options = ("--target", "onnxruntime", "--precision", "fp32")
        return run("deploy", model, "--to", board(""), "--name", name, *options, *more)

    return deployed


def labelled(data: dict[str, Any], name: str, labels: np.ndarray) -> Path:
    np.savez(data["folder"] / f"{name}.npz", x=data["x"], labels=labels)
    return Path(data["folder"] / f"{name}.npz")


def test_every_metric_is_the_same_here_and_on_the_board(data: dict[str, Any], deploy: Run, run: Run) -> None:
    random = np.random.default_rng(9)
    answers, best = data["answers"], data["answers"].argmax(axis=1)
    ids = np.where(random.random(COUNT) < 0.3, random.integers(0, 8, COUNT), best)
    figures = answers + random.normal(size=answers.shape)
    several = (figures > 0).astype(int)
    cases = {
        "top1": (ids, reference.accuracy_score(ids, best)),
        "top5": (ids, reference.top_k_accuracy_score(ids, answers, k=5, labels=range(8))),
        "mse": (figures, reference.mean_squared_error(figures, answers)),
        "mae": (figures, reference.mean_absolute_error(figures, answers)),
        "auc": (several, reference.roc_auc_score(several, answers)),
        "f1": (ids, reference.f1_score(ids, best, average="macro")),
    }
    assert deploy(data["folder"] / "good.onnx", "all").code == 0
    for metric, (labels, expected) in cases.items():
        asked = ("--metric", metric, "--evaluation", labelled(data, metric, labels))
        options = ("--target", "onnxruntime", "--precision", "fp32", *asked)
        accuracy = run("convert", data["folder"] / "good.onnx", *options).json["manifest"]["accuracy"]
        assert accuracy["source"] == pytest.approx(expected, abs=1e-6), metric
        assert accuracy["artifact"] == pytest.approx(expected, abs=1e-5), metric
        assert accuracy["higher_is_better"] == (metric not in ("mse", "mae"))
        worse = deploy(data["folder"] / "worse.onnx", "all", *asked)
        assert (worse.code, worse.outcome["outcome"]) == (2, "refused"), worse.out
        check = worse.check("accuracy against its source")
        assert (check["n"], check["value"]) == (COUNT, pytest.approx(0, abs=1e-5)), metric
        assert check["low"] <= check["value"] <= check["high"], metric
        failed = [check for check in worse.outcome["checks"] if not check["ok"]]
        assert [check["name"] for check in failed] == ["accuracy against the incumbent"], metric
        assert METRICS[metric].shown(expected) + " there" in failed[0]["note"]
        assert failed[0]["low"] < failed[0]["value"] < failed[0]["high"] and failed[0]["p"] < 0.1, metric


def test_history_and_tables_keep_the_interval(
    data: dict[str, Any], deploy: Run, run: Run, home: Path, capsys: Any
) -> None:
    from edgewright.cli.main import main

    evaluation = labelled(data, "kept", data["answers"].argmax(axis=1))
    assert deploy(data["folder"] / "good.onnx", "kept", "--evaluation", evaluation).code == 0
    event = run("history", "--model", "kept").json["events"][0]
    check = next(one for one in event["document"]["checks"] if one["name"] == "accuracy against its source")
    assert check["n"] == COUNT and check["low"] < 0 < check["high"] and check["p"] == 1
    with sqlite3.connect(home / "history.sqlite3") as history:
        rows = history.execute("select document from events where model = 'kept'").fetchall()
    assert any(json.loads(row[0])["checks"] == event["document"]["checks"] for row in rows)
    capsys.readouterr()
    fleet = home / "fleet.toml"
    worse = ["deploy", data["folder"] / "worse.onnx", "--to", "a-1", "--name", "kept", "--target", "onnxruntime",
             "--precision", "fp32", "--evaluation", evaluation, "--fleet", fleet]  # fmt: skip
    assert main([str(word) for word in worse]) == 2
    shown = capsys.readouterr().out
    assert f"{COUNT} samples, 95 % interval of the drop" in shown
    assert "it is worse" in shown


def test_a_few_samples_pass_on_what_was_seen_and_not_as_noninferior(
    data: dict[str, Any], deploy: Run, tmp_path: Path
) -> None:
    np.savez(tmp_path / "few.npz", x=data["x"][:20], labels=data["answers"][:20].argmax(axis=1))
    project = 'name = "few"\nmodel = "good.onnx"\n[budget]\nmax_drop = 0.02\n'
    (tmp_path / "edgewright.toml").write_text(project)
    options = ("--evaluation", tmp_path / "few.npz", "--project", tmp_path / "edgewright.toml", "--stage")
    seen = deploy(data["folder"] / "good.onnx", "few", *options)
    assert seen.outcome["outcome"] == "staged", seen.out
    assert (
        "too few samples to rule out a drop beyond 2 points"
        in seen.check("accuracy against its source")["note"]
    )
    (tmp_path / "edgewright.toml").write_text(project + "noninferior = true\n")
    unsure = deploy(data["folder"] / "good.onnx", "few", *options)
    assert (unsure.code, unsure.outcome["outcome"]) == (2, "refused")
    assert not unsure.check("accuracy against its source")["ok"]


OWN = '''
import numpy as np

def pairs():
    found = np.load({file!r})
    for x, label in zip(found["x"], found["labels"]):
        yield x, label

def median_error(outputs, labels):
    """Median distance over both outputs."""
    scores, twice = outputs
    error = np.abs(scores[:, 0] - labels) + np.abs(twice[:, 0] - 2 * labels)
    return float(np.median(error))

median_error.higher_is_better = False
'''


def test_the_users_own_set_and_metric(data: dict[str, Any], deploy: Run, run: Run) -> None:
    source = labelled(data, "own", data["answers"] + 0.25)
    own = data["folder"] / "quality.py"
    own.write_text(OWN.format(file=str(source)))
    asked = ("--evaluation", f"{own}:pairs", "--metric", f"{own}:median_error")
    made = deploy(data["folder"] / "both.onnx", "own", *asked)
    assert made.code == 0, made.err
    assert made.check("accuracy against its source")["note"].startswith(
        f"0.75 here, 0.75 there, {COUNT} samples"
    )
    worse = deploy(data["folder"] / "both_worse.onnx", "own", *asked)
    assert worse.outcome["outcome"] == "refused"
    assert worse.check("accuracy against the incumbent")["value"] > 0.1


def test_a_folder_of_labelled_images(deploy: Run, tmp_path: Path) -> None:
    """A model that computes how bright the left and the right half of a picture are, and pictures of both kinds."""
    halves = np.zeros((1, 1, 4, 4, 2), np.float32)
    halves[..., :2, 0], halves[..., 2:, 1] = 1, 1
    graph = helper.make_graph(
        [
            helper.make_node("Reshape", ["image", "flat"], ["row"]),
            helper.make_node("MatMul", ["row", "w"], ["scores"]),
        ],
        "halves",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 4, 4, 1])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 2])],
        [
            numpy_helper.from_array(np.array([1, 16]), "flat"),
            numpy_helper.from_array(np.stack([np.kron(np.ones(4), side) for side in ([1, 1, 0, 0], [0, 0, 1, 1])], 1).astype(np.float32), "w"),
        ],
    )  # fmt: skip
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8),
        tmp_path / "halves.onnx",
    )
    random = np.random.default_rng(2)
    for name, columns in (("left", slice(0, 4)), ("right", slice(4, 8))):
        (tmp_path / "set" / name).mkdir(parents=True)
        for index in range(12):
            picture = random.integers(0, 60, (8, 8)).astype(np.uint8)
            picture[:, columns] += 100
            Image.fromarray(picture).save(tmp_path / "set" / name / f"{index}.png")
    swapped = tmp_path / "set" / "left" / "3.png"  # a picture with the wrong label
    Image.fromarray(np.full((8, 8), 9, np.uint8) + np.array([0] * 4 + [90] * 4, np.uint8)).save(swapped)
    (tmp_path / "edgewright.toml").write_text(
        'name = "halves"\nmodel = "halves.onnx"\nevaluation = "set"\n[preprocessing]\nchannels = "gray"\nscale = 0.00392\n'
    )
    made = deploy(tmp_path / "halves.onnx", "halves", "--project", tmp_path / "edgewright.toml")
    assert made.code == 0, made.err
    assert made.check("accuracy against its source")["note"].startswith("95.8% here, 95.8% there, 24 samples")


def test_what_is_missing_is_said_and_not_guessed(
    data: dict[str, Any], deploy: Run, run: Run, board: Any, home: Path
) -> None:
    """One artifact was scored on another set; of another, the source's outputs are gone."""
    first, second = (
        labelled(data, "first", data["answers"].argmax(axis=1)),
        labelled(data, "second", np.zeros(COUNT, int)),
    )
    made = run(
        "convert",
        data["folder"] / "good.onnx",
        "--target",
        "onnxruntime",
        "--precision",
        "fp32",
        "--evaluation",
        first,
    )
    assert made.code == 0, made.err
    ship = ("deploy", made.json["artifact"], "--to", board(""), "--stage")
    other = run(*ship, "--name", "other", "--evaluation", second)
    assert other.code == 0, other.out
    assert [check["name"] for check in other.outcome["checks"] if "accuracy" in check["name"]] == ["accuracy"]
    assert "nothing to compare it with" in other.check("accuracy")["note"]
    limited = run(*ship, "--name", "limited", "--evaluation", second, "--max-drop", 0.5)
    assert (limited.code, limited.outcome["outcome"]) == (2, "refused")
    assert "the budget limits the drop" in limited.outcome["message"]
    for kept in (home / "answers").iterdir():
        kept.unlink()
    alone = run(*ship, "--name", "alone", "--evaluation", first)
    check = alone.check("accuracy against its source")
    assert (check["value"], check["low"], check["ok"]) == (0, None, True)
    assert check["note"] == f"100.0% here, 100.0% there, {COUNT} samples, no interval"


@pytest.mark.parametrize(
    ("metric", "labels", "message"),
    [
        ("top1", np.full(COUNT, 8), "label of sample 0 is class 8, output scores has 8 classes"),
        ("top1", np.zeros(COUNT - 1, int), "has 300 samples and 299 labels"),
        ("mse", np.zeros((COUNT, 3)), "labels have 3 values a sample, output scores has 8"),
        ("top5", np.full(COUNT, 0.5), "labels are not class ids"),
        ("f1", np.full((COUNT, 8), 1), "f1 wants scores between 0 and 1"),
        ("auc", np.zeros(COUNT, int), "auc is not defined for these labels, all are of one class"),
    ],
)
def test_labels_that_do_not_fit_end_a_deployment_before_it_begins(
    data: dict[str, Any], deploy: Run, home: Path, metric: str, labels: np.ndarray, message: str
) -> None:
    made = deploy(
        data["folder"] / "good.onnx", "bad", "--metric", metric, "--evaluation", labelled(data, "bad", labels)
    )
    assert made.code == 1
    assert message in made.error["message"]
    assert made.error["hint"]


def test_a_model_that_overflows_is_refused_by_its_answers(
    data: dict[str, Any], deploy: Run, run: Run, tmp_path: Path
) -> None:
    x = data["x"].copy()
    x[7] = 3e38
    np.savez(tmp_path / "large.npz", x=x, labels=data["answers"])
    made = deploy(
        data["folder"] / "good.onnx", "large", "--metric", "mae", "--evaluation", tmp_path / "large.npz"
    )
    assert made.code == 1
    assert "output 0 for sample 7 is not finite, one of 1" in made.error["message"]
    shipped = run(
        "convert", data["folder"] / "good.onnx", "--target", "onnxruntime", "--precision", "fp32"
    ).json["artifact"]
    refused = run(
        "deploy",
        shipped,
        "--to",
        "a-1",
        "--name",
        "large",
        "--metric",
        "mae",
        "--evaluation",
        tmp_path / "large.npz",
    )
    assert (refused.code, refused.outcome["outcome"]) == (2, "refused")
    assert refused.check("accuracy")["note"] == "output 0 for sample 7 is not finite, one of 1"


def test_a_yes_or_no_model(data: dict[str, Any], deploy: Run) -> None:
    labels = (data["answers"][:, 0] > 0.3).astype(int)
    made = deploy(
        data["folder"] / "yes.onnx", "yes", "--metric", "f1", "--evaluation", labelled(data, "yes", labels)
    )
    assert made.code == 0, made.err
    expected = reference.f1_score(labels, data["answers"][:, 0] >= 0)
    assert made.check("accuracy against its source")["note"].startswith(f"{expected:.1%} here")


def test_convert_refuses_a_drop_and_says_its_interval(data: dict[str, Any], run: Run, tmp_path: Path) -> None:
    """A model whose evaluation set needs more than int8."""
    random = np.random.default_rng(1)
    weights = data["w"].copy()
    weights[:, 1] = weights[:, 0] + random.normal(size=FEATURES) * 1e-3
    save(tmp_path / "close.onnx", weights)
    np.savez(tmp_path / "e.npz", x=data["x"], labels=(data["x"] @ weights).argmax(axis=1))
    asked = ("--target", "onnxruntime", "--precision", "int8", "--calibration", tmp_path / "e.npz",
             "--evaluation", tmp_path / "e.npz", "--max-drop", "0.01")  # fmt: skip
    refused = run("convert", tmp_path / "close.onnx", *asked)
    assert refused.code == 1
    assert refused.error["code"] == "max-drop"
    assert "95 % interval" in refused.error["message"]
    assert f"{COUNT} samples, p" in refused.error["message"]


SAME = """
from pathlib import Path
import numpy as np


def same(references, answers):
    equal = [np.isclose(a, r, atol=1e-4).all(axis=(1, 2)) for a, r in zip(answers, references, strict=True)]
    return np.all(equal, axis=0) * float(Path(__file__).with_name("share.txt").read_text())
"""


def test_a_function_of_the_project_s_own_compares_what_the_board_answers(
    data: dict[str, Any], deploy: Run, run: Run, board: Callable[[str], str], tmp_path: Path
) -> None:
    (tmp_path / "near.py").write_text(SAME)
    (tmp_path / "share.txt").write_text("1")
    project = tmp_path / "edgewright.toml"
    project.write_text('name = "near"\nmodel = "m"\n[compare]\nfunction = "near.py:same"\nleast = 0.9\n')
    made = deploy(data["folder"] / "good.onnx", "near", "--project", project)
    assert made.outcome["outcome"] == "committed", made.out
    check = made.check("compare")
    assert (check["ok"], check["value"], check["limit"]) == (True, 1.0, 0.9)

    (tmp_path / "share.txt").write_text("0.5")  # as if this board's outputs differed from this machine's
    worse = deploy(data["folder"] / "good.onnx", "near", "--project", project)
    assert (worse.code, worse.outcome["outcome"]) == (2, "refused"), worse.out
    assert worse.outcome["message"].endswith("(near.py:same: 50 % the same, at least 90 %)")
    assert worse.outcome["current"] == made.outcome["release"]
    assert [check["name"] for check in worse.outcome["checks"]] == ["answers", "compare"]

    def ship(*more: object) -> Any:
        return run("deploy", made.outcome["artifact"], "--to", board(""), "--name", "near", *more)

    for more in ((), ("--dry-run",)):
        refused = ship(*more)
        assert refused.code == 64 and refused.error["code"] == "usage", refused.out
        assert "was accepted by near.py:same, which this deployment does not name" in refused.err
        assert "deploy with the project file whose [compare] names near.py:same" in refused.err
    assert ship("--dry-run", "--project", project).code == 0
    (tmp_path / "near.py").write_text(f"{SAME}\n")
    assert "whose file has changed since" in ship("--project", project).err
