"""Reports the contents of the root folder, and removes what is no longer needed."""

import os

from edgewright_agent import clock, shapes
from edgewright_agent.boot import boot_guard
from edgewright_agent.installed import releases as release_files
from edgewright_agent.protocol import AgentError
from edgewright_agent.storage import lease
from edgewright_agent.storage.state import SLOTS

SHOWN = ("state", "version", "artifact", "target", "precision", "runtime", "hooks")


def troubles(agent: "shapes.Agent") -> "list[shapes.Result]":
    """What recovery did not repair, as errors."""
    return [
        dict(error.wire(), model="" if "/" in subject else subject)
        for subject, error in sorted(agent.files.troubles.items())
    ]


def damages(agent: "shapes.Agent", state: "shapes.State", verify: "bool") -> "list[shapes.Result]":
    """What recovery did not repair, and the releases whose files have changed, as errors; `verify` hashes
    the files."""
    found = troubles(agent)
    releases, damaged = release_files.Releases(agent), []
    for model, record in sorted(state["models"].items()):
        for release, about in sorted(record["releases"].items()):
            try:
                releases.check(model, release, about, verify)
            except AgentError as error:
                damaged.append((model, release, error))
    # a release pruned in the meantime is not damaged
    there = agent.store.read()["models"] if damaged else {}
    return found + [
        dict(error.wire(), model=model, release=release)
        for model, release, error in damaged
        if model in there and release in there[model]["releases"]
    ]


def status(agent: "shapes.Agent", verify: "bool" = False, files: "bool" = False) -> "shapes.Result":
    """The wire's `status`."""
    state = agent.store.read()
    models: "shapes.Result" = {}
    for name, record in state["models"].items():
        releases = {
            one: dict(part(about, SHOWN), runner=agent.runners.of(about), hook_s=about.get("hook_s", 0))
            for one, about in record["releases"].items()
        }
        trial, shown = record["trial"], part(record, ("current", "last_good", "known_good", "failed"))
        if trial:
            left = max(0.0, clock.left(trial["deadline"]))
            shown["trial"] = dict(part(trial, ("txn", "from", "to", "phase", "guard")), deadline_s=left)
            if trial["phase"] == "trial":  # not in the state: there is nothing to revert when it ends
                releases[trial["to"]]["state"] = "trial"
        models[name] = dict({"trial": None}, **shown, releases=releases)
    held = lease.live(state)
    left_s = held and {"model": held["model"], "host": held["host"], "left_s": clock.left(held["deadline"])}
    answer: "shapes.Result" = {"models": models, "lease": left_s, "problem": agent.store.problem}
    if files or verify:
        return dict(answer, damage=damages(agent, state, verify))
    return dict(answer, damage=troubles(agent))


def part(record: "shapes.Record", keys: "shapes.Iterable[str]") -> "shapes.Result":
    """The given keys of a record."""
    return {key: record[key] for key in keys}


def tree_bytes(path: "str", seen: "dict[int, int]") -> "int":
    """Bytes of the files below a folder; a file with several links counts when the last of its names is found.

    Args:
        seen: {inode: names found}; updated here.
    """
    total = 0
    for where, _, names in os.walk(path):
        for name in names:
            about = os.lstat(os.path.join(where, name))
            seen[about.st_ino] = seen.get(about.st_ino, 0) + 1
            total += about.st_size if seen[about.st_ino] == about.st_nlink else 0
    return total


def kept(record: "shapes.Model", keep: "int", busy: "shapes.Lease | None") -> "set[str]":
    """The releases of a model that `prune` keeps: those needed, the newest known-good ones, and those of a
    running deployment."""
    recent = record["known_good"][len(record["known_good"]) - keep :] if keep else []
    own = [name for name, about in record["releases"].items() if busy and about["txn"] == busy["txn"]]
    return release_files.needed(record) | set(recent) | set(own)


def prune(
    agent: "shapes.Agent", releases: "shapes.Releases", keep: "int", dry_run: "bool" = False
) -> "shapes.Result":
    """Remove the releases, runtimes, runners, hooks and uploads that nothing needs, or only list them. Returns
    `{"removed", "in_use", "freed_bytes"}`; `in_use` lists what only a running session needs."""
    removed, in_use, freed, doomed = [], [], 0, []
    seen: "dict[int, int]" = {}
    with agent.store.locked() as state:
        agent.store.usable()
        busy = lease.live(state)
        for model, record in sorted(state["models"].items()):
            quiet = {entry["release"] for entry in state["quiesced"] if entry["model"] == model}
            goes = sorted(set(record["releases"]) - kept(record, keep, busy) - quiet)
            doomed += [(model, release) for release in goes]
        for model, release in doomed:
            freed += tree_bytes(agent.files.path(release_files.folder(model, release)), seen)
            removed.append("%s %s" % (model, release))
            if not dry_run:
                releases.remove(state, model, release)
        for relative in unneeded(agent, state, doomed):
            with agent.uses.taken(used_as(relative)) as free:
                if busy or not free:
                    in_use.append(relative)
                    continue
                path = agent.files.path(relative)
                freed += tree_bytes(path, seen) if os.path.isdir(path) else os.path.getsize(path)
                removed.append(relative)
                if not dry_run:
                    releases.trash(relative)
    if not dry_run:
        releases.empty_trash()
    return {"removed": removed, "in_use": in_use, "freed_bytes": freed}


def used_as(relative: "str") -> "str":
    """The folder that a session marks when it uses a path: the folder of a runtime, else the top folder."""
    return relative if relative.startswith("runtimes/") else relative.split("/")[0]


def unneeded(agent: "shapes.Agent", state: "shapes.State", doomed: "list[tuple[str, str]]") -> "list[str]":
    """Relative paths of what a prune can remove: runtimes, runners and hooks that only doomed releases use, or none;
    uploads except each model's newest evaluation set; old agents."""
    abouts = [
        about
        for model, record in state["models"].items()
        for release, about in record["releases"].items()
        if (model, release) not in doomed
    ]
    runtimes = {about["runtime"] for about in abouts}
    hooks = {sha256 for about in abouts for sha256 in about["hooks"].values()}
    hooks.update(one["sha256"] for one in state["pending"])
    found = [
        "runtimes/" + name
        for name in sorted(os.listdir(agent.files.path("runtimes")))
        if (agent.runtimes.about("runtimes/" + name) or {"ref": None})["ref"] not in runtimes
    ]
    found += ["hooks/" + name for name in sorted(os.listdir(agent.files.path("hooks"))) if name not in hooks]
    runners = {about.get("runner") for about in abouts}
    there = agent.files.path("runners")
    names = sorted(os.listdir(there)) if os.path.isdir(there) else []
    found += ["runners/" + name for name in names if name.split(".")[0] not in runners]
    sets = {record.get("evaluation") for record in state["models"].values()}
    found += [
        "incoming/" + name
        for name in sorted(os.listdir(agent.files.path("incoming")))
        if not name.startswith("stage-") and name not in sets
    ]
    return found + old_agents(agent)


def old_agents(agent: "shapes.Agent") -> "list[str]":
    """Relative paths of agents that neither this session, nor a guard, nor the newest two use."""
    folder = agent.files.path("agent")
    names = [name for name in os.listdir(folder) if name.endswith(".pyz")]
    names.sort(key=lambda name: os.stat(os.path.join(folder, name)).st_mtime)
    used = {agent.sha256 + ".pyz", boot_guard.agent_of(agent.files) + ".pyz"}
    return ["agent/" + name for name in names[:-2] if name not in used]


def purge(agent: "shapes.Agent") -> "shapes.Result":
    """Remove everything under the root folder, the folder itself, and the guard. Returns `{}`, or
    `{"left": why}` if the guard could not be removed: the agent that it starts is gone."""
    lease.free(agent.store.read())
    why = boot_guard.remove(agent)["why"]
    with agent.store.locked() as state:
        lease.free(state)
        # Remove the state first: a crash then leaves a lost state or nothing, never a state without
        # files, nor half a runtime that looks complete.
        for name in SLOTS:
            agent.files.remove_file(name)
        agent.files.sync_folder("")
        for name in ("models", "runtimes", "hooks", "incoming"):
            release_files.Releases(agent).trash(name)
        agent.files.remove_root()
    return {"left": why} if why else {}
