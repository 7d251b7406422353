"""The same code on this Python and on others: facts, verify, evaluate, bench."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import needs
import numpy
import pytest

from edgewright.connect.agent import runner_package
from edgewright_agent.processes import spawn

VERSIONS = ("this", "3.6", "3.8", "3.13")

PROGRAM = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
job = json.load(open(sys.argv[2]))
if sys.argv[4] == "bare":
    class Absent:
        def find_spec(self, name, path=None, target=None):
            if name in ("ctypes", "_ctypes", "lzma", "_lzma", "sqlite3", "ssl", "_ssl"):
                raise ImportError("small boards lack " + name)
    sys.meta_path.insert(0, Absent())
from edgewright_agent.board import facts
from edgewright_agent.checks import bench, verify as work
from edgewright_agent.storage.results import SessionFiles
files, events = SessionFiles(job["root"], "old"), []
protocol = {"rounds": 1, "warmup_s": 0.01, "steady_s": 0.05, "min_samples": 11, "limit_s": 15}
print(json.dumps({
    "facts": facts.read(job["root"], []),
    "verify": work.verify(job, files, events.append),
    "verdict": work.verify(dict(job, manifest=dict(job["manifest"], schema=2)), files, events.append, True),
    "evaluate": work.evaluate(job, sys.argv[3], "top5", files, events.append),
    "bench": bench.run([job], protocol, files, events.append),
}))
"""

# A runtime of pure Python, for interpreters without numpy: the sum of the inputs and its negative.
RUNNER = """
import struct

def import_runtime():
    return "plain 1.0"

def accelerators():
    return ["cpu"]

def load(folder, manifest, options):
    return Session()

class Session:
    accelerator = "cpu"

    def feed(self, tensors):
        return struct.unpack("<4f", tensors[0])

    def infer(self, feed):
        return sum(feed)

    def read(self, outputs):
        return [struct.pack("<2f", outputs, -outputs)]

    def close(self):
        pass
"""


NOTHING = {"noise": 0.0, "error": 0.0, "unequal": None, "apart": 5e3}


@pytest.fixture
def plain_job(root, agent_bytes, tmp_path):
    folder = tmp_path / "release"
    folder.mkdir()
    x = numpy.arange(-8, 24, dtype="float32").reshape(8, 1, 4)
    total = x.sum(axis=2)
    references = numpy.stack([total, -total], axis=2)
    mask = numpy.ones(references.shape, "uint8")
    numpy.savez_compressed(folder / "goldens.npz", input_0=x, output_0=references, counts_0=mask)
    numpy.savez(folder / "set.npz", input_0=x, labels=(total[:, 0] < 0).astype("int32"))
    manifest = {
        "inputs": [{"name": "x", "shape": [1, 4], "dtype": "float32"}],
        "outputs": [{"name": "y", "shape": [1, 2], "dtype": "float32"}],
        "goldens": {"file": "goldens.npz", "count": 8, "tolerance": {"sqnr_db": 60.0, "relative": 1e-3}},
        "verdict": [{"limits": {**NOTHING, "slices": [{"axis": 1, "noise": [0.0, None]}]}}],  # of schema 2
    }
    job = {
        "model": "plain",
        "release": "1-cccccccc",
        "folder": str(folder),
        "manifest": manifest,
        "target": "plain",
        "runtime": {"ref": "system:plain", "name": "plain", "version": "1.0", "path": None, "system": True},
        "options": {"threads": 1, "accelerator": None, "prepared": None},
        "root": str(root),
        "agent_sha": hashlib.sha256(agent_bytes).hexdigest(),
        "runner": json.loads(runner_package.packed("plain", {"plain/runner.py": RUNNER}).data),
    }
    (tmp_path / "job.json").write_text(json.dumps(job))
    return tmp_path


@pytest.mark.parametrize("modules", ["all", "bare"])
@pytest.mark.parametrize("version", VERSIONS)
def test_everything_runs(plain_job, version, modules):
    python = sys.executable if version == "this" else needs.python(version)
    source = str(Path(spawn.__file__).parents[2])
    arguments = [source, str(plain_job / "job.json"), str(plain_job / "release" / "set.npz"), modules]
    done = subprocess.run(
        [python, "-I", "-S", "-B", "-c", PROGRAM, *arguments], capture_output=True, timeout=200
    )
    assert done.returncode == 0, done.stderr.decode()
    got = json.loads(done.stdout)
    assert (
        got["verify"]["ok"] and got["verify"]["sqnr_db"] == 200.0 and got["verify"]["runtime"] == "plain 1.0"
    )
    assert (got["evaluate"]["n"], got["evaluate"]["answers"]["size"]) == (8, 8 * 5 * 4)
    assert got["verdict"]["ok"] and got["verdict"]["sqnr_db"] == 200.0 and got["verdict"]["lost"] == []
    run = got["bench"]["runs"][0]
    assert run["count"] >= 11 and run["baseline_kb"] > 1000 and run["peak_kb"] >= 0
    said = subprocess.run(
        [python, "-c", "import platform; print(platform.python_version())"], capture_output=True
    )
    assert got["facts"]["python"]["version"] == said.stdout.decode().strip()
