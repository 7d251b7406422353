"""What a confined worker may read and write."""

from __future__ import annotations

import glob
import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlparse

from edgewright.nouns.base import Noun

# programs, libraries and the kernel's files; nothing in /etc that names users or holds secrets
_SYSTEM = (
    "/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin", "/opt", "/nix/store", "/gnu/store", "/proc", "/sys",
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ld.so.preload", "/etc/alternatives",
    "/etc/localtime", "/etc/timezone", "/etc/locale.alias", "/etc/os-release", "/etc/lsb-release", "/etc/debian_version",
    "/etc/fonts", "/etc/mime.types", "/etc/ssl/openssl.cnf", "/etc/pki/tls/openssl.cnf", "/etc/crypto-policies", "/etc/OpenCL",
)  # fmt: skip
_WRITABLE = ("/dev/shm", "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")  # noqa: S108
READABLE = "EDGEWRIGHT_READABLE"
"""Variable with more paths that workers may read, as PATH has them: where a plug-in's converter keeps its files elsewhere."""

SYSTEM, PYTHON = "system", "python"


class Rules(Noun, frozen=True, kw_only=True):
    """What a worker may open.

    Attributes:
        reads, writes: paths that it may read (and run), and paths that it may write; everything below them is included.
        home: the user's HOME, which is not the worker's HOME.
    """

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    home: str = ""

    def covers(self, other: Rules) -> bool:
        """Whether these rules allow everything that others allow."""
        readable = (*self.reads, *self.writes)
        return all(_below(path, readable) for path in other.reads) and all(
            _below(path, self.writes) for path in other.writes
        )


def absolute(paths: Iterable[Path]) -> tuple[str, ...]:
    """Absolute paths for rules, sorted."""
    return tuple(sorted({str(path.absolute()) for path in paths}))


def with_system(rules: Rules) -> Rules:
    """The rules, plus the paths that this interpreter and its libraries need."""
    needed = [path for paths in of_every_worker(rules.home).values() for path in paths]
    return Rules(
        reads=tuple(_present((*rules.reads, *needed))),
        writes=tuple(_present((*rules.writes, *_WRITABLE))),
    )


def of_every_worker(home: str) -> dict[str, list[str]]:
    """What each worker with this interpreter may read, whatever its command opens: the system, Python, and what the user named.

    Args:
        home: the user's HOME, which is not the worker's.
    """
    left_out = too_wide(Rules(home=home))
    libraries = (path for path in interpreter() if os.path.abspath(path) not in left_out)
    return {
        SYSTEM: list(_present(path for path in _SYSTEM if not _below(home, [path]))),
        PYTHON: list(_present(libraries)),
        READABLE: list(_present(_listed(READABLE))),
    }


def too_wide(rules: Rules) -> tuple[str, ...]:
    """Paths of `interpreter` that contain all of HOME, for example due to PYTHONPATH or an editable project there: workers may not read these."""
    if not rules.home:
        return ()
    own = os.path.realpath(rules.home)
    found = {os.path.abspath(path) for path in interpreter()}
    return tuple(sorted(path for path in found if _below(own, [os.path.realpath(path)])))


def interpreter() -> Iterator[str]:
    """The paths of this Python and of everything that it imports: prefixes, `sys.path` (including .pth files), editable installations."""
    yield from (sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix)
    yield os.path.realpath(sys.executable)
    yield from filter(None, sys.path)
    yield from _listed("LD_LIBRARY_PATH")
    yield from glob.iglob("/etc/python3*")
    for place in filter(None, sys.path):
        yield from _links(place)
        for record in glob.iglob(f"{glob.escape(place)}/*.dist-info/direct_url.json"):
            yield from _editable(Path(record))


def _links(place: str) -> Iterator[str]:
    """Packages that are stored elsewhere: links in a folder of packages, or folders whose files are links, as uv and Bazel create them."""
    for entry in _entries(place):
        if entry.is_symlink():
            yield entry.path
        elif entry.is_dir():
            inner = next((one for one in _entries(entry.path) if one.is_symlink()), None)
            if inner is not None:
                yield os.path.dirname(os.path.realpath(inner.path))


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []


def _editable(record: Path) -> Iterator[str]:
    """The folder of an editable project; its finder imports from there, whatever `sys.path` contains."""
    try:
        found = json.loads(record.read_bytes())
        if found["dir_info"]["editable"]:
            yield unquote(urlparse(found["url"]).path)
    except (OSError, ValueError, KeyError, TypeError):
        return


def _listed(variable: str) -> Iterator[str]:
    yield from (path for path in os.environ.get(variable, "").split(os.pathsep) if path.startswith("/"))


def _present(paths: Iterable[str]) -> Iterator[str]:
    """The paths that exist, without duplicates or paths below another one; never the whole file system."""
    wanted = sorted({os.path.abspath(path) for path in paths if os.path.exists(path)} - {"/"})
    kept: list[str] = []
    real: list[str] = []
    for path in wanted:
        target = os.path.realpath(path)
        if not (_below(path, kept) and _below(target, real)):
            kept.append(path)
            real.append(target)
            yield path


def _below(path: str, roots: Iterable[str]) -> bool:
    return any(path == root or path.startswith(root.rstrip("/") + "/") for root in roots)
