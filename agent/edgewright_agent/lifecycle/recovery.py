"""Recovery: at every start of an agent, and by the watchdog. It may run any number of times, and be cut
short."""

import os

from edgewright_agent import clock, shapes
from edgewright_agent.installed import manifest, prepared
from edgewright_agent.lifecycle import watchdog
from edgewright_agent.lifecycle.trial import find
from edgewright_agent.processes import hooks
from edgewright_agent.protocol import MAX_LINE, AgentError, Code, loads
from edgewright_agent.storage import lease
from edgewright_agent.storage import state as states


def recover(agent: "shapes.Agent", trials: "shapes.Trials") -> "list[shapes.Result]":
    """Bring the root folder back to what the state says, and end the trials whose time is over.

    Returns:
        list of `{"model", "txn", "from", "to"}`: the trials that were reverted.
    """
    recovered: "list[shapes.Result]" = []
    with agent.store.locked() as state:
        if agent.store.problem:
            return recovered
        for name in sorted(state["models"]):
            record = state["models"][name]
            trial = record["trial"]
            if trial and clock.left(trial["deadline"]) <= 0:
                again = trial["deadline"]["boot_id"] != clock.boot_id()
                why = "the board booted meanwhile" if again else "nobody committed it in time"
                trials.undo(state, name, trial, why, failed=False)
                recovered.append(
                    {"model": name, "txn": trial["txn"], "from": trial["from"], "to": trial["to"]}
                )
            align(agent, trials, name, record["current"])
        wake(agent, state)
    return recovered


def align(agent: "shapes.Agent", trials: "shapes.Trials", model: "str", current: "str | None") -> "None":
    """Make a link follow the state, where a crash came between the two."""
    path = agent.files.path("models/%s/current" % model)
    wanted = None if current is None else "versions/" + current
    found = os.readlink(path) if os.path.islink(path) else None
    if found != wanted:
        trials.point(model, current)
        agent.files.note("%s: fixed the link: it named %s, the state says %s" % (model, found, current))


def wake(agent: "shapes.Agent", state: "shapes.State") -> "None":
    """Leave the `resume` hooks of sessions that died while an application was quiet."""
    dead = [entry for entry in state["quiesced"] if not clock.alive(entry["owner"])]
    if dead:
        state["quiesced"] = [entry for entry in state["quiesced"] if entry not in dead]
        for entry in dead:
            hooks.leave(state, "resume", entry["model"], entry["release"])
        agent.store.save(state)


def tidy(agent: "shapes.Agent", releases: "shapes.Releases") -> "None":
    """Remove what crashed sessions left: the trash, stages without a lease, results of the dead,
    unknown releases."""
    with agent.store.locked() as state:
        if agent.store.problem:
            return
        held = lease.live(state)
        keep = "stage-" + held["txn"] if held else ""
        for name in os.listdir(agent.files.path("incoming")):
            if name.startswith("stage-") and name != keep and not of_the_living(name[6:]):
                agent.files.remove_tree("incoming/" + name)
        for name in os.listdir(agent.files.path("results")):
            if not of_the_living(name):
                agent.files.remove_tree("results/" + name)
        for model in os.listdir(agent.files.path("models")):
            strays(agent, releases, state, model)
        releases.empty_trash()


def strays(agent: "shapes.Agent", releases: "shapes.Releases", state: "shapes.State", model: "str") -> "None":
    """Move the folders of releases that the state does not know, and what was prepared for them, into the trash;
    remove their records."""
    folder = "models/%s/versions" % model
    known = state["models"][model]["releases"] if model in state["models"] else {}
    if os.path.isdir(agent.files.path(folder)):
        for name in sorted(set(os.listdir(agent.files.path(folder))) - set(known)):
            releases.trash(folder + "/" + name)
    folder = "models/%s/records" % model
    if os.path.isdir(agent.files.path(folder)):
        for name in sorted(set(os.listdir(agent.files.path(folder))) - {one + ".json" for one in known}):
            agent.files.remove_file(folder + "/" + name)
    for relative in prepared.unused(agent.files, state, model):
        releases.trash(relative)


def of_the_living(session: "str") -> "bool":
    """Whether a session's name, `<pid>-<when it began>`, is that of a process that runs."""
    pid, _, began = session.partition("-")
    return len(pid) < 12 and pid.isdigit() and began == str(clock.started(int(pid)))


def rewatch(agent: "shapes.Agent") -> "None":
    """Start a new watchdog for every trial whose own is dead, since a board may kill what a session leaves behind;
    or whose own is of an agent with an older schema, since it leaves what this one writes."""
    for record in list(agent.store.read()["models"].values()):
        trial = record["trial"]
        own = trial and trial["watchdog"]
        if not trial or (own and own.get("schema", 1) == states.SCHEMA and clock.alive(own)):
            continue
        try:
            started = watchdog.start(agent, trial["txn"])
        except AgentError as error:
            agent.files.note("no watchdog: " + error.message)
            continue
        with agent.store.locked() as state:
            found = find(state, trial["txn"])
            if found:
                other = found[2]
                other["watchdog"] = started
                other["guard"] = "watchdog" if other["guard"] == "none" else other["guard"]
                agent.store.save(state)


def record_of(agent: "shapes.Agent", model: "str", release: "str") -> "shapes.Unchecked":
    """What a release's own record says of it; ValueError, or AgentError `newer-schema`."""
    with open(agent.files.path("models/%s/records/%s.json" % (model, release)), "rb") as file:
        about = loads(file.read(MAX_LINE).decode("ascii"))
    if not isinstance(about, dict):
        raise ValueError("not a record")
    if about.pop("schema", 1) > states.SCHEMA:  # the first agents wrote none
        raise AgentError(Code.NEWER_SCHEMA, "a newer agent installed %s %s" % (model, release))
    return about


def reset(agent: "shapes.Agent", releases: "shapes.Releases", trials: "shapes.Trials") -> "shapes.Result":
    """After both state slots were lost: take each hash-valid `current` as the truth."""
    with agent.store.locked() as state:
        if agent.store.problem != Code.STATE_LOST:
            raise AgentError(Code.CONFLICT, "the state is not lost: there is nothing to reset")
        for model in sorted(os.listdir(agent.files.path("models"))):
            path = agent.files.path("models/%s/current" % model)
            release = os.path.basename(os.readlink(path)) if os.path.islink(path) else ""
            try:
                about = record_of(agent, model, release)
                releases.check(model, release, about)
            except (OSError, ValueError, KeyError, TypeError, AgentError) as error:
                if (
                    getattr(error, "code", "") == Code.NEWER_SCHEMA
                ):  # what this agent does not know would be removed
                    raise
                agent.files.note("reset: %s has no valid current release: %s" % (model, error))
                continue
            if manifest.safe_path(release):
                record = states.model_of(state, model)
                about["state"], about["txn"] = "committed", ""
                record["releases"][release], record["known_good"] = about, [release]
                record["current"] = record["last_good"] = release
        for name in states.SLOTS:
            agent.files.remove_file(name)
        agent.store.save(state, reset=True)
    recover(agent, trials)
    return {}
