"""The runner's own side of an inference: order of buffers, types, what it refuses. Memory of this process is the GPU's, and
a function is the engine: nothing here is a test of TensorRT or of CUDA.
"""

import ctypes
from typing import ClassVar

import numpy as np
import pytest

from edgewright import targets
from edgewright_targets._cuda import device

RUNNER = targets.runner("tensorrt")


class HostCuda(device.Cuda):
    """The same interface on this process's memory; what is given must be given back, once."""

    held: ClassVar[dict] = {}

    def __init__(self):
        self._ctypes = ctypes

    def allocate(self, size):
        memory = (ctypes.c_char * size)()
        self.held[ctypes.addressof(memory)] = memory
        return ctypes.addressof(memory)

    def copy(self, to, source, size, direction):
        inside = to if direction == self.TO_BOARD else source
        assert size == len(self.held[inside]) and (to in self.held) != (source in self.held)
        ctypes.memmove(to, source, size)

    def free(self, address):
        del self.held[address]


class Engine:
    """Tokens (32-bit for it) and a mask in, their sum and a 32-bit count out; its own order of buffers."""

    num_layers = 7

    def create_execution_context(self):
        return self

    def execute_v2(self, addresses):
        shapes = [("float32", (1, 2)), ("int32", (1, 3)), ("int32", (1,)), ("float32", (1, 3))]
        total, tokens, count, mask = (
            np.frombuffer(HostCuda.held[address], kind).reshape(shape)
            for address, (kind, shape) in zip(addresses, shapes, strict=True)
        )
        total[:] = [(tokens * mask).sum(), tokens.sum()]
        count[:] = (mask > 0).sum()
        return True


TENSORS = [  # as `_bindings` and `_tensors` give them
    ("total", False, "FLOAT", (1, 2)), ("tokens", True, "INT32", (1, 3)), ("count", False, "INT32", (1,)),
    ("mask", True, "FLOAT", (1, 3)),
]  # fmt: skip
MANIFEST = {
    "inputs": [{"name": "tokens", "shape": [1, 3], "dtype": "int64"}, {"name": "mask", "shape": [1, 3], "dtype": "float64"}],
    "outputs": [{"name": "count", "shape": [1], "dtype": "int64"}, {"name": "total", "shape": [1, 2], "dtype": "float32"}],
}  # fmt: skip


@pytest.fixture
def open_session(monkeypatch):
    monkeypatch.setattr(device, "Cuda", HostCuda)
    HostCuda.held = {}
    return lambda tensors=TENSORS, manifest=MANIFEST: RUNNER.Session(Engine(), tensors, manifest, ())


def test_tensors_go_in_the_manifests_order_and_types(open_session):
    session = open_session()
    for tokens, mask in (([1, 2, 3], [1, 0, 1]), ([70000, -5, 9], [0, 0.5, 2])):
        tokens, mask = np.array(tokens, "int64"), np.array(mask, "float64")
        count, total = session.read(
            session.infer(session.feed([tokens.tobytes(), memoryview(mask.tobytes())]))
        )
        assert np.frombuffer(count, "int64").tolist() == [(mask > 0).sum()]
        assert np.frombuffer(total, "float32").tolist() == [(tokens * mask).sum(), tokens.sum()]
    assert session.accelerator == "cuda" and session.placement() == {"cuda": 7}
    assert len(HostCuda.held) == 4
    session.close()
    assert HostCuda.held == {}


def test_outputs_of_one_inference_stay_as_they_are_in_the_next(open_session):
    session = open_session()
    mask = np.ones((1, 3)).tobytes()
    first = session.infer(session.feed([np.array([1, 1, 1]).tobytes(), mask]))
    session.infer(session.feed([np.array([5, 5, 5]).tobytes(), mask]))
    assert np.frombuffer(session.read(first)[1], "float32").tolist() == [3.0, 3.0]


@pytest.mark.parametrize(
    ("index", "wrong", "says"),
    [
        (1, ("tokens", True, "INT32", (1, 4)), r"tokens is INT32\[1, 4\] in the engine"),
        (1, ("tokens", True, "FP8", (1, 3)), "tokens is FP8"),
        (0, ("total", False, "HALF", (1, 2)), "total is float16 in the engine, not float32"),
        (0, ("sum", False, "FLOAT", (1, 2)), "tensors differ from the manifest: sum, total"),
        (0, ("total", True, "FLOAT", (1, 2)), "tensors differ from the manifest: total"),
    ],
)
def test_an_engine_that_is_not_the_manifests_is_refused(open_session, index, wrong, says):
    tensors = [wrong if place == index else one for place, one in enumerate(TENSORS)]
    with pytest.raises(ValueError, match=says):
        open_session(tensors)


def test_a_board_that_has_no_engine_says_so(tmp_path):
    """`load` without `prepare`: it imports TensorRT first, which this machine does not have."""
    with pytest.raises(ImportError, match="tensorrt"):
        RUNNER.load(str(tmp_path), MANIFEST, {"prepared": None})


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ("# R32 (release), REVISION: 7.1, GCID: 29818004, BOARD: t210ref, EABI: aarch64\n", "R32.7.1"),
        ("# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic\n", "R36.4.3"),
        ("something else\n", ""), (None, ""),
    ],
)  # fmt: skip
def test_the_systems_release(monkeypatch, tmp_path, text, release):
    file = tmp_path / "nv_tegra_release"
    if text:
        file.write_text(text)
    real = open
    monkeypatch.setitem(
        device.__dict__, "open", lambda path: real(file if path == "/etc/nv_tegra_release" else path)
    )
    assert device.jetpack() == release
