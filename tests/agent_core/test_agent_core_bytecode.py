"""The bytecode for a runtime's import is made once, when the runtime is unpacked, and protected like its other files."""

import os
import struct
import subprocess
from importlib.util import source_from_cache
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgewright.connect.agent import runner_package
from edgewright_agent.installed import bytecode as bytecode_of_runtimes
from edgewright_agent.lifecycle.agent import Agent
from edgewright_agent.protocol import SPARE_BYTES
from edgewright_agent.storage import root as roots

RUNTIME = {
    "ai_edge_litert/__init__.py": b"__version__ = '9.9'\n",
    "ai_edge_litert/interpreter.py": b"import numpy\nInterpreter = numpy.NAME\n",
    "numpy/__init__.py": b"NAME = 'toy'\n",
    "numpy/not_imported.py": b"NAME = 'other'\n",
}
BROKEN = {**RUNTIME, "ai_edge_litert/interpreter.py": b"import numpy\nraise SystemError('broken')\n"}


def bytecode(folder):
    return {str(path.relative_to(folder)).split(".")[0] for path in folder.rglob("__pycache__/*")}


@pytest.fixture(scope="module")
def begins(python):
    """The first bytes of bytecode of the board's Python: its magic number and, from 3.7 on, no flags."""
    program = "import importlib.util as u, sys; print(u.MAGIC_NUMBER.hex() + '00' * 4 * (sys.version_info > (3, 7)))"
    return bytes.fromhex(subprocess.check_output([python, "-c", program], text=True))


@pytest.mark.parametrize(
    ("members", "made"),
    [
        (RUNTIME, {"numpy/__pycache__/__init__", "ai_edge_litert/__pycache__/__init__", "ai_edge_litert/__pycache__/interpreter"}),
        (BROKEN, set()),
    ],
)  # fmt: skip
def test_what_an_import_takes_is_compiled_and_a_runtime_that_does_not_import_is_kept(
    connect, kit, root, begins, members, made
):
    wire = connect()
    ref = kit.provision(wire, kit.wheel(members), runner=kit.give(wire))
    (folder,) = (root / "runtimes").iterdir()
    assert bytecode(folder) == made
    for path in folder.rglob("*.pyc"):
        about = Path(source_from_cache(str(path))).stat()
        wanted = begins + struct.pack("<II", int(about.st_mtime), about.st_size)  # what an import compares
        assert path.read_bytes()[: len(wanted)] == wanted
    assert [one["ref"] for one in wire.call("facts")["runtimes"] if not one["system"]] == [ref]


def test_bytecode_that_was_changed_is_damage(connect, kit, root):
    wire = connect()
    ref = kit.provision(wire, kit.wheel(RUNTIME), runner=kit.give(wire))
    (folder,) = (root / "runtimes").iterdir()
    next(folder.rglob("numpy/__pycache__/*.pyc")).write_bytes(b"evil")
    txn = kit.begun(wire)
    with pytest.raises(kit.AgentFailureError, match=r"runtime-damaged"):
        kit.install(wire, kit.artifact(), txn, runtime=ref)
    assert kit.provision(wire, kit.wheel(RUNTIME), runner=kit.give(wire)) == ref
    kit.install(wire, kit.artifact(), txn, runtime=ref)


def test_bytecode_that_would_take_the_spare_space_is_dropped(kit, root, pyz, monkeypatch):
    agent = Agent(roots.prepare(str(root)), kit.sha(pyz))
    roots.furnish(agent.files)
    agent.keep(pyz)
    runner = runner_package.package("tflite")
    agent.incoming.put(runner.sha256, len(runner.data), 0, iter([runner.data]))
    agent.runners.keep("tflite", runner.sha256)
    source = "".join(f"def f{number}(x):\n    return [x, {number}]\n" for number in range(1000)).encode()
    wheel = kit.wheel({**RUNTIME, "numpy/__init__.py": b"NAME = 'toy'\n" + source})

    def taken():
        return sum(path.lstat().st_size for path in root.rglob("*") if path.is_file())

    # a disk that is as large as what is there, the wheel, its files and the spare
    size = taken() + len(wheel) + sum(map(len, RUNTIME.values())) + len(source) + SPARE_BYTES + 10_000

    def statvfs(_):
        return SimpleNamespace(f_bavail=size - taken(), f_frsize=1, f_files=0, f_favail=0)

    monkeypatch.setattr(os, "statvfs", statvfs)
    keep, compiled = bytecode_of_runtimes.keep, []

    def watched(*given):
        made = keep(*given)
        compiled.extend(made)
        return made

    monkeypatch.setattr(bytecode_of_runtimes, "keep", watched)
    agent.incoming.put(kit.sha(wheel), len(wheel), 0, iter([wheel]))
    row = {"file": "toy.whl", "sha256": kit.sha(wheel), "size": len(wheel)}
    ref = agent.runtimes.provision("toy", "tflite", "1.0", [row], runner.sha256)["ref"]
    (folder,) = (root / "runtimes").iterdir()
    assert bytecode(folder) == set() and compiled and agent.runtimes.find(ref)["ref"] == ref
