"""A root folder with the agent's own bytes, a small real ONNX release, and jobs like the server's."""

import hashlib
import importlib.util
import json
import textwrap
from pathlib import Path

import numpy
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgewright.connect.agent import package as agent_package
from edgewright.connect.agent import runner_package
from edgewright_agent.storage.results import SessionFiles

TOLERANCE = {"sqnr_db": 60.0, "relative": 1e-3}
FEATURES, CLASSES, GOLDENS = 16, 10, 8


def package(name):
    return Path(next(iter(importlib.util.find_spec(name).submodule_search_locations)))


@pytest.fixture(scope="session")
def agent_bytes():
    """The agent as the host ships it, comments and all."""
    return agent_package.packed(agent_package.sources(package("edgewright_agent")))


@pytest.fixture
def root(tmp_path, agent_bytes):
    folder = tmp_path / "root"
    (folder / "agent").mkdir(parents=True)
    (folder / "agent" / f"{hashlib.sha256(agent_bytes).hexdigest()}.pyz").write_bytes(agent_bytes)
    return folder


@pytest.fixture
def files(root):
    return SessionFiles(str(root), "session")


@pytest.fixture
def fetched(files):
    """Reads a RESULT, and checks what it says of itself."""

    def fetch(result):
        data = Path(files.result_path(result["result"])).read_bytes()
        assert len(data) == result["size"]
        assert hashlib.sha256(data).hexdigest() == result["sha256"]
        return data

    return fetch


@pytest.fixture
def events():
    return []


@pytest.fixture
def make_job(root, agent_bytes):
    """A job for a folder with `manifest.json`."""

    def make(folder, runtime=None, *, release="1-aaaaaaaa", threads=1, accelerator="cpu"):
        manifest = json.loads((folder / "manifest.json").read_text())
        system = {
            "ref": "system:onnxruntime",
            "name": "onnxruntime",
            "version": "1",
            "path": None,
            "system": True,
        }
        return {
            "model": "tiny",
            "release": release,
            "folder": str(folder),
            "manifest": manifest,
            "target": manifest["target"],
            "runner": json.loads(runner_package.package(manifest["target"]).data),
            "runtime": runtime or system,
            "options": {"threads": threads, "accelerator": accelerator, "prepared": None},
            "root": str(root),
            "agent_sha": hashlib.sha256(agent_bytes).hexdigest(),
        }

    return make


def weights():
    rng = numpy.random.default_rng(7)
    return rng.normal(size=(FEATURES, CLASSES)).astype("float32"), rng.normal(size=CLASSES).astype("float32")


def reference(x):
    """The tiny model by numpy: (n, FEATURES) -> (n, CLASSES)."""
    weight, bias = weights()
    return (x.astype("float64") @ weight + bias).astype("float32")


@pytest.fixture
def tiny_answers():
    return reference


@pytest.fixture
def tiny_goldens():
    """Makes the references of the goldens: (GOLDENS, 1, CLASSES)."""
    return lambda: reference(golden_inputs()[:, 0])[:, None]


def golden_inputs():
    return numpy.random.default_rng(1).normal(size=(GOLDENS, 1, FEATURES)).astype("float32")


def onnx_bytes():
    weight, bias = weights()
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w", "b"], ["y"])],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, FEATURES])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, CLASSES])],
        [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(bias, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    return model.SerializeToString()


@pytest.fixture
def make_release(tmp_path):
    """A release folder: entry, goldens, manifest."""

    def make(name="release", entry=None, references=None, target="onnxruntime"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "model.bin").write_bytes(onnx_bytes() if entry is None else entry)
        x = golden_inputs()
        y = reference(x[:, 0])[:, None] if references is None else references
        numpy.savez(folder / "goldens.npz", input_0=x, output_0=y)
        manifest = {
            "target": target,
            "entry": "model.bin",
            "inputs": [{"name": "x", "shape": [1, FEATURES], "dtype": "float32"}],
            "outputs": [{"name": "y", "shape": [1, CLASSES], "dtype": "float32"}],
            "goldens": {"file": "goldens.npz", "count": GOLDENS, "tolerance": TOLERANCE},
        }
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return folder

    return make


BROKEN = """
import os, sys, time
import numpy
{top}
__version__ = "0.1"

def get_available_providers():
    return ["CPUExecutionProvider", "CUDAExecutionProvider"]

class SessionOptions:
    pass

class Tensor:
    def __init__(self, name):
        self.name = name

class InferenceSession:
    def __init__(self, path, sess_options=None, providers=None):
        self.providers = providers
{load}

    def get_providers(self):
        return self.providers

    def get_inputs(self):
        return [Tensor("x")]

    def get_outputs(self):
        return [Tensor("y")]

    def run(self, names, feed):
{run}
        return [numpy.zeros((1, 10), "float32")]
"""


@pytest.fixture
def broken_runtime(tmp_path):
    """A provisioned runtime whose import, load or inference runs the test's code, as a broken one's."""

    def make(top="", load="", run=""):
        folder = tmp_path / "runtime" / "onnxruntime"
        folder.mkdir(parents=True)
        inner = {
            "load": textwrap.indent(load or "pass", " " * 8),
            "run": textwrap.indent(run or "pass", " " * 8),
        }
        (folder / "__init__.py").write_text(BROKEN.format(top=top, **inner))
        return {
            "ref": "0" * 64,
            "name": "onnxruntime",
            "version": "0.1",
            "path": str(folder.parent),
            "system": False,
        }

    return make
