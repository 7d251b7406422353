"""What a child does with a loaded model: infer, evaluate, bench. All of it through the runner's Session."""

import gc
import time
from array import array

from edgewright_agent import memory, tensors
from edgewright_agent.answers import argmax, dequantised
from edgewright_agent.protocol import AgentError

MAX_FEEDS = 32 * 1024 * 1024  # bytes of inputs kept ready while measuring
MAX_SAMPLES = 50000  # of one `infer`: their times are one JSON line
SETTLE_SECONDS = 0.2  # left of a time limit for writing the samples and ending


def load(runner, job, stage):
    """The runner's Session, on the accelerator that was asked for.

    Raises:
        AgentError: `accelerator-absent`, when it is not there or the model would run elsewhere.
    """
    options, wanted = job["options"], job["options"].get("accelerator") or "cpu"
    usable = list(runner.accelerators())
    if wanted not in usable:
        hint = "this runtime can use: %s" % ", ".join(usable)
        raise AgentError("accelerator-absent", "the accelerator is not there: %s" % wanted, hint)
    stage.enter("load")
    if options.get("prepared") and job.get("prepare"):
        runner.prepare(job["folder"], job["manifest"], options)
    session = runner.load(job["folder"], job["manifest"], options)
    if session.accelerator != wanted:
        message = "the model does not run on %s: the runtime took %s" % (wanted, session.accelerator)
        raise AgentError("accelerator-absent", message, "convert it for that accelerator, or ask for another")
    return session


def inputs(job, source):
    """The members `input_<i>` of a tensor file, checked against the manifest: of one count, 1 or more."""
    members = []
    for index, spec in enumerate(job["manifest"]["inputs"]):
        name = "input_%d" % index
        member = source.member(name)
        tensors.check(member, spec, name)
        members.append(member)
    counts = set(member.count for member in members)
    if len(counts) != 1 or not min(counts):
        raise tensors.bad(
            "the inputs have %s samples" % sorted(counts), "axis 0 is the samples, at least one"
        )
    return members


def infer(runner, job, stage, say):
    """Runs every sample of `job["path"]`, writes the outputs to `job["out"]` as `.npz`.

    Returns:
        dict with `ms` (of each inference), `accelerator`, `count`.
    """
    specs = job["manifest"]["outputs"]
    members = [("output_%d" % i, spec["dtype"], spec["shape"]) for i, spec in enumerate(specs)]
    session, times, clock = load(runner, job, stage), [], time.perf_counter
    with tensors.Tensors(job["path"]) as source, tensors.NpzWriter(job["out"], members) as writer:
        given = inputs(job, source)
        if given[0].count > MAX_SAMPLES:
            raise tensors.bad("too many samples: %d" % given[0].count, "at most %d" % MAX_SAMPLES)
        stage.enter("run")
        for data in zip(*[member.samples() for member in given]):
            feed = session.feed(data)
            start = clock()
            outputs = session.infer(feed)
            times.append(round((clock() - start) * 1000.0, 4))
            writer.add(session.read(outputs))
            say({"alive": len(times)})
    return {"ms": times, "accelerator": session.accelerator, "count": len(times)}


def evaluate(runner, job, stage, say):
    """Scores the set in `job["path"]` by top-1, writes the answers to `job["out"]` (int32 little-endian).

    Returns:
        dict with `right`, `n`, `accelerator`.
    """
    spec = job["manifest"]["outputs"][0]
    if len(spec["shape"]) > 1 and spec["shape"][0] != 1:
        raise tensors.bad("top1 wants one sample an inference, the model takes %d" % spec["shape"][0], "")
    with tensors.Tensors(job["path"]) as source, tensors.Tensors(job["path"]) as other:
        members, labels = inputs(job, source), other.member("labels")
        if labels.count != members[0].count or tensors.product(labels.sample_shape) != 1:
            raise tensors.bad("there is not one label for each of %d samples" % members[0].count, "")
        session, given, right, said = load(runner, job, stage), array("i"), 0, time.monotonic()
        stage.enter("run")
        for data, label in zip(zip(*[member.samples() for member in members]), labels.samples()):
            output = session.read(session.infer(session.feed(data)))[0]
            given.append(argmax(dequantised(tensors.numbers(output, spec["dtype"]), spec)))
            right += given[-1] == tensors.numbers(label, labels.dtype)[0]
            if time.monotonic() - said >= 1.0:
                said = time.monotonic()
                say({"progress": [len(given), labels.count]})
    with open(job["out"], "wb") as file:
        given.tofile(file)
    return {"right": right, "n": len(given), "accelerator": session.accelerator}


def ready_feeds(session, job):
    """(feeds, bytes): the goldens as the runtime's own feeds, made before the clock runs."""
    feeds, size = [], 0
    with tensors.Tensors(job["path"]) as source:
        for data in zip(*[member.samples() for member in inputs(job, source)]):
            feeds.append(session.feed(data))
            size += sum(map(len, data))
            if size >= MAX_FEEDS:
                break
    return feeds, size


def steady(infer_one, feeds, seconds, least, limit):
    """Latencies in seconds, in order, none dropped: for so many `seconds` and at least `least` of them.

    Args:
        limit: `time.perf_counter()` at which it ends whatever is missing; one sample is always taken.
    """
    samples, clock = array("d"), time.perf_counter
    end = clock() + seconds
    while True:
        for feed in feeds:
            start = clock()
            outputs = infer_one(feed)
            stop = clock()
            outputs = None  # noqa: F841 - freed outside the two readings
            samples.append(stop - start)
            if stop >= limit or (stop >= end and len(samples) >= least):
                return samples


def bench(runner, job, stage, say):  # noqa: ARG001 - as the other jobs
    """One run: load, first inference, warm-up, steady state; the samples go to `job["out"]` (float64 ms).

    Args:
        job: `protocol` has `warmup_s`, `steady_s`, `min_samples`, `inference_s` (for all inferences together)
            and `ends_at` (of `time.monotonic`, for everything).

    Returns:
        dict with the times of a `Run` (ms), memory (KiB), `count`, and `cut`: the time was too short.
    """
    protocol, clock = job["protocol"], time.perf_counter
    limit = clock() + protocol["ends_at"] - time.monotonic() - SETTLE_SECONDS
    gc.collect()
    base_kb, method = memory.baseline()
    start = clock()
    session = load(runner, job, stage)
    load_ms = (clock() - start) * 1000.0
    stage.enter("run")
    load_peak_kb = memory.peak_kb()
    feeds, size = ready_feeds(session, job)
    begun = clock()
    limit = min(limit, begun + protocol["inference_s"])
    first = steady(session.infer, feeds[:1], 0.0, 1, limit)
    warmup_s = min(protocol["warmup_s"], max(0.0, limit - clock()) / 4)
    steady(session.infer, feeds, warmup_s, 1, limit)
    gc.collect()
    gc.disable()
    steady_s = min(protocol["steady_s"], max(0.0, limit - clock()))
    samples = steady(session.infer, feeds, steady_s, protocol["min_samples"], limit)
    inference_s = clock() - begun
    kept_kb = (size + samples.itemsize * len(samples)) // 1024  # what measuring itself keeps
    cut = steady_s < protocol["steady_s"] or len(samples) < protocol["min_samples"]
    peak_kb = memory.above(base_kb, [load_peak_kb, memory.peak_kb() - kept_kb])
    with open(job["out"], "wb") as file:
        array("d", [sample * 1000.0 for sample in samples]).tofile(file)
    return {
        "load_ms": load_ms, "first_ms": first[0] * 1000.0, "count": len(samples), "cut": cut,
        "inference_s": inference_s,
        "baseline_kb": base_kb, "peak_kb": peak_kb, "memory_method": method,
        "accelerator": session.accelerator, "threads": job["options"].get("threads") or 1,
    }  # fmt: skip
