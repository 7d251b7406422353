"""Releases: artifacts installed under a model's name and a version, atomically and verified."""

import json
import os

from edgewright_agent import shapes
from edgewright_agent.installed import manifest, prepared_files
from edgewright_agent.processes import hooks as hook_files
from edgewright_agent.protocol import MAX_MANIFEST, AgentError, Code
from edgewright_agent.storage import incoming, integrity, lease, reserve
from edgewright_agent.storage import state as states
from edgewright_agent.storage.failures import denied, failure


def folder(model: "str", release: "str") -> "str":
    """The relative folder of a release."""
    return "models/%s/versions/%s" % (model, release)


def release_name(version: "str", artifact: "str") -> "str":
    """`<version>-<first 8 hex of the artifact's id>`."""
    return "%s-%s" % (version, artifact[:8])


def runtime_key(runtime: "shapes.Runtime") -> "str":
    """The runtime's key in a recorded failure: the id of a provisioned runtime, name and version of the board's own."""
    return "%s %s" % (runtime["ref"], runtime["version"]) if runtime["system"] else runtime["ref"]


def hooks_of(about: "shapes.Parts | shapes.Release") -> "shapes.Record":
    """The hooks' key in a recorded failure. It includes the time limit: with more time the same hooks may succeed."""
    limit = about.get("hook_s", 0)
    return dict(about["hooks"], hook_s=limit) if limit else about["hooks"]


def failed_before(
    record: "shapes.Model", artifact: "str", runtime: "str", hooks: "shapes.Record", runner: "str | None"
) -> "shapes.Failure | None":
    """The entry of an earlier failure with exactly these parts, or None.

    A hook's failure does not depend on the runner; a failed load or wrong outputs may not recur with another runner.
    """
    for entry in record["failed"]:
        part, now = ("runner", runner) if entry["hooks"] is None else ("hooks", hooks)
        if (entry["artifact"], entry["runtime"], entry.get(part)) == (artifact, runtime, now):
            return entry
    return None


def refuse_failed(
    record: "shapes.Model", artifact: "str", runtime: "str", hooks: "shapes.Record", runner: "str | None"
) -> "None":
    """Raise AgentError `failed-before` if exactly these parts failed here for good."""
    failure = failed_before(record, artifact, runtime, hooks, runner)
    if failure:
        raise AgentError(
            Code.FAILED_BEFORE,
            "this artifact failed on this board before: %s" % failure["why"],
        )


def remember_failure(
    record: "shapes.Model",
    release: "str",
    why: "str",
    code: "str",
    runtime: "shapes.Runtime | None" = None,
    runner: "str | None" = None,
) -> "None":
    """Record that a release failed for good on this board, with this runtime (as `Runtimes.find` describes it) and runner.

    Only for load, golden and hook failures.
    """
    about = record["releases"][release]
    hooks = hooks_of(about) if code == Code.HOOK_FAILED else None
    key = runtime_key(runtime) if runtime else about["runtime"]
    if failed_before(record, about["artifact"], key, hooks_of(about), runner) is None:
        entry: "shapes.Failure" = {
            "release": release,
            "artifact": about["artifact"],
            "runtime": key,
            "hooks": hooks,
            "runner": runner,
            "code": code,
            "why": why[:500],
        }
        record["failed"] = record["failed"][-49:] + [entry]


def same_parts(record: "shapes.Model", release: "str", wanted: "shapes.Record") -> "bool":
    """Whether a release is recorded with exactly these parts."""
    known: "shapes.Record" = record["releases"].get(release) or {}
    return all(known.get(key, 0) == part for key, part in wanted.items())


def needed(record: "shapes.Model") -> "set[str]":
    """The releases that must stay: current, last good, and both releases of a trial."""
    trial = record["trial"]
    ends = [record["current"], record["last_good"]] + ([trial["from"], trial["to"]] if trial else [])
    return {release for release in ends if release}


class Releases(object):
    """Installs, checks and removes releases.

    Args:
        agent: Agent.
    """

    def __init__(self, agent: "shapes.Agent") -> "None":
        self.agent = agent
        self.files = agent.files

    def read_manifest(self, sha256: "str") -> "tuple[bytes, shapes.Manifest]":
        """Read the manifest from the uploads: (bytes, dict)."""
        path = self.agent.incoming.find(sha256)
        if os.path.getsize(path) > MAX_MANIFEST:
            raise manifest.bad("too large")
        with integrity.opened(path) as file:
            data = file.read()
        return data, manifest.parse(data, sha256)

    def install(
        self,
        model: "str",
        version: "str",
        manifest: "str",
        runtime: "str",
        hooks: "dict[str, str]",
        txn: "str",
        hook_s: "float" = 0,
        runner: "str | None" = None,
    ) -> "shapes.Result":
        """Install a release from uploaded files.

        Args:
            manifest: sha256 of the uploaded manifest. hooks: {kind: sha256}, also uploaded.
            hook_s: time limit of each hook, seconds; 0 for the default. runner: sha256 of a stored runner.

        Returns:
            `{"release", "state", "existed"}`.
        """
        release = release_name(version, manifest)
        wanted: "shapes.Parts" = {
            "version": version,
            "artifact": manifest,
            "runtime": runtime,
            "hooks": hooks,
            "hook_s": hook_s,
        }
        with self.agent.store.locked() as state:
            self.agent.store.usable()
            lease.require(state, txn, model)
            self.agent.store.save(state)
            record = states.model_of(state, model)
        if self.existing(record, model, release, wanted, runner):
            self.keep_hooks(hooks)
            self.drop_uploads(manifest, self.content(model, release, record["releases"][release]), hooks)
            return {"release": release, "state": record["releases"][release]["state"], "existed": True}
        data, content = self.read_manifest(manifest)
        runner = self.agent.runners.choose(content["target"], runner)
        used = self.agent.runtimes.find(runtime)
        if used["target"] not in ("", content["target"]):  # empty: a runtime of the board's own
            raise AgentError(Code.BAD_ARGUMENT, "the runtime is for another target: %s" % used["target"])
        if not same_parts(record, release, wanted) or release not in record["known_good"]:
            refuse_failed(record, manifest, runtime_key(used), hooks_of(wanted), runner)
        stage = "incoming/stage-" + txn
        try:
            self.stage(stage, data, content)
            self.keep_hooks(hooks)
            about: "shapes.Release" = {
                "version": version,
                "artifact": manifest,
                "runtime": runtime,
                "hooks": hooks,
                "hook_s": hook_s,
                "runner": runner,
                "target": content["target"],
                "precision": content["precision"],
                "state": "staged",
                "txn": txn,
            }
            self.place(stage, model, release, about, txn)
        except AgentError:
            self.files.remove_tree(stage)
            raise
        self.drop_uploads(manifest, content, hooks)
        return {"release": release, "state": "staged", "existed": False}

    def drop_uploads(self, artifact: "str", content: "shapes.Manifest", hooks: "dict[str, str]") -> "None":
        """Remove the uploads that a release was installed from."""
        self.agent.incoming.drop([entry["sha256"] for entry in content["files"]] + [artifact])
        self.agent.incoming.drop(hooks.values())

    def existing(
        self,
        record: "shapes.Model",
        model: "str",
        release: "str",
        wanted: "shapes.Record",
        runner: "str | None",
    ) -> "bool":
        """Whether this release is there and intact. Raises `in-use` if its parts differ and it must stay.

        A release that is in use or known good keeps the runner that it was verified with; any other takes a new one.
        """
        known = record["releases"].get(release)
        if known is None or not self.whole(model, release, known):
            return False
        if same_parts(record, release, wanted):
            other = runner not in (None, known.get("runner"))
            if other and release not in needed(record).union(record["known_good"]):
                return False
            return known["state"] != "failed"  # if it failed, then on another version of the runtime
        if release in needed(record):
            raise AgentError(
                Code.IN_USE,
                "this release is in use with another runtime or other hooks: %s" % release,
            )
        return False

    def stage(self, stage: "str", data: "bytes", content: "shapes.Manifest") -> "None":
        """Put a release's files together in a separate folder, durably."""
        incoming.room(self.files, manifest.MAX_SLACK, len(content["files"]) + 8)
        reserve.keep(self.files)
        self.files.remove_tree(stage)
        self.files.make_folder(stage)
        for entry in content["files"]:
            self.agent.incoming.find(entry["sha256"], entry["size"])
            self.files.make_folder(os.path.dirname(stage + "/" + entry["path"]))
            self.files.link(self.agent.incoming.name(entry["sha256"]), stage + "/" + entry["path"])
        self.files.write(stage + "/" + manifest.NAME, data)
        self.files.share(stage)
        self.files.seal(stage)

    def keep_hooks(self, hooks: "dict[str, str]") -> "None":
        """Make the uploaded hooks runnable, in a separate folder."""
        for sha256 in hooks.values():
            target = hook_files.name(sha256)
            if hook_files.whole(self.agent, sha256):
                continue
            size = os.path.getsize(self.agent.incoming.find(sha256))
            if size > hook_files.MAX_BYTES:
                raise AgentError(Code.BAD_ARGUMENT, "a hook is too large: %d bytes" % size)
            self.files.copy(self.agent.incoming.name(sha256), target, size, 0o700)

    def place(
        self, stage: "str", model: "str", release: "str", about: "shapes.Release", txn: "str"
    ) -> "None":
        """Move a staged folder to its final place, and record the release."""
        with self.agent.store.locked() as state:
            lease.require(state, txn, model)
            record = states.model_of(state, model)
            if release in needed(record):
                raise AgentError(Code.IN_USE, "a damaged release is in use: %s" % release)
            self.files.make_folder("models/%s/versions" % model)
            self.files.make_folder("models/%s/records" % model)
            self.trash(folder(model, release))
            # A reset reads this record if both slots are lost.
            placed = {key: value for key, value in about.items() if key not in ("state", "txn")}
            self.files.write(
                "models/%s/records/%s.json" % (model, release),
                json.dumps(dict(placed, schema=states.SCHEMA), sort_keys=True).encode("ascii"),
            )
            self.files.rename(stage, folder(model, release))
            # Nothing is known about other parts. Another runner is verified before activation, as after any repair.
            if not same_parts(record, release, {key: placed[key] for key in placed if key != "runner"}):
                record["known_good"] = [one for one in record["known_good"] if one != release]
            else:  # a repair: what an evaluation accepted is still accepted
                about["accepted"] = record["releases"][release].get("accepted")
            record["releases"][release] = about
            self.agent.store.save(state)
        self.empty_trash()

    def content(self, model: "str", release: "str", about: "shapes.Release") -> "shapes.Manifest":
        """The manifest of an installed release. Raises `release-damaged`."""
        base = self.files.path(folder(model, release))
        if os.path.islink(base):
            text = "the folder of %s %s is a link" % (model, release)
            raise AgentError(Code.RELEASE_DAMAGED, text, cause="strange", path=base)
        path = os.path.join(base, manifest.NAME)
        try:
            with integrity.opened(path) as file:
                return manifest.parse(file.read(MAX_MANIFEST + 1), about["artifact"])
        except PermissionError as error:
            raise failure(error, path, self.files.root)
        except (OSError, AgentError) as error:
            if getattr(error, "code", "") == Code.NEWER_SCHEMA:
                raise
            gone = isinstance(error, FileNotFoundError)
            raise AgentError(
                Code.RELEASE_DAMAGED,
                "the release's manifest is %s: %s %s" % ("gone" if gone else "damaged", model, release),
            )

    def check(
        self, model: "str", release: "str", about: "shapes.Release", hashes: "bool" = True
    ) -> "shapes.Manifest":
        """Check the hashes of an installed release's files, or only their sizes. Returns its manifest; raises
        `release-damaged`."""
        content = self.content(model, release, about)
        base = self.files.path(folder(model, release))
        there = integrity.listed(self.files.root, folder(model, release))
        for entry in content["files"]:
            path = os.path.join(base, entry["path"])
            if entry["path"] not in there or not self.agent.checked.matches(
                path, entry["sha256"] if hashes else None, entry["size"]
            ):
                raise denied(self.files.root, path) or AgentError(
                    Code.RELEASE_DAMAGED,
                    "a file of %s %s is damaged: %s" % (model, release, entry["path"]),
                )
        return content

    def whole(self, model: "str", release: "str", about: "shapes.Release") -> "bool":
        """Whether `check` succeeds."""
        try:
            self.check(model, release, about)
        except AgentError:
            return False
        return True

    def check_hooks(self, model: "str", release: "str", about: "shapes.Release") -> "None":
        """Raise AgentError `release-damaged` if a hook of a release is missing or changed."""
        for kind, sha256 in sorted(about["hooks"].items()):
            if not hook_files.whole(self.agent, sha256):
                raise AgentError(
                    Code.RELEASE_DAMAGED,
                    "the hook %s of %s %s is gone or damaged" % (kind, model, release),
                )

    def trash(self, relative: "str") -> "None":
        """Move a folder to the trash, durably, to delete it later."""
        if os.path.lexists(self.files.path(relative)):
            names = os.listdir(self.files.path("trash"))
            free = next(str(n) for n in range(len(names) + 1) if str(n) not in names)
            self.files.rename(relative, "trash/" + free)

    def empty_trash(self) -> "None":
        """Delete the contents of the trash."""
        for name in os.listdir(self.files.path("trash")):
            self.files.remove_tree("trash/" + name)

    def remove(self, state: "shapes.State", model: "str", release: "str") -> "None":
        """Remove a release from the state and the disk; the caller holds the lock. The state is saved first:
        it is authoritative."""
        record = state["models"][model]
        record["releases"].pop(release, None)
        record["known_good"] = [one for one in record["known_good"] if one != release]
        self.agent.store.save(state)
        self.trash(folder(model, release))
        for relative in prepared_files.unused(self.files, state, model):
            self.trash(relative)
        self.files.remove_file("models/%s/records/%s.json" % (model, release))
        self.files.sync_folder("models/%s/records" % model)

    def discard(self, model: "str", release: "str", txn: "str") -> "shapes.Result":
        """Remove a release that is not in use. Raises `in-use`."""
        with self.agent.store.locked() as state:
            lease.require(state, txn, model)
            states.known_release(state, model, release)
            record = state["models"][model]
            if release in needed(record) or release in record["known_good"]:
                raise AgentError(Code.IN_USE, "this release must stay: %s" % release)
            self.remove(state, model, release)
        self.empty_trash()
        return {}
