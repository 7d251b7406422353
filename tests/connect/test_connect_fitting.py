"""Which runtime a board gets, from the names of existing wheels, and the message if none fits."""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path

import pytest
from msgspec.structs import replace
from packaging.requirements import Requirement
from packaging.utils import parse_wheel_filename

from edgewright import targets
from edgewright.connect.session import open_session
from edgewright.errors import EdgewrightError
from edgewright.nouns.board import Board
from edgewright.nouns.facts import Facts, LibcFacts, PythonFacts
from edgewright.nouns.target import numbers
from edgewright.runtimes import compatibility, wheels
from edgewright.runtimes.bundle import plan
from edgewright.runtimes.wheel_tags import WheelHost

PYTHONS = ["3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14"]
ARCHS = ["x86_64", "aarch64", "armv7l", "armv6l"]
GLIBCS = ["2.27", "2.28", "2.31", "2.34", "2.36", "2.41"]
PUBLISHED = [
    (str(name), str(version), tags)
    for name, version, _, tags in (
        parse_wheel_filename(line)
        for line in (Path(__file__).parent / "wheels_on_index.txt").read_text().split()
    )
]
# Wheels that are there but are not used: no system of 32-bit Arm has such a Python and a fitting numpy.
UNUSED = {("tflite-runtime", "armv7l", python) for python in ("3.8", "3.10")}


# Wheels whose libraries need a newer glibc than their names say (tests/faults/pythons/test_faults_wheels.py looks into each).
NEED_GLIBC = {
    ("ai-edge-litert", "2.3.0", "aarch64"): "2.34",
    ("ai-edge-litert", "2.1.0", "aarch64"): "2.30",
    ("tflite-runtime", "2.14.0", "x86_64"): "2.29",
    ("tflite-runtime", "2.13.0", "x86_64"): "2.29",
}

# Wheels for every Python, by their names, that declare a newer one.
NEED_PYTHON = {("apache-tvm", "0.27.0.post1"): "3.10"}


def host(python: str, arch: str, glibc: str) -> WheelHost:
    """A kind of board."""
    return WheelHost(python=python, arch=arch, libc="glibc", libc_version=glibc)


def published(board: WheelHost) -> set[tuple[str, str]]:
    """(distribution, version) of the wheels that run on a board, by their names and the glibc and Python that they need."""
    return {
        (name, version)
        for name, version, tags in PUBLISHED
        if tags & board.tags
        and numbers(NEED_GLIBC.get((name, version, board.arch), "0")) <= numbers(board.libc_version)
        and numbers(NEED_PYTHON.get((name, version), "0")) <= numbers(board.resolves_for)
    }


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("target", targets.names())
def test_every_board_gets_the_best_wheel_that_is_published(target, arch):
    metadata = targets.load(target)
    seen = 0
    for python, glibc in product(PYTHONS, GLIBCS):
        board = host(python, arch, glibc).for_target(metadata)
        there = published(board)
        rows = compatibility.rows(metadata, board)
        for row in rows:
            assert (row.distribution, row.version) in there, (board.title, row)
        ours = [(row.distribution, row.version) for row in metadata.runtimes]
        best = next((one for one in dict.fromkeys(ours) if one in there), None)
        if best is not None and (best[0], arch, python) not in UNUSED:
            assert rows and (rows[0].distribution, rows[0].version) == best, board.title
            seen += 1
    assert bool(seen) == any(arch in row.archs for row in metadata.runtimes)


@pytest.mark.parametrize(("target", "python", "arch", "glibc", "runtime"), [
    ("tflite", "3.9", "aarch64", "2.31", "ai-edge-litert 2.1.0"),       # Pi OS Bullseye, 64-bit
    ("tflite", "3.9", "armv7l", "2.31", "tflite-runtime 2.13.0"),       # and 32-bit
    ("tflite", "3.11", "armv7l", "2.36", "tflite-runtime 2.14.0"),      # Pi OS Bookworm, 32-bit
    ("onnxruntime", "3.6", "aarch64", "2.27", "onnxruntime 1.10.0"),    # JetPack 4
    ("onnxruntime", "3.8", "aarch64", "2.31", "onnxruntime 1.19.2"),    # JetPack 5
    ("tflite", "3.8", "aarch64", "2.31", "tflite-runtime 2.13.0"),
    ("tflite", "3.10", "aarch64", "2.31", "ai-edge-litert 2.1.0"),      # a newer Python on an old system
    ("openvino", "3.8", "aarch64", "2.31", "openvino 2024.4.0"),
    ("openvino", "3.10", "aarch64", "2.35", "openvino 2026.4.1"),       # JetPack 6
    ("onnxruntime", "3.11", "aarch64", "2.27", "onnxruntime 1.28.0"),   # a newer Python on an old system
    ("openvino", "3.13", "x86_64", "2.27", "openvino 2025.3.0"),
    ("openvino2021", "3.9", "x86_64", "2.31", "openvino 2021.4.2"),
    ("ncnn", "3.13", "armv7l", "2.41", "ncnn 1.0.20261020"),            # Pi OS Trixie, 32-bit
    ("ncnn", "3.9", "armv7l", "2.31", "ncnn 1.0.20261020"),
    ("ncnn", "3.6", "aarch64", "2.27", "ncnn 1.0.20250503"),            # JetPack 4
    ("tvm", "3.6", "aarch64", "2.27", "apache-tvm 0.27.0.post1"),       # and its libraries, of wheels for a newer Python
])  # fmt: skip
def test_what_boards_get(target, python, arch, glibc, runtime):
    row = compatibility.choose(targets.load(target), host(python, arch, glibc), None, {})
    assert f"{row.distribution} {row.version}" == runtime


@pytest.mark.parametrize(("target", "python", "arch", "libc", "message", "hint"), [
    ("openvino", "3.11", "armv7l", "glibc 2.36", "no wheel of openvino for armv7l",
     "tflite-runtime 2.14.0 runs here: --target tflite"),
    ("openvino", "3.13", "armv7l", "glibc 2.41", "no wheel of openvino for armv7l",
     "ncnn 1.0.20261020 runs here: --target ncnn"),
    ("openvino", "3.5", "armv7l", "glibc 2.31", "no wheel of openvino for armv7l",
     "tflite-runtime 2.14.0 is for Python 3.9 to 3.11 (glibc 2.34)"),
    ("tflite", "3.11", "armv6l", "glibc 2.36", "no wheel of ai-edge-litert or tflite-runtime for armv6l",
     "no runtime has one: wheels are for aarch64, armv7l, x86_64"),
    ("tflite", "3.13", "armv7l", "glibc 2.41", "for Python 3.13 on armv7l", "2.14.0 is for Python 3.9 to 3.11"),
    ("openvino", "3.6", "aarch64", "glibc 2.27", "no wheel of openvino for Python 3.6 on aarch64",
     "onnxruntime 1.10.0 runs here: --target onnxruntime"),
    ("openvino", "3.13", "aarch64", "glibc 2.31", "for glibc 2.31 with Python 3.13", "glibc 2.35 or newer"),
    ("onnxruntime", "3.12", "aarch64", "musl 1.2", "no wheel of onnxruntime for musl", "wheels are for glibc"),
    ("onnxruntime", "3.12", "riscv64", "glibc 2.41", "for riscv64", "--wheel FILE"),
    ("tflite", "3.5", "x86_64", "glibc 2.31", "for Python 3.5 on x86_64", "`python` in the fleet file"),
])  # fmt: skip
def test_where_there_is_none_it_says_why_and_what_there_is(target, python, arch, libc, message, hint):
    name, version = libc.split()
    board = replace(host(python, arch, version), libc=name)
    with pytest.raises(EdgewrightError) as caught:
        compatibility.choose(targets.load(target), board, None, {})
    assert caught.value.code == "no-wheel"
    assert message in caught.value.message and hint in caught.value.hint
    assert "\n" not in caught.value.message + caught.value.hint


def facts(arch: str, python: str, numpy: str | None, glibc: str = "2.36") -> Facts:
    """The facts of a board."""
    return Facts(
        arch="aarch64",
        python=PythonFacts(version=python, executable="/usr/bin/python3", platform=f"linux-{arch}"),
        libc=LibcFacts(name="glibc", version=glibc),
        numpy=numpy,
    )


def test_what_a_board_could_run_is_told_for_all_targets_at_once():
    names = ["tflite", "onnxruntime", "openvino", "tensorrt"]
    found = compatibility.possible(facts("armv7l", "3.11.2", ""), names)
    assert {name: row.version for name, row in found.items()} == {"tflite": "2.14.0"}
    assert compatibility.possible(facts("armv6l", "3.11.2", ""), names) == {}
    problem = compatibility.nothing(facts("armv6l", "3.11.2", ""), names)
    assert problem.code == "no-wheel" and "armv6l" in problem.message


@pytest.mark.parametrize(
    ("numpy", "says"),
    [
        ("1.24.2", ""),
        ("1.20.3", ""),
        ("1.19.5", "the board's own is 1.19.5"),  # Raspberry Pi OS Bullseye's: no model loads with it
        (None, ""),
        ("", "the board's Python has none"),
        ("2.2.4", "the board's own is 2.2.4"),
    ],
)
def test_the_numpy_of_a_32_bit_board_is_its_own(numpy, says):
    board = facts("armv7l", "3.11.2", numpy)
    row = compatibility.possible(board, ["tflite"])["tflite"]
    if not says:
        compatibility.check_own(row, board)
        return
    with pytest.raises(EdgewrightError, match=says) as caught:
        compatibility.check_own(row, board)
    assert caught.value.code == "no-numpy" and "sudo apt install python3-numpy" in caught.value.hint
    assert "numpy>=1.20,<2" in caught.value.message


def test_the_facts_name_the_numpy_of_the_board_s_own_python(tmp_path, fleet):
    import numpy

    board = Board(name="here", address="local:", root=str(tmp_path / "root"), python=sys.executable)
    with open_session(board, fleet) as session:
        assert session.facts().numpy == numpy.__version__


def test_tflite_runtime_never_gets_numpy_2():
    rows = [row for row in targets.load("tflite").runtimes if row.distribution == "tflite-runtime"]
    assert len(rows) > 3
    for row in rows:
        numpy = [one for one in map(Requirement, (*row.requires, *row.own)) if one.name == "numpy"]
        assert numpy and not numpy[0].specifier.contains("2.0.0") and numpy[0].specifier.contains("1.24.2")


# One cell a kind of wheel: libc of each generation, the oldest and the newest Pythons, 32 bits.
CELLS = [
    ("onnxruntime", "3.6", "aarch64", "2.27"),
    ("onnxruntime", "3.13", "aarch64", "2.41"),
    ("tflite", "3.8", "x86_64", "2.31"),
    ("tflite", "3.9", "armv7l", "2.31"),
    ("tflite", "3.11", "armv7l", "2.36"),
    ("tflite", "3.14", "aarch64", "2.41"),
    ("openvino", "3.8", "aarch64", "2.31"),
    ("openvino2021", "3.6", "x86_64", "2.27"),
    ("ncnn", "3.6", "aarch64", "2.27"),
    ("ncnn", "3.8", "armv7l", "2.31"),
    ("ncnn", "3.13", "armv7l", "2.41"),
    ("tvm", "3.6", "aarch64", "2.27"),  # one of its wheels is for another Python
]


@pytest.mark.slow  # 12 resolutions by the real pip: about 25 s, 290 MB
@pytest.mark.parametrize(("target", "python", "arch", "glibc"), CELLS)
def test_the_index_has_what_the_rows_say(target, python, arch, glibc):
    (wanted,) = [plan.one_of(target, python, arch, glibc, None)]
    _, found = plan.fetch([wanted])
    versions = {wheel.distribution: wheel.version for wheel in found}
    assert versions[wanted.row.distribution] == wanted.row.version
    assert all(parse_wheel_filename(wheel.file)[3] & wanted.host.tags for wheel in found)
    assert len(found) == 1 + len(wanted.row.requires)
    if wanted.row.distribution == "tflite-runtime" and "numpy" in versions:
        assert versions["numpy"].startswith("1.")


@pytest.mark.slow  # 3 questions to the index, 4 s
@pytest.mark.parametrize(
    ("name", "python", "arch", "glibc"),
    [
        ("openvino", "3.11", "armv7l", "2.36"),
        ("tflite-runtime", "3.12", "aarch64", "2.39"),
        ("numpy", "3.11", "armv7l", "2.36"),
    ],
)
def test_the_index_has_no_wheel_where_the_rows_have_none(name, python, arch, glibc):
    with pytest.raises(EdgewrightError, match=f"no wheel of {name}") as caught:
        wheels.resolve(host(python, arch, glibc), [name])
    assert caught.value.code == "no-wheel"
