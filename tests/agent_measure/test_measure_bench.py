"""The benchmark: rounds, time limit, samples, memory."""

import json
import time

import msgspec
import numpy
import pytest

from edgewright.nouns.measurement import PROTOCOLS, Environment, Run
from edgewright_agent.checks import bench
from edgewright_agent.protocol import AgentError

SHORT = {"rounds": 2, "warmup_s": 0.02, "steady_s": 0.1, "min_samples": 11, "limit_s": 60.0}


def samples_of(run, fetched):
    samples = numpy.frombuffer(fetched(run["samples"]), "<f8")
    assert len(samples) == run["count"] and (samples > 0).all()
    return samples


def test_releases_alternate_in_fresh_processes(make_job, make_release, files, fetched, events):
    jobs = [make_job(make_release("a"), release="1-a", threads=2), make_job(make_release("b"), release="2-b")]
    got = bench.run(jobs, SHORT, files, events.append)
    order = [(run["release"], run["round"]) for run in got["runs"]]
    assert order == [("1-a", 0), ("2-b", 0), ("1-a", 1), ("2-b", 1)]
    for run in got["runs"]:
        samples = samples_of(run, fetched)
        assert len(samples) >= 11 and 0.005 < samples.sum() / 1000 < 2
        fields = dict(run, samples_ms=samples.tolist())
        del fields["samples"], fields["count"]
        noun = msgspec.convert(fields, Run, strict=True)
        assert set(fields) == set(Run.__struct_fields__)
        assert noun.import_ms > 10 and noun.load_ms > 0 and noun.first_ms > 0
        assert noun.threads == (2 if noun.release == "1-a" else 1)
        assert noun.runtime.startswith("onnxruntime 1.") and noun.accelerator == "cpu"
    for name in ("before", "after"):
        assert set(got[name]) == set(Environment.__struct_fields__)
        msgspec.convert(got[name], Environment)
    assert got["before"]["contention"] is None and 0 <= got["after"]["contention"] <= 1
    assert got["stopped"] == ""
    assert events == [{"event": "progress", "what": "bench", "done": n, "total": 4} for n in range(4)]
    json.dumps(got, allow_nan=False)


def test_it_measures_what_an_inference_takes(make_job, make_release, broken_runtime, files, fetched):
    job = make_job(make_release(), broken_runtime(load="time.sleep(0.3)", run="time.sleep(0.02)"))
    got = bench.run([job], dict(SHORT, rounds=1), files, [].append)
    samples = samples_of(got["runs"][0], fetched)
    assert 20 <= numpy.median(samples) < 40 and samples.min() >= 20
    assert 300 <= got["runs"][0]["load_ms"] < 2000 and 20 <= got["runs"][0]["first_ms"] < 300


def test_inputs_take_turns_and_collection_rests(make_job, make_release, broken_runtime, files, tmp_path):
    seen = tmp_path / "seen"
    note = (
        f"import gc; open({str(seen)!r}, 'ab').write(bytes([gc.isenabled()]) + feed['x'][:1, :1].tobytes())"
    )
    folder = make_release()
    job = make_job(folder, broken_runtime(run=note))
    bench.run([job], dict(SHORT, rounds=1, warmup_s=0.0, steady_s=0.0, min_samples=24), files, [].append)
    calls = [
        (data[0], data[1:])
        for data in (seen.read_bytes()[i : i + 5] for i in range(0, seen.stat().st_size, 5))
    ]
    heads = [row[0, :1].tobytes() for row in numpy.load(folder / "goldens.npz")["input_0"]]
    steady = calls[2:]  # the first inference, one of warm-up
    assert [enabled for enabled, _ in steady] == [0] * 24
    assert [head for _, head in steady] == heads * 3


@pytest.mark.parametrize("name", ["resident", "freed"])
def test_peak_memory_is_what_the_model_takes(make_job, make_release, broken_runtime, files, name):
    take = "data = bytearray(64 * 2 ** 20)\nfor i in range(0, len(data), 4096): data[i] = 1\n"
    keep = "self.data = data" if name == "resident" else "del data"
    spare = "spare = bytearray(b'x') * 2 ** 25; del spare"  # of the import, so not of the model
    job = make_job(make_release(), broken_runtime(top=spare, load=take + keep))
    run = bench.run([job], dict(SHORT, rounds=1), files, [].append)["runs"][0]
    assert run["memory_method"] in ("VmHWM, reset after import", "VmHWM, not reset")
    hidden_mb = 33 if "not" in run["memory_method"] else 1
    assert (64 - hidden_mb) * 1024 <= run["peak_kb"] < 70 * 1024
    assert 5 * 1024 < run["baseline_kb"] < 100 * 1024


def test_many_samples_are_not_the_models_memory(make_job, make_release, broken_runtime, files):
    job = make_job(make_release(), broken_runtime())
    run = bench.run([job], dict(SHORT, rounds=1, min_samples=1_000_000), files, [].append)["runs"][0]
    assert run["count"] >= 1_000_000 and run["peak_kb"] < 6 * 1024


def test_a_slow_model_stays_within_the_limit(make_job, make_release, broken_runtime, files, fetched):
    job = make_job(make_release(), broken_runtime(run="time.sleep(0.05)"))
    start = time.monotonic()
    protocol = {"rounds": 2, "warmup_s": 0.5, "steady_s": 1.0, "min_samples": 1000, "limit_s": 6.0}
    got = bench.run([job], protocol, files, [].append)
    assert 3.7 < time.monotonic() - start < 30  # its samples take 100 s
    counts = [run["count"] for run in got["runs"]]
    assert 1 <= len(counts) <= 2 and max(counts) >= 10
    left_out = "" if len(counts) == 2 else "1 of 2 rounds, "  # on a busy machine
    cut = f"{len(counts)} runs cut short, the shortest has {min(counts)} samples"
    assert got["stopped"] == f"time limit of 6 s: {left_out}{cut}"


def test_rounds_that_do_not_fit_are_left_out(make_job, make_release, broken_runtime, files):
    job = make_job(make_release(), broken_runtime(load="time.sleep(2)"))
    start = time.monotonic()
    protocol = {"rounds": 8, "warmup_s": 0.1, "steady_s": 0.5, "min_samples": 11, "limit_s": 6.5}
    got = bench.run([job], protocol, files, [].append)
    assert time.monotonic() - start < 15  # all of them take 20 s
    fitted = len(got["runs"])  # 2, and 1 on a busy machine, where the last one may be cut short as well
    assert 1 <= fitted < 4 and got["stopped"].startswith(f"time limit of 6.5 s: {fitted} of 8 rounds")


def test_a_load_beyond_the_limit(make_job, make_release, broken_runtime, files):
    job = make_job(make_release(), broken_runtime(load="time.sleep(60)"))
    start = time.monotonic()
    with pytest.raises(AgentError, match=r"did not finish in load: (3|2\.\d+) s") as caught:
        bench.run([job], dict(SHORT, limit_s=3.0), files, [].append)
    assert caught.value.code == "slow-start" and time.monotonic() - start < 30


def test_one_that_hangs_in_a_later_round_costs_that_round(
    make_job, make_release, broken_runtime, files, tmp_path
):
    once = tmp_path / "once"
    load = f"if os.path.exists({str(once)!r}): time.sleep(60)\nopen({str(once)!r}, 'w').close()"
    job = make_job(make_release(), broken_runtime(load=load))
    got = bench.run([job], dict(SHORT, limit_s=4.0), files, [].append)
    assert len(got["runs"]) == 1 and got["stopped"].startswith("time limit of 4 s: 1 of 2 rounds")


def test_a_crash_in_a_later_round_is_told(make_job, make_release, broken_runtime, files, tmp_path):
    once = tmp_path / "once"
    load = f"if os.path.exists({str(once)!r}): os.abort()\nopen({str(once)!r}, 'w').close()"
    with pytest.raises(AgentError, match="crashed in load: signal 6"):
        bench.run([make_job(make_release(), broken_runtime(load=load))], SHORT, files, [].append)


def test_an_absent_accelerator(make_job, make_release, files):
    with pytest.raises(AgentError, match="the accelerator is not there: cuda") as caught:
        bench.run([make_job(make_release(), accelerator="cuda")], SHORT, files, [].append)
    assert caught.value.code == "accelerator-absent"


@pytest.mark.parametrize(
    "change",
    [
        {"rounds": 0},
        {"limit_s": 0},
        {"steady_s": -1},
        {"min_samples": True},
        {"warmup_s": "1"},
        {"limit_s": None},
    ],
)
def test_a_protocol_out_of_range(make_job, make_release, files, change):
    with pytest.raises(AgentError, match=f"{next(iter(change))} is not within") as caught:
        bench.run([make_job(make_release())], dict(SHORT, **change), files, [].append)
    assert caught.value.code == "bad-argument"


def test_nothing_to_measure(files):
    with pytest.raises(AgentError, match="nothing to measure"):
        bench.run([], SHORT, files, [].append)


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
@pytest.mark.parametrize("overhead_s", [0.1, 2.0, 6.0])
@pytest.mark.parametrize("releases", [1, 2])
def test_a_plan_never_takes_more_than_there_is(protocol, overhead_s, releases):
    numbers = msgspec.to_builtins(protocol)
    plan, left, number = bench.Plan(numbers, releases), protocol.limit_s, 0
    while number < plan.rounds:
        rounds = plan.rounds_left(number, left)
        if not rounds:
            break
        for index in range(releases):
            inference_s, whole_s = plan.share(index, rounds, left, number == 0)
            assert inference_s > 0 and whole_s <= left + 1e-9
            took = min(overhead_s + min(inference_s, plan.wanted_s), whole_s)
            left -= took
            plan.note(index, overhead_s)
        number += 1
    assert number >= 1 and left >= -1e-9
    assert number == plan.rounds or left < releases * (overhead_s + plan.wanted_s)
