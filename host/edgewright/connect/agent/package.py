"""Builds the agent's `.pyz` from its sources, with reproducible bytes."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import io
import json
import threading
import zipfile
from collections.abc import Mapping
from pathlib import Path

from edgewright.config import home
from edgewright.connect.agent.annotations import SHAPES
from edgewright.connect.agent.compact import compact
from edgewright.errors import EdgewrightError
from edgewright.files import write_atomic
from edgewright.nouns.base import Noun
from edgewright_agent import protocol

DATE = (1980, 1, 1, 0, 0, 0)  # the earliest date that a ZIP can hold
MAKERS = (
    "package.py",
    "compact.py",
    "annotations.py",
    "minify.py",
)  # what a cached package depends on besides the sources
SOURCES = "sources"  # the member with all sources: names and texts in turn, a NUL between them
# folders whose sources resemble one another are neighbours: that compresses better by 800 bytes than by name
ORDER = ("storage", "boot", "processes", "board", "child", "checks", "", "installed", "lifecycle", "session")


class AgentPackage(Noun, frozen=True, kw_only=True):
    """The agent as it is shipped to boards.

    Attributes:
        data: the `.pyz`.
        sha256: its hex digest, which is the agent's name on the board.
        loader: source of the program that receives it on the board.
    """

    data: bytes
    sha256: str
    loader: str


BUILDING = threading.Lock()  # several boards are handled in parallel, but the package is built once


def package() -> AgentPackage:
    """This installation's agent; built if its sources are new, then cached in edgewright's home."""
    with BUILDING:
        return made()


@functools.cache
def made() -> AgentPackage:
    """The package, built once per process."""
    return kept(source_folder("edgewright_agent"), home.folder("agent"))


def kept(agent: Path, folder: Path) -> AgentPackage:
    """The package for an agent's sources: from a cache folder, or else built and added to it."""
    found = sources(agent)
    makers = [Path(__file__).with_name(name).read_bytes() for name in MAKERS]
    key = hashlib.sha256(
        b"\0".join([*makers, *(part for item in sorted(found.items()) for part in encoded(item))])
    )
    for file in folder.glob(f"{key.hexdigest()}-*.pyz"):
        data = file.read_bytes()
        if file.stem.endswith(hashlib.sha256(data).hexdigest()):
            return as_package(data)
    new = build(agent)
    write_atomic(folder / f"{key.hexdigest()}-{new.sha256}.pyz", new.data)
    return new


def encoded(item: tuple[str, str]) -> tuple[bytes, bytes]:
    """A name and a text as bytes."""
    return item[0].encode("utf-8"), item[1].encode("utf-8")


def build(agent: Path) -> AgentPackage:
    """The package from the folder of `edgewright_agent`."""
    found = sources(agent)
    found.pop(f"{agent.name}/{SHAPES}.py", None)
    return as_package(packed({name: compact(name, text) for name, text in found.items()}))


def for_administrator(runners: Mapping[str, bytes]) -> bytes:
    """A `.pyz` for a board with a forced command: the agent, and the runners (by target) that it may use."""
    found = unpacked(package().data)
    return packed(found, {target: data.decode("ascii") for target, data in runners.items()})


def as_package(data: bytes) -> AgentPackage:
    """The package in the bytes of a `.pyz`."""
    loader = unpacked(data)["edgewright_agent/loader.py"]
    return AgentPackage(data=data, sha256=hashlib.sha256(data).hexdigest(), loader=loader)


def unpacked(data: bytes) -> dict[str, str]:
    """Name -> text of the sources in the bytes of a `.pyz`."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = archive.read(SOURCES).decode("ascii").split("\0")
    return dict(zip(parts[::2], parts[1::2], strict=True))


def source_folder(name: str) -> Path:
    """The folder of an import package's sources; does not import the package.

    Raises:
        EdgewrightError: it is not installed as files.
    """
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.origin or not Path(spec.origin).is_file():
        raise EdgewrightError(
            f"the sources of {name} are missing", hint="install edgewright again, not from a zip"
        )
    return Path(spec.origin).parent


def sources(agent: Path) -> dict[str, str]:
    """Name in the package -> source text, with `\\n` line ends."""
    files = agent.rglob("*.py")
    return {f"{agent.name}/{file.relative_to(agent).as_posix()}": file.read_text("utf-8") for file in files}


def place(name: str) -> tuple[int, str]:
    """Where a source stands among the others."""
    folder = name.split("/")[1] if name.count("/") > 1 else ""
    return ORDER.index(folder) if folder in ORDER else len(ORDER), name


def packed(found: Mapping[str, str], runners: Mapping[str, str] | None = None) -> bytes:
    """A `.pyz` that depends only on names and texts: sorted, with one date and one mode.

    All sources are one member, as they are: compressed together they take two thirds of the bytes, and an old board's
    link is slow.

    Args:
        runners: by target; stored in a separate member, which only an administrator's `.pyz` has.
    """
    sources = "\0".join(part for name in sorted(found, key=place) for part in (name, found[name]))
    members = {"__main__.py": protocol.PYZ_MAIN, SOURCES: sources}
    if runners is not None:
        members[protocol.RUNNERS] = json.dumps(runners, sort_keys=True)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in members.items():
            entry = zipfile.ZipInfo(name, DATE)
            entry.create_system = 3  # always Unix, whatever this machine is
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, text.encode("ascii"), zipfile.ZIP_DEFLATED, 9)
    return buffer.getvalue()
