"""Each runtime's wheels: resolved for the oldest glibc that its record allows, unpacked by the agent under the oldest Python, and inspected.

For old Pythons on Arm there is nothing more that can be tried here, and docs/boards.md says so (`tests/kit/old_pythons.py`).
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import needs
import old_pythons
import pytest

from edgewright import targets
from edgewright.nouns.progress import silent
from edgewright.nouns.target import numbers
from edgewright.runtimes import install
from edgewright.runtimes.resolve import Search
from edgewright.runtimes.wheel_tags import WheelHost

MACHINES = {
    "x86_64": ("ELF64", "Advanced Micro Devices X86-64"), "aarch64": ("ELF64", "AArch64"), "armv7l": ("ELF32", "ARM"),
}  # fmt: skip
CASES = [
    pytest.param(one, marks=() if one.target == "ncnn" and one.python == "3.6" else pytest.mark.slow)
    for one in old_pythons.unpacked()
]


def readelf(flag: str, file: Path) -> str:
    done = subprocess.run(["readelf", "--wide", flag, file], capture_output=True, text=True, check=True)
    return done.stdout


def glibc_of(file: Path) -> str:
    """The newest glibc whose symbols a library needs."""
    needed = re.findall(r"Name: GLIBC_([0-9.]+)", readelf("--version-info", file))
    return max(needed, key=numbers, default="0")


@pytest.mark.timeout(600)
@pytest.mark.sampled(13)
@pytest.mark.parametrize(
    "one", CASES, ids=lambda one: f"{one.python}-{one.arch}-{one.row.distribution}-{one.row.version}"
)
def test_the_wheels_fit_the_record(make_lab, survived, one):
    needs.tool("readelf")
    python, name = needs.python(one.python), f"w{one.python.replace('.', '')}{one.arch[0:3]}{one.row.version}"
    (pi,) = make_lab(1, name=re.sub(r"\W", "", name), python=str(python))
    # the oldest glibc that the record allows: pip must find the wheels for it
    host = WheelHost(python=one.python, arch=one.arch, libc="glibc", libc_version=one.row.glibc)
    search = Search(targets.load(one.target), host, one.row.version, {})
    picked = search.fetched(search.best())
    assert picked.title == f"{one.row.distribution} {one.row.version}"

    with pi.open() as session:
        sent = install.send(session, session.facts(), one.target, picked, silent)
    assert sent.installed and sent.bytes > 0
    folder = pi.lab.root / "runtimes" / f"{sent.name}-{sent.version}-{sent.ref[:8]}"
    libraries = [file for file in folder.rglob("*.so*") if file.read_bytes()[:4] == b"\x7fELF"]
    own = [file for file in libraries if file.relative_to(folder).parts[0].split(".")[0] in packages(one)]
    assert own, sorted(str(file.relative_to(folder)) for file in libraries)
    bits, machine = MACHINES[one.arch]
    for file in libraries:
        header = readelf("--file-header", file)
        assert f"Class:                             {bits}\n" in header, (file, header)
        assert f"Machine:                           {machine}\n" in header, (file, header)
        assert numbers(glibc_of(file)) <= numbers(one.row.glibc), (file, glibc_of(file))
    assert {glibc_of(file) for file in own} != {"0"}
    survived("pythons: wheels of each record, unpacked by the agent and inspected")


def packages(one: old_pythons.OldWheel) -> set[str]:
    """The top folder of a runtime's own libraries."""
    named = {"tflite": {"tflite_runtime", "ai_edge_litert"}, "iree": {"iree"}, "tvm": {"tvm", "tvm_ffi"}}
    return named.get(one.target, {one.row.distribution})
