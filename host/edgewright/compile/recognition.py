"""Recognises the format of a source model by its content; its name is only checked against that."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from edgewright.compile.formats import FORMATS, folder_of
from edgewright.compile.inspection import archives, weights_only
from edgewright.compile.sources.source_format import Look, SourceFormat
from edgewright.compile.workers import user_function
from edgewright.compile.workers.framework_errors import described
from edgewright.errors import Code, EdgewrightError, ModelError
from edgewright.files import sha256_file
from edgewright.nouns.artifact import Source
from edgewright.nouns.base import Noun
from edgewright.nouns.listing import cut


class Recognised(Noun, frozen=True, kw_only=True):
    """A source model.

    Attributes:
        path: the file, the folder of a SavedModel, or `module.py:function`.
        quantised: it holds integer arithmetic already, so it must not be quantised again.
        size: bytes in all.
        faults: plug-ins' formats that failed when they were asked, one line each.
    """

    path: Path
    source: Source
    quantised: bool
    size: int
    faults: tuple[str, ...] = ()


class _Found(NamedTuple):
    """A format that a model is of."""

    known: SourceFormat
    look: Look


def recognise(path: Path) -> Recognised:
    """Reads enough of the model to say what it is, and its sha256.

    Raises:
        ModelError: it is missing, unreadable, cut short, of no known format, or not what its name says.
    """
    path = folder_of(path)
    faults: list[str] = []
    try:
        known, found = _look(path, faults)
        digest, size = _digest(path, found.files)
    except OSError as error:
        raise _unreadable(path, error) from error
    _check_name(path, known)
    source = Source(format=known.name, file=path.name, sha256=digest)
    return Recognised(path=path, source=source, quantised=found.quantised, size=size, faults=tuple(faults))


def _check_name(path: Path, known: SourceFormat) -> None:
    suffix = path.suffix.lower()
    if suffix in (*known.suffixes, *known.also_named) or not _with_suffix(FORMATS.own(), suffix):
        return
    right = next(iter(known.suffixes), "")
    raise ModelError(
        f"{path.name} is not what its name says, it is {known.title}",
        hint=f"rename it to {path.stem}{right}" if right else "",
        code=Code.MODEL_MISNAMED,
    )


def _unreadable(path: Path, error: OSError) -> ModelError:
    if isinstance(error, FileNotFoundError) and not path.exists():
        return ModelError(f"no such model: {path}", hint="check the path", code=Code.MODEL_NOT_FOUND)
    return ModelError(f"model cannot be read: {path}", hint=str(error), code=Code.MODEL_UNREADABLE)


def _look(path: Path, faults: list[str]) -> _Found:
    if user_function.named(path) is not None and not path.exists():
        found = _taking("function", path, faults)
    elif path.is_dir():
        found = _folder(path, faults)
    elif path.suffix.lower() == ".py":
        raise ModelError(
            f"no function named in {path.name}",
            hint=f"give {path}:FUNCTION, which returns (module, example inputs)",
            code=Code.NO_SUCH_FUNCTION,
        )
    else:
        found = _file(path, faults)
    if found is None:
        raise ModelError(f"model is of no known format: {path}", hint=_known(faults), code=Code.MODEL_UNKNOWN)
    return found


def _taking(what: str, path: Path, faults: list[str]) -> _Found | None:
    """Of the formats that take a folder, or a function: edgewright's own first."""
    for formats in (FORMATS.own, FORMATS.foreign):
        if found := _first(path, b"", [one for one in formats() if one.takes == what], faults):
            return found
    return None


def _folder(path: Path, faults: list[str]) -> _Found:
    if found := _taking("folder", path, faults):
        return found
    if (refusal := weights_only.refused_folder(path)) is not None:
        raise refusal
    raise ModelError(
        f"folder is not a SavedModel, it has no saved_model.pb: {path}",
        hint=f"give the folder that holds saved_model.pb; {_known(faults)}",
        code=Code.MODEL_UNKNOWN,
    )


def _file(path: Path, faults: list[str]) -> _Found | None:
    """A plug-in's own suffix is looked at first; otherwise plug-ins are only asked about what edgewright does not know."""
    head, suffix = _head(path), path.suffix.lower()
    own = [one for one in FORMATS.own() if one.takes == "file"]
    theirs: list[SourceFormat] = []
    if not _with_suffix(own, suffix):
        theirs = _with_suffix((one for one in FORMATS.foreign() if one.takes == "file"), suffix)
        if found := _first(path, head, theirs, faults):
            return found
    refusal = weights_only.refused_file(path) or archives.refused_by_its_start(path, head)
    if refusal is not None:
        raise refusal
    # if two formats begin with the same bytes, ask the one that the file name names first
    begun = sorted((one for one in own if one.begins(head)), key=lambda one: suffix not in one.suffixes)
    if found := _first(path, head, begun or [one for one in own if not one.magic], faults):
        return found
    foreign = [
        one
        for one in FORMATS.foreign()
        if one.takes == "file" and one not in theirs and (not one.magic or one.begins(head))
    ]
    if found := _first(path, head, foreign, faults):
        return found
    for known in [] if begun else _with_suffix([*own, *theirs, *foreign], suffix):
        if error := _damaged(known, path, head, faults):
            raise error
    return None


def _first(path: Path, head: bytes, formats: Iterable[SourceFormat], faults: list[str]) -> _Found | None:
    """The first of the formats that the model is of. One of a plug-in that fails is noted, and the next is asked."""
    for known in formats:
        if not FORMATS.plugin(known.name):
            found = known.look(path, head)
        else:
            found = _foreign_look(known, path, head, faults)
        if found is not None:
            return _Found(known, found)
    return None


def _foreign_look(known: SourceFormat, path: Path, head: bytes, faults: list[str]) -> Look | None:
    """What a plug-in's format sees, checked: its code may fail in any way."""
    try:
        found = known.look(path, head)
    except EdgewrightError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it raises
        faults.append(FORMATS.blame(known.name, f"look failed on {path.name}: {described(error)}"))
        return None
    if found is None or (
        isinstance(found, Look)
        and isinstance(found.files, list)
        and found.files
        and all(isinstance(one, Path) for one in found.files)
        and isinstance(found.quantised, bool)
    ):
        return found
    faults.append(
        FORMATS.blame(
            known.name, f"look gave {cut(repr(found))} for {path.name}, not a Look with its files, or None"
        )
    )
    return None


def _damaged(known: SourceFormat, path: Path, head: bytes, faults: list[str]) -> ModelError | None:
    """Why a format says that a file with its suffix is none of it."""
    if known.damaged is None:
        return None
    if not FORMATS.plugin(known.name):
        return known.damaged(path, head)
    try:
        found = known.damaged(path, head)
    except EdgewrightError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it raises
        faults.append(FORMATS.blame(known.name, f"damaged failed on {path.name}: {described(error)}"))
        return None
    if found is None or isinstance(found, ModelError):
        return found
    faults.append(
        FORMATS.blame(
            known.name, f"damaged gave {cut(repr(found))} for {path.name}, not a ModelError or None"
        )
    )
    return None


def _with_suffix(formats: Iterable[SourceFormat], suffix: str) -> list[SourceFormat]:
    return [one for one in formats if suffix in one.suffixes]


def _head(path: Path) -> bytes:
    if path.exists() and not path.is_file():  # to open a pipe waits for who writes it
        raise ModelError(
            f"model is not a regular file: {path}",
            hint="give the model's file or folder",
            code=Code.MODEL_UNREADABLE,
        )
    with path.open("rb") as file:
        head = file.read(64)
    if not head:
        raise ModelError(f"model is empty: {path}", hint="copy or export it again", code=Code.MODEL_TRUNCATED)
    return head


def _known(faults: Iterable[str]) -> str:
    broken = "".join(
        f"; {line}" for line in (*(f"{FORMATS.kind} {one}" for one in FORMATS.faults()), *faults)
    )
    return f"known are {', '.join(known.known_as for known in FORMATS.values())}{broken}"


def _digest(path: Path, files: list[Path]) -> tuple[str, int]:
    """sha256 of one file's bytes; of several: of `<sha256>  <relative path>` lines. And their size."""
    digests = [(item, sha256_file(item)) for item in files]
    size = sum(item.stat().st_size for item in files)
    if len(digests) == 1:
        return digests[0][1], size
    base = path if path.is_dir() else path.parent
    lines = "".join(f"{digest}  {_relative(item, base)}\n" for item, digest in digests)
    return hashlib.sha256(lines.encode()).hexdigest(), size


def _relative(item: Path, base: Path) -> str:
    """The path below `base`; of a file elsewhere its name, so that a digest does not depend on the machine."""
    return item.relative_to(base).as_posix() if item.is_relative_to(base) else item.name
