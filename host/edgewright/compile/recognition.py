"""Recognises a source model's format by its content; the file name is only checked against that."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from edgewright.compile.formats import FORMATS, folder_of
from edgewright.compile.inspection import archives, weights_only
from edgewright.compile.inspection.model_trust import trusting
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
        files: all that it consists of.
        quantised: it already has integer arithmetic, so it must not be quantised again.
        size: total bytes.
        faults: plug-in formats whose code failed, one line each.
    """

    path: Path
    source: Source
    quantised: bool
    size: int
    files: tuple[Path, ...] = ()
    faults: tuple[str, ...] = ()


class _Found(NamedTuple):
    """A format that matches the model."""

    known: SourceFormat
    look: Look


def recognise(path: Path, *, trusted: bool = False) -> Recognised:
    """Identifies the model's format and computes its sha256, reading no more than that takes.

    Args:
        trusted: as of `ModelInput`.

    Raises:
        ModelError: it is missing, unreadable, truncated, of an unknown format, or does not match its name.
    """
    path = folder_of(path)
    faults: list[str] = []
    try:
        with trusting(trusted):
            known, found = _look(path, faults)
        digest, size = _digest(path, found.files)
    except OSError as error:
        raise _unreadable(path, error) from error
    _check_name(path, known)
    return Recognised(
        path=path,
        source=Source(format=known.name, file=path.name, sha256=digest),
        quantised=found.quantised,
        size=size,
        files=tuple(found.files),
        faults=tuple(faults),
    )


def files(path: Path, *, trusted: bool = False) -> list[Path]:
    """The files that a model consists of. Raises as `recognise`, but for a wrong name."""
    with trusting(trusted):
        return _look(folder_of(path), []).look.files


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
        found = _formats_taking("function", path, faults)
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


def _formats_taking(what: str, path: Path, faults: list[str]) -> _Found | None:
    """The formats that take a folder, or a function; edgewright's own come first."""
    for formats in (FORMATS.own, FORMATS.foreign):
        if found := _first(path, b"", [one for one in formats() if one.takes == what], faults):
            return found
    return None


def _folder(path: Path, faults: list[str]) -> _Found:
    if found := _formats_taking("folder", path, faults):
        return found
    if (refusal := weights_only.refused_folder(path)) is not None:
        raise refusal
    raise ModelError(
        f"folder is not a SavedModel, it has no saved_model.pb: {path}",
        hint=f"give the folder that holds saved_model.pb; {_known(faults)}",
        code=Code.MODEL_UNKNOWN,
    )


def _file(path: Path, faults: list[str]) -> _Found | None:
    """A plug-in is asked first about its own suffix; about other files only if edgewright does not recognise them."""
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
    # if two formats have the same magic, ask the one that the file name suggests first
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
    """The first of the formats that matches. A plug-in's format that fails is recorded, and the next one is asked."""
    for known in formats:
        if not FORMATS.plugin(known.name):
            found = known.look(path, head)
        else:
            found = _foreign_look(known, path, head, faults)
        if found is not None:
            return _Found(known, found)
    return None


def _foreign_look(known: SourceFormat, path: Path, head: bytes, faults: list[str]) -> Look | None:
    """The checked result of a plug-in format's `look`, whose code may fail in any way."""
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
    """A format's reason why a file with its suffix does not match."""
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
    if path.exists() and not path.is_file():  # opening a pipe would block
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
    """(sha256, size in bytes): of one file's bytes, or of `<sha256>  <relative path>` lines for several files."""
    digests = [(item, sha256_file(item)) for item in files]
    size = sum(item.stat().st_size for item in files)
    if len(digests) == 1:
        return digests[0][1], size
    base = path if path.is_dir() else path.parent
    lines = "".join(f"{digest}  {_relative(item, base)}\n" for item, digest in digests)
    return hashlib.sha256(lines.encode()).hexdigest(), size


def _relative(item: Path, base: Path) -> str:
    """The path relative to `base`; only the name if the file is elsewhere, so that a digest does not depend on the machine."""
    return item.relative_to(base).as_posix() if item.is_relative_to(base) else item.name
