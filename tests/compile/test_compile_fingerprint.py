"""The cache returns no artifact that older code made. These tests edit a copy of the sources."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import timeit
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edgewright.compile.inspection import code_fingerprint

SOURCES = Path(__file__).parents[2]
PACKAGES = (
    "host/edgewright",
    "targets/edgewright_targets",
    "agent/edgewright_agent",
    "profiles/edgewright_profiles",
)
CONVERT = """
import json, sys
from pathlib import Path
from edgewright.compile.request import CompileRequest
from edgewright.nouns.model_input import ModelInput
from edgewright.compile.pipeline import compile_model, plan

def step(step):
    steps.append(step.detail)
    if meanwhile and len(steps) == 2:
        meanwhile.write_text(meanwhile.read_text() + "# edited meanwhile\\n")

steps, meanwhile = [], Path(sys.argv[2]) if sys.argv[2:] else None
# from ONNX this route borrows a function of the target onnxruntime, whose folder is on no stage of it
request = CompileRequest(model=ModelInput(source=Path(sys.argv[1])), target="openvino")
key = plan(request).key
made = compile_model(request, step)
print(json.dumps({"key": key, "id": made.id, "made": not steps[0].startswith("cached")}))
"""
KEY = """
import json, sys
from pathlib import Path
from edgewright.compile.request import CompileRequest
from edgewright.nouns.model_input import ModelInput
from edgewright.compile.pipeline import plan
found = plan(CompileRequest(model=ModelInput(source=Path(sys.argv[1])), target=(sys.argv[2:] or ["openvino"])[0]))
print(json.dumps({"key": found.key, "found": found.artifact is not None}))
"""
PREPARE = """
import json, sys
from pathlib import Path
from edgewright.compile.data import evaluation_set as evaluation
from edgewright.nouns.artifact import TensorSpec
real = TensorSpec(name="x", shape=(2,), dtype="float32")
found = evaluation.prepare(Path(sys.argv[1]), (real,))
integer = TensorSpec(name="x", shape=(2,), dtype="int8", scale=0.5, zero_point=0)
print(json.dumps({"inputs": str(found.inputs), "sha256": found.sha256,
                  "integers": str(evaluation.quantised(found, (integer,)))}))
"""
FINGERPRINT = """
import json
from edgewright.compile.inspection.code_fingerprint import fingerprint
print(json.dumps(fingerprint()))
"""
IMPORTED = """
import json, sys
from pathlib import Path
from edgewright.compile.inspection import code_fingerprint as fingerprint
Path(sys.argv[1]).write_text(Path(sys.argv[1]).read_text() + "# edited after the import\\n")
print(json.dumps([fingerprint.fingerprint(), fingerprint.unchanged()]))
"""
Run = dict[str, Any]


class Copy:
    """A copy of the sources, with its own state folder."""

    def __init__(self, place: Path) -> None:
        self.place = place
        for package in PACKAGES:
            shutil.copytree(SOURCES / package, place / package, ignore=shutil.ignore_patterns("__pycache__"))

    def python(self, program: str, *arguments: Path | str) -> Any:
        """The JSON that a program prints when it runs with the copy."""
        roots = os.pathsep.join(str(self.place / Path(package).parent) for package in PACKAGES)
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            env={**os.environ, "PYTHONPATH": roots, "EDGEWRIGHT_HOME": str(self.place / "home")},
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return Copy(tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="module")
def model(small_models: Callable[[str], Path]) -> Path:
    return small_models("onnx") / "cnn.onnx"


@pytest.fixture(scope="module")
def before(copy: Copy, model: Path) -> Run:
    made: Run = copy.python(CONVERT, model)
    assert made["made"]
    assert copy.python(CONVERT, model) == {**made, "made": False}
    return made


@contextmanager
def edited(file: Path, old: str = "\n", new: str = "\n\n") -> Iterator[None]:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    yield
    file.write_text(text)


@pytest.mark.parametrize(
    ("file", "edit"),
    [
        ("host/edgewright/compile/data/calibration.py", ("_SEED = 2", "_SEED = 3")),  # other goldens
        ("host/edgewright/nouns/artifact.py", ("\n", "\n\n")),
        ("targets/edgewright_targets/_onnx/files.py", ("\n", "\n\n")),
    ],
)
def test_an_edited_file_is_another_key_and_converts_again(
    copy: Copy, before: Run, model: Path, file: str, edit: tuple[str, str]
) -> None:
    with edited(copy.place / file, *edit):
        after = copy.python(CONVERT, model)
    assert after["key"] != before["key"]
    assert after["made"]
    assert (after["id"] == before["id"]) == ("SEED" not in edit[0])
    assert copy.python(CONVERT, model) == {
        **before,
        "made": False,
    }  # as before: the artifact made then is valid


PLUGIN = {
    "acme/__init__.py": "",
    "acme/passes.py": "",
    "acme/target.py": """
from edgewright.sdk import Route, Target
ROUTE = Route(stages=(("onnx", "acme.convert"),))
TARGET = Target(name="acme", title="Acme", entry="model.json", precisions=("fp32",), framework="onnx", routes={"onnx": ROUTE})
""",
    "acme/convert.py": "def convert(context): pass",
    "acme/runner.py": "def import_runtime(): pass\ndef accelerators(): pass\ndef prepare(): pass\ndef load(): pass",
    "acme-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n",
    "acme-1.0.dist-info/entry_points.txt": "[edgewright.targets]\nacme = acme.target:TARGET\n",
}


def test_a_plugins_package_counts_for_what_it_makes_and_for_nothing_else(
    copy: Copy, before: Run, model: Path
) -> None:
    site = copy.place / "host"  # a folder that it is imported from
    for name, text in PLUGIN.items():
        (site / name).parent.mkdir(exist_ok=True)
        (site / name).write_text(text)
    plain = copy.python(KEY, model, "acme")["key"]
    with edited(site / "acme/passes.py", "", "# edited"):  # a file that no record names
        assert copy.python(KEY, model, "acme")["key"] != plain
        assert copy.python(KEY, model)["key"] == before["key"]
    assert copy.python(KEY, model, "acme")["key"] == plain


def test_code_that_changes_while_it_runs_leaves_nothing_to_be_found(
    copy: Copy, before: Run, model: Path
) -> None:
    """The workers may have imported the file before or after the change: the artifact belongs to neither key."""
    with edited(copy.place / "host/edgewright/nouns/artifact.py", new="\n\n\n"):
        file = copy.place / "targets/edgewright_targets/openvino/finish.py"
        text = file.read_text()
        mixed = copy.python(CONVERT, model, file)
        assert file.read_text() != text
        file.write_text(text)
        again = copy.python(KEY, model)
    assert mixed["made"]
    assert again == {"key": mixed["key"], "found": False}


def test_an_evaluation_set_is_made_again(copy: Copy, tmp_path: Path) -> None:
    import numpy as np

    given = tmp_path / "set.npz"
    np.savez(given, x=np.zeros((3, 2), np.float32), labels=np.zeros(3, np.int64))
    place = copy.python(PREPARE, given)
    assert copy.python(PREPARE, given) == place
    with edited(copy.place / "host/edgewright/compile/data/samples.py"):
        after = copy.python(PREPARE, given)
    assert after["inputs"] != place["inputs"]
    assert after["integers"] != place["integers"]
    assert after["sha256"] == place["sha256"]  # of what it is made from


def test_it_is_of_the_code_that_was_imported(copy: Copy) -> None:
    """A change between the import and the first conversion is not in the code that this process runs."""
    before, file = copy.python(FINGERPRINT), copy.place / "host/edgewright/compile/data/samples.py"
    with edited(file, new="\n"):  # in the end, as it was
        assert copy.python(IMPORTED, file) == [before, False]


def test_neither_places_nor_dates_nor_leftovers_count(copy: Copy, tmp_path: Path) -> None:
    found = copy.python(FINGERPRINT)
    other = Copy(tmp_path)
    folder = other.place / "host/edgewright/compile"
    os.utime(folder / "cache_key.py", (1, 1))
    for leftover in ("__pycache__/cache_key.cpython-311.pyc", ".cache_key.py.swp", "cache_key.py~"):
        (folder / leftover).parent.mkdir(exist_ok=True)
        (folder / leftover).write_text("x")
    (folder / ".#cache_key.py").symlink_to("nobody@nowhere.1")
    assert other.python(FINGERPRINT) == found
    (folder / "cache_key.py").rename(folder / "kez.py")
    assert other.python(FINGERPRINT) != found


def test_order_does_not_count_and_a_file_may_vanish(tmp_path: Path) -> None:
    one, two = tmp_path / "one.py", tmp_path / "two.py"
    for path in (one, two):
        path.write_text(path.name)
    both = code_fingerprint.of({"one": one, "two": two})
    assert code_fingerprint.of({"two": two, "one": one}) == both
    assert (
        code_fingerprint.of({"one": one, "two": tmp_path / "gone"})
        == code_fingerprint.of({"one": one})
        != both
    )


def test_all_that_a_conversion_may_import_counts() -> None:
    """The modules of edgewright that `compile` and the targets import, directly or indirectly."""
    folders = {"edgewright": "host", "edgewright_targets": "targets", "edgewright_agent": "agent"}
    roots = {name: SOURCES / folder for name, folder in folders.items()}
    sources = [
        file for file in code_fingerprint.files() if file.endswith(".py")
    ]  # not the parts of C programs
    known = {file.removesuffix(".py").removesuffix("/__init__") for file in sources}
    modules = {name.replace("/", ".") for name in known}
    assert "edgewright_targets.tflite.runner" in modules
    reached: set[str] = set()
    for module in modules:
        file = roots[module.split(".")[0]] / module.replace(".", "/")
        path = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in roots:
                reached |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    exist = {name for name in reached if is_module(roots[name.split(".")[0]] / name.replace(".", "/"))}
    left_out = {
        "edgewright",
        "edgewright.runtimes.wheels",
    }  # its version, and pip's messages without a network
    left_out |= {"edgewright_agent", "edgewright_agent.shapes"}  # its version, and types, which run no code
    # what the sdk gives plug-ins' transports, which no conversion opens
    left_out |= {f"edgewright.wire.{name}" for name in ("local_machine", "transport", "transport_kind")}
    assert exist - modules == left_out


def is_module(path: Path) -> bool:
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def test_it_takes_no_time() -> None:
    """It takes a fraction of the time in which this Python starts and imports numpy, which every conversion does."""
    start = [sys.executable, "-c", "import numpy"]
    beside = min(timeit.repeat(lambda: subprocess.run(start, check=True), number=1, repeat=3))
    assert min(timeit.repeat(code_fingerprint.read, number=1, repeat=5)) < beside / 3
