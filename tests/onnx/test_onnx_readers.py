"""What versions of ONNX Runtime read, and the opset that follows for a board or a kind of board."""

import pytest
from flat_requests import compile_request

from edgewright import targets
from edgewright.config import profiles
from edgewright.deployments import runtime_caps
from edgewright.deployments.preflight import NoFit
from edgewright.nouns.facts import Facts, LibcFacts, PythonFacts, RuntimeFact

ONNX = targets.load("onnxruntime")


@pytest.mark.parametrize(
    ("name", "version", "opset", "ir"),
    [
        ("onnxruntime", "1.6.0", 12, 7), ("onnxruntime", "1.8.1", 14, 7), ("onnxruntime", "1.10.0", 15, 8),
        ("onnxruntime", "1.11.1", 16, 8), ("onnxruntime", "1.13.1", 17, 8), ("onnxruntime", "1.14.1", 18, 8),
        ("onnxruntime", "1.15.1", 18, 9), ("onnxruntime", "1.16.3", 19, 9), ("onnxruntime", "1.17.3", 20, 9),
        ("onnxruntime", "1.20.1", 21, 10), ("onnxruntime", "1.22.1", 22, 10), ("onnxruntime", "1.23.2", 23, 11),
        ("onnxruntime-gpu", "1.11.0", 16, 8), ("onnxruntime", "1.99.0", 27, 14),
    ],
)  # fmt: skip
def test_versions_that_are_not_shipped_have_caps_too(name, version, opset, ir):
    caps = ONNX.caps_of(name, version)
    assert (caps["opset"], caps["ir"]) == (opset, ir)


@pytest.mark.parametrize(
    ("name", "version"), [("onnxruntime", "1.2.0"), ("onnxruntime", "nightly"), ("acme", "1.20")]
)
def test_what_is_not_known_is_left_to_the_board(name, version):
    assert ONNX.caps_of(name, version) == {}
    assert ONNX.lacks(name, version, {"opset": 99}) == {}


def test_shipped_rows_are_best_first_and_agree_with_the_table():
    for row in ONNX.runtimes:
        assert row.caps == ONNX.caps["onnxruntime"][max(
            (since for since in ONNX.caps["onnxruntime"] if tuple(map(int, since.split("."))) <= tuple(map(int, row.version.split(".")))),
            key=lambda since: tuple(map(int, since.split("."))),
        )]  # fmt: skip


def facts(python, *runtimes):
    return Facts(
        arch="x86_64", libc=LibcFacts(name="glibc", version="2.36"),
        python=PythonFacts(version=python, executable="/usr/bin/python3", platform="linux-x86_64"),
        runtimes=tuple(RuntimeFact(ref=f"system:{name}", name=name, target="onnxruntime", version=version, system=True)
                       for name, version in runtimes),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("python", "runtimes", "requires", "opset"),
    [
        ("3.6.9", (), {"opset": 13, "ir": 7}, None),
        ("3.6.9", (), {"opset": 18, "ir": 8}, 15),
        ("3.6.9", (("onnxruntime-gpu", "1.11.0"),), {"opset": 18, "ir": 8}, 16),
        ("3.6.9", (("onnxruntime", "1.4.0"),), {"opset": 18, "ir": 8}, 15),
        ("3.7.3", (), {"opset": 18, "ir": 10}, 18),
        ("3.11.2", (("onnxruntime", "1.4.0"),), {"opset": 21, "ir": 10}, None),
        ("3.6.9", (), {"opset": 13, "ir": 7, "contrib": 17}, None),  # no opset fixes that
        ("3.5.2", (), {"opset": 18, "ir": 8}, None),  # there is no runtime at all
    ],
)
def test_the_opset_for_a_board(python, runtimes, requires, opset):
    assert runtime_caps.opset_for(requires, runtime_caps.of_board(facts(python, *runtimes), ONNX)) == opset


def test_a_kind_of_board_gets_the_opset_that_its_runtime_reads(small_models, write, workers):
    source = write("new.onnx", [("Relu", ["x"], ["y"], {})], {"x": (1, 8)}, {"y": (1, 8)}, {}, opset=18)
    request = compile_request(source=source, target="onnxruntime")
    nano, too_old = runtime_caps.compile_for(profiles.load("jetson-nano"), request, workers=workers)
    assert nano.manifest.requires["opset"] == 15 and too_old == []
    pi5, too_old = runtime_caps.compile_for(profiles.load("pi5"), request, workers=workers)
    assert pi5.manifest.requires["opset"] == 18 and too_old == []
    assert pi5.id != nano.id


def test_a_runtime_of_the_boards_system_counts_as_well(write, workers):
    source = write("new.onnx", [("Relu", ["x"], ["y"], {})], {"x": (1, 8)}, {"y": (1, 8)}, {}, opset=18)
    request = compile_request(source=source, target="tensorrt", precision="fp32")
    nano, too_old = runtime_caps.compile_for(profiles.load("jetson-nano"), request, workers=workers)
    assert nano.manifest.requires["opset"] == 13 and too_old == []


def test_a_kind_of_board_of_which_only_some_read_it_says_which_do_not(write, workers):
    source = write("newer.onnx", [("Relu", ["x"], ["y"], {})], {"x": (1, 8)}, {"y": (1, 8)}, {}, opset=22)
    request = compile_request(source=source, target="onnxruntime")
    artifact, too_old = runtime_caps.compile_for(profiles.load("generic-x86_64"), request, workers=workers)
    assert artifact.manifest.requires["opset"] == 22
    assert [reader.title for reader in too_old] == [
        "onnxruntime 1.19.2 (Python 3.8)", "onnxruntime 1.19.2 (Python 3.9)",
    ]  # fmt: skip


def test_what_no_opset_mends_is_refused_before_a_byte_is_sent(small_models, workers):
    source = small_models("onnx") / "attention.onnx"
    request = compile_request(source=source, target="onnxruntime", precision="int4-weights")
    with pytest.raises(
        NoFit, match=r"needs contrib 17, onnxruntime 1\.10\.0 \(Python 3\.6\) of jetson-nano reads up to 9"
    ):
        runtime_caps.compile_for(profiles.load("jetson-nano"), request, workers=workers)
