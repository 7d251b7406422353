"""Integer inputs and outputs: the goldens stay the source's floats, and whoever compares converts."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

import edgewright_agent
from edgewright.compile.data import samples
from edgewright.connect.agent import package, runner_package
from edgewright.nouns.artifact import Artifact, TensorSpec
from edgewright_agent.checks import verify as work
from edgewright_agent.child import tensors
from edgewright_agent.protocol import AgentError
from edgewright_agent.storage.results import SessionFiles


def member(array: np.ndarray[Any, Any]) -> tensors.Member:
    buffer = io.BytesIO()
    np.save(buffer, array)
    buffer.seek(0)
    return tensors.Member(buffer, len(buffer.getvalue()))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_the_board_quantises_as_the_host_does(dtype: str) -> None:
    spec = TensorSpec(name="x", shape=(1, 50), dtype=dtype, scale=0.0125, zero_point=3)
    values = np.random.default_rng(2).normal(size=(20, 1, 50)).astype("float32") * 3
    given = tensors.Quantised(member(values), msgspec.to_builtins(spec))
    assert (given.count, given.sample_shape, given.dtype) == (20, (1, 50), dtype)
    found = [np.frombuffer(sample, dtype).reshape(1, 50) for sample in given.samples()]
    limits = np.iinfo(dtype)
    wanted = [np.clip(np.rint(row.astype(float) / 0.0125) + 3, limits.min, limits.max) for row in values]
    assert np.array_equal(found, wanted)
    assert np.array_equal(found, [samples.as_input(row.astype(float), spec) for row in values])
    assert len({sample.tobytes() for sample in found}) == 20


@pytest.mark.parametrize(
    ("dtype", "scale", "given", "expected"),
    [("int8", 0.1, "float32", True), ("int8", 0.1, "int8", False), ("int8", None, "float32", False), ("float32", 0.1, "float32", False)],
)  # fmt: skip
def test_only_real_values_for_integers_with_a_scale_are_quantised(
    dtype: str, scale: float | None, given: str, expected: bool
) -> None:
    spec = {"name": "x", "shape": [1], "dtype": dtype, "scale": scale, "zero_point": 0}
    assert tensors.real_for_integers(member(np.zeros((2, 1), given)), spec) is expected


def test_a_value_that_is_not_finite_is_refused() -> None:
    spec = {"name": "x", "shape": [2], "dtype": "int8", "scale": 0.1, "zero_point": 0}
    for bad in (np.nan, np.inf):
        with pytest.raises(AgentError, match="not finite"):
            list(tensors.Quantised(member(np.array([[0.5, bad]], "float32")), spec).samples())


@pytest.mark.parametrize(
    ("given", "wanted"), [("float16", "float32"), ("float64", "float32"), ("float32", "float16")]
)
def test_the_board_takes_floats_of_another_width(given: str, wanted: str) -> None:
    spec = {"name": "x", "shape": [1, 7], "dtype": wanted}
    values = np.random.default_rng(2).normal(size=(3, 1, 7)).astype(given)
    found = tensors.fitted(member(values), spec)
    tensors.check(found, spec, "input_0")
    rows = [np.frombuffer(sample, wanted).reshape(1, 7) for sample in found.samples()]
    assert np.array_equal(rows, values.astype(wanted))


def test_a_float_that_the_width_cannot_hold_is_refused() -> None:
    spec = {"name": "x", "shape": [1], "dtype": "float32"}
    with pytest.raises(AgentError, match="too large for float32"):
        list(tensors.fitted(member(np.array([[1e300]])), spec).samples())


@pytest.fixture
def on_board(tmp_path: Path) -> Callable[[Artifact], dict[str, Any]]:
    """The agent's `verify` of an artifact, by a child process and this machine's own LiteRT."""
    pyz = package.packed(package.sources(Path(edgewright_agent.__path__[0])))
    digest = hashlib.sha256(pyz).hexdigest()
    root = tmp_path / "root"
    (root / "agent").mkdir(parents=True)
    (root / "agent" / f"{digest}.pyz").write_bytes(pyz)

    def verify(artifact: Artifact, **changes: Any) -> dict[str, Any]:
        manifest = {**msgspec.to_builtins(artifact.manifest), **changes}
        runtime = {
            "ref": "system:ai-edge-litert",
            "name": "ai-edge-litert",
            "version": "1",
            "path": None,
            "system": True,
        }
        job = {
            "model": "net", "release": "1-aaaaaaaa", "folder": str(artifact.folder), "manifest": manifest,
            "target": "tflite", "runner": json.loads(runner_package.package("tflite").data), "runtime": runtime, "options": {"threads": 1, "accelerator": "cpu", "prepared": None},
            "root": str(root), "agent_sha": digest,
        }  # fmt: skip
        verdict: dict[str, Any] = work.verify(job, SessionFiles(str(root), "session"), lambda _: None)
        return verdict

    return verify


@pytest.mark.parametrize(("precision", "dtype"), [("int8", "int8"), ("int16x8", "int16")])
def test_goldens_stay_floats_and_the_board_answers_within_their_tolerance(
    tmp_path: Path,
    net: SimpleNamespace,
    convert: Callable[..., Artifact],
    on_board: Callable[..., dict[str, Any]],
    precision: str,
    dtype: str,
) -> None:
    source = tmp_path / "net.tflite"
    source.write_bytes(net.bytes())
    artifact = convert(source, precision, integer_io=True)
    manifest = artifact.manifest
    assert [spec.dtype for spec in (*manifest.inputs, *manifest.outputs)] == [dtype, dtype]
    assert manifest.inputs[0].scale
    with np.load(artifact.folder / manifest.goldens.file) as goldens:
        assert goldens["input_0"].dtype == goldens["output_0"].dtype == np.float32
    verdict = on_board(artifact)
    assert verdict["ok"]
    assert verdict["sqnr_db"] == pytest.approx(manifest.parity.sqnr_db, abs=1.0)
    wrong = msgspec.to_builtins(manifest.inputs)
    wrong[0]["scale"] *= 3  # a board that quantised by another scale would be noticed
    assert not on_board(artifact, inputs=wrong)["ok"]
