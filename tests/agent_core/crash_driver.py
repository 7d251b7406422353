"""Crashes or fails one operation of the agent at every single change of the file system, and looks at
what is left.

Usage: crash_driver.py OPERATION stop|fail|lose FOLDER STRIDE
Prints {"steps": N, "wrong": [[step, why], ...]}.
Each case is a forked process on a copy of one prepared root folder. `lose` is a power failure: names
that were changed in a folder, and whose folder was not synced since, are again what they were.
"""

import errno
import hashlib
import io
import json
import os
import shutil
import sys
import traceback
import uuid
import zipfile
from pathlib import Path

from edgewright_agent import clock, lease, recovery, releases, root, status, trial
from edgewright_agent.agent import Agent
from edgewright_agent.commands import Commands
from edgewright_agent.protocol import AgentError
from edgewright_agent.results import SessionFiles

STOPPED = 77
releases.RESERVE_BYTES = 64 * 1024  # the size is of no matter here, the copies are many


class Stepping(SessionFiles):
    """Files that stop the process, or fail once, before a certain change."""

    stop_at = fail_at = lose_at = source = synced = None
    steps = 0

    def __init__(self, root, session):
        SessionFiles.__init__(self, root, session)
        self.changes = []

    def step(self, operation, path):
        self.changes = [change for change in self.changes if change[0] != self.synced]
        self.synced = path if operation == "fsync-folder" else None
        self.steps += 1
        if self.steps == self.lose_at:
            self.lose()
        if self.steps in (self.stop_at, self.lose_at):
            os._exit(STOPPED)
        if self.lose_at and operation in ("rename", "replace", "unlink") and not path.startswith("trash/"):
            self.changes.append((path.rpartition("/")[0], self.before(path), path, self.source))
        if self.steps == self.fail_at:
            raise OSError(errno.ENOSPC, "no space left", path)

    def rename(self, source, target):
        self.source = source
        try:
            SessionFiles.rename(self, source, target)
        finally:
            self.source = None

    def before(self, path):
        """What a name stands for before a change: a link's destination, a second name of a file, or None."""
        path = Path(self.path(path))
        if path.is_symlink():
            return path.readlink()
        if not path.is_file():
            return None
        kept = Path(f"{self.root}-kept-{self.steps}")
        os.link(path, kept)
        return kept

    def lose(self):
        """Undo the changes of names that were not synced, the last one first."""
        self.changes = [change for change in self.changes if change[0] != self.synced]
        for _, before, name, source in reversed(self.changes):
            path = Path(self.path(name))
            if source and path.exists():
                path.rename(self.path(source))
            path.unlink(missing_ok=True)
            if before and before.is_absolute():
                before.rename(path)
            elif before:
                path.symlink_to(before)


def sha(data):
    return hashlib.sha256(data).hexdigest()


def built(tag):
    """(manifest bytes, files) of an artifact."""
    files = {"model.tflite": tag.encode() * 500, "parts/goldens.npz": b"goldens " + tag.encode()}
    spec = {"name": "x", "shape": [1], "dtype": "float32"}
    entries = [{"path": path, "sha256": sha(data), "size": len(data)} for path, data in sorted(files.items())]
    goldens = {"file": "parts/goldens.npz", "count": 1, "tolerance": {"sqnr_db": 1.0, "relative": 1.0}}
    manifest = {
        "schema": 1,
        "target": "tflite",
        "precision": "fp32",
        "entry": "model.tflite",
        "files": entries,
    }
    manifest.update(inputs=[spec], outputs=[spec], goldens=goldens)
    return json.dumps(manifest).encode(), files


def make(folder):
    """An agent on a root folder, its file changes countable; no watchdog is started."""
    path = root.prepare(folder)
    files = Stepping(path, f"{os.getpid()}-{clock.started(os.getpid())}")
    root.furnish(files)
    trial.guard.start = lambda *_: clock.owner()
    return Commands(Agent(path, "0" * 64, files), lambda _: None)


def put(commands, data):
    commands.agent.incoming.put(sha(data), len(data), 0, iter([data]))
    return sha(data)


def begin(commands):
    txn = uuid.uuid4().hex
    with commands.store.locked() as state:
        state["lease"] = None  # another host's lease ran out
        lease.begin(state, "m", txn, "driver", 600)
        commands.store.save(state)
    return txn


def upload(commands, tag):
    manifest, files = built(tag)
    for data in [*files.values(), manifest]:
        put(commands, data)
    return sha(manifest)


def install(commands, tag, txn):
    """Install and mark as verified."""
    artifact = upload(commands, tag)
    runtime = commands.agent.runtimes.listing()[0]["ref"]
    release = commands.install("m", tag, artifact, runtime, {}, txn)["release"]
    commands.judge("m", release, "", "")
    return release


def current(commands):
    """The release of the link, whole; AssertionError when it is not."""
    path = Path(commands.agent.files.path("models/m/current"))
    if not path.is_symlink():
        return None
    release = path.readlink().name
    state = commands.store.read()
    about = state["models"]["m"]["releases"][release]
    Commands(Agent(commands.agent.files.root, ""), None).releases.check("m", release, about)
    return release


def deploy(commands, tag):
    txn = begin(commands)
    release = install(commands, tag, txn)
    commands.activate("m", release, current(commands), txn, 60, False)
    assert commands.commit(txn) == {"outcome": "committed"}
    return release


def prepare(folder):
    """Three committed releases, a verified one, a staged upload. Returns the facts that operations need."""
    commands = make(folder)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("toy/__init__.py", "")
    commands.provision(
        "toy",
        "tflite",
        "1",
        [{"file": "t.whl", "sha256": put(commands, buffer.getvalue()), "size": len(buffer.getvalue())}],
    )
    names = [deploy(commands, tag) for tag in ("a", "b", "c")]
    txn = begin(commands)
    return {
        "old": names[-1],
        "first": names[0],
        "next": install(commands, "d", txn),
        "txn": txn,
        "staged": upload(commands, "e"),
    }


def run(operation, commands, facts):
    """The operation. What it raises is its own business."""
    txn, runtime = facts["txn"], commands.agent.runtimes.listing()[0]["ref"]
    if operation == "install":
        commands.install("m", "e", facts["staged"], runtime, {}, txn)
    elif operation == "part":
        for data in [*built("c")[1].values(), built("c")[0]]:
            assert commands.part(sha(data), len(data))["complete"]
    elif operation == "group":
        commands.agent.files.share_root(os.getegid())
    elif operation == "prune":
        commands.end(txn)
        status.prune(commands.agent, commands.releases, 1)
    elif operation == "rollback":
        commands.activate("m", facts["first"], facts["old"], txn, 60, False)
        commands.commit(txn)
    else:
        commands.activate("m", facts["next"], facts["old"], txn, 60, False)
        if operation in ("commit", "revert"):
            getattr(commands, operation)(txn, *(["too slow"] if operation == "revert" else []))
        elif operation == "recovery":
            clock.boot_id = lambda: "another boot"
            recovery.recover(commands.agent, commands.trials)
            recovery.tidy(commands.agent, commands.releases)


def look(operation, folder, facts, acknowledged):
    """What must hold after any crash: AssertionError where it does not."""
    commands = make(folder)
    recovery.recover(commands.agent, commands.trials)
    recovery.tidy(commands.agent, commands.releases)
    old, new = facts["old"], facts["first" if operation == "rollback" else "next"]
    assert current(commands) in (old, new), "neither old nor new"
    record = commands.store.read()["models"]["m"]
    assert current(commands) == record["current"], "link and state differ"
    on_disk = {path.name for path in Path(commands.agent.files.path("models/m/versions")).iterdir()}
    assert on_disk == set(record["releases"]), "releases on disk and in the state differ"
    committed = commands.store.read()["models"]["m"]["last_good"] == new
    assert committed or not (acknowledged and operation in ("commit", "rollback")), "a commit was lost"
    clock.boot_id = lambda: "another boot"
    recovery.recover(commands.agent, commands.trials)
    assert current(commands) == (new if committed else old), "an uncommitted release survived a boot"
    assert not list(Path(commands.agent.files.path("trash")).iterdir()), "the trash is not empty"
    assert current(commands) in commands.store.read()["models"]["m"]["known_good"], (
        "current is not known good"
    )
    assert deploy(commands, "z") == current(commands), "a following deploy did not work"


def forked(work):
    """Exit code of a function run in a process of its own."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except AgentError:
            os._exit(3)
        except BaseException:  # noqa: BLE001 - whatever it is, it is reported
            traceback.print_exc()
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main(operation, mode, folder, stride):
    template, copy = f"{folder}/template", f"{folder}/copy"
    facts = prepare(template)
    step, wrong = 1, []
    while True:
        shutil.copytree(template, copy, symlinks=True)

        def broken():
            commands = make(copy)
            commands.agent.files.steps = 0
            setattr(commands.agent.files, mode + "_at", step)  # noqa: B023 - it runs at once
            run(operation, commands, facts)
            if commands.agent.files.lose_at:
                commands.agent.files.lose()
            os._exit(4 if commands.agent.files.steps >= step else 0)  # noqa: B023

        code = forked(broken)
        if code == 1:
            wrong.append([step, "the operation itself broke"])
        if forked(lambda: look(operation, copy, facts, code == 0)):  # noqa: B023
            wrong.append([step, "see stderr"])
        for path in Path(folder).glob("copy*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if code == 0:
            sys.stdout.write(json.dumps({"steps": step, "wrong": wrong}) + "\n")
            return
        step += int(stride)


main(*sys.argv[1:])
