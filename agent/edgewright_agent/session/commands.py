"""The commands. `server` has checked their arguments."""

import contextlib
import time

from edgewright_agent import __version__, clock, shapes
from edgewright_agent.boot import boot_guard
from edgewright_agent.installed import prepared_files, releases
from edgewright_agent.lifecycle import recovery, repair, status
from edgewright_agent.lifecycle.trial import Trials
from edgewright_agent.processes import hooks
from edgewright_agent.protocol import AgentError, Code
from edgewright_agent.session import logbook
from edgewright_agent.storage import lease
from edgewright_agent.storage import state as states

RENEW_SECONDS = 10.0  # how often a session checks whether it must prolong its lease


class Commands(object):
    """All commands except `put` and `get`, which need the stream. Each method takes the wire's arguments
    by name.

    Args:
        agent: Agent.
        say: takes events.
    """

    def __init__(self, agent: "shapes.Agent", say: "shapes.Say") -> "None":
        self.agent = agent
        self.say = say
        self.store = agent.store
        self.releases = releases.Releases(agent)
        self.prepared = prepared_files.Prepared(agent, self.releases)
        self.trials = Trials(agent, self.releases)
        self.renew_at = 0.0  # monotonic
        self.activate, self.commit = self.trials.activate, self.trials.commit
        self.revert, self.outcome = self.trials.revert, self.trials.outcome
        self.install, self.discard = self.releases.install, self.releases.discard
        self.provision = agent.runtimes.provision

    def ping(self) -> "shapes.Result":
        return {}

    def facts(self) -> "shapes.Result":
        from edgewright_agent.board import facts  # each session compiles its imports: a board is slow

        found = facts.read(self.agent.files.root, self.agent.runtimes.listing(), self.agent.runtime_names)
        return dict(found, guard=boot_guard.kind(self.agent))

    def part(self, sha256: "str", size: "int") -> "shapes.Upload":
        if not self.agent.uses.hold("incoming"):
            raise AgentError(Code.BUSY, "another session prunes this board")
        there = self.agent.incoming.part(sha256, size)
        if there["complete"]:
            return there
        if self.agent.blobs.fetch(sha256, size):
            return self.agent.incoming.part(sha256, size)
        if self.agent.runtimes.holds(sha256, size):
            return {"complete": True, "offset": size, "prefix_sha256": sha256, "shared": True}
        return there

    def begin(self, model: "str", txn: "str", host: "str", ttl_s: "float") -> "shapes.Result":
        with self.store.locked() as state:
            self.store.usable()
            lease.begin(state, model, txn, host, ttl_s)
            self.store.save(state)
        self.renew_at = 0.0
        return {}

    def end(self, txn: "str") -> "shapes.Result":
        with self.store.locked() as state:
            if state["lease"] and state["lease"]["txn"] == txn:
                lease.end(state, txn)
                self.store.save(state)
        return {}

    def renew(self, txn: "str") -> "None":
        """Prolong a lease after half of its time. Reads the state only occasionally: this runs while a model
        is measured."""
        if time.monotonic() < self.renew_at:
            return
        held, pause = self.store.read()["lease"], RENEW_SECONDS
        if held and held["txn"] == txn:
            pause = min(pause, held["ttl_s"] / 4)
            with self.store.locked() as state:
                if lease.renew(state, txn):
                    self.store.save(state)
        self.renew_at = time.monotonic() + pause

    def runner(self, target: "str", sha256: "str") -> "shapes.Result":
        """Store a runner, and assign it to the releases of its target that cannot run without it: those installed by an agent
        that carried its runners, and those whose runner is missing or damaged."""
        self.agent.runners.keep(target, sha256)
        with self.store.locked() as state:
            releases = [one for record in state["models"].values() for one in record["releases"].values()]
            lacking = [one for one in releases if one["target"] == target and not self.agent.runners.of(one)]
            for about in lacking:
                about["runner"] = sha256
            if lacking:
                self.store.save(state)
        return {}

    def job(
        self, model: "str", release: "str", threads: "int | None", accelerator: "str | None"
    ) -> "shapes.Job":
        """The job for a child that runs a release, with all files of the release and its runtime verified."""
        self.agent.keep()  # otherwise no child could start
        about = states.known_release(self.known(), model, release)
        content = self.releases.check(model, release, about)
        return {
            "model": model,
            "release": release,
            "folder": self.agent.files.path(releases.folder(model, release)),
            "manifest": content,
            "target": about["target"],
            "runner": self.agent.runners.sources(about["target"], self.agent.runners.of(about)),
            "runtime": self.agent.runtimes.find(about["runtime"], about["target"]),
            "options": {"threads": threads, "accelerator": accelerator, "prepared": None},
            "root": self.agent.files.root,
            "agent_sha": self.agent.sha256,
        }

    def known(self) -> "shapes.State":
        """The state. Raises AgentError if it cannot be read, since it would look empty."""
        state = self.store.read()
        self.store.usable()
        return state

    def runnable(
        self, model: "str", release: "str", threads: "int | None", accelerator: "str | None"
    ) -> "shapes.Job":
        """The job, with the files that its runner prepares for this board."""
        return self.prepared.fill(self.job(model, release, threads, accelerator), self.say)

    def verify(
        self,
        model: "str",
        release: "str",
        txn: "str",
        threads: "int | None",
        accelerator: "str | None",
        lenient: "bool" = False,
    ) -> "shapes.Verdict":
        from edgewright_agent.checks import verify  # as `facts`

        with self.store.locked() as state:
            lease.require(state, txn, model)
            self.store.save(state)
        job = self.job(model, release, threads, accelerator)
        about = states.known_release(self.known(), model, release)
        accepted = about.get("accepted") if about["state"] == "committed" else None
        try:
            verdict = verify.verify(
                self.prepared.fill(job, self.say), self.agent.files, self.say, lenient, accepted
            )
        except AgentError as error:
            if error.code == Code.LOAD_FAILED:
                self.judge(model, release, Code.LOAD_FAILED, error.message, job["runtime"])
            raise
        why = "" if verdict["ok"] else logbook.wrong(verdict)
        # only less exact: an evaluation may still accept it, so do not record a failure
        code = "golden" if verdict.get("lost", True) or verdict["wrong"] else "low"
        low = (txn, verdict["by_output"]) if lenient and verdict["ok"] and verdict.get("low") else None
        self.judge(model, release, why and code, why, job["runtime"], low)
        return verdict

    def judge(
        self,
        model: "str",
        release: "str",
        code: "str",
        why: "str",
        runtime: "shapes.Runtime | None" = None,
        low: "tuple[str, list[shapes.Figures]] | None" = None,
    ) -> "None":
        """Record the result of a verification, with its runtime. A known-good release stays known good: the cause
        may be the runtime or the disk.

        Args:
            low: (transaction, its figures) of outputs that only an evaluation can accept; the transaction's commit
                means that one did.
        """
        with self.store.locked() as state:
            about = states.known_release(state, model, release)
            record = state["models"][model]
            good = about["state"] == "committed" or release == record["current"]
            if good and not low:
                return
            about["low"] = low
            if not good:
                about["state"] = "failed" if code else "verified"
                if code and code != "low":
                    runner = self.agent.runners.of(about)
                    releases.remember_failure(record, release, why, code, runtime, runner)
            self.store.save(state)

    def evaluate(
        self,
        model: "str",
        release: "str",
        evaluation: "str",
        keep: "str",
        threads: "int | None",
        accelerator: "str | None",
    ) -> "shapes.Result":
        from edgewright_agent.checks import verify  # as `facts`

        path = self.agent.incoming.find(evaluation)
        job = self.runnable(model, release, threads, accelerator)
        self.keep_set(model, evaluation)
        with self.quiet(model, release):
            return verify.evaluate(job, path, keep, self.agent.files, self.say)

    def keep_set(self, model: "str", evaluation: "str") -> "None":
        """Record a model's newest evaluation set: `prune` keeps it."""
        if self.store.read()["models"][model].get("evaluation") != evaluation:
            with self.store.locked() as state:
                states.known_model(state, model)["evaluation"] = evaluation
                self.store.save(state)

    def bench(
        self,
        model: "str",
        releases: "list[str]",
        protocol: "shapes.BenchProtocol",
        threads: "int | None",
        accelerator: "str | None",
    ) -> "shapes.Result":
        from edgewright_agent.checks import bench  # as `facts`

        jobs = [self.runnable(model, release, threads, accelerator) for release in releases]
        with self.quiet(model, releases[0]):
            return bench.run(jobs, protocol, self.agent.files, self.say)

    @contextlib.contextmanager
    def quiet(self, model: "str", release: "str") -> "shapes.Iterator[None]":
        """Pause the application while a release is measured; journalled, so that recovery can resume it."""
        with self.store.locked() as state:
            record = states.known_model(state, model)
            source = record["current"] or release
            own, limit = record["releases"][source]["hooks"], record["releases"][source].get("hook_s", 0)
            entry: "shapes.Quiesced" = {"model": model, "release": source, "owner": clock.owner()}
            if "quiesce" in own:
                state["quiesced"].append(entry)
                self.store.save(state)
        if "quiesce" not in own:
            yield
            return
        try:
            hooks.run(self.agent, "quiesce", own["quiesce"], model, record["current"], limit)
            yield
        finally:
            if "resume" in own:
                self.resume(own["resume"], model, record["current"], limit)
            with self.store.locked() as state:
                state["quiesced"] = [one for one in state["quiesced"] if one != entry]
                self.store.save(state)

    def resume(self, sha256: "str", model: "str", current: "str | None", limit: "float") -> "None":
        """Resume the application. A failure is only logged: the measurement is valid."""
        try:
            hooks.run(self.agent, "resume", sha256, model, current, limit)
        except AgentError as error:
            self.agent.files.note(error.message)

    def infer(
        self,
        model: "str",
        release: "str | None",
        inputs: "str | None",
        threads: "int | None",
        accelerator: "str | None",
    ) -> "shapes.Result":
        from edgewright_agent.checks import verify  # as `facts`

        release = release or states.known_model(self.known(), model)["current"]
        if not release:
            raise AgentError(Code.NOT_FOUND, "no current release: %s" % model)
        job = self.job(model, release, threads, accelerator)
        if not inputs:  # the host asks for the names and shapes of the inputs
            return {"manifest": job["manifest"]}
        path = self.agent.incoming.find(inputs)
        return verify.infer(self.prepared.fill(job, self.say), path, self.agent.files, self.say)

    def rollback(
        self,
        model: "str",
        to: "str | None",
        txn: "str",
        deadline_s: "float",
        unguarded: "bool",
        threads: "int | None",
        accelerator: "str | None",
        dry_run: "bool",
    ) -> "shapes.Result":
        state = self.known()
        release, current = self.trials.target_of_rollback(model, to)
        if dry_run:
            lease.free(state)
            about = states.known_release(state, model, release)
            self.trials.allowed(model, state["models"][model], release, about, current)
            boot_guard.refuse_long(
                boot_guard.kind(self.agent), self.trials.lasts(model, release, deadline_s), unguarded
            )
            self.releases.check_hooks(model, release, about)
            try:
                self.job(model, release, threads, accelerator)
            except AgentError as error:
                if error.code != Code.RUNNER_MISSING:  # the host sends the runner for the real rollback
                    raise
            return {"release": release, "from": current}
        verdict = self.verify(model, release, txn, threads, accelerator)
        if not verdict["ok"]:
            raise AgentError(
                Code.LOAD_FAILED,
                "the release to go back to answers wrongly now: %s" % release,
            )
        return dict(
            self.trials.activate(model, release, current, txn, deadline_s, unguarded), release=release
        )

    def status(self, verify: "bool" = False, files: "bool" = False) -> "shapes.Result":
        return status.status(self.agent, verify, files)

    def prune(self, keep: "int", dry_run: "bool") -> "shapes.Result":
        return status.prune(self.agent, self.releases, keep, dry_run)

    def logs(self, lines: "int") -> "shapes.Result":
        return {"log": self.agent.files.result("log.txt", self.agent.files.last_lines(lines))}

    def guard(self, install: "bool") -> "shapes.GuardState":
        if install and self.status()["problem"] == Code.NEWER_SCHEMA:
            self.store.usable()  # raises: the installed guard may belong to the agent that wrote the state
        return boot_guard.install(self.agent) if install else boot_guard.remove(self.agent)

    def purge(self) -> "shapes.Result":
        return status.purge(self.agent)

    def reset(self) -> "shapes.Result":
        return recovery.reset(self.agent, self.releases, self.trials)

    def repair(self, dry_run: "bool") -> "shapes.Result":
        return repair.Repair(self.agent, self.trials, self.recover, dry_run).run()

    def recover(self) -> "list[shapes.Result]":
        """Before the greeting: move links, watch trials, tidy up. Returns the trials that were reverted."""
        recovered: "list[shapes.Result]" = []
        with self.agent.files.confined("/state"):
            recovered = recovery.recover(self.agent, self.trials)
            recovery.rewatch(self.agent)
        with self.agent.files.confined("/leftovers"):
            recovery.tidy(self.agent, self.releases)
        return recovered

    def run_pending(self) -> "None":
        """Run the hooks that recovery left pending; after the greeting, since they may take a while."""
        hooks.run_pending(self.agent)


def version() -> "str":
    """The agent's version."""
    return __version__
