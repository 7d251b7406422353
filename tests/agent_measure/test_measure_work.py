"""verify, evaluate and infer on a real ONNX Runtime in a real child process."""

import io
import json
import time

import numpy
import pytest

from edgewright.compile.data.answers import ranks
from edgewright_agent.checks import bench, verify
from edgewright_agent.child import answers
from edgewright_agent.protocol import AgentError

SHORT = {"rounds": 1, "warmup_s": 0.02, "steady_s": 0.1, "min_samples": 11, "limit_s": 30.0}


def loaded(data):
    return numpy.load(io.BytesIO(data))


def edited(folder, **changes):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest.update(changes)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def x():
    return numpy.random.default_rng(3).normal(size=(300, 16)).astype("float32")


def test_right_answers_are_verified(make_job, make_release, files, fetched, events):
    folder = make_release()
    verdict = verify.verify(make_job(folder), files, events.append)
    assert verdict["ok"] and verdict["failed"] == [] and verdict["goldens"] == 8
    assert verdict["sqnr_db"] > 100 and verdict["relative"] < 1e-5
    assert verdict["accelerator"] == "cpu" and verdict["runtime"].startswith("onnxruntime 1.")
    keys = {
        "ok",
        "goldens",
        "sqnr_db",
        "relative",
        "failed",
        "runtime",
        "accelerator",
        "placement",
        "outputs",
    }
    assert set(verdict) == keys
    outputs = loaded(fetched(verdict["outputs"]))["output_0"]
    expected = numpy.load(folder / "goldens.npz")["output_0"]
    numpy.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("wrong", [0.1, numpy.nan, numpy.inf])
def test_one_wrong_golden_is_found(make_job, make_release, files, tiny_goldens, wrong):
    references = tiny_goldens()
    references[5, 0, 3] += wrong * numpy.abs(references).max()
    verdict = verify.verify(make_job(make_release(references=references)), files, [].append)
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
    verdict = verify.verify(make_job(make_release(references=references)), files, [].append)
    assert not verdict["ok"] and verdict["sqnr_db"] == pytest.approx(54.0, abs=0.1)
    assert len(verdict["failed"]) == 8


def test_a_file_that_is_no_model(make_job, make_release, files):
    with pytest.raises(AgentError) as caught:
        verify.verify(make_job(make_release(entry=b"not a model")), files, [].append)
    assert caught.value.code == "load-failed"
    assert caught.value.message.startswith("the runtime refused the model: InvalidProtobuf")


@pytest.mark.parametrize(
    ("goldens", "message"),
    [
        ({"input_0": numpy.zeros((8, 1, 16), "int64")}, "input_0 is int64, the model wants float32"),
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
        verify.verify(make_job(folder), files, [].append)
    assert caught.value.code == "bad-manifest"


def test_fewer_goldens_than_promised(make_job, make_release, files):
    folder = make_release()
    members = {name: array[:3] for name, array in numpy.load(folder / "goldens.npz").items()}
    numpy.savez(folder / "goldens.npz", **members)
    with pytest.raises(AgentError, match="the goldens are 3, the manifest says 8"):
        verify.verify(make_job(folder), files, [].append)


@pytest.mark.parametrize("pack", [numpy.savez, numpy.savez_compressed])
def test_evaluate_brings_the_five_best(
    make_job, make_release, files, fetched, tmp_path, x, tiny_answers, pack
):
    pack(tmp_path / "set.npz", input_0=x[:, None])
    result = verify.evaluate(make_job(make_release()), str(tmp_path / "set.npz"), "top5", files, [].append)
    assert (result["keep"], result["n"], result["outputs"][0]["name"]) == ("top5", 300, "y")
    ranked = numpy.frombuffer(fetched(result["answers"]), "<i4").reshape(300, 5)
    assert ranked.tolist() == numpy.argsort(-tiny_answers(x), axis=1, kind="stable")[:, :5].tolist()


@pytest.mark.parametrize("keep", ["first", "all"])
def test_evaluate_brings_whole_outputs(
    make_job, make_release, files, fetched, tmp_path, x, tiny_answers, keep
):
    numpy.savez(tmp_path / "set.npz", input_0=x[:20])
    result = verify.evaluate(make_job(make_release()), str(tmp_path / "set.npz"), keep, files, [].append)
    outputs = loaded(fetched(result["answers"]))
    assert outputs.files == ["output_0"]
    numpy.testing.assert_allclose(outputs["output_0"][:, 0], tiny_answers(x[:20]), rtol=1e-4, atol=1e-5)


def test_evaluate_ranks_as_the_host_does():
    random = numpy.random.default_rng(0)
    for size in (1, 2, 5, 6, 40):
        for _ in range(50):
            values = random.integers(-3, 4, size).astype("float32")  # ties
            assert answers.best(tuple(values.tolist())) == ranks(values).tolist()
    for odd in (numpy.nan, numpy.inf, -numpy.inf):
        values = numpy.array([1.0, odd, 2.0], "float32")
        assert answers.best(tuple(values.tolist())) == ranks(values).tolist() == [-1] * 5


def test_answers_that_would_be_too_large(make_job, make_release, files, tmp_path, x, monkeypatch):
    folder = edited(make_release(), outputs=[{"name": "y", "shape": [1, 10**6], "dtype": "float32"}])
    numpy.savez(tmp_path / "set.npz", input_0=x)
    with pytest.raises(AgentError, match="the answers would take 1144 MiB") as caught:
        verify.evaluate(make_job(folder), str(tmp_path / "set.npz"), "first", files, [].append)
    assert caught.value.code == "bad-argument"


def test_an_answer_that_is_not_finite_is_never_right(
    make_job, make_release, broken_runtime, files, fetched, tmp_path, x
):
    runtime = broken_runtime(run='return [numpy.full((1, 10), numpy.nan, "float32")]')
    numpy.savez(tmp_path / "set.npz", input_0=x)
    result = verify.evaluate(
        make_job(make_release(), runtime), str(tmp_path / "set.npz"), "top5", files, [].append
    )
    assert set(numpy.frombuffer(fetched(result["answers"]), "<i4")) == {-1}


def test_evaluate_tells_how_far_it_is(make_job, make_release, broken_runtime, files, tmp_path, x, events):
    numpy.savez(tmp_path / "set.npz", input_0=x)
    job = make_job(make_release(), broken_runtime(run="time.sleep(0.008)"))
    start = time.monotonic()
    result = verify.evaluate(job, str(tmp_path / "set.npz"), "top5", files, events.append)
    assert result["n"] == 300
    assert 1 <= len(events) <= time.monotonic() - start
    for event in events:
        assert (event["event"], event["what"], event["total"]) == ("progress", "evaluate", 300)
    told = [event["done"] for event in events]
    assert told == sorted(set(told)) and 0 < told[0] <= 126


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input_0": None, "other": numpy.zeros(3)}, "has no member 'input_0'"),
        ({"input_0": numpy.zeros((300, 8), "float32")}, "has samples of shape"),
        ({"input_0": numpy.zeros((300, 16), "int64")}, "input_0 is int64, the model wants float32"),
        ({"input_0": numpy.zeros((0, 16), "float32")}, r"the inputs have \[0\] samples"),
    ],
)
def test_a_set_that_does_not_fit(make_job, make_release, files, tmp_path, x, change, message):
    members = {"input_0": x}
    members.update(change)
    numpy.savez(tmp_path / "set.npz", **{name: array for name, array in members.items() if array is not None})
    with pytest.raises(AgentError, match=message) as caught:
        verify.evaluate(make_job(make_release()), str(tmp_path / "set.npz"), "top5", files, [].append)
    assert caught.value.code == "bad-argument"


def test_answers_of_an_unknown_kind(make_job, make_release, files):
    with pytest.raises(AgentError, match="unknown answers: 'top1', known: top5, first, all") as caught:
        verify.evaluate(make_job(make_release()), "none", "top1", files, [].append)
    assert caught.value.code == "bad-argument"


def test_top5_wants_single_samples(make_job, make_release, files, tmp_path, x):
    folder = edited(make_release(), outputs=[{"name": "y", "shape": [4, 10], "dtype": "float32"}])
    numpy.savez(tmp_path / "set.npz", input_0=x)
    with pytest.raises(AgentError, match="one sample an inference, the model takes 4"):
        verify.evaluate(make_job(folder), str(tmp_path / "set.npz"), "top5", files, [].append)


def test_infer_answers_each_sample(make_job, make_release, files, fetched, tmp_path, x, tiny_answers):
    numpy.savez(tmp_path / "in.npz", input_0=x[:5])
    result = verify.infer(
        make_job(make_release(), release="7-bbbbbbbb"), str(tmp_path / "in.npz"), files, [].append
    )
    assert set(result) == {"outputs", "ms", "release", "runtime", "accelerator"}
    assert len(result["ms"]) == 5 and min(result["ms"]) > 0 and result["release"] == "7-bbbbbbbb"
    outputs = loaded(fetched(result["outputs"]))["output_0"]
    numpy.testing.assert_allclose(outputs[:, 0], tiny_answers(x[:5]), rtol=1e-4, atol=1e-5)


def test_infer_says_what_it_cannot_open(make_job, make_release, files, tmp_path):
    with pytest.raises(AgentError) as caught:
        verify.infer(make_job(make_release()), str(tmp_path / "none.npz"), files, [].append)
    assert caught.value.code == "not-found"


def test_another_runtime_through_the_same_child(make_job, make_release, files, fetched):
    folder = make_release(target="openvino")
    (folder / "model.bin").rename(folder / "model.onnx")
    verdict = verify.verify(make_job(edited(folder, entry="model.onnx")), files, [].append)
    assert verdict["ok"] and verdict["sqnr_db"] > 60 and verdict["runtime"].startswith("openvino 20")
    run = bench.run([make_job(folder)], SHORT, files, [].append)["runs"][0]
    assert run["count"] >= 11 and run["runtime"] == verdict["runtime"] and run["peak_kb"] > 0
