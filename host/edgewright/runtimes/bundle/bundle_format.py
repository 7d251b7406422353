"""The format of a bundle: its index, and the checks of every member against it.

A bundle is a zip file whose members are stored uncompressed: `bundle.json`, then `wheels/<file>`, sorted, with one fixed date,
so that equal wheels give equal bytes. No member is extracted under its own name: wheels are stored by content.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import msgspec
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name

from edgewright.config.zip_errors import BAD_ZIP
from edgewright.errors import Code, EdgewrightError
from edgewright.nouns import schema as schemas
from edgewright.nouns.base import Noun
from edgewright.runtimes.wheel_sets import Kit
from edgewright.runtimes.wheel_tags import parse
from edgewright_agent import protocol

SCHEMA = 1
INDEX = "bundle.json"
FOLDER = "wheels/"
MAX_INDEX = 4 * 1024**2  # bytes of bundle.json
MAX_WHEELS = 2000
UTF8 = 0x800  # the only flag that a member may have: its name is UTF-8
MAX_WHEEL = 4 * 1024**3  # bytes of one wheel


class Entry(Noun, frozen=True, kw_only=True):
    """One wheel: hex sha256 and size in bytes."""

    sha256: str
    size: int


class Contents(Noun, frozen=True, kw_only=True):
    """The contents of `bundle.json`. `wheels`: by file name."""

    schema: int
    kits: tuple[Kit, ...]
    wheels: dict[str, Entry]

    @property
    def size(self) -> int:
        """Total bytes of all wheels."""
        return sum(entry.size for entry in self.wheels.values())


def bad(path: Path, why: str) -> EdgewrightError:
    """The error for a file that is not a complete bundle."""
    return EdgewrightError(
        f"not a bundle of edgewright: {path}: {why}",
        hint="copy it again, or write it again where there is internet",
        code=Code.BAD_BUNDLE,
    )


def read(path: Path) -> Contents:
    """The contents of a bundle: its index, with every member's name and size checked against it. Does not read the wheels.

    Raises:
        EdgewrightError: `file-not-found`, `bad-bundle`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return checked(path, archive)
    except FileNotFoundError as error:
        raise EdgewrightError(
            f"no such bundle: {path}",
            hint="check the path; --profile NAME writes a bundle",
            code=Code.FILE_NOT_FOUND,
        ) from error
    except OSError as error:
        raise EdgewrightError(f"cannot read {path}: {error.strerror}", hint="name a file") from error
    except BAD_ZIP as error:
        raise bad(path, "it is not whole, or another kind of file") from error


def checked(path: Path, archive: zipfile.ZipFile) -> Contents:
    """The index of an open bundle; `bad-bundle` if its members do not match it."""
    members = archive.infolist()
    names = [info.filename for info in members]
    if names[:1] != [INDEX] or len(names) != len(set(names)) or len(names) > MAX_WHEELS + 1:
        raise bad(path, f"it does not begin with {INDEX}, or holds too much")
    if members[0].file_size <= MAX_INDEX and members[0].compress_type == zipfile.ZIP_STORED:
        written = schemas.of_json(archive.read(members[0]))
        schemas.check(written, SCHEMA, f"bundle {path}", code=Code.BAD_BUNDLE)
    if any(info.compress_type != zipfile.ZIP_STORED or info.flag_bits & ~UTF8 for info in members):
        raise bad(path, "a member is compressed, encrypted or of an unknown kind")
    whole = sum(info.file_size for info in members)
    if any(info.file_size != info.compress_size for info in members) or members[0].file_size > MAX_INDEX:
        raise bad(path, "a member does not have its size")
    if whole > path.stat().st_size:
        raise bad(path, "its members lie over each other")
    try:
        contents = msgspec.json.decode(archive.read(members[0]), type=Contents)
    except msgspec.MsgspecError as error:
        raise bad(path, str(error)) from error
    check_names(path, contents)
    sizes = {info.filename.removeprefix(FOLDER): info.file_size for info in members[1:]}
    if any(not name.startswith(FOLDER) for name in names[1:]) or sizes != {
        file: entry.size for file, entry in contents.wheels.items()
    }:
        raise bad(path, "its wheels are not those that its index names")
    return contents


def check_names(path: Path, contents: Contents) -> None:
    """Raises `bad-bundle` if a name is not a wheel's, a hash is malformed, or a kit names missing wheels."""
    for file, entry in contents.wheels.items():
        try:
            parse(file)
        except InvalidWheelFilename as error:
            raise bad(path, f"not the name of a wheel: {file[:100]!r}") from error
        if not protocol.SHA256.match(entry.sha256) or not 0 < entry.size <= MAX_WHEEL:
            raise bad(path, f"no hash or size of {file}")
    for kit in contents.kits:
        for file, sha256 in kit.wheels.items():
            if file not in contents.wheels or contents.wheels[file].sha256 != sha256:
                raise bad(path, f"{kit.title} names a wheel that it does not hold: {file[:100]!r}")
        check_kit(path, kit)


def check_kit(path: Path, kit: Kit) -> None:
    """Raises `bad-bundle` if a kit does not match its wheels, or has an invalid requirement."""
    names = [parse(file)[:2] for file in kit.wheels]
    if (canonicalize_name(kit.distribution), kit.version) not in [
        (name, str(version)) for name, version in names
    ]:
        raise bad(path, f"{kit.title} is not among its wheels")
    try:
        for one in kit.own:
            Requirement(one)
    except (InvalidRequirement, RecursionError) as error:
        raise bad(path, f"not a requirement: {one[:100]!r}") from error
