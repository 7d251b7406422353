"""Activation on trial: the intent is durable before `current` moves; without a commit the board reverts
by itself."""

from edgewright_agent import clock, shapes
from edgewright_agent.boot import boot_guard
from edgewright_agent.installed import releases
from edgewright_agent.lifecycle import watchdog
from edgewright_agent.processes import hooks
from edgewright_agent.protocol import HOOK_SECONDS, AgentError, Code
from edgewright_agent.storage import layout, lease, reserve
from edgewright_agent.storage import state as states

MAX_DEADLINE = 24 * 3600.0  # seconds
TRIED = ("activate", "health")  # the hooks of a trial, in order
READY = ("verified", "committed")  # states that a release may be activated from


def find(state: "shapes.State", txn: "str") -> "tuple[str, shapes.Model, shapes.Trial] | None":
    """(model name, its record, its trial) of a transaction, or None."""
    for name, record in state["models"].items():
        trial = record["trial"]
        if trial and trial["txn"] == txn:
            return name, record, trial
    return None


class Trials(object):
    """Moves `current` to a release, and back.

    Args:
        agent: Agent. releases: Releases.
    """

    def __init__(self, agent: "shapes.Agent", releases: "shapes.Releases") -> "None":
        self.agent = agent
        self.files = agent.files
        self.store = agent.store
        self.releases = releases

    def point(self, model: "str", release: "str | None") -> "None":
        """Make the link follow the state."""
        relative = "models/%s/current" % model
        self.files.make_folder("models/" + model)
        if layout.kind(self.files, relative) not in ("", "link", "folder"):
            layout.put_aside(self.files, relative)
        self.files.swap_link(relative, None if release is None else "versions/" + release)

    def activate(
        self,
        model: "str",
        release: "str",
        expected_current: "str | None",
        txn: "str",
        deadline_s: "float",
        unguarded: "bool",
    ) -> "shapes.Result":
        """Put a verified release on trial.

        Raises:
            AgentError: `conflict`, `busy`, `bad-argument` for an unverified release, `release-damaged`, `no-guard`;
            `hook-failed`: already reverted; `reverted`: the deadline passed in the meantime.
        """
        deadline_s = self.lasts(model, release, deadline_s)
        after_boot = boot_guard.protect(self.agent, deadline_s, unguarded)
        before = self.intend(model, release, expected_current, txn, deadline_s)
        self.swap(txn, self.watch(txn, unguarded), after_boot)
        try:
            for kind in TRIED:
                self.run_hook(kind, model, release)
        except AgentError as error:
            self.revert(txn, error.message, failed=error.code == Code.HOOK_FAILED)
            raise
        return self.on_trial(txn, before)

    def lasts(self, model: "str", release: "str", deadline_s: "float") -> "float":
        """Seconds that a trial may last: its deadline plus the time limits of its hooks."""
        about = states.known_release(self.store.read(), model, release)
        hooks_s = sum(about.get("hook_s") or HOOK_SECONDS for kind in TRIED if kind in about["hooks"])
        return min(float(deadline_s) + hooks_s, MAX_DEADLINE)

    def intend(
        self, model: "str", release: "str", expected: "str | None", txn: "str", deadline_s: "float"
    ) -> "str | None":
        """Make the intent durable. Returns the release that was current until now."""
        try:
            reserve.keep(self.files)
        except AgentError:  # an installation has used up the room; a rollback continues without a reserve
            pass
        # Hash before taking the lock: the check under the lock is then fast.
        self.releases.whole(model, release, states.known_release(self.store.read(), model, release))
        with self.store.locked() as state:
            self.store.usable()
            lease.require(state, txn, model)
            about = states.known_release(state, model, release)
            record = state["models"][model]
            self.allowed(model, record, release, about, expected)
            if states.outcome_of(state, txn):
                raise AgentError(Code.CONFLICT, "this transaction is settled already: %s" % txn)
            self.releases.check(model, release, about)
            self.releases.check_hooks(model, release, about)
            record["trial"] = {
                "txn": txn,
                "from": record["current"],
                "to": release,
                "deadline": clock.in_seconds(deadline_s),
                "phase": "intent",
                "watchdog": None,
                "guard": "none",
            }
            self.store.save(state)
            return record["current"]

    def allowed(
        self,
        model: "str",
        record: "shapes.Model",
        release: "str",
        about: "shapes.Release",
        expected: "str | None",
    ) -> "None":
        """Raise AgentError unless this release may be activated now."""
        self.files.check_link("models/%s/current" % model)
        if record["trial"]:
            raise AgentError(
                Code.BUSY,
                "another release of this model is on trial: %s" % record["trial"]["to"],
            )
        if record["current"] != expected:
            raise AgentError(
                Code.CONFLICT,
                "the current release is another one: %s" % record["current"],
            )
        if release == record["current"]:
            raise AgentError(Code.CONFLICT, "this release is current already: %s" % release)
        if about["state"] not in READY:
            raise AgentError(
                Code.BAD_ARGUMENT,
                "the release is not verified, it is %s: %s" % (about["state"], release),
            )

    def watch(self, txn: "str", unguarded: "bool") -> "shapes.Watchdog | None":
        """Start the watchdog. Returns its owner record; None if it is missing and that is allowed."""
        try:
            return watchdog.start(self.agent, txn)
        except AgentError as error:
            if not unguarded:
                self.revert(txn, error.message)
                raise
            self.files.note("no watchdog: " + error.message)
            return None

    def swap(self, txn: "str", own: "shapes.Watchdog | None", after_boot: "str") -> "None":
        """Move `current`, in the state and then its link."""
        with self.store.locked() as state:
            found = find(state, txn)
            if found is None:
                raise AgentError(Code.REVERTED, "the trial ended before it began: %s" % txn)
            name, record, trial = found
            kept = after_boot if after_boot != "none" else "watchdog"
            trial["phase"], trial["watchdog"] = "hooks", own
            trial["guard"] = kept if own else "none"
            record["current"] = trial["to"]
            self.store.save(state)
            self.point(name, trial["to"])

    def run_hook(self, kind: "str", model: "str", release: "str") -> "None":
        """Run a release's hook of a kind, if it has one."""
        about = states.known_release(self.store.read(), model, release)
        if kind in about["hooks"]:
            hooks.run(self.agent, kind, about["hooks"][kind], model, release, about.get("hook_s", 0))

    def on_trial(self, txn: "str", before: "str | None") -> "shapes.Result":
        """Note that the hooks succeeded: from now on a commit is accepted."""
        with self.store.locked() as state:
            found = find(state, txn)
            if found is None:
                raise AgentError(Code.REVERTED, "the trial ended while its hooks ran: %s" % txn)
            trial = found[2]
            trial["phase"] = "trial"
            self.store.save(state)
        left = max(0.0, clock.left(trial["deadline"]))
        return {"state": "trial", "deadline_s": left, "guard": trial["guard"], "from": before}

    def commit(self, txn: "str") -> "shapes.Result":
        """Commit a release on trial. A commit that is late, or comes before the hooks have finished, finds it reverted."""
        with self.store.locked() as state:
            self.store.usable()
            found = find(state, txn)
            if found is None:
                return self.settled(state, txn)
            name, record, trial = found
            if clock.left(trial["deadline"]) > 0 and trial["phase"] == "trial":
                self.keep(record, trial)
                states.settle(state, txn, "committed")
                self.store.save(state)
                self.files.note("%s %s: committed" % (name, trial["to"]))
                return {"outcome": "committed"}
            self.undo(state, name, trial, "the commit came too late", failed=False)
        hooks.run_pending(self.agent)
        return {"outcome": "reverted"}

    def keep(self, record: "shapes.Model", trial: "shapes.Trial") -> "None":
        """Record a model's committed trial. A return to a known-good release removes the later ones from the
        known good."""
        known, release = record["known_good"], trial["to"]
        record["known_good"] = known[: known.index(release) + 1] if release in known else known + [release]
        record["last_good"] = release
        about = record["releases"][release]
        about["state"] = "committed"
        txn, figures = about.pop("low", None) or (None, None)
        if txn == trial["txn"]:  # an evaluation accepted them, so later verifications do too
            about["accepted"] = figures
        record["trial"] = None

    def settled(self, state: "shapes.State", txn: "str") -> "shapes.Result":
        """The outcome of a transaction that is no longer on trial. Raises `not-found`."""
        outcome = states.outcome_of(state, txn)
        if outcome is None:
            raise AgentError(Code.NOT_FOUND, "no such transaction on this board: %s" % txn)
        if self.store.doubt:
            self.store.save(state)
        return {"outcome": outcome}

    def revert(self, txn: "str", reason: "str", failed: "bool" = False) -> "shapes.Result":
        """Return to the release that was current before a trial; with `failed`, record its hooks' failure."""
        with self.store.locked() as state:
            self.store.usable()
            found = find(state, txn)
            if found is None:
                return self.settled(state, txn)
            self.undo(state, found[0], found[2], reason, failed)
        hooks.run_pending(self.agent)
        return {"outcome": "reverted"}

    def undo(
        self, state: "shapes.State", name: "str", trial: "shapes.Trial", reason: "str", failed: "bool"
    ) -> "None":
        """End a trial, in the state and then the link; the caller holds the lock.

        Frees the reserve first, so that a full disk cannot stop it. Afterwards the `activate` hook of the
        release that is current again runs, so that the application loads it.
        """
        record = state["models"][name]
        reserve.drop(self.files, reserve.RESERVE)
        moved = record["current"] != trial["from"]
        about = record["releases"].get(trial["to"])
        if about and about["state"] != "committed":  # a committed release stays committed
            about["state"] = "failed" if failed else "reverted"
            if failed:
                self.remember(record, about, trial["to"], reason)
        record["current"], record["trial"] = trial["from"], None
        states.settle(state, trial["txn"], "reverted")
        if moved:
            hooks.leave(state, "activate", name, trial["from"])
        self.store.save(state)
        self.point(name, trial["from"])
        kept = trial["from"] or "nothing"
        self.files.note("%s %s: reverted, current is %s again: %s" % (name, trial["to"], kept, reason))

    def remember(self, record: "shapes.Model", about: "shapes.Release", release: "str", why: "str") -> "None":
        """Record that a release's hooks failed. With a runtime of the board's own, its version counts."""
        runtime = None
        if about["runtime"].startswith("system:"):
            try:
                runtime = self.agent.runtimes.find(about["runtime"])
            except AgentError:  # gone by now, so no one can install for it
                pass
        releases.remember_failure(record, release, why, Code.HOOK_FAILED, runtime)

    def outcome(self, txn: "str") -> "shapes.Result":
        """The outcome of a transaction: `trial`, `committed`, `reverted` or `unknown`."""
        self.store.confirm()
        state = self.store.read()
        self.store.usable()
        if find(state, txn):
            return {"outcome": "trial"}
        return {"outcome": states.outcome_of(state, txn) or "unknown"}

    def target_of_rollback(self, model: "str", to: "str | None") -> "tuple[str, str | None]":
        """(release, current) of a rollback to a release, to the newest committed one of a version, or to the
        previous one.

        Raises:
            AgentError: `nothing-to-roll-back`; `not-found`.
        """
        record = states.known_model(self.store.read(), model)
        current, known = record["current"], record["known_good"]
        if to is None:
            earlier = known[: known.index(current)] if current in known else known
            if not earlier:
                raise AgentError(
                    Code.NOTHING_TO_ROLL_BACK,
                    "no known-good %s before this one: %s" % (model, current),
                )
            return earlier[-1], current
        good = [
            name
            for name, about in record["releases"].items()
            if about["state"] == "committed" and to in (name, about["version"])
        ]
        if not good:
            raise AgentError(Code.NOT_FOUND, "no known-good release of %s: %s" % (model, to))
        release = sorted(good, key=lambda name: known.index(name) if name in known else -1)[-1]
        if release == current:
            raise AgentError(Code.NOTHING_TO_ROLL_BACK, "this release is current already: %s" % release)
        return release, current
