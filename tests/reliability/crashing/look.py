"""What must hold on a board after a crash, in whatever state the disk is: AssertionError where it does not."""

import os
import shutil

from crashing import operations, scene
from crashing.operations import ALLOWED

from edgewright_agent.installed import prepared_files


def releases_allowed(operation, facts):
    return {facts.get(name) for name in ALLOWED[operation]}


def consistent(commands, allowed):
    """Property 1 and 4: `current` is old or new, whole, and what the state says; nothing lies about."""
    state = commands.store.read()
    assert not commands.store.problem, "the state is " + commands.store.problem
    now = scene.current(commands)
    assert now in allowed, "current is neither old nor new: %s" % now
    record = state["models"].get("m", {"current": None, "releases": {}, "trial": None, "known_good": []})
    assert now == record["current"], "link and state differ: %s, %s" % (now, record["current"])
    path = commands.agent.files.path("models/m/versions")
    there = set(os.listdir(path)) if os.path.isdir(path) else set()
    assert there == set(record["releases"]), "folders and releases of the state differ: %s" % there
    path = commands.agent.files.path("models/m/records")
    noted = {name[: -len(".json")] for name in os.listdir(path)} if os.path.isdir(path) else set()
    assert noted == there, "folders and records differ: %s" % noted
    for name, about in record["releases"].items():
        commands.releases.check("m", name, about)
    for relative, about in prepared_files.listing(commands.agent.files, "m"):
        assert commands.prepared.whole(relative, about), "what was prepared is half there: %s" % relative
    assert set(record["known_good"]) <= there, "a known-good release is gone"
    assert not os.listdir(commands.agent.files.path("trash")), "the trash is not empty"
    assert now is None or record["trial"] or now in record["known_good"], "current is not known good"
    return record


def promised(commands, marks, facts, operation):
    """What was reported to the host holds."""
    record = commands.store.read()["models"].get("m")
    for mark in marks:
        word, _, what = mark.partition(" ")
        if word == "put":
            commands.agent.incoming.find(what)
        elif word == "runtime":
            commands.agent.runtimes.find(what)
        elif word == "runner":
            about = record["releases"][facts["next"]]
            assert commands.agent.runners.of(about) == about["runner"] == what, "a runner is gone"
        elif word == "release":
            assert what in record["releases"], "an acknowledged release is gone"
        elif word == "prepared":
            found = {os.path.basename(one) for one, _ in prepared_files.listing(commands.agent.files, "m")}
            assert found and min(found) >= what, "what was prepared is gone"
        elif word == "gone":
            assert what not in record["releases"], "a discarded release is back"
        elif word == "committed":
            good = facts[ALLOWED[operation][1]]
            assert record["last_good"] == good == record["current"], "an acknowledged commit is lost"
        elif word == "reverted":
            assert record["current"] == facts["old"] and not record["trial"], "a revert is undone"


def lost_state(operation, commands, marks):
    """After a crash in `purge` or with both slots lost: whole, and one command leads on."""
    commands.store.read()
    assert operation is operations.reset or "purging" in marks, "the state is lost"
    if "purging" in marks:
        assert scene.purge(commands) == {}
    else:
        assert commands.reset() == {}


def look(operation, folder, facts, marks, same_boot, load=False):
    """Start the agent on a folder after a crash and check everything.

    Args:
        same_boot: the board did not reboot. load: releases are really run, too.
    """
    allowed = releases_allowed(operation, facts)
    scene.reboot(scene.BOOT if same_boot else "another boot")
    told = os.path.isdir(folder) and not same_boot and to_be_told(folder, facts)
    commands = scene.start(folder)
    pending = commands.store.read()["pending"]
    hooks = [one["kind"] for one in pending if one["release"] == facts.get("old")]
    assert "activate" in hooks or not told, "the application does not learn that the old release is back"
    if commands.store.problem == "state-lost":
        lost_state(operation, commands, marks)
        scene.stop(commands)
        commands = scene.start(folder)
        allowed = allowed | {None} if "purging" in marks else allowed
    consistent(commands, allowed)
    promised(commands, marks, facts, operation)
    if same_boot:
        settled(commands, marks, facts)
        scene.reboot("another boot")
        scene.stop(commands)
        commands = scene.start(folder)
    record = consistent(commands, allowed)
    assert not record["trial"], "a trial survived a boot"
    assert record["current"] == record.get("last_good"), "an uncommitted release survived a boot"
    assert not [name for name in os.listdir(folder + "/incoming") if name.startswith("stage-")], (
        "a stage is left"
    )
    if load and record["current"]:
        scene.load(commands, record["current"])
    release = scene.deploy(commands, "z")
    assert release == scene.current(commands), "a following deploy did not work"
    if load:
        scene.load(commands, release)
    scene.stop(commands)


def settled(commands, marks, facts):
    """Property 3: a host that lost its answer asks, and board and host agree."""
    told = commands.outcome(facts.get("txn", ""))["outcome"]
    if "committed" in marks or "reverted" in marks:
        assert (told in ("committed", "reverted") and told in marks) or told == "unknown", told
    if told == "unknown":
        return
    again = commands.commit(facts["txn"])["outcome"]
    assert told == "trial" or again == told, "the outcome changed: %s, %s" % (told, again)
    for ask in (commands.commit, lambda txn: commands.revert(txn, "late"), commands.outcome):
        assert ask(facts["txn"])["outcome"] == again


def to_be_told(folder, facts):
    """Whether the application must learn that the old release is current again, once the board is up."""
    probe = scene.Agent(folder, "")
    state = probe.store.read()
    os.close(probe.files.descriptor)
    record = state["models"].get("m") or {"trial": None, "current": None}
    moved = record["trial"] and record["trial"]["from"] == facts["old"] != record["current"]
    return bool(moved or [one for one in state["pending"] if one["release"] == facts["old"]])


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    return folder
