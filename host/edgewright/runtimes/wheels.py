"""Resolves wheels for a board with pip on this machine, and stores them by content."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import MappingProxyType

import msgspec

from edgewright.config import home, usage_marks
from edgewright.config.zip_errors import BAD_ZIP
from edgewright.errors import Code, EdgewrightError
from edgewright.files import sha256_file, write_atomic
from edgewright.nouns.base import Noun
from edgewright.runtimes.wheel_parts import Parts, trim
from edgewright.runtimes.wheel_tags import WheelHost, parse

WHOLE: Parts = MappingProxyType({})
PIP_SECONDS = 1800
OFFLINE = (
    "NewConnectionError",
    "ConnectTimeout",
    "Name or service",
    "name resolution",
    "ProxyError",
    "SSLError",
)


class Wheel(Noun, frozen=True, kw_only=True):
    """One wheel file on this machine: its file name, canonical distribution and version, sha256 and size in bytes.

    `member`: its name in the zip file at `path`, if it is still inside a bundle.
    """

    file: str
    distribution: str
    version: str
    sha256: str
    size: int
    path: Path
    member: str = ""


def resolve(
    host: WheelHost, requirements: Sequence[str], parts: Parts = WHOLE, *, patient: bool = True
) -> list[Wheel]:
    """One wheel for each requirement, from the cache or from pip's index; dependencies are not followed.

    Resolutions are cached: the same requirements for the same kind of board give the same files.

    Args:
        parts: the files that are needed of some distributions; the rest of their wheels is left out.
        patient: False if there is an alternative to the index: then an unreachable index is reported sooner.

    Raises:
        EdgewrightError: `no-wheel`, there is none for this board; `index-unreachable`.
    """
    folder = home.folder("wheels")
    with locked(folder):
        found = recalled(host, requirements, parts)
        if found is None:
            found = download(host, requirements, parts, folder, patient=patient)
            rows = json.dumps([[wheel.sha256, wheel.file] for wheel in found], indent=1)
            write_atomic(folder / f"{key(host, requirements, parts)}.json", rows)
        return found


def recalled(host: WheelHost, requirements: Sequence[str], parts: Parts = WHOLE) -> list[Wheel] | None:
    """The result of an earlier `resolve`, without any requests; None if there is none or it is gone."""
    found = recall(home.folder("wheels") / f"{key(host, requirements, parts)}.json")
    return found if found and all([usage_marks.hold(wheel.path.parent) for wheel in found]) else None


def key(host: WheelHost, requirements: Sequence[str], parts: Parts) -> str:
    """The cache key of a resolution: the requirements, the kind of board, and what is left out."""
    asked: list[object] = [sorted(requirements), host.resolves_for, host.abi, host.platforms]
    if parts:
        asked.append({name: list(patterns) for name, patterns in sorted(parts.items())})
    return hashlib.sha256(json.dumps(asked).encode("utf-8")).hexdigest()


def recall(note: Path) -> list[Wheel] | None:
    """The wheels of an earlier resolution, if every file is unchanged."""
    try:
        rows = msgspec.json.decode(note.read_bytes(), type=list[tuple[str, str]])
        found = [describe(note.parent / sha256 / file) for sha256, file in rows]
    except (OSError, msgspec.MsgspecError, EdgewrightError):
        return None
    return found if [wheel.sha256 for wheel in found] == [sha256 for sha256, _ in rows] else None


def download(
    host: WheelHost, requirements: Sequence[str], parts: Parts, folder: Path, *, patient: bool = True
) -> list[Wheel]:
    """Has pip fetch the wheels, leaves out what is not needed, then moves each to a folder named after its content."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as work:
        run_pip(pip_command(host, requirements, Path(work), patient=patient), host, requirements)
        found: list[Wheel] = []
        for fetched in sorted(Path(work).glob("*.whl")):
            patterns = parts.get(describe(fetched).distribution)
            file = trim(fetched, patterns, Path(work)) if patterns else fetched
            wheel = describe(file)
            place = folder / wheel.sha256
            place.mkdir(exist_ok=True)
            while not usage_marks.hold(place):  # pruned between the two calls
                place.mkdir(exist_ok=True)
            shutil.move(file, place / file.name)  # on one file system, so this is a rename
            found.append(msgspec.structs.replace(wheel, path=place / file.name))
        return found


def pip_command(
    host: WheelHost, requirements: Sequence[str], into: Path, *, patient: bool = True
) -> list[str]:
    """The arguments for pip to resolve for another machine."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
    ]
    command += ["--only-binary=:all:", "--no-deps", "--dest", str(into)]
    command += ["--retries", "2"] if patient else ["--retries", "1", "--timeout", "5"]
    command += ["--python-version", host.resolves_for, "--implementation", "cp", "--abi", host.abi]
    for platform in host.platforms:
        command += ["--platform", platform]
    return [*command, "--", *requirements]


def run_pip(command: list[str], host: WheelHost, requirements: Sequence[str]) -> None:
    """Runs pip; a failure becomes one error."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=PIP_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise unreachable(f"pip did not end within {PIP_SECONDS} s") from error
    if done.returncode == 0:
        return
    errors = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
    if any(sign in done.stderr for sign in OFFLINE):
        raise unreachable(f"{', '.join(requirements)} was asked for")
    missing = [line for line in errors if line.startswith("No matching distribution found for ")]
    if missing:
        what = missing[0].removeprefix("No matching distribution found for ")
        raise EdgewrightError(
            f"no wheel of {what} for {host.title}",
            hint="give one with --wheel FILE, or use another target",
            code=Code.NO_WHEEL,
        )
    last = errors[0] if errors else done.stderr.strip()[-300:] or f"exit code {done.returncode}"
    raise EdgewrightError(
        f"pip could not fetch {', '.join(requirements)}: {last}",
        hint="check that `python -m pip --version` works",
    )


def unreachable(what: str) -> EdgewrightError:
    """The error for an index that does not answer."""
    hint = (
        "is this machine online? else bring a bundle: `edgewright provision --bundle FILE --profile NAME` "
        "writes one where there is internet; or give the wheels with --wheel FILE"
    )
    return EdgewrightError(f"cannot reach the package index: {what}", hint=hint, code=Code.INDEX_UNREACHABLE)


def given(host: WheelHost, files: Sequence[Path]) -> list[Wheel]:
    """Checks wheel files from the user against the board.

    Raises:
        EdgewrightError: a file is not a wheel, is unreadable, or is not for this board.
    """
    found = [describe(file) for file in files]
    for wheel in found:
        tags = parse(wheel.file)[3]
        if not tags & host.tags:
            raise EdgewrightError(
                f"{wheel.file} is not for {host.title}",
                hint=f"the board takes tags like {' or '.join(host.best_tags)}",
                code=Code.WRONG_WHEEL,
            )
    return found


def describe(file: Path) -> Wheel:
    """Describes a wheel file by its name and its bytes."""
    from packaging.utils import InvalidWheelFilename

    try:
        distribution, version = parse(file.name)[:2]
        if not file.exists():
            raise EdgewrightError(f"no such wheel: {file}", hint="check the path", code=Code.FILE_NOT_FOUND)
        if not is_zip(file):
            raise EdgewrightError(f"not a wheel: {file}", hint="download it again")
        size = file.stat().st_size
    except InvalidWheelFilename as error:
        raise EdgewrightError(
            f"not the name of a wheel: {file.name}", hint="keep the name that it had"
        ) from error
    except OSError as error:
        raise EdgewrightError(
            f"cannot read the wheel {file}: {error.strerror}", hint="check the path"
        ) from error
    return Wheel(
        file=file.name,
        distribution=str(distribution),
        version=str(version),
        sha256=sha256_file(file),
        size=size,
        path=file,
    )


def is_zip(file: Path) -> bool:
    """Whether a file ends as a zip file does."""
    try:
        return zipfile.is_zipfile(file)
    except BAD_ZIP:
        return False


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Allows one resolution at a time, across threads and processes: several boards of a kind need the same wheels."""
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
