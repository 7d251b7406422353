"""Runs a release on this board: verification, evaluation, inference."""

import os

from edgewright_agent import shapes
from edgewright_agent.checks import verdict
from edgewright_agent.child.answers import KEEP, Difference, dequantised
from edgewright_agent.child.tensors import Tensors, check, numbers, of_dtype
from edgewright_agent.processes import children
from edgewright_agent.protocol import AgentError, Code


def verify(
    job: "shapes.Job",
    files: "shapes.SessionFiles",
    say: "shapes.Say",
    lenient: "bool" = False,
    accepted: "list[shapes.Figures] | None" = None,
) -> "shapes.Verdict":
    """Runs the goldens and compares the outputs with the source framework's.

    Args:
        job: model, release, folder, manifest, target, runtime, options, root, agent_sha.
        files: where the results go. say: takes events.
        lenient: report a whole output that is less exact than the manifest wants, do not refuse it. Schema 2 only.
        accepted: the figures of every output that an evaluation accepted: do not refuse such outputs either.

    Returns:
        dict as the wire's `verify`; it is not ok if an output is not finite or exceeds the manifest's limits.

    Raises:
        AgentError: `load-failed`, `accelerator-absent`, `child-crashed`, `timeout`, `bad-manifest`.
    """
    goldens = job["manifest"]["goldens"]
    path = os.path.join(job["folder"], goldens["file"])
    with children.Scratch(files) as scratch:
        request = {
            "do": "infer",
            "path": path,
            "out": scratch.path("outputs.npz"),
            "trace": scratch.path("trace"),
        }
        try:
            answer: "shapes.Inferred" = children.run(job, request, say)
            found = compare(request["out"], path, job["manifest"], lenient, accepted)
        except AgentError as error:
            if error.code not in (Code.BAD_ARGUMENT, Code.NOT_FOUND):
                raise
            raise AgentError(Code.BAD_MANIFEST, "the goldens do not fit: %s" % error.message)
        if answer["count"] != goldens["count"]:
            message = "the goldens are %d, the manifest says %d" % (answer["count"], goldens["count"])
            raise AgentError(Code.BAD_MANIFEST, message)
        found["outputs"] = scratch.result("outputs.npz")
    found["goldens"], found["runtime"] = answer["count"], answer["runtime"]
    found["accelerator"], found["placement"] = answer["accelerator"], answer["placement"]
    return found


def compare(
    outputs_path: "str",
    goldens_path: "str",
    manifest: "shapes.Manifest",
    lenient: "bool" = False,
    accepted: "list[shapes.Figures] | None" = None,
) -> "shapes.Verdict":
    """Compare the outputs of the goldens with the references.

    Returns:
        dict with `ok`, `sqnr_db` (the lowest of all outputs), `relative` (the highest), `failed` (goldens); more in schema 2.
    """
    if manifest.get("schema", 1) > 1:
        return verdict.compare(outputs_path, goldens_path, manifest, lenient, accepted)
    tolerance, scores = manifest["goldens"]["tolerance"], []
    failed: "set[int]" = set()
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


def differences(
    output: "shapes.Tensor", reference: "shapes.Tensor", spec: "shapes.Spec"
) -> "tuple[Difference, list[Difference]]":
    """(pooled, one per golden): the Differences of one output's samples.

    Raises:
        AgentError: `bad-argument`, if the reference's shape is not the manifest's.
    """
    check(reference, of_dtype(spec, reference.dtype), "a reference")
    if reference.count != output.count:
        raise AgentError(Code.BAD_ARGUMENT, "references: %d for %d outputs" % (reference.count, output.count))
    pooled, each, same = Difference(), [], reference.dtype == output.dtype
    for data, expected in zip(output.samples(), reference.samples()):
        values = dequantised(numbers(data, output.dtype), spec)
        wanted = numbers(expected, reference.dtype)
        each.append(Difference.between(values, dequantised(wanted, spec) if same else wanted))
        pooled.add(each[-1])
    return pooled, each


def evaluate(
    job: "shapes.Job", evaluation_path: "str", keep: "str", files: "shapes.SessionFiles", say: "shapes.Say"
) -> "shapes.Result":
    """Runs an evaluation set on this board; the host scores the outputs, as it does the source's.

    Args:
        evaluation_path: `.npz` with `input_<i>`, read as a stream.
        keep: which outputs to return: `top5`, `first` or `all`.

    Returns:
        dict as the wire's `evaluate`.

    Raises:
        AgentError: `bad-argument`: the set does not fit the model, or the outputs are too large; otherwise as `verify`.
    """
    if keep not in KEEP:
        raise AgentError(Code.BAD_ARGUMENT, "unknown answers: %.40r, known: %s" % (keep, ", ".join(KEEP)))
    with children.Scratch(files) as scratch:
        request = {"do": "evaluate", "path": evaluation_path, "keep": keep, "out": scratch.path("answers")}
        answer: "shapes.Evaluated" = children.run(job, request, say)
        answers = scratch.result("answers")
    outputs = job["manifest"]["outputs"]
    return {"keep": keep, "n": answer["n"], "outputs": outputs, "answers": answers}


def infer(
    job: "shapes.Job", inputs_path: "str", files: "shapes.SessionFiles", say: "shapes.Say"
) -> "shapes.Result":
    """Runs the samples of an `.npz` with `input_<i>`.

    Returns:
        dict as the wire's `infer`: `outputs` is an `.npz` with `output_<i>`, `ms` has one time per sample.

    Raises:
        AgentError: as `evaluate`.
    """
    with children.Scratch(files) as scratch:
        request = {"do": "infer", "path": inputs_path, "out": scratch.path("outputs.npz")}
        answer: "shapes.Inferred" = children.run(job, request, say)
        outputs = scratch.result("outputs.npz")
    return {
        "outputs": outputs,
        "ms": answer["ms"],
        "release": job["release"],
        "runtime": answer["runtime"],
        "accelerator": answer["accelerator"],
    }
