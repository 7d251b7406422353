"""The name of a record is only in the record's own file: all other code asks the record.

A name anywhere else is listed here with the reason. So a new record takes one file.
"""

from __future__ import annotations

import ast
from collections.abc import Set
from fnmatch import fnmatch
from pathlib import Path

import pytest

from edgewright import targets
from edgewright.compile.formats import FORMATS
from edgewright.compile.steps import STEPS
from edgewright.connect.transports import TRANSPORTS
from edgewright.metrics import METRICS
from edgewright.precisions import PRECISIONS

ROOT = Path(__file__).parents[2]
NAMES = {one.name for records in (FORMATS, STEPS, TRANSPORTS, METRICS, PRECISIONS) for one in records.own()}
OWN = (
    "host/edgewright/compile/formats/*",
    "host/edgewright/compile/steps/*",
    "host/edgewright/connect/transports/*",
    "host/edgewright/metrics/*",
    "host/edgewright/precisions/*",
)
ELSEWHERE = {  # files, names that they may have (None: all), why
    "host/edgewright/nouns/metric.py": ({"top1"}, "the default"),
    "host/edgewright/nouns/precision.py": ({"as-is"}, "a kind, which only one precision has"),
    "host/edgewright/compile/workers/pool.py": ({"onnx"}, "the worker of that name, and the library"),
    "host/edgewright/compile/sources/keras_file.py": ({"keras"}, "the library"),
    "host/edgewright/compile/sources/torch.py": ({"int8"}, "a type of numbers"),
    "host/edgewright/cli/views/doctor.py": ({"ssh"}, "the program"),
    "host/edgewright/doctor/host.py": ({"ssh"}, "the program"),
    "host/edgewright/connect/ssh/resolution/openssh.py": ({"ssh"}, "the program"),
    "host/edgewright/deployments/runtime_caps.py": ({"ir"}, "the version of ONNX's file format"),
    "host/edgewright/testing/*.py": ({"fp32", "int8", "int8-mixed", "as-is"}, "what its models are made in"),
    "host/edgewright/compress/frameworks.py": ({"keras", "h5", "pytorch", "pt2", "onnx"}, "the formats whose models can be compressed"),
    "host/edgewright/compress/*.py": ({"keras", "pytorch", "onnx", "mse"}, "the library, the word of its opener, and the loss"),
    "host/edgewright/nouns/compression.py": ({"mse"}, "the loss"),
    "targets/*/target.py": (None, "what the target takes and makes"),
    "targets/*/finish.py": (None, "how the target makes each precision that its target.py lists"),
    "targets/*/explain.py": (None, "types of numbers, and the sources whose layers have names"),
    "targets/*/runner.py": ({"fp16", "int8"}, "types of numbers; boards have no records"),
    "targets/*/files.py": ({"ir"}, "the version of ONNX's or OpenVINO's file format"),
    "targets/*/quantize_weights.py": ({"int8"}, "a part of tensors' names"),
}  # fmt: skip
TARGETS_ELSEWHERE = {  # files of host and agent -> names of targets that they may have, why
    "agent/edgewright_agent/board/old_hosts.py": (None, "hosts that do not name the runtimes yet know these"),
    "host/edgewright/compile/formats/tflite.py": ({"tflite"}, "the format"),
    "host/edgewright/compile/formats/*.py": ({"onnxruntime", "openvino"}, "the library"),
    "host/edgewright/compile/sources/*.py": ({"onnxruntime", "openvino"}, "the library"),
    "host/edgewright/compress/frameworks.py": (
        {"onnxruntime"},
        "the library, and the target that makes ONNX files",
    ),
    "host/edgewright/compile/workers/pool.py": ({"onnxruntime", "openvino"}, "the library"),
}


def strings(path: Path, names: Set[str] = NAMES) -> dict[str, int]:
    """The strings of a file that are names of records -> their lines."""
    text = path.read_text()
    if not any(f'"{name}"' in text or f"'{name}'" in text for name in names):
        return {}  # most files; parsing them takes longer
    nodes = ast.walk(ast.parse(text))
    found = [
        (one.value, one.lineno)
        for one in nodes
        if isinstance(one, ast.Constant) and isinstance(one.value, str)
    ]
    return {text: line for text, line in found if text in names}


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, int]]:
    """Names of records by file, outside their own files."""
    files = [path for folder in ("host", "targets") for path in sorted((ROOT / folder).rglob("*.py"))]
    named = {path.relative_to(ROOT).as_posix(): strings(path) for path in files}
    return {
        file: names for file, names in named.items() if names and not any(fnmatch(file, own) for own in OWN)
    }


def test_a_name_stands_in_its_own_file(found: dict[str, dict[str, int]]) -> None:
    wrong = [
        f"{file}:{line}: {name}"
        for file, names in found.items()
        for name, line in names.items()
        if not any(
            fnmatch(file, pattern) and (allowed is None or name in allowed)
            for pattern, (allowed, _) in ELSEWHERE.items()
        )
    ]
    assert not wrong, "ask the record instead, or list the file with the reason: " + ", ".join(wrong)


def test_the_list_is_no_longer_than_it_has_to_be(found: dict[str, dict[str, int]]) -> None:
    for pattern, (allowed, reason) in ELSEWHERE.items():
        there = {name for file, names in found.items() if fnmatch(file, pattern) for name in names}
        assert there and (allowed is None or allowed <= there), f"{pattern}: {reason}"


def test_the_check_sees_a_name(tmp_path: Path) -> None:
    file = tmp_path / "branch.py"
    file.write_text("def slow(precision):\n    return precision == 'int16x8'\n")
    assert strings(file) == {"int16x8": 2}


def test_no_code_of_host_and_agent_names_a_target() -> None:
    own = {name for name in targets.names() if (ROOT / "targets/edgewright_targets" / name).is_dir()}
    assert {"ncnn", "tflite"} <= own
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for folder in ("host", "agent")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for name, line in strings(path, own).items()
        if not any(
            fnmatch(path.relative_to(ROOT).as_posix(), pattern) and (allowed is None or name in allowed)
            for pattern, (allowed, _) in TARGETS_ELSEWHERE.items()
        )
    ]
    assert not wrong, "ask the target's record instead: " + ", ".join(wrong)
