"""The jobs of a child: prepare a model, or infer, evaluate or benchmark it through the runner's Session."""

import errno
import gc
import hashlib
import json
import os
import time
from array import array

from edgewright_agent import shapes
from edgewright_agent.child import answers, machine_code, memory, tensors
from edgewright_agent.protocol import AgentError, Code

MAX_FEEDS = 32 * 1024 * 1024  # bytes of inputs kept ready while measuring
MAX_SAMPLES = 50000  # of one `infer`: their times must fit in one JSON line
AUTO = "auto"  # instead of an accelerator: the best that is available, which the answer names
SETTLE_SECONDS = 0.2  # reserved at the end of a time limit for writing the samples and exiting


def chosen(runner: "shapes.Runner", options: "shapes.Options") -> "tuple[shapes.Options, str]":
    """(a copy of the options, its accelerator): the runtime's first if none is requested. AUTO stays AUTO.

    Raises:
        AgentError: `accelerator-absent`.
    """
    usable = list(runner.accelerators())
    if not usable:
        raise AgentError(Code.ACCELERATOR_ABSENT, "the runtime finds nothing on this board to run on")
    wanted = options.get("accelerator") or usable[0]
    if wanted not in usable and wanted != AUTO:
        raise AgentError(Code.ACCELERATOR_ABSENT, "the accelerator is not there: %s" % wanted, usable=usable)
    return {**options, "accelerator": wanted}, wanted


def load(runner: "shapes.Runner", job: "shapes.Task", stage: "shapes.Stage") -> "shapes.Session":
    """Load the model: the runner's Session on the requested accelerator.

    Raises:
        AgentError: `accelerator-absent`, if it is absent or the model would run elsewhere; `load-failed`, if
            the runner knows that its runtime cannot run the model, or it is compiled for another CPU.
    """
    options, wanted = chosen(runner, job["options"])
    if job["manifest"].get("cpu"):
        machine_code.check(job["manifest"]["cpu"])
    if job.get("trace"):
        options["trace"] = job["trace"]
    stage.enter("load")
    try:
        session = runner.load(job["folder"], job["manifest"], options)
    except getattr(runner, "AcceleratorAbsent", ()) as error:  # known only after an attempt to open it
        raise AgentError(Code.ACCELERATOR_ABSENT, str(error), advice=error.hint)
    except getattr(runner, "ModelRefused", ()) as error:
        raise AgentError(Code.LOAD_FAILED, "the runtime refused the model: %s" % error, advice=error.hint)
    refuse_another(wanted, session.accelerator)
    return session


def refuse_another(wanted: "str", took: "str") -> "None":
    """Raise AgentError `accelerator-absent` if an accelerator was requested by name and another one was used."""
    if took != wanted and wanted != AUTO:
        message = "the model does not run on %s: the runtime took %s" % (wanted, took)
        raise AgentError(Code.ACCELERATOR_ABSENT, message, cause="elsewhere")


def prepare(
    runner: "shapes.Preparing", job: "shapes.Task", stage: "shapes.Stage", say: "shapes.Say"
) -> "shapes.PrepareAnswer":
    """Have the runner prepare files for this board in the folder `job["out"]`, unless `job["have"]` names their key.

    Args:
        job: `made_of` (identifies the model's files and the runtime), `have` (existing keys), `room` (bytes
            that must be free).

    Returns:
        dict with `key` (None: there is nothing to prepare), `made`, `environment`, `accelerator`.

    Raises:
        AgentError: `accelerator-absent`, if the model would not run on the accelerator requested by name.
    """
    options, wanted = chosen(runner, job["options"])
    environment = runner.environment(options)
    parts = [job["made_of"], wanted, environment]
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode("ascii")).hexdigest()[:32]
    answer: "shapes.PrepareAnswer" = {
        "key": key if environment else None,
        "made": False,
        "environment": environment,
        "accelerator": wanted,
    }
    if not environment or key in job["have"]:
        return answer
    stage.enter("prepare")
    say({"progress": [0, 1]})
    os.mkdir(job["out"], 0o700)
    disk = os.statvfs(job["out"])
    if disk.f_bavail * disk.f_frsize < job["room"]:
        raise OSError(errno.ENOSPC, "no room to prepare the model")
    said = runner.prepare(job["folder"], job["manifest"], {**options, "prepared": job["out"]})
    if "accelerator" in said:  # it runs on another accelerator, which needs no prepared files
        refuse_another(wanted, said["accelerator"])
        return {**answer, "key": None}
    return {**answer, "made": True}


def inputs(job: "shapes.Task", source: "tensors.Tensors") -> "list[shapes.Tensor]":
    """The members `input_<i>` of a tensor file, checked against the manifest: all have the same count, 1 or more."""
    members = []
    for index, spec in enumerate(job["manifest"]["inputs"]):
        name = "input_%d" % index
        member = tensors.fitted(source.member(name), spec)
        tensors.check(member, spec, name)
        members.append(member)
    counts = set(member.count for member in members)
    if len(counts) != 1 or not min(counts):
        raise tensors.bad("the inputs have %s samples along axis 0, at least one is needed" % sorted(counts))
    return members


def infer(
    runner: "shapes.Runner", job: "shapes.Task", stage: "shapes.Stage", say: "shapes.Say"
) -> "shapes.Result":
    """Runs every sample of `job["path"]`, writes the outputs to `job["out"]` as `.npz`.

    Returns:
        dict with `ms` (of each inference), `accelerator`, `count`, `placement` ({accelerator: layers that ran
            there}, empty if the runtime does not split models, None if it may but does not report it).
    """
    specs = job["manifest"]["outputs"]
    members = [("output_%d" % i, spec["dtype"], spec["shape"]) for i, spec in enumerate(specs)]
    session, times, clock = load(runner, job, stage), [], time.perf_counter
    with tensors.Tensors(job["path"]) as source, tensors.NpzWriter(job["out"], members) as writer:
        given = inputs(job, source)
        if given[0].count > MAX_SAMPLES:
            raise tensors.bad("too many samples: %d of at most %d" % (given[0].count, MAX_SAMPLES))
        stage.enter("run")
        for data in zip(*[member.samples() for member in given]):
            feed = session.feed(data)
            start = clock()
            outputs = session.infer(feed)
            times.append(round((clock() - start) * 1000.0, 4))
            writer.add(session.read(outputs))
            say({"alive": len(times)})
    where = session.placement() if hasattr(session, "placement") else {}
    return {"ms": times, "accelerator": session.accelerator, "count": len(times), "placement": where}


def evaluate(
    runner: "shapes.Runner", job: "shapes.Task", stage: "shapes.Stage", say: "shapes.Say"
) -> "shapes.Result":
    """Runs the set in `job["path"]` and writes the outputs that `job["keep"]` selects to `job["out"]`.

    Returns:
        dict with `n`, `accelerator`.

    Raises:
        AgentError: `bad-argument`, if the set does not fit the model or the outputs would be too large.
    """
    with tensors.Tensors(job["path"]) as source:
        members = inputs(job, source)
        count, writer = members[0].count, answers.writer(job["keep"], job["manifest"]["outputs"], job["out"])
        if count * writer.sample_bytes > answers.MAX_BYTES:
            megabytes = count * writer.sample_bytes // 1024**2
            most = answers.MAX_BYTES // 1024**2
            raise tensors.bad("the answers would take %d MiB, at most %d are sent" % (megabytes, most))
        session, done, said = load(runner, job, stage), 0, time.monotonic()
        stage.enter("run")
        with writer:
            for data in zip(*[member.samples() for member in members]):
                writer.add(session.read(session.infer(session.feed(data))))
                done += 1
                if time.monotonic() - said >= 1.0:
                    said = time.monotonic()
                    say({"progress": [done, count]})
    return {"n": done, "accelerator": session.accelerator}


def ready_feeds(session: "shapes.Session", job: "shapes.Task") -> "tuple[list[shapes.Feed], int]":
    """(feeds, bytes): the goldens as feeds of the runtime, made before the clock starts."""
    feeds, size = [], 0
    with tensors.Tensors(job["path"]) as source:
        for data in zip(*[member.samples() for member in inputs(job, source)]):
            feeds.append(session.feed(data))
            size += sum(map(len, data))
            if size >= MAX_FEEDS:
                break
    return feeds, size


def steady(
    infer_one: "shapes.InferOne", feeds: "list[shapes.Feed]", seconds: "float", least: "int", limit: "float"
) -> "array[float]":
    """Measure latencies (seconds), in order, without dropping any, for `seconds` and until there are at least `least`.

    Args:
        limit: `time.perf_counter()` at which it ends in any case; it always takes one sample.
    """
    samples, clock = array("d"), time.perf_counter
    end = clock() + seconds
    while True:
        for feed in feeds:
            start = clock()
            outputs = infer_one(feed)
            stop = clock()
            outputs = None  # noqa: F841 - freed outside the timed section
            samples.append(stop - start)
            if stop >= limit or (stop >= end and len(samples) >= least):
                return samples


def bench(
    runner: "shapes.Runner",
    job: "shapes.Task",
    stage: "shapes.Stage",
    say: "shapes.Say",  # noqa: ARG001 - the signature of a job
) -> "shapes.Result":
    """One run: load, first inference, warm-up, steady state; the samples go to `job["out"]` (float64 ms).

    Args:
        job: `protocol` has `warmup_s`, `steady_s`, `min_samples`, `inference_s` (for all inferences together)
            and `ends_at` (`time.monotonic`, for the whole job).

    Returns:
        dict with the times of a `Run` (ms), memory (KiB), `count`, and `cut`: whether the time was too short.
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
    kept_kb = (size + samples.itemsize * len(samples)) // 1024  # memory that the measurement itself holds
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
