"""Repairs the root folder after changes by people or other programs. It deletes nothing: unknown files go to `aside/`."""

import os

from edgewright_agent import shapes
from edgewright_agent.lifecycle.status import damages
from edgewright_agent.protocol import AgentError, Code
from edgewright_agent.storage import layout
from edgewright_agent.storage.failures import denied
from edgewright_agent.storage.integrity import listed
from edgewright_agent.storage.state import SLOTS

MOST = 1000  # entries in an answer


class Repair(object):
    """One repair.

    Args:
        agent: Agent. trials: Trials. again: runs recovery.
        dry_run: only report what would be done.

    Attributes:
        done: what was repaired, or would be. left: what a person has to repair, as errors.
    """

    def __init__(
        self, agent: "shapes.Agent", trials: "shapes.Trials", again: "shapes.Callback", dry_run: "bool"
    ) -> "None":
        self.agent, self.files, self.trials = agent, agent.files, trials
        self.again, self.dry_run = again, dry_run
        self.done: "list[str]" = []
        self.left: "list[shapes.Result]" = []

    def act(self, what: "str", work: "shapes.Act", *arguments: "str") -> "None":
        """Repair one thing."""
        try:
            if not self.dry_run:
                work(*arguments)
            self.done.append(what)
        except AgentError as error:
            self.leave(error)

    def leave(self, error: "AgentError") -> "None":
        """Leave a problem to a person."""
        self.left.append(error.wire())

    def run(self) -> "shapes.Result":
        """Repair what is possible. Returns `{"done", "left"}`."""
        for work in (self.owners, self.kinds):
            with self.files.confined("/state"):
                self.agent.store.read()
                if (
                    self.agent.store.problem == Code.NEWER_SCHEMA
                ):  # would move files that this agent does not know
                    self.agent.store.usable()
            work()
        try:
            if self.dry_run:
                self.follow(self.agent.store.read())
            else:
                with self.agent.store.locked() as state:
                    self.follow(state)
        except AgentError as error:
            self.leave(error)
            return self.answer()
        self.files.troubles.clear()
        if not self.dry_run:  # what stopped recovery is moved away, or still there
            self.again()
        for one in damages(self.agent, self.agent.store.read(), False):
            if not self.dry_run or one["code"] == Code.RELEASE_DAMAGED:
                self.left.append(one)
        return self.answer()

    def follow(self, state: "shapes.State") -> "None":
        """Write a damaged slot of the state again, and make the links follow it."""
        self.agent.store.usable()
        good = [name for _, name, _ in self.agent.store._slots()[0]]
        for name in SLOTS:
            if layout.kind(self.files, name) == "file" and name not in good:
                self.act(name + ": damaged, written again", lambda: self.agent.store.save(state))
        for model, record in sorted(state["models"].items()):
            self.link(model, record["current"])

    def answer(self) -> "shapes.Result":
        """The results so far."""
        return {"done": self.done[:MOST], "left": self.left[:MOST]}

    def owners(self) -> "None":
        """Take ownership of other users' files, if allowed, and give everything the mode that it needs."""
        for where, folders, names in os.walk(self.files.root):
            for name in folders + names:
                path = os.path.join(where, name)
                error = denied(self.files.root, path)
                if error is None or error.about["path"] != path:  # its parent comes first
                    continue
                if error.about["cause"] == "mode" or os.geteuid() == 0:
                    self.act(
                        error.message + ": changed", self.files.own, os.path.relpath(path, self.files.root)
                    )
                else:
                    self.leave(error)
                    folders[:] = [one for one in folders if one != name]

    def kinds(self) -> "None":
        """Move aside everything that is not of the expected kind."""
        wanted = list(layout.rows(self.files))
        for folder, about in self.agent.runtimes.folders():
            odd = listed(self.files.root, folder) - set(about["files"]) - {"RUNTIME.json", "DAMAGED"}
            wanted += [(folder + "/" + name, "") for name in sorted(odd)]
        for relative, kind in wanted:
            found = layout.kind(self.files, relative)
            if found not in ("", kind):
                to = layout.place(self.files, relative)
                self.act("%s: a %s, moved to %s" % (relative, found, to), self.aside, relative)
        if not self.dry_run:
            for name in layout.FOLDERS:
                self.files.make_folder(name)

    def aside(self, relative: "str") -> "None":
        """Move something aside."""
        layout.put_aside(self.files, relative)

    def link(self, model: "str", current: "str | None") -> "None":
        """Make a `current` link name what the state says."""
        if layout.link_of(self.files, model) != (current and "versions/" + current):
            what = "models/%s/current: names %s again" % (model, current or "nothing")
            self.act(what, lambda: self.trials.point(model, current))
