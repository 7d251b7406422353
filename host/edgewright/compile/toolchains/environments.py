"""Toolchains: converters that need another Python, or another version of a library, in separate environments.

A toolchain's environment is built in a temporary folder and renamed into place, so it is either complete or absent.
Everything in it is pinned, including transitive dependencies; pip resolves nothing itself. Its programs are run as
`[python_of(name), "-m", module, ...]` or with one of our scripts; scripts in `bin` would refer to the temporary folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from edgewright.compile.toolchains import pythons
from edgewright.compile.toolchains.build import build, python_in, run
from edgewright.compile.toolchains.pythons import Python
from edgewright.config import home
from edgewright.errors import Code, ConversionError, UsageError
from edgewright.nouns.base import Noun
from edgewright.nouns.progress import Progress, silent

_RECORD = "toolchain.json"
_PROBE_SECONDS = 120
_SPARE_MB = 300  # left free on the disk in addition to an environment's size


class Toolchain(Noun, frozen=True, kw_only=True):
    """One row of the table below.

    Attributes:
        pythons: first and last minor version of Python that its wheels support.
        machines: values of `uname -m` that its wheels support.
        requirements: everything to install, exactly pinned.
        probe: module that must be importable.
        pip: version of pip to install first, if an old Python's own cannot handle current wheels.
        megabytes: size on disk.
    """

    name: str
    title: str
    pythons: str
    machines: tuple[str, ...]
    requirements: tuple[str, ...]
    probe: str
    pip: str = ""
    megabytes: int

    @property
    def versions(self) -> dict[str, str]:
        """Distribution -> version of everything in the toolchain."""
        return versions_of(self.requirements)


TOOLCHAINS: dict[str, Toolchain] = {
    row.name: row
    for row in (
        Toolchain(
            name="onnx2tf", title="ONNX to LiteRT, without TensorFlow", pythons="3.12-3.12", machines=("x86_64",),
            probe="onnx2tf", megabytes=480,
            # without what only its tests and its graph drawing need
            requirements=(
                "onnx2tf==2.6.9", "ai-edge-litert==2.1.2", "backports.strenum==1.2.8", "flatbuffers==25.12.19",
                "h5py==3.14.0", "markdown-it-py==4.3.0", "mdurl==0.1.2", "ml_dtypes==0.5.4", "mpmath==1.3.0",
                "numpy==2.2.6", "onnx==1.20.1", "onnx-ir==1.1.0", "onnxoptimizer==0.4.2", "onnxruntime==1.26.0",
                "onnxscript==0.6.2", "onnxsim==0.6.5", "packaging==26.3", "protobuf==7.35.1", "psutil==5.9.5",
                "Pygments==2.21.0", "rich==15.0.0", "setuptools==81.0.0", "sne4onnx==2.0.1", "sng4onnx==2.0.1",
                "sympy==1.14.0", "tqdm==4.67.1", "typing_extensions==4.16.0",
            ),
        ),
        Toolchain(
            name="openvino-2021", title="OpenVINO 2021.4, the last with the Intel NCS2", pythons="3.6-3.9",
            machines=("x86_64",), probe="openvino.inference_engine", pip="21.3.1", megabytes=290,
            # only those of openvino-dev's requirements that its Model Optimizer needs for ONNX;
            # libusb-package contains the libusb-1.0 that the MYRIAD plugin links to
            requirements=(
                "openvino==2021.4.2", "openvino-dev==2021.4.2", "numpy==1.19.5", "onnx==1.10.2", "protobuf==3.19.6",
                "six==1.16.0", "typing-extensions==4.1.1", "networkx==2.5.1", "decorator==4.4.2",
                "defusedxml==0.7.1", "requests==2.27.1", "urllib3==1.26.20", "certifi==2024.8.30", "idna==3.10",
                "charset-normalizer==2.0.12", "libusb-package==1.0.26.0",
            ),
        ),
        Toolchain(
            name="apache-tvm", title="Apache TVM, which compiles models to machine code", pythons="3.11-3.13",
            machines=("x86_64", "aarch64"), probe="tvm.relax", megabytes=460,
            # apart from edgewright's own environment, where a converter of PyTorch models keeps typing_extensions older than 4.13
            requirements=(
                "apache-tvm==0.27.0.post1", "apache-tvm-ffi==0.1.15.post2", "ml_dtypes==0.6.0", "numpy==2.4.6", "onnx==1.23.2",
                "protobuf==7.36.2", "typing_extensions==4.16.0",
            ),
        ),
    )
}  # fmt: skip


class Installed(Noun, frozen=True, kw_only=True):
    """A toolchain on this machine.

    Attributes:
        state: `ready`, `outdated` (built from other pins than the current ones) or `absent`.
        python: version of its Python.
    """

    name: str
    title: str
    pythons: str
    state: str
    folder: Path
    python: str = ""
    versions: dict[str, str] = {}


class _Record(Noun, frozen=True, kw_only=True):
    """The contents of an environment: its `toolchain.json`, written last."""

    python: str
    requirements: tuple[str, ...]


def versions_of(requirements: Sequence[str]) -> dict[str, str]:
    """`["numpy==1.19.5"]` -> {"numpy": "1.19.5"}."""
    return {name: version for name, _, version in (item.partition("==") for item in requirements)}


def toolchain(name: str) -> Toolchain:
    """The toolchain with that name. Raises UsageError if there is none."""
    if name not in TOOLCHAINS:
        raise UsageError(f"unknown toolchain: {name}", hint=f"toolchains are {', '.join(TOOLCHAINS)}")
    return TOOLCHAINS[name]


def stamp(name: str) -> str:
    """A line that identifies the installed toolchain in cache keys and manifests, such as `2.6.9, Python 3.12.1, pins 5d4e8f01`.

    Raises ConversionError as `python_of` does.
    """
    python_of(name)
    row, found = TOOLCHAINS[name], describe(name)
    pins = hashlib.sha256("\n".join(row.requirements).encode()).hexdigest()[:8]
    return f"{row.requirements[0].partition('==')[2]}, Python {found.python}, pins {pins}"


def folder(name: str) -> Path:
    """The folder of its environment, whether installed or not."""
    return home.home() / "toolchains" / name


def python_of(name: str) -> Path:
    """The toolchain's Python.

    Raises:
        ConversionError: `toolchain-missing`, it is not installed, or was built from other pins.
    """
    state = describe(name).state
    if state != "ready":
        raise ConversionError(
            f"toolchain {name} is {'not installed' if state == 'absent' else state}",
            hint=f"edgewright toolchain install {name}",
            code=Code.TOOLCHAIN_MISSING,
        )
    return python_in(folder(name))


def describe(name: str) -> Installed:
    """The state of a toolchain. Runs nothing."""
    row, place = toolchain(name), folder(name)
    record = _record(place)
    state = "absent" if record is None else "ready" if record.requirements == row.requirements else "outdated"
    return Installed(
        name=name,
        title=row.title,
        pythons=row.pythons,
        state=state,
        folder=place,
        python="" if record is None else record.python,
        versions={} if record is None else versions_of(record.requirements),
    )


def listing() -> list[Installed]:
    """The state of every toolchain."""
    return [describe(name) for name in TOOLCHAINS]


def probe(name: str) -> str:
    """Imports the toolchain's main module. Returns the problem in one line; empty if it works."""
    return _probe(folder(name), toolchain(name))


def _probe(place: Path, row: Toolchain) -> str:
    try:
        done = run([str(python_in(place)), "-I", "-c", f"import {row.probe}"], _PROBE_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error).splitlines()[0]
    lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return "" if done.returncode == 0 else lines[-1]


def choose_python(row: Toolchain, given: Path | None = None) -> Python:
    """The Python to build with: the given one, else the newest one on this machine that fits.

    Raises:
        UsageError: the given one does not fit.
        ConversionError: `python-missing`, no Python on this machine fits.
    """
    machine = platform.machine()
    if machine not in row.machines:
        raise ConversionError(
            f"toolchain {row.name} has no wheels for {machine}",
            hint=f"convert on {' or '.join(row.machines)}",
            code=Code.TOOLCHAIN_MACHINE,
        )
    if given is not None:
        python = pythons.ask(Path(shutil.which(given) or given).absolute())
        if python is None or not python.within(row.pythons) or not python.venv:
            what = "not a Python" if python is None else f"Python {python.version}"
            lack = (
                ", without the modules venv and ensurepip" if python is not None and not python.venv else ""
            )
            raise UsageError(
                f"{given} is {what}{lack}", hint=f"toolchain {row.name} needs Python {row.pythons}"
            )
        return python
    fitting = [python for python in pythons.found() if python.within(row.pythons)]
    able = [python for python in fitting if python.venv]
    if able:
        return able[0]
    lacking = "with the modules venv and ensurepip " if fitting else ""
    raise ConversionError(
        f"toolchain {row.name} needs Python {spoken(row.pythons)}, and none {lacking}was found",
        hint="install one (pyenv install, or the system's packages), or name it with --python PATH",
        code=Code.PYTHON_MISSING,
    )


def install(name: str, python: Path | None = None, progress: Progress = silent) -> Installed:
    """Builds the environment, unless it is ready. An environment that is incomplete or does not import is removed.

    Raises:
        UsageError, ConversionError: no such toolchain, no Python for it, no space, no network, or it does not
            import once installed.
    """
    row = toolchain(name)
    home.folder("toolchains")
    with _locked(name):
        for stale in folder(name).parent.glob(f".{name}-*"):  # left by a process that was killed
            shutil.rmtree(stale, ignore_errors=True)
        if describe(name).state == "ready":
            return describe(name)
        chosen = choose_python(row, python)
        require_space(row)
        with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=folder(name).parent) as work:
            made = Path(work) / "new"
            build(made, chosen, row.requirements, row.pip, progress)
            if wrong := _probe(made, row):
                raise ConversionError(
                    f"toolchain {name} does not import: {wrong}",
                    hint="try another --python",
                    code=Code.TOOLCHAIN_BROKEN,
                )
            record = _Record(python=chosen.version, requirements=row.requirements)
            (made / _RECORD).write_bytes(msgspec.json.encode(record))
            if folder(name).exists():
                folder(name).rename(Path(work) / "old")
            made.rename(folder(name))
    return describe(name)


def remove(name: str) -> bool:
    """Removes the environment. Returns whether there was one."""
    place = folder(toolchain(name).name)
    if not place.is_dir():
        return False
    with _locked(name), tempfile.TemporaryDirectory(prefix=f".{name}-", dir=place.parent) as work:
        if not place.is_dir():  # another process was faster
            return False
        place.rename(Path(work) / "old")
    return True


def spoken(pythons: str) -> str:
    """A range of versions for people: `3.12-3.12` becomes 3.12."""
    first, _, last = pythons.partition("-")
    return first if first == last else pythons


def require_space(row: Toolchain) -> None:
    """Raises ConversionError if the disk cannot hold the environment and the files unpacked during installation."""
    free = shutil.disk_usage(folder(row.name).parent).free >> 20
    wanted = 2 * row.megabytes + _SPARE_MB
    if free < wanted:
        raise ConversionError(
            f"too little space for toolchain {row.name}: {free} of {wanted} MiB free",
            hint=f"make room below {folder(row.name).parent}, or move it with EDGEWRIGHT_HOME",
            code=Code.DISK_FULL,
        )


def _record(place: Path) -> _Record | None:
    try:
        record = msgspec.json.decode((place / _RECORD).read_bytes(), type=_Record)
    except (OSError, msgspec.MsgspecError):
        return None
    return record if python_in(place).exists() else None  # its Python may have been uninstalled


@contextmanager
def _locked(name: str) -> Iterator[None]:
    """Locks a toolchain for one process at a time; the lock ends with its process."""
    with (home.folder("toolchains") / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
