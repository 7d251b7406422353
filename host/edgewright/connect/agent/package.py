"""Builds the agent's `.pyz` from the sources: the same bytes every time."""

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

DATE = (1980, 1, 1, 0, 0, 0)  # the first that a ZIP can hold
MAKERS = (
    "package.py",
    "compact.py",
    "annotations.py",
    "minify.py",
)  # what a kept package depends on, besides the sources
SOURCES = "sources.json"  # the member with all sources, name -> text


class AgentPackage(Noun, frozen=True, kw_only=True):
    """What is shipped to boards.

    Attributes:
        data: the `.pyz`.
        sha256: its hex digest, the agent's name on the board.
        loader: text of the program that takes it there.
    """

    data: bytes
    sha256: str
    loader: str


BUILDING = threading.Lock()  # boards are worked on in parallel, the package is made once


def package() -> AgentPackage:
    """This installation's agent; built when its sources are new, then kept under edgewright's home."""
    with BUILDING:
        return made()


@functools.cache
def made() -> AgentPackage:
    """The package, once a process."""
    return kept(source_folder("edgewright_agent"), home.folder("agent"))


def kept(agent: Path, folder: Path) -> AgentPackage:
    """The package of an agent's sources from a folder where it is kept, else built and put there."""
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
    with zipfile.ZipFile(io.BytesIO(package().data)) as archive:
        found = json.loads(archive.read(SOURCES))
    return packed(found, {target: data.decode("ascii") for target, data in runners.items()})


def as_package(data: bytes) -> AgentPackage:
    """The package in the bytes of a `.pyz`."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        loader = json.loads(archive.read(SOURCES))["edgewright_agent/loader.py"]
    return AgentPackage(data=data, sha256=hashlib.sha256(data).hexdigest(), loader=loader)


def source_folder(name: str) -> Path:
    """Where an import package's sources are; the package is not imported.

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
    """Name in the package -> source text, line ends as `\\n`."""
    files = agent.rglob("*.py")
    return {f"{agent.name}/{file.relative_to(agent).as_posix()}": file.read_text("utf-8") for file in files}


def packed(found: Mapping[str, str], runners: Mapping[str, str] | None = None) -> bytes:
    """A `.pyz` that depends on names and texts alone: sorted, one date, one mode.

    All sources are one member: compressed together they take two thirds of the bytes, and an old board's
    link is slow.

    Args:
        runners: by target; a separate member, which only an administrator's `.pyz` has.
    """
    members = {"__main__.py": protocol.PYZ_MAIN, SOURCES: json.dumps(found, sort_keys=True)}
    if runners is not None:
        members[protocol.RUNNERS] = json.dumps(runners, sort_keys=True)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in members.items():
            entry = zipfile.ZipInfo(name, DATE)
            entry.create_system = 3  # Unix, whatever this machine is
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, text.encode("ascii"), zipfile.ZIP_DEFLATED, 9)
    return buffer.getvalue()
