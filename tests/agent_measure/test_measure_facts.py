"""Facts: captured texts of boards, and this machine's own."""

import json
import os
import platform
import sys
import sysconfig

import msgspec
import pytest

from edgewright.nouns.facts import Facts
from edgewright_agent.board import facts, hardware, identity, system
from edgewright_agent.protocol import AgentError

PI4 = """processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

processor\t: 1
CPU implementer\t: 0x41
CPU part\t: 0xd08

Hardware\t: BCM2835
Revision\t: c03114
Serial\t\t: 10000000a1b2c3d4
Model\t\t: Raspberry Pi 4 Model B Rev 1.4
"""
PI5 = "CPU implementer\t: 0x41\nCPU part\t: 0xd0b\n\nModel\t\t: Raspberry Pi 5 Model B Rev 1.0\n"
NANO = """processor\t: 0
model name\t: ARMv8 Processor rev 1 (v8l)
BogoMIPS\t: 38.40
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32
CPU implementer\t: 0x41
CPU architecture: 8
CPU part\t: 0xd07
"""
XAVIER = (
    "processor\t: 0\nmodel name\t: ARMv8 Processor rev 0 (v8l)\nCPU implementer\t: 0x4e\nCPU part\t: 0x004\n"
)
ORIN = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd42\n"
BIG_LITTLE = "CPU implementer : 0x41\nCPU part : 0xd05\n\nCPU implementer : 0x41\nCPU part : 0xd0b\n"
X86 = """processor\t: 0
vendor_id\t: GenuineIntel
model\t\t: 142
model name\t: Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz
"""


@pytest.mark.parametrize(
    ("text", "cpu", "model"),
    [
        (PI4, "Cortex-A72", "Raspberry Pi 4 Model B Rev 1.4"),
        (PI5, "Cortex-A76", "Raspberry Pi 5 Model B Rev 1.0"),
        (NANO, "Cortex-A57", ""),
        (XAVIER, "Carmel", ""),
        (ORIN, "Cortex-A78AE", ""),
        (BIG_LITTLE, "Cortex-A55 + Cortex-A76", ""),
        (X86, "Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz", ""),
        ("CPU implementer : 0x61\nCPU part : 0x022\n", "arm 0x61 0x022", ""),
        ("CPU implementer : new\nCPU part : unknown\n", "", ""),
        ("", "", ""),
    ],
)
def test_cpuinfo(text, cpu, model):
    assert hardware.parse_cpu(text) == cpu
    assert hardware.parse_cpuinfo_model(text) == model


def test_meminfo():
    text = "MemTotal:        3884360 kB\nMemFree:          129876 kB\nMemAvailable:    3012344 kB\n"
    assert hardware.meminfo_kb(text, "MemTotal") == 3884360
    assert hardware.meminfo_kb(text, "MemAvailable") == 3012344
    assert hardware.meminfo_kb("MemTotal: 1 kB\n", "MemAvailable") == 0


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian"\n', "Debian GNU/Linux 12 (bookworm)"),
        ('NAME="Ubuntu"\nPRETTY_NAME="Ubuntu 18.04.6 LTS"\n', "Ubuntu 18.04.6 LTS"),
        ('NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.19.1\n', "Alpine Linux 3.19.1"),
        ("", ""),
    ],
)  # fmt: skip
def test_os_release(text, name):
    assert hardware.parse_os_release(text) == name


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("OpenSSH_7.6p1 Ubuntu-4ubuntu0.7, OpenSSL 1.0.2n  7 Dec 2017\n", "7.6p1"),
        ("OpenSSH_8.4p1 Debian-5+deb11u3, OpenSSL 1.1.1w  11 Sep 2023\n", "8.4p1"),
        ("OpenSSH_9.2p1 Debian-2+deb12u3, OpenSSL 3.0.15\n", "9.2p1"),
        ("Dropbear v2020.81\n", ""),
        (None, ""),
    ],
)
def test_openssh(text, version):
    assert hardware.parse_openssh(text) == version


def test_libc_versions():
    assert hardware.parse_glibc("glibc 2.27") == "2.27"
    assert hardware.parse_glibc(None) == ""
    assert hardware.parse_musl("musl libc (aarch64)\nVersion 1.2.4\nDynamic Program Loader\n") == "1.2.4"
    assert hardware.parse_musl("error") == ""


@pytest.mark.parametrize(
    ("said", "pointer", "platform_tag"),
    [
        ("linux-aarch64", 8, "linux-aarch64"),
        ("linux-aarch64", 4, "linux-armv7l"),  # Raspberry Pi OS, 32 bits on a 64-bit kernel
        ("linux-armv7l", 4, "linux-armv7l"),
        ("linux-armv8l", 4, "linux-armv7l"),
        ("linux-armv6l", 4, "linux-armv6l"),
        ("linux-x86_64", 8, "linux-x86_64"),
        ("linux-x86_64", 4, "linux-i686"),
    ],
)
def test_platform(said, pointer, platform_tag):
    assert hardware.platform_of(said, pointer) == platform_tag


@pytest.mark.parametrize(
    ("nodes", "render", "usb", "names"),
    [
        ([], [], [], []),
        (["/dev/nvhost-gpu"], [], ["0955", None], ["cuda", "gpu"]),
        ([], ["/dev/dri/renderD128"], ["1d6b"], ["gpu"]),
        ([], [], ["1d6b", "03e7"], ["myriad"]),
    ],
)
def test_accelerators(nodes, render, usb, names):
    assert hardware.accelerators(nodes, render, usb) == names


def test_serial():
    assert identity.serial("10000000a1b2c3d4", "whatever") == "10000000a1b2c3d4"
    one, other = identity.serial(None, "0" * 32), identity.serial("", "1" * 32)
    assert one != other and one.startswith("machine-") and "0" * 32 not in one
    assert identity.serial(None, None) == ""


@pytest.mark.parametrize(
    ("folder", "known"),
    [
        ("onnxruntime-1.10.0.dist-info", ("onnxruntime", "1.10.0")),
        ("ai_edge_litert-2.1.0.dist-info", ("ai-edge-litert", "2.1.0")),
        ("tflite_runtime-2.14.0-py3.9.egg-info", ("tflite-runtime", "2.14.0")),
        ("onnxruntime_gpu-1.18.0.dist-info", ("onnxruntime-gpu", "1.18.0")),
        ("openvino-2025.3.0.dist-info", ("openvino", "2025.3.0")),
        ("onnxruntime", None),
        ("onnxruntime.libs", None),
    ],
)
def test_distributions(folder, known):
    assert system.distribution(folder) == known


def test_runtimes_on_a_path(tmp_path):
    for folder in (
        "a/onnxruntime-1.10.0.dist-info",
        "b/onnxruntime-1.9.0.dist-info",
        "b/numpy-1.19.5.dist-info",
    ):
        (tmp_path / folder).mkdir(parents=True)
    found = system.runtimes(("onnxruntime", "absent"), [str(tmp_path / name) for name in ("a", "none", "b")])
    expected = {
        "ref": "system:onnxruntime",
        "name": "onnxruntime",
        "target": "",
        "version": "1.10.0",
    }
    assert found == [dict(expected, system=True)]


@pytest.mark.parametrize(
    ("folder", "target"),
    [
        ("openvino-2021.4.2", "openvino2021"),
        ("openvino-2022.1.0", "openvino"),
        ("onnxruntime_gpu-1.9.0", "onnxruntime"),
        ("tflite_runtime-2.14.0", "tflite"),
    ],
)
def test_runtimes_for_a_host_that_names_none_have_their_targets(tmp_path, folder, target):
    for name in (folder, "numpy-1.19.5"):
        (tmp_path / f"{name}.dist-info").mkdir()
    (found,) = system.runtimes(None, [str(tmp_path)])
    assert found["target"] == target
    assert system.runtimes((), [str(tmp_path)]) == []


def test_runtimes_of_this_python():
    by_ref = {runtime["ref"]: runtime for runtime in system.runtimes(("onnxruntime",))}
    import onnxruntime

    assert by_ref["system:onnxruntime"]["version"] == onnxruntime.__version__
    job_runtime = system.runtime("system:onnxruntime")
    assert (
        job_runtime["path"] is None
        and job_runtime["system"]
        and job_runtime["version"] == onnxruntime.__version__
    )
    with pytest.raises(AgentError, match="does not have system:nothing") as caught:
        system.runtime("system:nothing")
    assert caught.value.code == "runtime-missing"


def test_a_python_that_does_not_answer(tmp_path):
    assert system.import_path(str(tmp_path / "python")) == []
    (tmp_path / "odd").write_text("#!/bin/sh\necho no json\n")
    (tmp_path / "odd").chmod(0o755)
    assert system.import_path(str(tmp_path / "odd")) == []


def test_facts_of_this_machine(tmp_path):
    provisioned = {
        "ref": "a" * 64,
        "name": "onnxruntime",
        "target": "onnxruntime",
        "version": "1.2.3",
        "path": "/x",
    }
    raw = facts.read(str(tmp_path), [provisioned], ("onnxruntime",))
    json.dumps(raw, allow_nan=False)
    found = msgspec.convert(raw, Facts)
    assert (
        found.arch == platform.machine()
        and found.cpus == os.cpu_count()
        and found.kernel == platform.release()
    )
    assert found.page_size == os.sysconf("SC_PAGE_SIZE")
    assert 0 < found.memory_available_mb < found.memory_mb
    assert found.disk_free_bytes > 0 and found.disk_free_inodes > 0
    assert found.python.version == platform.python_version() and found.python.executable == sys.executable
    assert found.python.platform == sysconfig.get_platform()
    assert found.python.tag == f"cp{sys.version_info[0]}{sys.version_info[1]}"
    assert (found.libc.name, found.libc.version) == platform.libc_ver()
    assert found.runtimes[0].ref == "a" * 64 and not found.runtimes[0].system
    assert "system:onnxruntime" in [runtime.ref for runtime in found.runtimes]
    assert found.simulated == () and found.root == str(tmp_path) and found.board_id == ""
    (tmp_path / "board_id").write_text("cafe\n")
    assert facts.read(str(tmp_path), [])["board_id"] == "cafe"


def test_substituted_facts(tmp_path):
    posed = {
        "model": "Raspberry Pi 4 Model B Rev 1.4",
        "arch": "aarch64",
        "memory_mb": 1024,
        "accelerators": ["myriad"],
        "cpus": True,
        "sensors": "vcgencmd",
        "python": {"version": "2.7"},
        "libc": {"name": "musl"},
        "disk_free_bytes": 1,
        "simulated": [],
    }
    (tmp_path / "facts.json").write_text(json.dumps(posed))
    found = msgspec.convert(facts.read(str(tmp_path), []), Facts)
    assert found.simulated == ("accelerators", "arch", "memory_mb", "model")
    assert (found.model, found.arch, found.memory_mb) == (posed["model"], "aarch64", 1024)
    assert found.accelerators == ("myriad",) and found.cpus == os.cpu_count()
    assert found.python.version == platform.python_version() and found.libc.name != "musl"
    assert found.disk_free_bytes > 1


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", '{"cpus": 3}'])
def test_odd_substitutes(text):
    found = identity.substitute({"cpus": 4}, text)
    assert found == {"cpus": 3, "simulated": ["cpus"]} if "3" in text else {"cpus": 4, "simulated": []}
