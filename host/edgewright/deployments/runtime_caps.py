"""What the runtimes of a board or a profile can read: opset, IR version and other caps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from edgewright import targets
from edgewright.compile.pipeline import compile_model
from edgewright.compile.request import CompileRequest
from edgewright.compile.workers.pool import Workers
from edgewright.deployments.preflight import NoFit, unread
from edgewright.errors import Code, ConversionError
from edgewright.nouns.artifact import Artifact, Manifest
from edgewright.nouns.base import Noun
from edgewright.nouns.facts import Facts
from edgewright.nouns.profile import Profile
from edgewright.nouns.progress import Progress, silent
from edgewright.nouns.target import Target, beyond

BY_OPSET = ("opset", "ir")  # requirements that converting to an older opset lowers
OPERATORS = "operators"  # what exporters and converters write in older operators at PLAIN
PLAIN = 13  # the opset that conversions aim at
ANY_GLIBC = "999"  # a profile does not state its boards' version


class Reader(Noun, frozen=True, kw_only=True):
    """A runtime and what it can read.

    Attributes:
        where: such as `Python 3.6`; empty for a runtime of one specific board.
    """

    name: str
    version: str
    caps: dict[str, int]
    where: str = ""

    @property
    def title(self) -> str:
        """The runtime for people, such as `onnxruntime 1.10.0 (Python 3.6)`."""
        return f"{self.name} {self.version}" + (f" ({self.where})" if self.where else "")


def of_profile(profile: Profile, target: Target) -> list[Reader]:
    """The runtimes that boards of a profile usually have or get, one for each of their Python versions."""
    found: list[Reader] = []
    if not target.runtimes and target.name in profile.runtimes:  # part of the system, without wheels
        version = profile.runtimes[target.name]
        return [
            Reader(name=name, version=version, caps=target.caps_of(name, version), where=profile.title)
            for name in target.caps
        ]
    for python in profile.pythons:
        rows = [row for arch in profile.architectures for row in target.runtimes_for(python, arch, ANY_GLIBC)]
        newest = profile.runtimes.get(target.name)
        row = next((row for row in rows if row.version == newest), rows[0] if rows else None)
        if row is not None:
            where = f"Python {python}"
            found.append(Reader(name=row.distribution, version=row.version, caps=row.caps, where=where))
    return found


def of_board(facts: Facts, target: Target, wheels: Sequence[Path] = ()) -> list[Reader]:
    """The runtimes that a board has or could get; only those given as wheels, if there are any."""
    from edgewright.runtimes.install import candidates  # imported late: a conversion does not need it

    return [
        Reader(name=name, version=version, caps=target.caps_of(name, version))
        for name, version in candidates(facts, target, wheels)
    ]


def opset_for(requires: dict[str, int], readers: Sequence[Reader]) -> int | None:
    """The opset to convert to if no runtime can read the artifact and an older one may help; else None.

    It is the newest that any of them reads; if all of them lack operators, it is `PLAIN`, where many are written in others.
    """
    lacks = [beyond(reader.caps, requires) for reader in readers]
    if lacks and all(OPERATORS in lack for lack in lacks):
        return PLAIN if requires.get("opset", 0) > PLAIN else None
    if not lacks or not all(any(kind in BY_OPSET for kind in lack) for lack in lacks):
        return None
    return max((reader.caps["opset"] for reader in readers if "opset" in reader.caps), default=None)


def newest_opset(profile: Profile, target: Target) -> int | None:
    """The newest opset that any of a profile's usual runtimes reads; None unless it is known for all of them."""
    caps = [reader.caps for reader in of_profile(profile, target)]
    return max((one["opset"] for one in caps), default=None) if all("opset" in one for one in caps) else None


def may_be_too_new(manifest: Manifest) -> bool:
    """Whether some boards may have a runtime that reads only older opsets than the artifact's."""
    target = targets.load(manifest.target)
    read = [row.caps for row in target.runtimes]
    if not read:
        read = [caps for versions in target.caps.values() for caps in versions.values()]
    return any(kind in BY_OPSET for caps in read for kind in beyond(caps, manifest.requires))


def too_old(manifest: Manifest, profile: Profile) -> list[Reader]:
    """The profile's usual runtimes that cannot read the artifact.

    Raises:
        NoFit: none of the usual runtimes can read it.
    """
    readers = of_profile(profile, targets.load(manifest.target))
    lacking = [reader for reader in readers if beyond(reader.caps, manifest.requires)]
    if lacking and len(lacking) == len(readers):
        last = lacking[-1]
        lacks = beyond(last.caps, manifest.requires)
        kind = next((kind for kind in lacks if kind in manifest.causes), next(iter(lacks)))
        if kind in manifest.causes:
            raise unread(manifest, kind, f"{last.title} of {profile.name}")
        needed, cap = lacks[kind]
        raise NoFit(
            f"the artifact needs {kind} {needed}, {last.title} of {profile.name} reads up to {cap}",
            hint="take another precision or target, or export the model for an older runtime",
        )
    return lacking


def compile_for(
    profile: Profile, request: CompileRequest, progress: Progress = silent, workers: Workers | None = None
) -> tuple[Artifact, list[Reader]]:
    """Compiles the artifact for a profile, at an older ONNX opset if none of its runtimes can read the first result.

    Returns:
        The artifact, and the profile's usual runtimes that cannot read it.

    Raises:
        NoFit: none of the usual runtimes can read it.
        EdgewrightError: as in `compile_model`.
    """
    artifact = compile_model(request, progress, workers)
    readers = of_profile(profile, targets.load(artifact.manifest.target))
    opset = opset_for(artifact.manifest.requires, readers)
    if opset is not None:
        lower = msgspec.structs.replace(request, max_opset=opset)
        try:
            artifact = compile_model(lower, progress, workers)
        except ConversionError as error:
            if error.code == Code.OPSET_TOO_NEW and OPERATORS in artifact.manifest.causes:
                too_old(artifact.manifest, profile)  # it names the nodes
            raise
    return artifact, too_old(artifact.manifest, profile)
