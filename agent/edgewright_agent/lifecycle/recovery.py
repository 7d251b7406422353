"""Recovery: runs at every start of an agent, and in the watchdog. It may run any number of times, and may be
interrupted."""

import os
import re

from edgewright_agent import clock, shapes
from edgewright_agent.installed import prepared_files
from edgewright_agent.lifecycle import watchdog
from edgewright_agent.lifecycle.trial import find
from edgewright_agent.processes import hooks
from edgewright_agent.protocol import MAX_LINE, SHA256, AgentError, Code, loads
from edgewright_agent.storage import layout, lease
from edgewright_agent.storage import state as states
from edgewright_agent.storage.integrity import opened

RELEASE = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}-[0-9a-f]{8}\Z")
PARTS = ("version", "artifact", "runtime", "target", "precision")  # text fields of a release's record


def recover(agent: "shapes.Agent", trials: "shapes.Trials") -> "list[shapes.Result]":
    """Make the root folder match the state, and end the trials whose deadline has passed.

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
            with agent.files.confined(name):
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
    """Make a link follow the state after a crash between the two changes."""
    wanted = None if current is None else "versions/" + current
    found = layout.link_of(agent.files, model)
    if found != wanted:
        trials.point(model, current)
        agent.files.note("%s: fixed the link: it named %s, the state says %s" % (model, found, current))


def wake(agent: "shapes.Agent", state: "shapes.State") -> "None":
    """Note as pending the `resume` hooks of sessions that died while an application was paused."""
    dead = [entry for entry in state["quiesced"] if not clock.alive(entry["owner"])]
    if dead:
        state["quiesced"] = [entry for entry in state["quiesced"] if entry not in dead]
        for entry in dead:
            hooks.leave(state, "resume", entry["model"], entry["release"])
        agent.store.save(state)


def tidy(agent: "shapes.Agent", releases: "shapes.Releases") -> "None":
    """Remove what crashed sessions left behind: the trash, stages without a lease, results of dead sessions,
    unknown releases."""
    with agent.store.locked() as state:
        if agent.store.problem:
            return
        held = lease.live(state)
        keep = "stage-" + held["txn"] if held else ""
        for name in os.listdir(agent.files.path("incoming")):
            if name.startswith("stage-") and name != keep and not of_the_living(name[6:]):
                with agent.files.confined("incoming/" + name):
                    agent.files.remove_tree("incoming/" + name)
        for name in os.listdir(agent.files.path("results")):
            if not of_the_living(name):
                with agent.files.confined("results/" + name):
                    agent.files.remove_tree("results/" + name)
        for model in os.listdir(agent.files.path("models")):
            with agent.files.confined("models/" + model):
                strays(agent, releases, state, model)
        with agent.files.confined("/trash"):
            releases.empty_trash()


def strays(agent: "shapes.Agent", releases: "shapes.Releases", state: "shapes.State", model: "str") -> "None":
    """Move the folders of releases that the state does not know, and the files prepared for them, to the trash;
    remove their records. Anything else goes to `aside/`."""
    folder = "models/%s/versions" % model
    known = state["models"][model]["releases"] if model in state["models"] else {}
    if os.path.isdir(agent.files.path(folder)):
        for name in sorted(set(os.listdir(agent.files.path(folder))) - set(known)):
            if RELEASE.match(name):
                releases.trash(folder + "/" + name)
            else:  # made by a person
                layout.put_aside(agent.files, folder + "/" + name)
    folder = "models/%s/records" % model
    if os.path.isdir(agent.files.path(folder)):
        for name in sorted(set(os.listdir(agent.files.path(folder))) - {one + ".json" for one in known}):
            if RELEASE.match(name.partition(".json")[0]):
                agent.files.remove_file(folder + "/" + name)
            else:
                layout.put_aside(agent.files, folder + "/" + name)
    for relative in prepared_files.unused(agent.files, state, model):
        releases.trash(relative)


def of_the_living(session: "str") -> "bool":
    """Whether a session's name, `<pid>-<start time>`, belongs to a running process."""
    pid, _, began = session.partition("-")
    return len(pid) < 12 and pid.isdigit() and began == str(clock.started(int(pid)))


def rewatch(agent: "shapes.Agent") -> "None":
    """Start a new watchdog for every trial whose watchdog is dead, since a board may kill what a session leaves behind,
    or belongs to an agent with an older schema, which leaves a state written by this agent alone."""
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
    """Read a release's own record. Raises AgentError `release-damaged` or `newer-schema`, PermissionError."""
    try:
        with opened(agent.files.path("models/%s/records/%s.json" % (model, release))) as file:
            about = loads(file.read(MAX_LINE).decode("ascii"))
        good = all(isinstance(about[key], str) for key in PARTS)
        good = good and all(map(SHA256.match, about["hooks"].values()))
        newer = about.pop("schema", 1) > states.SCHEMA  # the first agents wrote no schema
    except PermissionError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        good = newer = False
    if newer:
        raise AgentError(Code.NEWER_SCHEMA, "a newer agent installed %s %s" % (model, release))
    if not good:
        raise AgentError(Code.RELEASE_DAMAGED, "the record of %s %s is gone or damaged" % (model, release))
    return about


def reset(agent: "shapes.Agent", releases: "shapes.Releases", trials: "shapes.Trials") -> "shapes.Result":
    """Rebuild the state after both slots were lost: trust each hash-valid `current`, and keep the other hash-valid releases.

    Returns:
        `{}`, or `{"left": errors}`: damaged releases, which were moved aside.

    Raises:
        AgentError, OSError: `conflict`, `newer-schema`, or a file cannot be read for lack of permission; nothing changes then.
    """
    left: "list[tuple[str, str, AgentError]]" = []
    with agent.store.locked() as state:
        if agent.store.problem != Code.STATE_LOST:
            agent.store.usable()
            raise AgentError(Code.CONFLICT, "the state is not lost: there is nothing to reset")
        for model in sorted(os.listdir(agent.files.path("models"))):
            folder = agent.files.path("models/%s/versions" % model)
            try:
                names = sorted(os.listdir(folder))
            except (FileNotFoundError, NotADirectoryError):
                continue
            for release in filter(RELEASE.match, names):
                try:
                    about = record_of(agent, model, release)
                    releases.check(model, release, about)
                except AgentError as error:
                    if error.code != Code.RELEASE_DAMAGED:
                        raise
                    left.append((model, release, error))
                    continue
                record = states.model_of(state, model)
                about["state"], about["txn"] = "staged", ""  # it may never have been committed
                record["releases"][release] = about
                if layout.link_of(agent.files, model) == "versions/" + release:
                    about["state"], record["known_good"] = "committed", [release]
                    record["current"] = record["last_good"] = release
        for model, release, _ in left:
            layout.put_aside(agent.files, "models/%s/versions/%s" % (model, release))
        for name in states.SLOTS:
            agent.files.remove_file(name)
        agent.store.save(state, reset=True)
    recover(agent, trials)
    for model, _, _ in left:
        align(agent, trials, model, states.model_of(state, model)["current"])
    damaged = [dict(error.wire(), model=model, release=release) for model, release, error in left]
    return {"left": damaged} if left else {}
