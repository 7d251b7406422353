"""Leaves files out of a wheel that no runner needs, such as a model zoo, so that boards do not get them."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from edgewright.config.zip_errors import BAD_ZIP
from edgewright.errors import EdgewrightError

MARK = "trimmed"  # in the name's build tag, so that nobody takes the file for the one on the index

Parts = Mapping[str, Sequence[str]]  # canonical distribution -> patterns of the files that it needs


def trim(wheel: Path, patterns: Sequence[str], folder: Path) -> Path:
    """Writes a wheel with the files that match one of the patterns, and with all of its metadata and licences.

    Returns:
        its path in `folder`; or `wheel`, if a pattern matches nothing, as the wheel is then laid out in another way.

    Raises:
        EdgewrightError: it is not a zip file.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            files = [info for info in archive.infolist() if not info.is_dir()]
            if not all(any(fnmatchcase(info.filename, one) for info in files) for one in patterns):
                return wheel
            kept = [info for info in files if is_kept(info.filename, patterns)]
            made = folder / trimmed_name(wheel.name)
            with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as smaller:
                for info in kept:
                    smaller.writestr(info, content(archive, info, {one.filename for one in kept}))
            return made
    except BAD_ZIP as error:
        raise EdgewrightError(f"not a wheel: {wheel.name}", hint="try again") from error


def is_kept(name: str, patterns: Sequence[str]) -> bool:
    """Whether a file stays. Metadata always do: they contain the licence."""
    return name.partition("/")[0].endswith(".dist-info") or any(fnmatchcase(name, one) for one in patterns)


def content(archive: zipfile.ZipFile, info: zipfile.ZipInfo, kept: set[str]) -> bytes:
    """A member's bytes. `RECORD` lists only files that stay."""
    data = archive.read(info)
    if not info.filename.endswith(".dist-info/RECORD"):
        return data
    lines = data.decode("utf-8").splitlines(keepends=True)
    return "".join(line for line in lines if line.rsplit(",", 2)[0].strip('"') in kept).encode("utf-8")


def trimmed_name(file: str) -> str:
    """The file name with a build tag that says that the wheel is trimmed."""
    distribution, version, *build, python, abi, platform = file.split("-")
    return "-".join((distribution, version, f"{''.join(build) or 0}{MARK}", python, abi, platform))
