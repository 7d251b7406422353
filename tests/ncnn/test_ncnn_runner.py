"""The runner on boards: no numpy, one sample without a batch axis, exact arithmetic, and what an older ncnn lacks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import needs
import pytest
from command_line import command_line

from edgewright import targets
from edgewright.config import home
from edgewright.nouns.artifact import Artifact
from edgewright.testing import targets as suite
from edgewright_targets.ncnn import runner

Compiled = Callable[..., Artifact]
Models = Callable[[str], Path]
WITHOUT_NUMPY = """
import json, sys, types
sys.modules["numpy"] = None
stand_in = types.ModuleType("edgewright_agent"); stand_in.shapes = None
sys.modules["edgewright_agent"] = stand_in
sys.path[:0] = json.loads(sys.argv[1])
from edgewright_targets.ncnn import runner
folder = sys.argv[2]
manifest = json.load(open(folder + "/manifest.json"))
session = runner.load(folder, manifest, {"threads": 2})
print(runner.import_runtime())
for value in (b"\\0\\0\\0\\x3f", b"\\0\\0\\x80\\x3f"):  # 0.5 and 1.0
    feed = session.feed([memoryview(value * 4), value * 4])
    print([len(one) for one in session.read(session.infer(feed))], session.read(session.infer(feed))[0].hex())
"""


def test_it_runs_where_numpy_cannot_be_imported(compiled: Compiled, small_models: Models) -> None:
    import ncnn

    made = compiled(small_models("onnx") / "two_in_two_out.onnx")
    places = [str(Path(ncnn.__file__).parents[1]), str(Path(runner.__file__).parents[2])]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", WITHOUT_NUMPY, json.dumps(places), str(made.folder)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    version, first, second = done.stdout.splitlines()
    assert version.startswith("ncnn 1.0.")
    assert first.startswith("[12, 12] ") and second.startswith("[12, 12] ") and first != second


@pytest.mark.parametrize("check", suite.runner_checks.ANY_MODEL, ids=lambda check: check.__name__)
def test_the_contract_of_runners(compiled: Compiled, small_models: Models, check: Any) -> None:
    check(suite.ready("ncnn", compiled(small_models("onnx") / "two_in_two_out.onnx").folder))


def test_the_manifest_gives_the_order(compiled: Compiled, small_models: Models) -> None:
    made = suite.ready("ncnn", compiled(small_models("onnx") / "two_in_two_out.onnx").folder)
    suite.runner_checks.the_manifest_gives_the_order_of_inputs_and_outputs(made)


@pytest.mark.parametrize("python", ["3.6", "3.11"])
def test_it_imports_on_old_pythons(python: str) -> None:
    suite.check_runner_alone("ncnn", str(needs.python(python)))


def test_fp32_is_exact_and_fp16_sums_in_32_bits() -> None:
    names = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage")
    opt = SimpleNamespace(**dict.fromkeys(names, True))
    runner.set_arithmetic(opt, "fp32")
    assert vars(opt) == dict.fromkeys(names, False)
    runner.set_arithmetic(opt, "fp16")
    assert [name for name in names if getattr(opt, name)] == ["use_fp16_packed", "use_fp16_storage"]


def test_a_file_that_this_ncnn_cannot_load_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.param").write_text("7767517\n1 1\nNoSuchLayer one 0 1 out0\n")
    (tmp_path / "model.bin").write_bytes(b"")
    manifest: Any = {"entry": "model.param", "inputs": [], "outputs": []}
    with pytest.raises(runner.ModelRefused, match="cannot load the model"):
        runner.load(str(tmp_path), manifest, {})


def test_a_board_gets_the_extension_module_alone() -> None:
    target = targets.load("ncnn")
    assert {row.requires for row in target.runtimes} == {()} == {row.own for row in target.runtimes}
    assert {row.version for row in target.runtimes_for("3.6", "armv7l", "2.31")} == {"1.0.20250503"}
    assert target.lacks("ncnn", "1.0.20250503", {"release": 20261020}) == {"release": (20261020, 20250503)}


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_a_deployment_to_a_board(lab_up: Callable[..., Any], small_models: Models, precision: str) -> None:
    name = f"n{precision[2:]}"
    lab_up(1, name=name, profiles=("generic-x86_64",))
    ran = command_line(
        "deploy", small_models("onnx") / "cnn.onnx", "--to", f"{name}-1", "--name", "cnn", "--target", "ncnn", "--precision",
        precision, "--calibration", "synthetic", "--allow-synthetic", "--json",
    )  # fmt: skip
    assert ran.code == 0, (ran.out, ran.err)
    assert ran.outcome["outcome"] == "committed"
    assert ran.outcome["runtime"] == "ncnn 1.0.20261020"
    assert ran.check("answers")["ok"]
    (about,) = home.folder("lab").glob(f"{name}/**/runtimes/*/RUNTIME.json")
    files = json.loads(about.read_text())["files"]
    assert not [path for path in files if "model_zoo" in path or "utils" in path]
    assert [path for path in files if path.endswith("LICENSE.txt")]
