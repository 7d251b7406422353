"""The agent's `.pyz`: built from the sources as data, byte for byte the same every time."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import io
import zipfile
from pathlib import Path

from edgewright.errors import EdgewrightError
from edgewright.nouns.base import Noun
from edgewright_agent import protocol

DATE = (1980, 1, 1, 0, 0, 0)  # the first that a ZIP can hold
TARGET_FILES = ("__init__.py", "runner.py")  # of each target: the part that runs on boards


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


@functools.cache
def package() -> AgentPackage:
    """This installation's agent, built once a process."""
    agent, targets = source_folder("edgewright_agent"), source_folder("edgewright_targets")
    return build(agent, targets)


def build(agent: Path, targets: Path) -> AgentPackage:
    """The package from the folders of `edgewright_agent` and `edgewright_targets`."""
    data = zipped(members(agent, targets))
    loader = (agent / "loader.py").read_text("utf-8")
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


def members(agent: Path, targets: Path) -> dict[str, bytes]:
    """Name in the archive -> bytes. Line ends become `\\n`, whatever the checkout made of them."""
    found = {"__main__.py": protocol.PYZ_MAIN.encode("ascii")}
    files = [(agent, file) for file in agent.rglob("*.py")]
    files += [(targets, targets / "__init__.py")]
    files += [(targets, file) for name in TARGET_FILES for file in targets.glob(f"*/{name}")]
    for root, file in files:
        name = f"{root.name}/{file.relative_to(root).as_posix()}"
        found[name] = file.read_bytes().replace(b"\r\n", b"\n")
    return found


def zipped(found: dict[str, bytes]) -> bytes:
    """A ZIP that depends on names and bytes alone: sorted, one date, one mode."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(found):
            entry = zipfile.ZipInfo(name, DATE)
            entry.create_system = 3  # Unix, whatever this machine is
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, found[name], zipfile.ZIP_DEFLATED, 9)
    return buffer.getvalue()
