"""The store and the cache: they hold only complete artifacts, and find them without a framework."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from flat_requests import compile_request
from loaded_modules import UNNEEDED, imports_of

from edgewright.compile.pipeline import carry_out, compile_model, plan, prepare
from edgewright.compile.workers.pool import Workers
from edgewright.config import home
from edgewright.errors import ArtifactError, ModelError
from edgewright.nouns.artifact import Artifact
from edgewright.store.artifacts import ArtifactStore, load


@pytest.fixture
def artifact(models: Path, workers: Workers) -> Artifact:
    return compile_model(compile_request(source=models / "net.onnx", target="onnxruntime"), workers=workers)


def test_the_second_time_is_from_the_cache_and_imports_no_framework(models: Path, artifact: Artifact) -> None:
    program = (
        "import sys, pathlib\n"
        "from edgewright.compile.request import CompileRequest\n"
        "from edgewright.compile.pipeline import compile_model, plan\n"
        "from edgewright.nouns.model_input import ModelInput\n"
        "model = ModelInput(source=pathlib.Path(sys.argv[1]))\n"
        "request = CompileRequest(model=model, target='onnxruntime')\n"
        "assert plan(request).artifact == compile_model(request).id\n"
        "heavy = {'tensorflow', 'onnx', 'onnxruntime', 'openvino', 'nncf', 'numpy', 'paramiko'} & set(sys.modules)\n"
        "print(compile_model(request).id, sorted(heavy))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, models / "net.onnx"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split(maxsplit=1) == [artifact.id, "[]\n"]


def test_a_second_convert_imports_only_what_finds_the_artifact(models: Path, artifact: Artifact) -> None:
    done = imports_of("convert", models / "net.onnx", "--target", "onnxruntime", "--precision", "fp32")
    assert artifact.id[:12] in done.out
    others = ("edgewright.connect", "edgewright.compile.quality.verdict.judge", "paramiko", "sqlalchemy")
    assert not done.modules & {*UNNEEDED, *others}


def test_other_inputs_have_another_key(models: Path, artifact: Artifact) -> None:
    request = compile_request(source=models / "net.onnx", target="onnxruntime")
    assert plan(request).artifact == artifact.id
    assert (
        plan(compile_request(source=models / "net.onnx", target="onnxruntime", goldens=20)).artifact is None
    )
    other = compile_request(
        source=models / "net.onnx", target="onnxruntime", precision="int8", calibration="synthetic"
    )
    assert plan(other).key != plan(request).key


def test_an_artifact_is_found_by_its_prefix(artifact: Artifact) -> None:
    store = ArtifactStore(home.folder("artifacts"))
    assert store.get(artifact.id[:8]) == artifact
    assert store.list() == (artifact,)
    with pytest.raises(ArtifactError, match="no such artifact"):
        store.get("0" * 8 if not artifact.id.startswith("0" * 8) else "1" * 8)


@pytest.mark.parametrize("change", ["byte", "longer", "absent"])
def test_changed_bytes_are_refused_and_made_anew(
    models: Path, workers: Workers, artifact: Artifact, change: str
) -> None:
    file = artifact.folder / artifact.manifest.entry
    data = file.read_bytes()
    if change == "absent":
        file.unlink()
    else:
        file.write_bytes(data + b"x" if change == "longer" else data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ArtifactError):
        load(artifact.folder)
    again = compile_model(compile_request(source=models / "net.onnx", target="onnxruntime"), workers=workers)
    assert again.id == artifact.id
    assert load(again.folder) == again


def test_manifests_that_cannot_be_believed(artifact: Artifact) -> None:
    place = artifact.folder / "manifest.json"
    raw = json.loads(place.read_text())
    place.write_text(json.dumps({**raw, "schema": 3, "novelty": 1}))
    with pytest.raises(ArtifactError, match="schema 3, this version reads up to 2") as caught:
        load(artifact.folder)
    assert caught.value.code == "newer-schema"
    place.write_text(json.dumps({**raw, "novelty": 1}))
    with pytest.raises(ArtifactError, match="manifest is not valid"):
        load(artifact.folder)
    raw["files"][0]["path"] = "../outside"
    place.write_text(json.dumps(raw))
    with pytest.raises(ArtifactError, match="outside the artifact"):
        load(artifact.folder)
    place.write_bytes(b"{")
    with pytest.raises(ArtifactError, match="damaged"):
        load(artifact.folder)


def test_two_processes_may_add_the_same(artifact: Artifact, tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from edgewright.store.artifacts import ArtifactStore, load\n"
        "found = load(pathlib.Path(sys.argv[1]))\n"
        "files = {item.path: found.folder / item.path for item in found.manifest.files}\n"
        "for _ in range(20): print(ArtifactStore(pathlib.Path(sys.argv[2])).add(files, found.manifest).id)\n"
    )
    command = [sys.executable, "-c", program, str(artifact.folder), str(tmp_path / "store")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate()[0].split() for process in running]
    assert said == [[artifact.id] * 20] * 3
    assert not list((tmp_path / "store" / "temporary").iterdir())
    assert ArtifactStore(tmp_path / "store").get(artifact.id).manifest == artifact.manifest


def test_a_model_that_changes_during_its_conversion_is_not_stored(tmp_path: Path, workers: Workers) -> None:
    """Otherwise the artifact of the later model would be found under the earlier one's key, with goldens that agree with it."""
    source = tmp_path / "net.onnx"
    source.write_bytes(times(2))
    planned = prepare(compile_request(source=source, target="onnxruntime", precision="fp32"))
    kept = {one.id for one in ArtifactStore(home.folder("artifacts")).list()}
    source.write_bytes(times(3))
    with pytest.raises(ModelError, match="changed during the conversion"):
        carry_out(planned, workers=workers)
    source.write_bytes(times(2))
    store = ArtifactStore(home.folder("artifacts"))
    assert store.cached(planned.plan.key) is None and {one.id for one in store.list()} == kept


def times(factor: float) -> bytes:
    """An ONNX model that multiplies."""
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy"]
    constant = helper.make_tensor("factor", TensorProto.FLOAT, [1], [factor])
    node = helper.make_node("Mul", ["x", "factor"], ["y"])
    graph = helper.make_graph([node], "times", ends[:1], ends[1:], [constant])
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8
    ).SerializeToString()
