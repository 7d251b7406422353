"""verify, evaluate and infer on a real ONNX Runtime in a real child process."""

import io
import json

import numpy
import pytest

from edgewright_agent import bench, work
from edgewright_agent.protocol import AgentError

SHORT = {"rounds": 1, "warmup_s": 0.02, "steady_s": 0.1, "min_samples": 11, "limit_s": 30.0}


def loaded(data):
    return numpy.load(io.BytesIO(data))


def edited(folder, **changes):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest.update(changes)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def labelled(path, x, labels, pack=numpy.savez):
    pack(path, input_0=x, labels=labels)
    return str(path)


@pytest.fixture
def x():
    return numpy.random.default_rng(3).normal(size=(300, 16)).astype("float32")


@pytest.fixture
def labels(x, tiny_answers):
    return tiny_answers(x).argmax(axis=1).astype("int64")


def test_right_answers_are_verified(make_job, make_release, files, fetched, events):
    folder = make_release()
    verdict = work.verify(make_job(folder), files, events.append)
    assert verdict["ok"] and verdict["failed"] == [] and verdict["goldens"] == 8
    assert verdict["sqnr_db"] > 100 and verdict["relative"] < 1e-5
    assert verdict["accelerator"] == "cpu" and verdict["runtime"].startswith("onnxruntime 1.")
    keys = {"ok", "goldens", "sqnr_db", "relative", "failed", "runtime", "accelerator", "outputs"}
    assert set(verdict) == keys
    outputs = loaded(fetched(verdict["outputs"]))["output_0"]
    expected = numpy.load(folder / "goldens.npz")["output_0"]
    numpy.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("wrong", [0.1, numpy.nan, numpy.inf])
def test_one_wrong_golden_is_found(make_job, make_release, files, tiny_goldens, wrong):
    references = tiny_goldens()
    references[5, 0, 3] += wrong * numpy.abs(references).max()
    verdict = work.verify(make_job(make_release(references=references)), files, [].append)
    assert not verdict["ok"] and verdict["failed"] == [5]
    if numpy.isfinite(wrong):
        assert verdict["relative"] == pytest.approx(0.1, rel=0.2)
    else:
        assert (verdict["sqnr_db"], verdict["relative"]) == (-200.0, 1e9)
    json.dumps(verdict, allow_nan=False)


def test_everything_slightly_wrong_fails_by_its_noise(make_job, make_release, files, tiny_goldens):
    references = tiny_goldens() * numpy.float32(
        1.002
    )  # 54 dB, the tolerance is 60; 0.002 relative is over 1e-3
    verdict = work.verify(make_job(make_release(references=references)), files, [].append)
    assert not verdict["ok"] and verdict["sqnr_db"] == pytest.approx(54.0, abs=0.1)
    assert len(verdict["failed"]) == 8


def test_a_file_that_is_no_model(make_job, make_release, files):
    with pytest.raises(AgentError) as caught:
        work.verify(make_job(make_release(entry=b"not a model")), files, [].append)
    assert caught.value.code == "load-failed"
    assert caught.value.message.startswith("the runtime refused the model: InvalidProtobuf")


@pytest.mark.parametrize(
    ("goldens", "message"),
    [
        ({"input_0": numpy.zeros((8, 1, 16), "float64")}, "input_0 is float64, the model wants float32"),
        ({"input_0": numpy.zeros((8, 4, 4), "float32")}, "input_0 has samples of shape"),
        ({"input_0": numpy.zeros((7, 1, 16), "float32")}, "references: 8 for 7 outputs"),
        ({"input_0": numpy.zeros((0, 1, 16), "float32")}, r"the inputs have \[0\] samples"),
        ({"output_0": numpy.zeros((8, 1, 9), "float32")}, "a reference has samples of shape"),
        ({"output_0": None}, "has no member 'output_0'"),
    ],
)
def test_goldens_that_do_not_fit(make_job, make_release, files, goldens, message):
    folder = make_release()
    members = dict(numpy.load(folder / "goldens.npz"))
    members.update(goldens)
    kept = {name: array for name, array in members.items() if array is not None}
    numpy.savez(folder / "goldens.npz", **kept)
    with pytest.raises(AgentError, match=message) as caught:
        work.verify(make_job(folder), files, [].append)
    assert caught.value.code == "bad-manifest"


def test_fewer_goldens_than_promised(make_job, make_release, files):
    folder = make_release()
    members = {name: array[:3] for name, array in numpy.load(folder / "goldens.npz").items()}
    numpy.savez(folder / "goldens.npz", **members)
    with pytest.raises(AgentError, match="the goldens are 3, the manifest says 8"):
        work.verify(make_job(folder), files, [].append)


@pytest.mark.parametrize("pack", [numpy.savez, numpy.savez_compressed])
@pytest.mark.parametrize("dtype", ["int64", "uint8", "int32"])
def test_evaluate_counts_right_answers(
    make_job, make_release, files, fetched, tmp_path, x, labels, pack, dtype
):
    given = labels.copy()
    given[:30] = (given[:30] + 1) % 10
    path = labelled(tmp_path / "set.npz", x[:, None], given.astype(dtype)[:, None], pack)
    result = work.evaluate(make_job(make_release()), path, "top1", files, [].append)
    assert (result["metric"], result["n"], result["value"]) == ("top1", 300, 0.9)
    assert numpy.frombuffer(fetched(result["answers"]), "<i4").tolist() == labels.tolist()


def test_an_answer_that_is_not_finite_is_never_right(
    make_job, make_release, broken_runtime, files, fetched, tmp_path, x
):
    runtime = broken_runtime(run='return [numpy.full((1, 10), numpy.nan, "float32")]')
    path = labelled(tmp_path / "set.npz", x, numpy.zeros(300, "int64"))
    result = work.evaluate(make_job(make_release(), runtime), path, "top1", files, [].append)
    assert result["value"] == 0.0 and set(numpy.frombuffer(fetched(result["answers"]), "<i4")) == {-1}


def test_evaluate_tells_how_far_it_is(make_job, make_release, broken_runtime, files, tmp_path, x, events):
    path = labelled(tmp_path / "set.npz", x, numpy.zeros(300, "int64"))
    job = make_job(make_release(), broken_runtime(run="time.sleep(0.008)"))
    result = work.evaluate(job, path, "top1", files, events.append)
    assert result["value"] == 1.0
    assert 1 <= len(events) <= 4
    for event in events:
        assert (event["event"], event["what"], event["total"]) == ("progress", "evaluate", 300)
    assert 50 < events[0]["done"] < 150


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": numpy.zeros(299, "int64")}, "not one label for each of 300"),
        ({"labels": numpy.zeros((300, 10), "int64")}, "not one label for each of 300"),
        ({"labels": None}, "has no member 'labels'"),
        ({"input_0": None}, "has no member 'input_0'"),
        ({"input_0": numpy.zeros((300, 8), "float32")}, "has samples of shape"),
    ],
)
def test_a_set_that_does_not_fit(make_job, make_release, files, tmp_path, x, change, message):
    members = {"input_0": x, "labels": numpy.zeros(300, "int64")}
    members.update(change)
    numpy.savez(tmp_path / "set.npz", **{name: array for name, array in members.items() if array is not None})
    with pytest.raises(AgentError, match=message) as caught:
        work.evaluate(make_job(make_release()), str(tmp_path / "set.npz"), "top1", files, [].append)
    assert caught.value.code == "bad-argument"


def test_an_unknown_metric(make_job, make_release, files):
    with pytest.raises(AgentError, match="unknown metric: 'top5'") as caught:
        work.evaluate(make_job(make_release()), "none", "top5", files, [].append)
    assert (caught.value.code, caught.value.hint) == ("bad-argument", "known: top1")


def test_top1_wants_single_samples(make_job, make_release, files, tmp_path, x):
    folder = edited(make_release(), outputs=[{"name": "y", "shape": [4, 10], "dtype": "float32"}])
    path = labelled(tmp_path / "set.npz", x, numpy.zeros(300, "int64"))
    with pytest.raises(AgentError, match="one sample an inference, the model takes 4"):
        work.evaluate(make_job(folder), path, "top1", files, [].append)


def test_infer_answers_each_sample(make_job, make_release, files, fetched, tmp_path, x, tiny_answers):
    numpy.savez(tmp_path / "in.npz", input_0=x[:5])
    result = work.infer(
        make_job(make_release(), release="7-bbbbbbbb"), str(tmp_path / "in.npz"), files, [].append
    )
    assert set(result) == {"outputs", "ms", "release", "runtime", "accelerator"}
    assert len(result["ms"]) == 5 and min(result["ms"]) > 0 and result["release"] == "7-bbbbbbbb"
    outputs = loaded(fetched(result["outputs"]))["output_0"]
    numpy.testing.assert_allclose(outputs[:, 0], tiny_answers(x[:5]), rtol=1e-4, atol=1e-5)


def test_infer_says_what_it_cannot_open(make_job, make_release, files, tmp_path):
    with pytest.raises(AgentError) as caught:
        work.infer(make_job(make_release()), str(tmp_path / "none.npz"), files, [].append)
    assert caught.value.code == "not-found"


def test_another_runtime_through_the_same_child(make_job, make_release, files, fetched):
    folder = make_release(target="openvino")
    (folder / "model.bin").rename(folder / "model.onnx")
    verdict = work.verify(make_job(edited(folder, entry="model.onnx")), files, [].append)
    assert verdict["ok"] and verdict["sqnr_db"] > 60 and verdict["runtime"].startswith("openvino 20")
    run = bench.run([make_job(folder)], SHORT, files, [].append)["runs"][0]
    assert run["count"] >= 11 and run["runtime"] == verdict["runtime"] and run["peak_kb"] > 0
