"""What the last tflite-runtime makes of our files: right answers, or a refusal that the host knew before."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from edgewright import targets
from edgewright.compile.toolchains import pythons
from edgewright.nouns.artifact import Artifact

pytestmark = pytest.mark.slow

VERSION = "2.14.0"
RUN = """
import json, sys, numpy as np
from tflite_runtime.interpreter import Interpreter
goldens, found = np.load(sys.argv[2]), {}
try:
    interpreter = Interpreter(sys.argv[1])
    interpreter.allocate_tensors()
except (RuntimeError, ValueError) as error:
    print(json.dumps({"refused": str(error)[:200]}))
    sys.exit()
given, made = interpreter.get_input_details(), interpreter.get_output_details()
signal, noise = 0.0, 0.0
for index in range(len(goldens["input_0"])):
    for at, detail in enumerate(given):
        interpreter.set_tensor(detail["index"], goldens["input_%d" % at][index])
    interpreter.invoke()
    for at, detail in enumerate(made):
        wanted = goldens["output_%d" % at][index]
        signal += float((wanted ** 2).sum())
        noise += float(((interpreter.get_tensor(detail["index"]) - wanted) ** 2).sum())
print(json.dumps({"db": 10 * np.log10(signal / max(noise, 1e-30))}))
"""


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Artifact], dict[str, float]]:
    """Runs an artifact's goldens by tflite-runtime: {"db"}, over all of its outputs, or {"refused"}."""
    python = next(one for one in pythons.found() if one.within("3.8-3.11"))
    folder = tmp_path_factory.mktemp("old")
    command = [
        python.path,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--only-binary=:all:",
        "--target",
        folder,
    ]
    wanted = [f"tflite-runtime=={VERSION}", "numpy==1.24.4"]
    subprocess.run([*command, *wanted], check=True, capture_output=True, timeout=250)

    def run(artifact: Artifact) -> dict[str, float]:
        entry, goldens = (
            artifact.folder / name for name in (artifact.manifest.entry, artifact.manifest.goldens.file)
        )
        done = subprocess.run(
            [python.path, "-c", RUN, entry, goldens], env={"PYTHONPATH": str(folder)}, capture_output=True, text=True, timeout=60
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-800:]
        verdict: dict[str, float] = json.loads(done.stdout)
        return verdict

    return run


@pytest.mark.parametrize("kind", ["keras", "tflite"])
@pytest.mark.parametrize(
    "precision", ["fp32", "fp16", "int8-dynamic", "int8", "int16x8", "int8-weights", "int4-weights"]
)
def test_a_file_answers_as_here_or_is_known_not_to_load(
    small_models: Callable[[str], Path],
    convert: Callable[..., Artifact],
    answer: Callable[[Artifact], dict[str, float]],
    kind: str,
    precision: str,
) -> None:
    rows = [row for row in targets.load("tflite").runtimes if row.version == VERSION]
    for name in ("cnn", "attention"):
        artifact = convert(small_models("keras") / f"{name}.{kind}", precision)
        verdict = answer(artifact)
        known = all(row.lacks(artifact.manifest.requires) for row in rows)
        assert ("refused" in verdict) == known, (name, verdict, artifact.manifest.requires)
        assert known or verdict["db"] > artifact.manifest.goldens.tolerance.sqnr_db


def test_a_table_of_words_in_dynamic_range_has_one_scale(
    small_models: Callable[[str], Path],
    convert: Callable[..., Artifact],
    answer: Callable[[Artifact], dict[str, float]],
) -> None:
    artifact = convert(small_models("torch") / "tokens.pt2", "int8-dynamic")
    assert answer(artifact)["db"] > 20


def test_sixteen_bit_slices_are_kept_away_from_it(
    small_models: Callable[[str], Path], convert: Callable[..., Artifact]
) -> None:
    artifact = convert(small_models("torch") / "lstm.pt2", "int16x8")
    rows = [row for row in targets.load("tflite").runtimes if row.version == VERSION]
    assert all("SLICE" in row.lacks(artifact.manifest.requires) for row in rows)
