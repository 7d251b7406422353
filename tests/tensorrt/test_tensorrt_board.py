"""Jetsons as far as they can be tried without one: which version reads what, the system's own runtime, no GPU."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from edgewright import targets
from edgewright.config import profiles
from edgewright.deployments import preflight, runtime_caps
from edgewright.errors import EdgewrightError
from edgewright.nouns.facts import Facts, LibcFacts, PythonFacts, RuntimeFact
from edgewright.runtimes import install
from edgewright_agent.board import system

JETSONS = ["jetson-nano", "jetson-xavier-nx", "jetson-orin-nano"]
TARGET = targets.load("tensorrt")
RUNNER = Path(__file__).parents[2] / "targets"


def jetson(version: str | None) -> Facts:
    """A Jetson whose system has this TensorRT, or none."""
    python = PythonFacts(version="3.6.9", executable="/usr/bin/python3", platform="linux-aarch64", tag="cp36")
    found = RuntimeFact(
        ref="system:tensorrt", name="tensorrt", target="tensorrt", version=version or "", system=True
    )
    return Facts(
        arch="aarch64", python=python, libc=LibcFacts(name="glibc", version="2.27"), accelerators=("cuda", "gpu"),
        runtimes=(found,) if version else (),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("version", "opset"),
    [("8.0.1.6", 13), ("8.2.1.8", 13), ("8.4.1.5", 16), ("8.5.2.2", 17), ("8.6.2.3", 17), ("10.3.0", 20),
     ("10.7.0", 20), ("11.4.0.106", 25)],
)  # fmt: skip
def test_what_a_version_reads(version, opset):
    assert TARGET.caps_of("tensorrt", version)["opset"] == opset
    assert TARGET.lacks("tensorrt", version, {"opset": opset}) == {}
    assert TARGET.lacks("tensorrt", version, {"opset": opset + 1}) == {"opset": (opset + 1, opset)}
    assert TARGET.lacks("tensorrt", version, {"opset": 13, "contrib": 1}) == {"contrib": (1, 0)}


@pytest.mark.parametrize("name", JETSONS)
def test_a_jetsons_profile_knows_its_version(name):
    profile = profiles.load(name)
    assert "tensorrt" in profile.targets and "cuda" in profile.accelerators
    assert TARGET.caps_of("tensorrt", profile.runtimes["tensorrt"])["opset"] >= 13


@pytest.mark.parametrize(
    ("name", "opset"), [("jetson-nano", 13), ("jetson-xavier-nx", 17), ("jetson-orin-nano", 20)]
)
def test_an_artifact_is_made_for_what_its_kind_of_board_reads(name, opset):
    readers = runtime_caps.of_profile(profiles.load(name), TARGET)
    assert [reader.caps["opset"] for reader in readers] == [opset]
    assert runtime_caps.opset_for({"opset": opset}, readers) is None
    assert runtime_caps.opset_for({"opset": opset + 1}, readers) == opset
    newest = runtime_caps.of_board(jetson("8.5.2.2"), TARGET)
    assert [(reader.version, reader.caps["opset"]) for reader in newest] == [("8.5.2.2", 17)]


def test_the_systems_own_runtime_is_taken_and_none_is_sent():
    choice = install.ensure_runtime(None, jetson("8.2.1.8"), "tensorrt", requires={"opset": 13})
    assert (choice.ref, choice.version, choice.installed) == ("system:tensorrt", "8.2.1.8", False)


def test_an_older_one_is_refused_with_what_it_reads():
    with pytest.raises(
        EdgewrightError, match=r"TensorRT 8.2.1.8 .* does not read this model: opset 17 \(it reads 13\)"
    ):
        install.ensure_runtime(None, jetson("8.2.1.8"), "tensorrt", requires={"opset": 17})


def test_a_board_without_it_is_told_where_it_comes_from():
    with pytest.raises(EdgewrightError, match=r"no NVIDIA TensorRT for Python 3.6.9 on this board") as error:
        install.ensure_runtime(None, jetson(None), "tensorrt", requires={})
    assert "python3-libnvinfer" in error.value.hint


def test_the_agent_finds_it_where_jetpack_puts_it(tmp_path):
    (tmp_path / "tensorrt-8.2.1.8.dist-info").mkdir()
    (tmp_path / "tensorrt").mkdir()
    (one,) = system.runtimes(tuple(targets.system_distributions()), [str(tmp_path)])
    assert one["version"] == "8.2.1.8" and one["ref"] == "system:tensorrt"
    (known,) = targets.recognised(Facts(runtimes=(msgspec.convert(one, RuntimeFact),))).runtimes
    assert known.target == "tensorrt"


def test_onnx_runtimes_tensorrt_needs_the_boards_cuda():
    preflight.check_accelerator("tensorrt", jetson(None), board="nano")
    preflight.check_accelerator("auto", Facts(), board="pi")
    with pytest.raises(preflight.NoFit, match="no accelerator tensorrt"):
        preflight.check_accelerator("tensorrt", Facts(), board="pi")


ASK = """
import sys
sys.path.insert(0, sys.argv[1])
from edgewright_targets._cuda import device
from edgewright_targets.tensorrt import runner
print(runner.accelerators())
if len(sys.argv) > 2:
    cuda = device.Cuda()
    for work in (cuda.compute_capability, lambda: cuda.allocate(16), lambda: cuda.copy(*cuda.buffer(8)[1:] * 2, 8, 1)):
        try:
            print("did", work())
        except ValueError as error:
            print(error)
    memory, address = cuda.buffer(4)
    memory.raw = b"abcd"
    print(len(memory.raw), address > 0)
"""


def test_a_board_without_cuda_has_no_accelerator():
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(RUNNER)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n" and done.stderr == ""


@pytest.mark.slow
def test_cudas_own_library_takes_the_calls_and_says_that_there_is_no_gpu(tmp_path):
    """The real libcudart (of the index, 1 MB), on a machine without a GPU: names and arguments are right or it would crash."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "--only-binary",
        ":all:",
        "-d",
        str(tmp_path),
    ]
    subprocess.run([*command, "nvidia-cuda-runtime-cu12==12.6.77"], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(wheel), str(tmp_path)], check=True)
    environment = {"LD_LIBRARY_PATH": str(tmp_path / "nvidia/cuda_runtime/lib")}
    command = [sys.executable, "-c", ASK, str(RUNNER), "more"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    accelerators, *said, memory = done.stdout.splitlines()
    assert accelerators == "[]" and memory == "4 True"
    for line, what in zip(
        said, ("say what the GPU can do", "give 16 bytes, out of memory", "copy"), strict=True
    ):
        assert line.startswith(f"CUDA failed to {what}: ")
        assert "driver" in line or "device" in line
