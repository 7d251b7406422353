"""Lets the disk refuse one change, or all from one on, at every change of an operation, and looks at what is left.

Usage: errors.py KIND OPERATION [SHARE]
Prints {"kinds": {kind: count}, "wrong": [[what, why], ...]}.

The operation may only end in an AgentError. The agent goes on living: what it says next must be true. Then the session
ends, and the next agent must find a whole board, also after a power cut that loses all that was not synced; the disk
works again by then.
"""

import errno
import json
import os
import sys
import tempfile

import cuts
from crashing import images, look, operations, scene
from crashing.recorder import GROWTH, INODES, Recorder

from edgewright_agent.protocol import AgentError


def once(error, wanted=None):
    """The disk refuses one change, of the wanted kind."""
    return lambda step: lambda number, kind: error if number == step and wanted in (None, kind) else 0


def ever(error, kinds=None):
    """The disk refuses all changes of some kinds, from one on."""
    return lambda step: (
        lambda number, kind: error if number >= step and (kinds is None or kind in kinds) else 0
    )


KINDS = {
    "no_space": ("disk full for one change", once(errno.ENOSPC)),
    "full": ("disk full from one change on", ever(errno.ENOSPC, GROWTH)),
    "no_inodes": ("no inodes left from one change on", ever(errno.ENOSPC, INODES)),
    "quota": ("over quota from one change on", ever(errno.EDQUOT, GROWTH)),
    "eio": ("I/O error in one change", once(errno.EIO)),
    "dead": ("read-only from one change on", ever(errno.EROFS)),
    "fsync": ("fsync fails once, its data is lost", once(errno.EIO, "fsync")),
    "fsyncs": ("every fsync fails from one on", ever(errno.EIO, ("fsync",))),
}


def attempt(operation, folder, facts, fails):
    """(Recorder, Commands) after an operation on a disk that fails; AgentErrors and OSErrors are answers."""
    scene.reboot(scene.BOOT)
    new = operation in operations.FROM_NOTHING
    if new:
        os.mkdir(folder, 0o700)
    commands = None if new else scene.start(folder)
    if not new:
        operations.BEFORE.get(operation, lambda _: None)(commands)
    recorder = Recorder(folder, fails)
    recorder.broke = None
    scene.record(recorder)
    try:
        commands = commands or scene.start(folder)
        operation(commands, facts, recorder.mark)
    except (AgentError, OSError):
        pass
    except Exception as error:  # noqa: BLE001 - reported by `aftermath`
        recorder.broke = error
    finally:
        scene.record(None)
    return recorder, commands


def ask(recorder, commands, txn):
    """The outcome that the agent tells, on the disk as it is; empty where it cannot tell."""
    scene.record(recorder)
    try:
        return commands.outcome(txn)["outcome"]
    except AgentError:
        return ""
    finally:
        scene.record(None)


def still_true(operation, commands, facts, recorder):
    """The same agent goes on: `current` is whole. Returns the outcome that it tells; no crash may change that."""
    if operation in (operations.purge, operations.reset) or commands is None:
        return set()
    state = commands.store.read()
    assert not commands.store.problem, commands.store.problem
    assert scene.current(commands) in look.releases_allowed(operation, facts)
    told = ask(recorder, commands, facts["txn"])
    if told in ("committed", "reverted"):
        trial = state["models"]["m"]["trial"]
        assert trial is None or trial["txn"] != facts["txn"], "settled, and on trial still"
    return {told} & {"committed", "reverted"}


def fail(kind, operation, template, folder, facts, share):
    """Every change of an operation fails, one after the other."""
    title, make = KINDS[kind]
    work, wrong, tried, step = folder + "/work", [], 0, 1
    while True:
        look.fresh(work)
        if operation not in operations.FROM_NOTHING:
            scene.copy(template, work)
        recorder, commands = attempt(operation, work, facts, make(step))
        try:
            if recorder.failed or recorder.broke:
                tried += 1
                aftermath(operation, work, facts, recorder, commands)
        except Exception:  # noqa: BLE001 - whatever it is, it is reported
            cuts.report(wrong, "%s at change %d" % (title, step))
        if step > recorder.changes:
            return {title: tried}, wrong
        step += share


def aftermath(operation, work, facts, recorder, commands):
    """The agent that was refused goes on; then its session ends, or the power."""
    if recorder.broke:
        raise recorder.broke
    marks = {entry[1] for entry in recorder.journal if entry[0] == "mark"}
    marks |= still_true(operation, commands, facts, recorder)
    journal = recorder.journal
    worst = images.Image(recorder.first, journal, len(journal), images.pending(journal)[-1])
    if commands:
        scene.stop(commands)
    look.look(operation, work, facts, marks, same_boot=True)
    worst.write(look.fresh(work))
    look.look(operation, work, facts, marks, same_boot=False)


def main(kind, name, share="1"):
    scene.stand_in()
    memory = "/dev/shm"
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        facts = scene.prepare(folder + "/template")
        facts["none"] = None
        counts, wrong = fail(kind, operations.BY_NAME[name], folder + "/template", folder, facts, int(share))
    sys.stdout.write(json.dumps({"kinds": counts, "wrong": wrong}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
