"""A release on this board: are its answers right, how accurate is it, what does it say to an input."""

import os

from edgewright_agent import children
from edgewright_agent.answers import Difference, dequantised
from edgewright_agent.protocol import AgentError
from edgewright_agent.tensors import Tensors, check, numbers

METRICS = ("top1",)


def verify(job, files, say):
    """Runs the goldens and compares with the source framework's outputs.

    Args:
        job: model, release, folder, manifest, target, runtime, options, root, agent_sha.
        files: where results are kept. say: takes events.

    Returns:
        dict as the wire's `verify`; not ok: an output not finite, or beyond the manifest's tolerance.

    Raises:
        AgentError: `load-failed`, `accelerator-absent`, `child-crashed`, `timeout`, `bad-manifest`.
    """
    goldens = job["manifest"]["goldens"]
    path = os.path.join(job["folder"], goldens["file"])
    with children.Scratch(files) as scratch:
        request = {"do": "infer", "path": path, "out": scratch.path("outputs.npz"), "prepare": True}
        try:
            answer = children.run(job, request, say)
            verdict = compare(request["out"], path, job["manifest"])
        except AgentError as error:
            if error.code not in ("bad-argument", "not-found"):
                raise
            raise AgentError("bad-manifest", "the goldens do not fit: %s" % error.message, error.hint)
        if answer["count"] != goldens["count"]:
            message = "the goldens are %d, the manifest says %d" % (answer["count"], goldens["count"])
            raise AgentError("bad-manifest", message)
        verdict["outputs"] = scratch.result("outputs.npz")
    verdict.update(goldens=answer["count"], runtime=answer["runtime"], accelerator=answer["accelerator"])
    return verdict


def compare(outputs_path, goldens_path, manifest):
    """The outputs of the goldens against the references.

    Returns:
        dict with `ok`, `sqnr_db` (smallest of the outputs), `relative` (greatest), `failed` (goldens).
    """
    tolerance, scores, failed = manifest["goldens"]["tolerance"], [], set()
    with Tensors(outputs_path) as outputs, Tensors(goldens_path) as goldens:
        for index, spec in enumerate(manifest["outputs"]):
            name = "output_%d" % index
            pooled, each = differences(outputs.member(name), goldens.member(name), spec)
            scores.append(pooled)
            if not pooled.within(tolerance):
                beyond = [i for i, one in enumerate(each) if not one.within(tolerance, pooled.peak)]
                failed.update(beyond or range(len(each)))
    return {
        "ok": not failed,
        "sqnr_db": min(score.sqnr_db for score in scores),
        "relative": max(score.relative() for score in scores),
        "failed": sorted(failed),
    }


def differences(output, reference, spec):
    """(pooled, one a golden): the Differences of one output's samples.

    Raises:
        AgentError: `bad-argument`, when the reference has another shape than the manifest's.
    """
    check(reference, dict(spec, dtype=reference.dtype), "a reference")
    if reference.count != output.count:
        raise AgentError("bad-argument", "references: %d for %d outputs" % (reference.count, output.count))
    pooled, each, same = Difference(), [], reference.dtype == output.dtype
    for data, expected in zip(output.samples(), reference.samples()):
        values = dequantised(numbers(data, output.dtype), spec)
        wanted = numbers(expected, reference.dtype)
        each.append(Difference.between(values, dequantised(wanted, spec) if same else wanted))
        pooled.add(each[-1])
    return pooled, each


def evaluate(job, evaluation_path, metric, files, say):
    """Scores a labelled set on this board.

    Args:
        evaluation_path: `.npz` with `input_<i>` and `labels`, read as a stream.
        metric: `top1`.

    Returns:
        dict as the wire's `evaluate`; `answers` are int32 little-endian, -1 where an output is not finite.

    Raises:
        AgentError: `bad-argument`: unknown metric, or a set that does not fit the model; as `verify` else.
    """
    if metric not in METRICS:
        raise AgentError("bad-argument", "unknown metric: %.40r" % (metric,), "known: " + ", ".join(METRICS))
    with children.Scratch(files) as scratch:
        request = {"do": "evaluate", "path": evaluation_path, "out": scratch.path("answers.i32")}
        answer = children.run(job, request, say)
        answers = scratch.result("answers.i32")
    value = answer["right"] / float(answer["n"])
    return {"metric": metric, "value": value, "n": answer["n"], "answers": answers}


def infer(job, inputs_path, files, say):
    """Runs the samples of an `.npz` with `input_<i>`.

    Returns:
        dict as the wire's `infer`: `outputs` is an `.npz` with `output_<i>`, `ms` one a sample.

    Raises:
        AgentError: as `evaluate`.
    """
    with children.Scratch(files) as scratch:
        request = {"do": "infer", "path": inputs_path, "out": scratch.path("outputs.npz")}
        answer = children.run(job, request, say)
        outputs = scratch.result("outputs.npz")
    answer.update(outputs=outputs, release=job["release"])
    return {key: answer[key] for key in ("outputs", "ms", "release", "runtime", "accelerator")}
