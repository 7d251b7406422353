"""Every operation that changes a board, as functions of (commands, facts, mark).

`mark` notes what was reported to the host: from then on no crash may take it back. `ALLOWED` says which releases, by
their names in the facts, may be current after a crash in the operation.
"""

from crashing import scene

from edgewright_agent.processes import children


def first_start(commands, facts, mark):
    """Nothing more: the start itself is recorded."""


def put(commands, facts, mark):
    scene.put(commands, b"some new bytes, not on the board yet")
    mark("put " + scene.sha(b"some new bytes, not on the board yet"))


def resume(commands, facts, mark):
    digest = scene.sha(b"0123456789")
    commands.agent.incoming.put(digest, 10, 5, iter([b"56", b"789"]))
    mark("put " + digest)


def provision(commands, facts, mark):
    made = commands.provision(
        "toy", "onnxruntime", "2", scene.rows(scene.wheel("2")), scene.sha(scene.RUNNER)
    )
    mark("runtime " + made["ref"])


def runner(commands, facts, mark):
    """It comes to stay, and for the release that has none."""
    scene.put(commands, scene.OTHER_RUNNER)
    commands.runner("onnxruntime", scene.sha(scene.OTHER_RUNNER))
    mark("runner " + scene.sha(scene.OTHER_RUNNER))


def install(commands, facts, mark):
    hooks = {"health": scene.sha(b"#!/bin/sh\nexit 0\n")}
    given = ("m", "e", facts["staged"], facts["runtime"], hooks, facts["txn"], 0, scene.sha(scene.RUNNER))
    made = commands.install(*given)
    mark("release " + made["release"])


def activate(commands, facts, mark):
    commands.activate("m", facts["next"], facts["old"], facts["txn"], 60, False)
    mark("trial")


def commit(commands, facts, mark):
    activate(commands, facts, mark)
    assert commands.commit(facts["txn"]) == {"outcome": "committed"}
    mark("committed")


def revert(commands, facts, mark):
    activate(commands, facts, mark)
    assert commands.revert(facts["txn"], "too slow") == {"outcome": "reverted"}
    mark("reverted")


def failed(commands, facts, mark):
    activate(commands, facts, mark)
    assert commands.trials.revert(facts["txn"], "no camera", failed=True) == {"outcome": "reverted"}
    mark("reverted")


def rollback(commands, facts, mark):
    release, current = commands.trials.target_of_rollback("m", None)
    assert (release, current) == (facts["second"], facts["old"])
    commands.activate("m", release, current, facts["txn"], 60, False)
    assert commands.commit(facts["txn"]) == {"outcome": "committed"}
    mark("committed")


def first_activation(commands, facts, mark):
    txn = scene.begin(commands)
    release = scene.install(commands, "a", txn)
    commands.activate("m", release, None, txn, 60, False)
    assert commands.commit(txn) == {"outcome": "committed"}
    mark("committed")


def prune(commands, facts, mark):
    commands.end(facts["txn"])
    scene.prune(commands, 1)


def discard(commands, facts, mark):
    commands.discard("m", facts["next"], facts["txn"])
    mark("gone " + facts["next"])


def prepared(commands, facts, mark):
    """What a child left, unsynced, becomes what is loaded from then on; what it replaces goes."""
    files, key = commands.agent.files, "1" * 32
    job = {"model": "m", "release": facts["next"]}
    for environment in ("before", "now"):
        with children.Scratch(files) as scratch:
            files.make_folder(scratch.relative("prepared"))
            with files.writer(scratch.relative("prepared/engine.plan"), durable=False) as write:
                write(environment.encode() * 100)
            answer = {"key": key, "environment": environment, "accelerator": "cpu"}
            commands.prepared.place(job, answer, scratch.relative("prepared"))
        mark("prepared " + key)
        key = "2" * 32


def recovery(commands, facts, mark):
    activate(commands, facts, lambda _: None)
    scene.reboot("the next boot")
    if commands.recover():  # a disk error in one model does not end it: it names only what it reverted
        mark("reverted")


def damage(commands):
    """Both slots are lost."""
    for name in ("state.0.json", "state.1.json"):
        with open(commands.agent.files.path(name), "r+b") as file:
            file.truncate(20)
    commands.store.read()


def without_runner(commands):
    """One release is of an agent that carried its runners."""
    with commands.store.locked() as state:
        del next(
            about for about in state["models"]["m"]["releases"].values() if about["state"] == "verified"
        )["runner"]
        commands.store.save(state)


def reset(commands, facts, mark):
    commands.reset()


def purge(commands, facts, mark):
    commands.end(facts["txn"])
    mark("purging")
    scene.purge(commands)


ALLOWED = {
    first_start: ("none",),
    put: ("old",),
    resume: ("old",),
    provision: ("old",),
    runner: ("old",),
    install: ("old",),
    activate: ("old", "next"),
    commit: ("old", "next"),
    revert: ("old", "next"),
    failed: ("old", "next"),
    prepared: ("old",),
    rollback: ("old", "second"),
    first_activation: ("none", "first"),
    prune: ("old",),
    discard: ("old",),
    recovery: ("old", "next"),
    reset: ("old",),
    purge: ("old", "none"),
}
BY_NAME = {operation.__name__: operation for operation in ALLOWED}
BEFORE = {reset: damage, runner: without_runner}  # what comes before an operation, unrecorded
FROM_NOTHING = (first_start, first_activation)  # these begin with an empty root folder
