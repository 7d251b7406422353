"""Which runtimes the tests run on old Pythons here, and which they only resolve and unpack. `docs/generate.py` writes docs/boards.md from it."""

from __future__ import annotations

from typing import NamedTuple

from edgewright import targets
from edgewright.nouns.target import RuntimeRow

# (Python, target, runtime) of deployments to a lab board with that Python, on x86
DEPLOYED = [
    ("3.6", "onnxruntime", "onnxruntime 1.10.0"),
    ("3.6", "ncnn", "ncnn 1.0.20250503"),
    ("3.7", "onnxruntime", "onnxruntime 1.14.1"),
    ("3.7", "ncnn", "ncnn 1.0.20250503"),
    ("3.8", "onnxruntime", "onnxruntime 1.19.2"),
    ("3.8", "ncnn", "ncnn 1.0.20250503"),
    ("3.8", "tflite", "tflite-runtime 2.14.0"),
    ("3.9", "tflite", "ai-edge-litert 2.1.0"),
    ("3.8", "openvino", "openvino 2024.4.0"),
    ("3.9", "openvino", "openvino 2025.3"),
    ("3.13", "onnxruntime", "onnxruntime"),
    ("3.13", "tflite", "ai-edge-litert 2.3.0"),
]
DEPLOYED_BY_TVM = ("3.6", "tvm", "apache-tvm 0.27.0")  # by tests/tvm, which have the toolchain
STICK = ["3.6", "3.7", "3.8", "3.9"]  # Pythons on which OpenVINO 2021.4 is deployed, on its CPU device
OLD = ("3.6", "3.7", "3.8")  # of these there is no arm64 or armv7l build here
FOREIGN = ("aarch64", "armv7l")
ANY_GLIBC = "999"


class OldWheel(NamedTuple):
    """The best runtime of a target for an old Python on an architecture."""

    python: str
    arch: str
    target: str
    row: RuntimeRow

    @property
    def state(self) -> str:
        """What the tests do with it."""
        if self.arch != "x86_64":
            return "resolved and unpacked"
        deployed = self.python in STICK if self.target == "openvino2021" else self._deployed
        return "run here" if deployed else "not tried"

    @property
    def _deployed(self) -> bool:
        return any(
            (python, target) == (self.python, self.target) and f"{self.row.distribution} {self.row.version}".startswith(runtime)
            for python, target, runtime in [*DEPLOYED, DEPLOYED_BY_TVM]
        )  # fmt: skip


def wheels(archs: tuple[str, ...]) -> list[OldWheel]:
    """The best runtime of each target for each old Python."""
    found = []
    for python in OLD:
        for arch in archs:
            for name in targets.names():
                rows = targets.load(name).runtimes_for(python, arch, ANY_GLIBC)
                found += [OldWheel(python, arch, name, row) for row in rows[:1]]
    return found


def unpacked() -> list[OldWheel]:
    """Each wheel for an old Python on Arm, and each other wheel for the first Python that it is for."""
    rows = [
        (name, row, arch)
        for name in targets.names()
        for row in targets.load(name).runtimes
        for arch in row.archs
    ]
    old = [
        OldWheel(python, arch, name, row)
        for name, row, arch in rows
        for python in OLD
        if arch in FOREIGN and row.fits(python, arch, ANY_GLIBC)
    ]
    seen = [(one.row, one.arch) for one in old]
    return [
        *old,
        *(
            OldWheel(row.python.split("-")[0], arch, name, row)
            for name, row, arch in rows
            if (row, arch) not in seen
        ),
    ]
