"""Bundles: one file with the wheels of runtimes and their sha256, for hosts without internet."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from edgewright.config import home, usage_marks
from edgewright.config.zip_errors import BAD_ZIP
from edgewright.errors import Code, EdgewrightError
from edgewright.nouns.progress import BYTES, Progress, ProgressEvent, silent
from edgewright.runtimes import wheel_sets, wheels
from edgewright.runtimes.bundle.bundle_format import FOLDER, INDEX, SCHEMA, Contents, Entry, bad, read
from edgewright.runtimes.wheel_sets import Kit
from edgewright.runtimes.wheel_tags import parse
from edgewright.runtimes.wheels import Wheel

DATE = (1980, 1, 1, 0, 0, 0)
PIECE = 1024**2
PART = ".part"  # suffix of a file that is not complete yet


def write(path: Path, kits: Sequence[Kit], wheels: Iterable[Wheel], progress: Progress = silent) -> Contents:
    """Writes a bundle atomically; replaces an existing one.

    Raises:
        EdgewrightError: another kind of file is in the way, or the disk is full.
    """
    if path.exists():
        try:
            read(path)
        except EdgewrightError as error:
            raise EdgewrightError(
                f"this file is not a bundle, it stays as it is: {path}",
                hint="name another file",
                code=Code.BAD_BUNDLE,
            ) from error
    files = {wheel.file: wheel for wheel in wheels}
    entries = {file: Entry(sha256=one.sha256, size=one.size) for file, one in sorted(files.items())}
    ordered = tuple(sorted(kits, key=lambda kit: (kit.target, kit.arch, kit.python, kit.glibc)))
    contents = Contents(schema=SCHEMA, kits=ordered, wheels=entries)
    remove_half_made(path)
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PART)
    except OSError as error:
        raise EdgewrightError(
            f"cannot write {path}: {error.strerror}", hint="name a file in a folder that exists"
        ) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            usage_marks.hold(Path(temporary))
            fill(file, contents, files, progress)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        raise EdgewrightError(
            f"cannot write {path}: {error.strerror}", hint="check the folder's permissions and free space"
        ) from error
    finally:
        Path(temporary).unlink(missing_ok=True)
    return contents


def remove_half_made(path: Path) -> None:
    """Removes what killed writers of this bundle left next to it, but not the files of a running writer."""
    for rest in path.parent.glob(f".{glob.escape(path.name)}.*{PART}"):
        with usage_marks.taken(rest) as free, contextlib.suppress(OSError):
            if free:
                rest.unlink()


def fill(file: BinaryIO, contents: Contents, wheels: dict[str, Wheel], progress: Progress) -> None:
    """Writes the members of a bundle; hashes each wheel again while copying it."""
    done = 0
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        text = msgspec.json.format(msgspec.json.encode(contents, order="sorted"))
        archive.writestr(member(INDEX), text)
        for name, entry in contents.wheels.items():
            digest = hashlib.sha256()
            about = member(FOLDER + name)
            about.file_size = entry.size
            with wheels[name].path.open("rb") as source, archive.open(about, "w") as target:
                while piece := source.read(PIECE):
                    digest.update(piece)
                    target.write(piece)
                    done += len(piece)
                    progress(
                        ProgressEvent(stage="bundle", detail=name, done=done, total=contents.size, unit=BYTES)
                    )
            if digest.hexdigest() != entry.sha256:
                raise EdgewrightError(
                    f"a wheel changed while it was read: {wheels[name].path}", hint="try again"
                )


def member(name: str) -> zipfile.ZipInfo:
    """A zip entry that depends only on its name."""
    info = zipfile.ZipInfo(name, DATE)
    info.create_system = 3  # always Unix, whatever this machine is
    info.external_attr = 0o100644 << 16
    return info


def take_in(path: Path, progress: Progress = silent) -> Contents:
    """Imports a bundle's verified wheels into the store, and records its kits there. Files that exist are kept.

    Raises:
        EdgewrightError: `bad-bundle`, in which case no kit is recorded; `file-not-found`; the disk is full.
    """
    folder = home.folder("wheels")
    contents = read(path)
    try:
        with wheels.locked(folder), zipfile.ZipFile(path) as archive:
            done = 0
            for file, entry in contents.wheels.items():
                progress(
                    ProgressEvent(stage="unpack", detail=file, done=done, total=contents.size, unit=BYTES)
                )
                if not there(folder / entry.sha256 / file, entry):
                    unpack(path, archive, file, entry, folder)
                done += entry.size
            wheel_sets.keep(contents.kits)
    except BAD_ZIP as error:  # a member's checksum is wrong, or it is truncated
        raise bad(path, "a wheel in it is damaged") from error
    except OSError as error:
        raise EdgewrightError(
            f"cannot keep the wheels of {path}: {error.strerror}",
            hint="check the folder's permissions and free space",
        ) from error
    return contents


def verified(path: Path) -> Contents:
    """The contents of a bundle, after checking every wheel against its sha256; stores nothing.

    Raises:
        EdgewrightError: `bad-bundle`, `file-not-found`.
    """
    contents = read(path)
    try:
        with zipfile.ZipFile(path) as archive:
            for file, entry in contents.wheels.items():
                copy(path, archive, file, entry, None)
    except BAD_ZIP as error:
        raise bad(path, "a wheel in it is damaged") from error
    return contents


def inside(path: Path, contents: Contents) -> dict[str, Wheel]:
    """The wheels of a bundle by file name, still inside the bundle."""
    found = {}
    for file, entry in contents.wheels.items():
        distribution, version = parse(file)[:2]
        found[file] = Wheel(
            file=file,
            distribution=distribution,
            version=str(version),
            sha256=entry.sha256,
            size=entry.size,
            path=path,
            member=FOLDER + file,
        )
    return found


def copy(path: Path, archive: zipfile.ZipFile, file: str, entry: Entry, target: BinaryIO | None) -> None:
    """Copies one wheel, at most as many bytes as it declares; `bad-bundle` if its hash differs."""
    digest, size = hashlib.sha256(), 0
    with archive.open(FOLDER + file) as source:
        while size <= entry.size and (piece := source.read(PIECE)):
            size += len(piece)
            digest.update(piece)
            if target is not None:
                target.write(piece)
    if size != entry.size or digest.hexdigest() != entry.sha256:
        raise bad(path, f"{file} does not have its sha256")


def there(place: Path, entry: Entry) -> bool:
    """Whether the store has a wheel with verified bytes; marks it as in use."""
    try:
        found = wheels.describe(place)
    except EdgewrightError:
        return False
    return found.sha256 == entry.sha256 and usage_marks.hold(place.parent)


def unpack(path: Path, archive: zipfile.ZipFile, file: str, entry: Entry, folder: Path) -> None:
    """Extracts one wheel into the store, at most as many bytes as it declares; it is moved into place once its hash is verified."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as work:
        with (Path(work) / "wheel").open("wb") as target:
            copy(path, archive, file, entry, target)
            target.flush()
            os.fsync(target.fileno())
        place = folder / entry.sha256
        place.mkdir(exist_ok=True)
        while not usage_marks.hold(place):  # pruned between the two calls
            place.mkdir(exist_ok=True)
        shutil.move(Path(work) / "wheel", place / file)
