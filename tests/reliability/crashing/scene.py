"""A small board in a folder, and every operation that changes it, each with what may be current afterwards.

The agent's own objects work on it in this process. Only these are stood in for: the watchdog (no process is
started), the reserve's size, and a start of the agent is what `server.greet` does.
"""

import hashlib
import io
import json
import os
import shutil
import uuid
import zipfile

from edgewright.connect.agent import package, runner_package
from edgewright_agent import clock
from edgewright_agent.boot import boot_guard as reboot_guard
from edgewright_agent.checks import verify
from edgewright_agent.installed import releases, runtimes
from edgewright_agent.lifecycle import status, trial
from edgewright_agent.lifecycle.agent import Agent
from edgewright_agent.protocol import AgentError
from edgewright_agent.session.commands import Commands
from edgewright_agent.storage import files, reserve, root
from edgewright_agent.storage.results import SessionFiles

PYZ = package.build(package.source_folder("edgewright_agent")).data
RUNNER = runner_package.package("onnxruntime").data
OTHER_RUNNER = RUNNER + b"\n"
TOY = """__version__ = "%s"
get_available_providers = lambda: ["CPUExecutionProvider"]

class SessionOptions: pass

class Tensor:
    def __init__(self, name):
        self.name = name

class InferenceSession:
    def __init__(self, path, sess_options=None, providers=None):
        open(path, "rb").read()
    get_providers = lambda self: ["CPUExecutionProvider"]
    get_inputs = lambda self: [Tensor("x")]
    get_outputs = lambda self: [Tensor("y")]
    run = lambda self, names, feed: [feed["x"] * 2]
"""
HOOK = b"#!/bin/sh\n"
BOOT = clock.boot_id()
STARTED = clock.started


def sha(data):
    return hashlib.sha256(data).hexdigest()


def stand_in():
    """Replace what a crash test cannot wait for."""
    reserve.RESERVE_BYTES = 4096
    root.problem = lambda path: ""  # the folder may be in memory, which is quicker
    trial.watchdog.start = lambda *_: clock.owner()
    reboot(BOOT)
    reboot_guard.KINDS = {}  # neither cron nor systemd is touched
    record(None)


def reboot(boot_id):
    """From now on it is this boot of the board, and this process one of it."""
    clock.boot_id = lambda: boot_id
    later = 0 if boot_id == BOOT else 1
    clock.started = lambda pid: STARTED(pid) and STARTED(pid) + later


def start(folder):
    """An agent as a session starts it, recovery included. Returns Commands."""
    path = root.prepare(folder)
    agent = Agent(path, sha(PYZ), SessionFiles(path, "%d-%d" % (os.getpid(), clock.started(os.getpid()))))
    root.furnish(agent.files)
    agent.keep(PYZ)
    commands = Commands(agent, lambda _: None)
    commands.recovered = commands.recover()
    return commands


def stop(commands):
    """Forget an agent, as its process's end does."""
    os.close(commands.agent.files.descriptor)


class Unsynced:
    """The real `os`, but that nothing waits for the disk: what is durable is for `images` to say."""

    def __getattr__(self, name):
        return getattr(os, name)

    def fsync(self, descriptor):
        """Nothing."""


def record(recorder):
    """Let the agent's file module work through a recorder; None: unrecorded."""
    files.os = recorder or Unsynced()


def goldens():
    """Two inputs, and each doubled."""
    import numpy

    buffer, inputs = io.BytesIO(), numpy.array([[1.5], [-2.0]], "float32")
    numpy.savez(buffer, input_0=inputs, output_0=inputs * 2)
    return buffer.getvalue()


def artifact(tag):
    """(manifest bytes, files) of an artifact whose bytes depend on a tag."""
    content = {"model.onnx": tag.encode() * 300, "parts/goldens.npz": goldens()}
    inputs = [{"name": "x", "shape": [1], "dtype": "float32"}]
    rows = [{"path": path, "sha256": sha(data), "size": len(data)} for path, data in sorted(content.items())]
    reference = {"file": "parts/goldens.npz", "count": 2, "tolerance": {"sqnr_db": 60.0, "relative": 1e-3}}
    manifest = {
        "schema": 1,
        "target": "onnxruntime",
        "precision": "fp32",
        "entry": "model.onnx",
        "files": rows,
    }
    manifest.update(inputs=inputs, outputs=[dict(inputs[0], name="y")], goldens=reference)
    if tag in "bd":  # both schemas are on one board
        limits = {"noise": 1e-6, "error": 1e-3, "unequal": None, "apart": None}
        manifest.update(schema=2, verdict=[{"limits": dict(limits, slices=[{"axis": 0, "noise": [1e-6]}])}])
    return json.dumps(manifest).encode(), content


def wheel(version):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("onnxruntime/__init__.py"), TOY % version)
        archive.writestr(zipfile.ZipInfo("toy/native.so"), b"\x7fELF" * 50)
    return buffer.getvalue()


def put(commands, data):
    commands.agent.incoming.put(sha(data), len(data), 0, iter([data[:10], data[10:]]))
    return sha(data)


def begin(commands, model="m"):
    txn = uuid.uuid4().hex
    commands.begin(model, txn, "driver", 600)
    return txn


def upload(commands, tag):
    manifest, content = artifact(tag)
    for data in [*content.values(), manifest]:
        put(commands, data)
    return sha(manifest)


def rows(data):
    return [{"file": "toy.whl", "sha256": sha(data), "size": len(data)}]


def give(commands):
    """The runner is on the board. Returns its sha256."""
    if sha(RUNNER) not in commands.agent.runners.listing():
        put(commands, RUNNER)
        commands.runner("onnxruntime", sha(RUNNER))
    return sha(RUNNER)


def provision(commands, version="1"):
    put(commands, wheel(version))
    return commands.provision("toy", "onnxruntime", version, rows(wheel(version)), give(commands))["ref"]


def install(commands, tag, txn, hooks=None, model="m"):
    """Upload, install and mark as verified. Returns the release."""
    known = runtimes.runtime_id([sha(wheel("1"))])
    if known not in [one["ref"] for one in commands.agent.runtimes.listing()]:
        provision(commands)
    artifact_id = upload(commands, tag)
    release = commands.install(model, tag, artifact_id, known, hooks or {}, txn, 0, give(commands))["release"]
    commands.judge(model, release, "", "")
    return release


def damage(commands, release):
    """Change a byte of a release's file on the disk."""
    path = commands.agent.files.path(releases.folder("m", release) + "/model.onnx")
    with open(path, "rb") as file:
        data = file.read()
    os.unlink(path)  # an upload may be the same file
    with open(path, "wb") as file:
        file.write(b"?" + data[1:])


def current(commands, model="m"):
    """The release that the link names, whole; None where there is no link."""
    path = commands.agent.files.path("models/%s/current" % model)
    if not os.path.islink(path):
        return None
    release = os.path.basename(os.readlink(path))
    about = commands.store.read()["models"][model]["releases"][release]
    fresh = Commands(Agent(commands.agent.files.root, ""), None)
    fresh.releases.check(model, release, about)
    assert fresh.agent.runtimes.find(about["runtime"])["ref"] == about["runtime"], "its runtime is gone"
    assert fresh.agent.runners.of(about) == about["runner"] == sha(RUNNER), "its runner is gone"
    stop(fresh)
    return release


def deploy(commands, tag, hooks=None, model="m"):
    """A whole deployment. Returns the release, committed."""
    txn = begin(commands, model)
    release = install(commands, tag, txn, hooks, model)
    commands.activate(model, release, current(commands, model), txn, 60, False)
    assert commands.commit(txn) == {"outcome": "committed"}
    commands.end(txn)
    return release


def prepare(folder):
    """Three committed releases, a verified one with hooks, uploads of another, a part, a runtime to add.

    Returns:
        What the operations need to know.
    """
    commands = start(folder)
    names = [deploy(commands, tag) for tag in ("a", "b")]
    put(commands, HOOK)
    names.append(deploy(commands, "c", {"activate": sha(HOOK)}))
    txn = begin(commands)
    put(commands, HOOK)
    hooks = {"activate": sha(HOOK), "health": sha(HOOK)}
    facts = {"old": names[2], "second": names[1], "first": names[0], "txn": txn, "hooks": hooks}
    facts["next"] = install(commands, "d", txn, hooks)
    facts["staged"] = upload(commands, "e")
    put(commands, b"#!/bin/sh\nexit 0\n")
    put(commands, wheel("2"))
    with commands.agent.files.appender("incoming/%s.part" % sha(b"0123456789"), 0) as write:
        write(b"01234")
    facts["runtime"] = commands.agent.runtimes.listing()[0]["ref"]
    stop(commands)
    return facts


def copy(template, folder):
    shutil.copytree(template, folder, symlinks=True)
    return folder


def load(commands, release):
    """The release really runs, in a child of the agent, and answers rightly."""
    verdict = verify.verify(commands.job("m", release, 1, "cpu"), commands.agent.files, lambda _: None)
    assert verdict["ok"] and verdict["goldens"] == 2, verdict


def prune(commands, keep):
    return status.prune(commands.agent, commands.releases, keep)


def purge(commands):
    return status.purge(commands.agent)


__all__ = ["AgentError"]
