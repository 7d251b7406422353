"""The userland of emulated boards: Debian packages of another architecture, unpacked into a folder without root.

None of their scripts is run during installation. The packages come from the same archives as this machine's own, verified with apt's
keys; apt's state for them is stored next to the image, so that the machine's own package lists do not change.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from edgewright.config import home
from edgewright.errors import Code
from edgewright.lab.emulation import bytecode
from edgewright.lab.emulation.architectures import Architecture, Emulation
from edgewright.lab.registry.state import LabError, erase
from edgewright.nouns.base import Noun
from edgewright.nouns.progress import Progress, ProgressEvent, silent

PACKAGES = (
    "base-files", "base-passwd", "coreutils", "dash", "grep", "libgomp1", "libstdc++6", "netbase", "openssh-server",
    "procps", "python3", "sed", "util-linux",
)  # fmt: skip
MACHINE_PACKAGES = ("busybox-static", "iproute2")  # what a complete machine needs too, besides its kernel
TOOLS = {"apt-get": "apt", "dpkg-deb": "dpkg", "tar": "tar"}
SOURCES = Path("/etc/apt/sources.list.d/debian.sources")
KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
NEEDED_BYTES = 700 * 1024**2  # the packages, their lists, and twice the unpacked tree
LIMIT_SECONDS = 900
LOG_LINES = 3


class Image(Noun, frozen=True, kw_only=True):
    """An unpacked userland. `root` is read-only by convention: boards mount a writable layer over it."""

    suite: str
    root: Path


def ready(
    emulation: Emulation,
    mirror: str | None = None,
    progress: Progress = silent,
    *,
    more: Sequence[str] = (),
) -> Image:
    """The userland of an emulation's architecture and Debian suite; fetched and unpacked the first time.

    Args:
        emulation: includes a kernel if it is of fully emulated machines.
        mirror: base address of a Debian archive; by default this machine's own.
        more: packages to include beyond `PACKAGES`.

    Raises:
        LabError: a tool is missing, this machine has no Debian sources, the disk is full, or apt failed.
    """
    suite, architecture = emulation.suite, emulation.architecture
    if suite not in architecture.suites:
        raise LabError(
            f"no such suite for {architecture.name}: {suite}",
            hint=f"known are {', '.join(architecture.suites)}",
        )
    packages = (*packages_of(emulation), *more)
    kind = f"{architecture.name}-{'machine-' * (emulation.kernel is not None)}"
    place = home.folder("userlands") / f"{suite}-{kind}{_key(packages)[:12]}"
    image = Image(suite=suite, root=place)
    if place.is_dir():
        return image
    _check_tools()
    with _lock(place.parent):
        if not place.is_dir():
            _make(place, packages, _Archive.of(emulation, mirror), architecture, progress)
    return image


def packages_of(emulation: Emulation) -> tuple[str, ...]:
    """The packages of an emulation's userland; a kernel of another architecture is named with it."""
    kernel = emulation.kernel
    if kernel is None:
        return PACKAGES
    foreign = f":{kernel.debian}" * (kernel.debian != emulation.architecture.debian)
    return (*PACKAGES, *MACHINE_PACKAGES, f"{kernel.package}{foreign}")


def _key(packages: Sequence[str]) -> str:
    return hashlib.sha256("\n".join((*packages, *bytecode.MODULES)).encode()).hexdigest()


def _check_tools() -> None:
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if missing:
        raise LabError(
            f"an emulated board's userland needs {', '.join(missing)}",
            hint="it is made of Debian packages: use a Debian or Ubuntu machine or container",
            code=Code.TOOL_MISSING,
        )


class _Archive(Noun, frozen=True, kw_only=True):
    """Where the packages come from.

    Attributes:
        sources: one stanza in apt's deb822 format.
        architectures: Debian's names; the first is the userland's.
    """

    sources: str
    architectures: tuple[str, ...]

    @classmethod
    def of(cls, emulation: Emulation, mirror: str | None) -> _Archive:
        """The archive for an emulation. Raises LabError if there is no mirror, or if it is not an address."""
        if mirror is None:
            mirror = _own_mirror()
        if not mirror.startswith(("http://", "https://", "file:/")) or any(part.isspace() for part in mirror):
            raise LabError(
                f"not the address of a Debian archive: {mirror}", hint="such as --mirror https://..."
            )
        kernel = (emulation.kernel.debian,) if emulation.kernel else ()
        names = tuple(dict.fromkeys((emulation.architecture.debian, *kernel)))
        stanza = [
            "Types: deb", f"URIs: {mirror}", f"Suites: {emulation.suite}", "Components: main",
            f"Architectures: {' '.join(names)}",
        ]  # fmt: skip
        if KEYS.is_file():
            stanza.append(f"Signed-By: {KEYS}")
        return cls(sources="\n".join(stanza) + "\n", architectures=names)


def _own_mirror() -> str:
    for line in SOURCES.read_text().splitlines() if SOURCES.is_file() else ():
        field, _, value = line.partition(":")
        if field == "URIs" and value.split():
            return value.split()[0]
    old = Path("/etc/apt/sources.list")
    for line in old.read_text().splitlines() if old.is_file() else ():
        words = [
            word for word in line.split() if not word.startswith(("[", "arch=", "signed-by=")) and word != "]"
        ]
        if len(words) >= 4 and words[0] == "deb" and "debian" in words[1]:
            return words[1]
    raise LabError(
        "this machine's apt names no Debian archive", hint="name one: `--mirror ADDRESS`", code=Code.NO_MIRROR
    )


def _make(
    place: Path, packages: Sequence[str], origin: _Archive, architecture: Architecture, progress: Progress
) -> None:
    """Fetches and unpacks into a folder next to `place`, then renames it: an interrupted run leaves nothing behind."""
    free = shutil.disk_usage(place.parent).free
    if free < NEEDED_BYTES:
        raise LabError(
            f"{place.parent} has {free >> 20} MiB free, the userland needs {NEEDED_BYTES >> 20} MiB while it is made",
            hint="free space, or put edgewright's state elsewhere: EDGEWRIGHT_HOME",
            code=Code.DISK_FULL,
        )
    for old in place.parent.glob(".making-*"):  # under the lock, so these are left by an interrupted run
        erase(old)
    scratch = Path(tempfile.mkdtemp(prefix=".making-", dir=place.parent))
    try:
        files = _fetch(scratch, packages, origin, progress)
        root = scratch / "root"
        _skeleton(root)
        for done, package in enumerate(files, 1):
            _unpack(package, root)
            progress(
                ProgressEvent(
                    stage="userland",
                    detail=f"unpack {package.stem.split('_')[0]}",
                    done=done,
                    total=len(files),
                    unit="packages",
                )
            )
        if not (root / "bin/sh").exists():  # in older suites a package's script creates this link
            (root / "bin/sh").symlink_to("dash")
        progress(ProgressEvent(stage="userland", detail="compile Python's modules"))
        bytecode.keep(root, architecture)
        root.rename(place)
    finally:
        erase(scratch)


def _fetch(scratch: Path, packages: Sequence[str], origin: _Archive, progress: Progress) -> list[Path]:
    """Downloads the packages and all of their dependencies. apt checks signatures and hashes."""
    (scratch / "debian.sources").write_text(origin.sources)
    (scratch / "status").touch()
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (scratch / folder).mkdir(parents=True)
    progress(ProgressEvent(stage="userland", detail="read the package lists"))
    _apt(scratch, origin, "update")
    progress(ProgressEvent(stage="userland", detail="download packages"))
    _apt(scratch, origin, "--yes", "--download-only", "install", *packages)
    return sorted((scratch / "cache/archives").glob("*.deb"))


def _apt(scratch: Path, origin: _Archive, *arguments: str) -> None:
    settings = {
        "Dir::State": scratch / "state",
        "Dir::State::status": scratch / "status",
        "Dir::Cache": scratch / "cache",
        "Dir::Etc::sourcelist": scratch / "debian.sources",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "APT::Architecture": origin.architectures[0],
        "APT::Architectures": ",".join(origin.architectures),
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        "Debug::NoLocking": "true",
    }
    options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
    _run(["apt-get", "-qq", *options, *arguments], what="apt-get", cwd=scratch)


def _skeleton(root: Path) -> None:
    """Creates the merged /usr that the packages expect."""
    for name in ("bin", "sbin", "lib"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")


def _unpack(package: Path, root: Path) -> None:
    """Unpacks the files only: no package script is run."""
    with tempfile.TemporaryFile() as archive:
        _run(["dpkg-deb", "--fsys-tarfile", str(package)], what="dpkg-deb", cwd=root, stdout=archive.fileno())
        archive.seek(0)
        _run(
            ["tar", "-x", "--no-same-owner", "--keep-directory-symlink", "-f", "-"],
            what="tar",
            cwd=root,
            stdin=archive.fileno(),
        )


def _run(
    command: list[str],
    *,
    what: str,
    cwd: Path,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
) -> None:
    try:
        done = subprocess.run(
            command, cwd=cwd, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, timeout=LIMIT_SECONDS, check=False,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", **_proxies()},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise LabError(f"{what} took more than {LIMIT_SECONDS} s", hint="look at the network") from None
    if done.returncode:
        lines = [line.strip() for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
        raise LabError(
            f"{what} failed: {'; '.join(lines[-LOG_LINES:]) or f'exit code {done.returncode}'}",
            hint="check the network, or use another Debian archive: `--mirror ADDRESS`",
        )


def _proxies() -> dict[str, str]:
    return {
        name: os.environ[name] for name in ("http_proxy", "https_proxy", "no_proxy") if name in os.environ
    }


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Lets one process build a userland while the others wait."""
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
