"""Benchmark: releases alternate A B A B, each run in a fresh process, all within a time limit."""

import os
import time

from edgewright_agent import shapes
from edgewright_agent.board import environment
from edgewright_agent.processes import children
from edgewright_agent.protocol import AgentError, Code

MARGIN = 0.04  # share of the time limit, reserved for starting and ending processes
LEAST = 0.5  # share of warm-up and steady state: with less than that, a round is dropped, not shortened


class Plan:
    """Divides the time limit among the remaining runs.

    Args:
        protocol: `rounds`, `warmup_s`, `steady_s`.
        releases: how many alternate.
    """

    def __init__(self, protocol: "shapes.BenchProtocol", releases: "int") -> "None":
        self.wanted_s = protocol["warmup_s"] + protocol["steady_s"]
        self.rounds, self.releases = protocol["rounds"], releases
        self.overhead_s = [0.0] * releases  # per release: start, import, load, end of a run

    def note(self, index: "int", overhead_s: "float") -> "None":
        """Records the overhead of a run: its time without inferences."""
        self.overhead_s[index] = max(self.overhead_s[index], overhead_s)

    def rounds_left(self, done: "int", left_s: "float") -> "int":
        """How many more rounds fit into `left_s`; the first is always tried."""
        overhead_s = sum(self.overhead_s)
        for rounds in range(self.rounds - done, 0, -1):
            if (left_s / rounds - overhead_s) / self.releases >= LEAST * self.wanted_s:
                return rounds
        return 1 if done == 0 else 0

    def share(self, index: "int", rounds: "int", left_s: "float", first: "bool") -> "tuple[float, float]":
        """(seconds of inference, seconds in total) for the next run, with `rounds` left, including this one.

        Reserves the overheads of the remaining runs and divides the rest equally. In the first round they are
        unknown, so a run may take its part of one round.
        """
        runs = rounds * self.releases - index
        overheads_s = rounds * sum(self.overhead_s) - sum(self.overhead_s[:index])
        inference_s = max(0.0, left_s - overheads_s) / runs
        if first:
            return inference_s, left_s / (self.releases - index)
        return inference_s, min(left_s, 1.5 * self.overhead_s[index] + inference_s)


def checked(protocol: "shapes.BenchProtocol") -> "shapes.BenchProtocol":
    """Check the numbers of a protocol and return it.

    Raises:
        AgentError: `bad-argument`.
    """
    limits = {
        "rounds": (1, 100),
        "warmup_s": (0, 600),
        "steady_s": (0, 3600),
        "min_samples": (1, 10**6),
        "limit_s": (0.1, 86400),
    }
    for key, (least, most) in limits.items():
        value = protocol.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
            raise AgentError(
                Code.BAD_ARGUMENT, "%s is not within %g and %g: %.40r" % (key, least, most, value)
            )
    rounds, least_samples = int(protocol["rounds"]), int(protocol["min_samples"])
    return {**protocol, "rounds": rounds, "min_samples": least_samples}


def run(
    jobs: "list[shapes.Job]",
    protocol: "shapes.BenchProtocol",
    files: "shapes.SessionFiles",
    say: "shapes.Say",
) -> "shapes.Result":
    """Measures releases against each other.

    Args:
        jobs: one per release, as for `verify.verify`; they alternate in this order.
        protocol: dict with `rounds`, `warmup_s`, `steady_s`, `min_samples`, `limit_s`.
        files: where the samples go. say: takes events.

    Returns:
        dict with `runs`, `before`, `after`, `stopped` (what the time limit cut, or empty).

    Raises:
        AgentError: `bad-argument`, or the error of the first run that fails.
    """
    if not jobs:
        raise AgentError(Code.BAD_ARGUMENT, "there is nothing to measure")
    protocol = checked(protocol)
    started, before, ticks = time.monotonic(), environment.read(), environment.cpu_clock()
    ends = started + protocol["limit_s"]
    runs, stopped = _rounds(jobs, protocol, ends, files, say)
    contention = environment.contention(ticks, environment.cpu_clock())
    after = dict(environment.read(), contention=contention)
    return {"runs": runs, "before": before, "after": after, "stopped": stopped}


def _rounds(
    jobs: "list[shapes.Job]",
    protocol: "shapes.BenchProtocol",
    ends: "float",
    files: "shapes.SessionFiles",
    say: "shapes.Say",
) -> "tuple[list[shapes.Result], str]":
    """Run rounds until all are done or no more fits before `ends` (monotonic). Returns (runs, stopped)."""
    plan, settled = Plan(protocol, len(jobs)), ends - MARGIN * protocol["limit_s"]
    runs: "list[shapes.Result]" = []
    cut: "list[shapes.Measured]" = []
    number = 0
    while number < plan.rounds:
        rounds = plan.rounds_left(number, settled - time.monotonic())
        if not rounds:
            break
        done = []
        try:
            for index, job in enumerate(jobs):
                total = (number + rounds) * len(jobs)
                say({"event": "progress", "what": "bench", "done": len(runs) + index, "total": total})
                now = time.monotonic()
                inference_s, whole_s = plan.share(index, rounds, settled - now, number == 0)
                times: "shapes.RunProtocol" = {
                    **protocol,
                    "inference_s": inference_s,
                    "ends_at": now + whole_s,
                }
                answer = _one(job, times, ends - now, files, say)
                plan.note(index, time.monotonic() - now - answer["inference_s"])
                done.append((job, answer))
        except AgentError as error:
            if error.code not in (Code.TIMEOUT, Code.SLOW_START) or number == 0:
                raise
            break
        runs += [_run(job, number, answer) for job, answer in done]
        cut += [answer for _, answer in done if answer["cut"]]
        number += 1
    return runs, _stopped(protocol, number, cut)


def _one(
    job: "shapes.Job",
    times: "shapes.RunProtocol",
    limit_s: "float",
    files: "shapes.SessionFiles",
    say: "shapes.Say",
) -> "shapes.Measured":
    """The child's answer for one run, with `samples`: the RESULT of its latencies."""
    golden = os.path.join(job["folder"], job["manifest"]["goldens"]["file"])
    with children.Scratch(files) as scratch:
        request = {"do": "bench", "path": golden, "out": scratch.path("samples.f64"), "protocol": times}
        answer: "shapes.Measured" = children.run(job, request, say, limit_s=max(0.0, limit_s))
        answer["samples"] = scratch.result("samples.f64")
    return answer


def _run(job: "shapes.Job", number: "int", answer: "shapes.Measured") -> "shapes.Result":
    """A Run as a dict, its samples by reference."""
    found = {key: value for key, value in answer.items() if key not in ("cut", "inference_s")}
    return dict(found, release=job["release"], round=number)


def _stopped(protocol: "shapes.BenchProtocol", rounds: "int", cut: "list[shapes.Measured]") -> "str":
    """What the time limit cut, or empty."""
    parts = []
    if rounds < protocol["rounds"]:
        parts.append("%d of %d rounds" % (rounds, protocol["rounds"]))
    if cut:
        least = min(answer["count"] for answer in cut)
        parts.append("%d runs cut short, the shortest has %d samples" % (len(cut), least))
    return "time limit of %g s: %s" % (protocol["limit_s"], ", ".join(parts)) if parts else ""
