"""The tags of the wheels that a board takes, computed on the host."""

from __future__ import annotations

import math
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from msgspec.structs import replace

from edgewright.errors import Code, EdgewrightError
from edgewright.nouns.base import Noun
from edgewright.nouns.facts import Facts
from edgewright.nouns.target import Target, numbers

if TYPE_CHECKING:
    from packaging.tags import Tag
    from packaging.utils import BuildTag, NormalizedName
    from packaging.version import Version

OLDEST_GLIBC = {"x86_64": 5, "i686": 5}  # minor version for the first manylinux; 17 on other architectures
LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}

MAX_NAME = 250  # characters of a wheel's file name
MAX_TAGS = 128  # in one name; real ones have about twenty


@lru_cache(4096)
def parse(file: str) -> tuple[NormalizedName, Version, BuildTag, frozenset[Tag]]:
    """As `packaging.utils.parse_wheel_filename`, but safe for untrusted names, where a few characters can expand to millions of tags.

    Raises:
        packaging.utils.InvalidWheelFilename
    """
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    tags = math.prod(part.count(".") + 1 for part in file.removesuffix(".whl").split("-")[-3:])
    if len(file) > MAX_NAME or tags > MAX_TAGS or not file.isprintable() or "/" in file or "\\" in file:
        raise InvalidWheelFilename(f"not the name of a wheel: {file[:100]!r}")
    return parse_wheel_filename(file)


class WheelHost(Noun, frozen=True, kw_only=True, dict=True):
    """A board as the resolver of wheels sees it.

    Attributes:
        python: version such as `3.11.2`.
        arch: the Python's architecture, which may be 32-bit on a 64-bit kernel.
        libc: `glibc` or `musl`.
        libc_version: such as `2.36`.
        wheel_python: as in `Target`; empty for its own Python.
    """

    python: str
    arch: str
    libc: str
    libc_version: str
    wheel_python: str = ""

    def for_target(self, target: Target) -> WheelHost:
        """The same board, for the wheels of a target."""
        return replace(self, wheel_python=target.wheel_python)

    @property
    def resolves_for(self) -> str:
        """The Python that pip resolves wheels for."""
        return self.wheel_python or self.python

    @property
    def title(self) -> str:
        """A description for messages."""
        return f"Python {self.python} on {self.arch} with {self.libc or 'libc'} {self.libc_version}"

    @property
    def abi(self) -> str:
        """The ABI tag that wheels are fetched for, such as `cp311`."""
        return abi_of(self.resolves_for)

    @property
    def best_tags(self) -> tuple[str, ...]:
        """The best tag for each Python whose wheels it takes, such as `cp36-cp36m-manylinux_2_27_aarch64`."""
        abis = dict.fromkeys((self.abi, abi_of(self.python)))
        return tuple(f"{abi.rstrip('m')}-{abi}-{self.platforms[0]}" for abi in abis)

    @cached_property
    def platforms(self) -> tuple[str, ...]:
        """Platform tags, best first."""
        version = numbers(self.libc_version)
        found: list[str] = []
        if len(version) >= 2:
            family = "musllinux" if self.libc == "musl" else "manylinux"
            oldest = 0 if self.libc == "musl" else OLDEST_GLIBC.get(self.arch, 17)
            for minor in range(version[1], oldest - 1, -1):
                found.append(f"{family}_{version[0]}_{minor}_{self.arch}")
                if self.libc != "musl" and minor in LEGACY:
                    found.append(f"{LEGACY[minor]}_{self.arch}")
        return (*found, f"linux_{self.arch}")

    @cached_property
    def tags(self) -> frozenset[Tag]:
        """Every wheel tag that the board accepts."""
        from packaging import tags

        found: set[Tag] = set()
        for version in {self.python, self.resolves_for}:
            python = numbers(version)[:2]
            own = tags.cpython_tags(python, abis=[abi_of(version)], platforms=self.platforms)
            common = tags.compatible_tags(
                python, interpreter=f"cp{python[0]}{python[1]}", platforms=self.platforms
            )
            found.update(own, common)
        return frozenset(found)


def abi_of(python: str) -> str:
    """The ABI tag of a CPython, such as `cp311`; before 3.8 it had an `m` appended."""
    major, minor = numbers(python)[:2]
    return f"cp{major}{minor}" + ("m" if (major, minor) < (3, 8) else "")


def wheel_host(facts: Facts) -> WheelHost:
    """The board with these facts. The architecture is that of its Python, even if `uname -m` differs.

    Raises:
        EdgewrightError: the facts do not describe its Python.
    """
    platform = facts.python.platform
    if len(numbers(facts.python.version)) < 2 or not platform.startswith("linux-"):
        raise EdgewrightError(
            f"no wheels for the board's Python: {facts.python.version or '?'} on {platform or '?'}",
            hint="a runtime needs CPython on Linux",
            code=Code.RUNTIME_UNSUPPORTED,
        )
    return WheelHost(
        python=facts.python.version,
        arch=platform.removeprefix("linux-"),
        libc=facts.libc.name,
        libc_version=facts.libc.version,
    )
