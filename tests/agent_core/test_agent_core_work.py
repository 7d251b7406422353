"""The commands that run a model, with the real ONNX Runtime of this Python."""

import hashlib
import io
import json
import re

import numpy as np
import pytest

ONNX = "system:onnxruntime"


def model(factor: float) -> bytes:
    """An ONNX file that multiplies its input of 4 numbers."""
    from onnx import TensorProto, checker, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy"]
    weight = helper.make_tensor("w", TensorProto.FLOAT, [1], [factor])
    graph = helper.make_graph([helper.make_node("Mul", ["x", "w"], ["y"])], "g", ends[:1], ends[1:], [weight])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    checker.check_model(made)
    return made.SerializeToString()


def npz(**arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def built(kit, factor: float) -> dict:
    """An artifact whose goldens say that the input is doubled."""
    inputs = np.random.default_rng(1).standard_normal((8, 1, 4), dtype=np.float32)
    files = {"model.onnx": model(factor), "goldens.npz": npz(input_0=inputs, output_0=inputs * 2)}
    entries = [{"path": path, "sha256": kit.sha(data), "size": len(data)} for path, data in files.items()]
    manifest = json.loads(kit.artifact(target="onnxruntime", entry="model.onnx", files=entries)["manifest"])
    for spec in (*manifest["inputs"], *manifest["outputs"]):
        spec["shape"] = [1, 4]
    data = json.dumps(manifest).encode()
    return {"manifest": data, "files": files, "sha256": kit.sha(data)}


def test_verify_infer_evaluate_bench_and_rollback(connect, kit, root):
    wire = connect()
    releases = []
    for version, factor in (("1", 2.0), ("2", 2.000001)):
        txn = kit.begun(wire)
        release = kit.install(wire, built(kit, factor), txn, version, runtime=ONNX)
        verdict = wire.call("verify", model="digits", release=release, txn=txn)
        assert verdict["ok"] and verdict["goldens"] == 8 and verdict["runtime"].startswith("onnxruntime ")
        args = {"model": "digits", "release": release, "txn": txn, "deadline_s": 30}
        wire.call("activate", expected_current=kit.current(root), **args)
        wire.call("commit", txn=txn)
        wire.call("end", txn=txn)
        releases.append(release)
    inputs = np.eye(4, dtype=np.float32)[:, None]
    answer = wire.call("infer", model="digits", inputs=wire.put(npz(input_0=inputs)))
    outputs = np.load(io.BytesIO(wire.get(answer["outputs"])))["output_0"]
    assert answer["release"] == releases[1] and np.allclose(outputs, inputs * 2, atol=1e-4)
    labelled = wire.put(npz(input_0=inputs))
    score = wire.call("evaluate", model="digits", release=releases[0], evaluation=labelled, keep="top5")
    ranked = np.frombuffer(wire.get(score["answers"]), "<i4").reshape(4, 5)
    assert score["n"] == 4 and ranked[:, 0].tolist() == [0, 1, 2, 3] and score["keep"] == "top5"
    protocol = {"rounds": 1, "warmup_s": 0.01, "steady_s": 0.05, "min_samples": 11, "limit_s": 30}
    report = wire.call("bench", model="digits", releases=releases, protocol=protocol)
    assert [run["release"] for run in report["runs"]] == releases
    assert len(wire.get(report["runs"][0]["samples"])) == 8 * report["runs"][0]["count"]
    plan = {"model": "digits", "txn": kit.txn(), "deadline_s": 30, "dry_run": True}
    assert wire.call("rollback", **plan) == {"release": releases[0], "from": releases[1]}
    txn = kit.begun(wire)
    with pytest.raises(kit.AgentFailureError, match=r"busy"):  # a rollback could not begin
        wire.call("rollback", **plan)
    assert kit.current(root) == releases[1]
    back = wire.call("rollback", model="digits", txn=txn, deadline_s=30)
    assert back["from"] == releases[1] and back["release"] == releases[0] == kit.current(root)
    assert wire.call("commit", txn=txn) == {"outcome": "committed"}
    with pytest.raises(kit.AgentFailureError, match=r"nothing-to-roll-back"):
        wire.call("rollback", model="digits", txn=txn, deadline_s=30)


def test_a_rollback_to_a_release_that_now_answers_wrongly_is_refused(connect, kit, root):
    wire = connect()
    for version, factor in (("1", 2.5), ("2", 2.0)):
        txn, before = kit.begun(wire), kit.current(root)
        release = kit.install(wire, built(kit, factor), txn, version, runtime=ONNX)
        kit.verified(root, release)  # 2.5 answered rightly once: another kernel, another library
        args = {"model": "digits", "release": release, "expected_current": before, "deadline_s": 30}
        wire.call("activate", txn=txn, **args)
        wire.call("commit", txn=txn)
        wire.call("end", txn=txn)
    with pytest.raises(kit.AgentFailureError, match=r"load-failed: .* answers wrongly now"):
        wire.call("rollback", model="digits", txn=kit.begun(wire), deadline_s=30)
    assert kit.current(root) == release


@pytest.mark.parametrize("wrong", ["answers", "file"])
def test_wrong_answers_and_files_that_do_not_load_are_remembered(connect, kit, root, wrong):
    wire = connect()
    txn = kit.begun(wire)
    artifact = built(kit, 2.5)
    if wrong == "file":
        artifact = kit.artifact(target="onnxruntime")
    release = kit.install(wire, artifact, txn, runtime=ONNX)
    if wrong == "answers":
        verdict = wire.call("verify", model="digits", release=release, txn=txn)
        assert not verdict["ok"] and verdict["failed"] == list(range(8))
    else:
        with pytest.raises(kit.AgentFailureError, match=r"load-failed"):
            wire.call("verify", model="digits", release=release, txn=txn)
    status = wire.call("status")["models"]["digits"]
    assert status["releases"][release]["state"] == "failed"
    assert status["failed"][0]["code"] == ("golden" if wrong == "answers" else "load-failed")
    args = {"model": "digits", "release": release, "expected_current": None, "txn": txn, "deadline_s": 30}
    with pytest.raises(kit.AgentFailureError, match=r"not verified"):
        wire.call("activate", **args)
    assert wire.call("discard", model="digits", release=release, txn=txn) == {}
    with pytest.raises(kit.AgentFailureError, match=r"failed-before"):
        kit.install(wire, artifact, txn, "2", runtime=ONNX)


def second(kit, factor: float, **limits) -> dict:
    """As `built`, of schema 2."""
    made = built(kit, factor)
    wide = {"noise": 1e9, "error": 1e9, "unequal": None, "apart": None, "slices": []}
    content = {**json.loads(made["manifest"]), "schema": 2, "verdict": [{"limits": {**wide, **limits}}]}
    data = json.dumps(content).encode()
    return {**made, "manifest": data, "sha256": kit.sha(data)}


def put_on(wire, kit, root, artifact, version: str, **more) -> str:
    """Deploys an artifact; returns its release."""
    txn = kit.begun(wire)
    release = kit.install(wire, artifact, txn, version, runtime=ONNX)
    assert wire.call("verify", model="digits", release=release, txn=txn, **more)["ok"]
    args = {"model": "digits", "release": release, "txn": txn, "deadline_s": 30}
    wire.call("activate", expected_current=kit.current(root), **args)
    assert wire.call("commit", txn=txn) == {"outcome": "committed"}
    wire.call("end", txn=txn)
    return release


def test_lost_slices_are_refused_remembered_and_logged(connect, kit):
    wire = connect()
    txn = kit.begun(wire)
    artifact = second(kit, 2.5, slices=[{"axis": 1, "noise": [1e9, 0.1, None, 0.1]}])
    release = kit.install(wire, artifact, txn, runtime=ONNX)
    for lenient in (False, True):
        verdict = wire.call("verify", model="digits", release=release, txn=txn, lenient=lenient)
        lost = [{"output": 0, "axis": 1, "index": index} for index in (1, 3)]
        assert not verdict["ok"] and verdict["lost"][0] in lost and verdict["goldens"] == 8
        assert verdict["compared"] < 8 and verdict["failed"]
    digits = wire.call("status")["models"]["digits"]
    (failed,) = digits["failed"]
    assert digits["releases"][release]["state"] == "failed" and failed["code"] == "golden"
    assert "lost slices: 0:1:" in failed["why"]
    assert b"lost slices: 0:1:" in wire.get(wire.call("logs", lines=3)["log"])
    with pytest.raises(kit.AgentFailureError, match=r"failed-before"):
        kit.install(wire, artifact, txn, "2", runtime=ONNX)


def test_what_is_only_less_exact_is_refused_without_lenient_and_not_held_against_it(connect, kit, root):
    """An evaluation may pass it later: then it is deployed, and a rollback takes it back as it was accepted."""
    wire = connect()
    artifact, txn = second(kit, 2.5, noise=0.1), kit.begun(wire)
    release = kit.install(wire, artifact, txn, runtime=ONNX)
    verdict = wire.call("verify", model="digits", release=release, txn=txn)
    assert not verdict["ok"] and verdict["low"] == [0] and not verdict["lost"] and not verdict["wrong"]
    digits = wire.call("status")["models"]["digits"]
    assert digits["releases"][release]["state"] == "failed" and digits["failed"] == []
    args = {"model": "digits", "release": release, "expected_current": None, "txn": txn, "deadline_s": 30}
    with pytest.raises(kit.AgentFailureError, match=r"not verified"):
        wire.call("activate", **args)
    wire.call("end", txn=txn)
    assert put_on(wire, kit, root, artifact, "1", lenient=True) == release
    log = wire.get(wire.call("logs", lines=20)["log"]).decode()
    (line,) = [line for line in log.splitlines() if "less exactly" in line]
    assert re.search(
        rf" digits {release}: answers less exactly than its precision allows on onnxruntime [0-9.]+, cpu: 12\.0 dB; low outputs: 0$",
        line,
    )
    put_on(wire, kit, root, second(kit, 2.0), "2")
    txn = kit.begun(wire)
    (root / "models/digits/versions" / release / "model.onnx").unlink()
    assert kit.install(wire, artifact, txn, "1", runtime=ONNX) == release  # repaired, it is the same
    assert wire.call("rollback", model="digits", txn=txn, deadline_s=30)["release"] == release
    assert wire.call("commit", txn=txn) == {"outcome": "committed"}
    found = wire.call("verify", model="digits", release=release, txn=txn)
    assert found["ok"] and found["low"] == [0]  # as it was accepted
    changed(root, release, accepted=[{"sqnr_db": 16.0, "relative": 1.0}])
    assert not wire.call("verify", model="digits", release=release, txn=txn)["ok"]
    assert wire.call("status")["models"]["digits"]["releases"][release]["state"] == "committed"


def changed(root, release: str, **parts) -> None:
    """Change what the state knows of a release."""
    from edgewright_agent.lifecycle.agent import Agent

    store = Agent(str(root), "0" * 64).store
    with store.locked() as state:
        about = state["models"]["digits"]["releases"][release]
        about.update(parts)
        store.save(state)


def tightened(root, release: str, noise: float) -> None:
    """Make an installed release one whose limit of noise is another: what was exact is low now."""
    path = root / "models/digits/versions" / release / "manifest.json"
    content = json.loads(path.read_text())
    content["verdict"][0]["limits"]["noise"] = noise
    rewritten(root, release, content)


def test_a_rollback_refuses_what_no_evaluation_accepted(connect, kit, root):
    """It was exact when it was deployed; neither a rollback nor a deploy of it asks an evaluation now."""
    wire = connect()
    first = put_on(wire, kit, root, second(kit, 2.5), "1")
    newest = put_on(wire, kit, root, second(kit, 2.0), "2")
    tightened(root, first, 0.1)
    txn = kit.begun(wire)
    with pytest.raises(kit.AgentFailureError, match="answers wrongly now"):
        wire.call("rollback", model="digits", txn=txn, deadline_s=30)
    assert kit.current(root) == newest
    # one that an evaluation refuses is not accepted by a look at it
    assert wire.call("verify", model="digits", release=first, txn=txn, lenient=True)["ok"]
    wire.call("end", txn=txn)
    txn = kit.begun(wire)
    with pytest.raises(kit.AgentFailureError, match="answers wrongly now"):
        wire.call("rollback", model="digits", txn=txn, deadline_s=30)
    # nor by a commit of another transaction; by its own it is
    args = {"model": "digits", "release": first, "deadline_s": 30}
    wire.call("activate", expected_current=newest, txn=txn, **args)
    wire.call("commit", txn=txn)
    assert not wire.call("verify", model="digits", release=first, txn=txn)["ok"]
    wire.call("end", txn=txn)
    put_on(wire, kit, root, second(kit, 2.0), "2")
    assert deployed_again(wire, kit, root, first)["ok"]


def deployed_again(wire, kit, root, release: str) -> dict:
    """Puts a release on that is there, after an evaluation accepted it; returns what a verification finds then."""
    txn = kit.begun(wire)
    args = {"model": "digits", "release": release, "txn": txn}
    assert wire.call("verify", lenient=True, **args)["low"] == [0]
    wire.call("activate", expected_current=kit.current(root), deadline_s=30, **args)
    wire.call("commit", txn=txn)
    found = wire.call("verify", **args)
    wire.call("end", txn=txn)
    return found


def test_lenient_changes_nothing_for_schema_1(connect, kit):
    wire = connect()
    txn = kit.begun(wire)
    release = kit.install(wire, built(kit, 2.5), txn, runtime=ONNX)
    verdict = wire.call("verify", model="digits", release=release, txn=txn, lenient=True)
    assert not verdict["ok"] and not {"lost", "wrong", "low", "by_output", "compared"} & set(verdict)
    assert wire.call("status")["models"]["digits"]["failed"][0]["code"] == "golden"


def test_a_release_that_a_newer_agent_installed_is_not_called_damaged(connect, kit, root):
    wire = connect()
    release = put_on(wire, kit, root, built(kit, 2.0), "1")
    put_on(wire, kit, root, second(kit, 2.0), "2")
    newer(root, release)
    for do in ({}, {"dry_run": True}):
        txn = kit.txn() if do else kit.begun(wire)
        with pytest.raises(kit.AgentFailureError, match=r"newer-schema"):
            wire.call("rollback", model="digits", txn=txn, deadline_s=30, **do)
        wire.call("end", txn=txn)


def newer(root, release: str) -> None:
    """Make a release one of a schema that nobody knows yet."""
    path = root / "models/digits/versions" / release / "manifest.json"
    rewritten(root, release, {**json.loads(path.read_text()), "schema": 99})


def rewritten(root, release: str, content: dict) -> None:
    """Give an installed release another manifest."""
    path = root / "models/digits/versions" / release / "manifest.json"
    data = json.dumps(content).encode()
    path.unlink()
    path.write_bytes(data)
    changed(root, release, artifact=hashlib.sha256(data).hexdigest())


def test_a_prune_leaves_the_newest_evaluation_set(connect, kit, root):
    wire = connect()
    txn = kit.begun(wire)
    release = kit.install(wire, built(kit, 2.0), txn, runtime=ONNX)
    inputs = np.eye(4, dtype=np.float32)[:, None]
    sets = [wire.put(npz(input_0=inputs, labels=np.array([0, 1, 2, last]))) for last in (0, 3)]
    for one in sets:
        wire.call("evaluate", model="digits", release=release, evaluation=one, keep="top5")
    wire.call("infer", model="digits", release=release, inputs=wire.put(npz(input_0=inputs)))
    wire.call("end", txn=txn)
    wire.call("prune", keep=0)
    assert [path.name for path in (root / "incoming").iterdir()] == [sets[1]]


def test_a_failure_on_the_boards_own_runtime_is_held_against_that_version(connect, kit, root):
    wire = connect()
    txn = kit.begun(wire)
    wrong = built(kit, 3.0)
    release = kit.install(wire, wrong, txn, runtime=ONNX)
    assert not wire.call("verify", model="digits", release=release, txn=txn)["ok"]
    (failed,) = wire.call("status")["models"]["digits"]["failed"]
    version = next(one["version"] for one in wire.call("facts")["runtimes"] if one["ref"] == ONNX)
    assert failed["runtime"] == f"{ONNX} {version}" and failed["code"] == "golden"
    with pytest.raises(kit.AgentFailureError, match=r"failed-before"):
        kit.install(wire, wrong, txn, runtime=ONNX)
    updated(root, f"{ONNX} 0.0.1")
    assert kit.install(wire, wrong, txn, runtime=ONNX) == release
    assert wire.call("status")["models"]["digits"]["releases"][release]["state"] == "staged"


def updated(root, runtime) -> None:
    """Make the state say that what failed did so on another version, as after an update of the board."""
    from edgewright_agent.lifecycle.agent import Agent

    store = Agent(str(root), "0" * 64).store
    with store.locked() as state:
        state["models"]["digits"]["failed"][0]["runtime"] = runtime
        store.save(state)
