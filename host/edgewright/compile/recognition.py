"""Recognises the format of a source model by its content; its name is only checked against that."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from edgewright.compile.formats import FORMATS, folder_of
from edgewright.compile.inspection import archives, weights_only
from edgewright.compile.sources.source_format import Look, SourceFormat
from edgewright.compile.workers import user_function
from edgewright.errors import Code, ModelError
from edgewright.files import sha256_file
from edgewright.nouns.artifact import Source
from edgewright.nouns.base import Noun


class Recognised(Noun, frozen=True, kw_only=True):
    """A source model.

    Attributes:
        path: the file, the folder of a SavedModel, or `module.py:function`.
        quantised: it holds integer arithmetic already, so it must not be quantised again.
        size: bytes in all.
    """

    path: Path
    source: Source
    quantised: bool
    size: int


def recognise(path: Path) -> Recognised:
    """Reads enough of the model to say what it is, and its sha256.

    Raises:
        ModelError: it is missing, unreadable, cut short, of no known format, or not what its name says.
    """
    path = folder_of(path)
    try:
        known, found = _look(path)
        digest, size = _digest(path, found.files)
    except OSError as error:
        raise _unreadable(path, error) from error
    _check_name(path, known)
    source = Source(format=known.name, file=path.name, sha256=digest)
    return Recognised(path=path, source=source, quantised=found.quantised, size=size)


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


def _look(path: Path) -> tuple[SourceFormat, Look]:
    if user_function.named(path) is not None and not path.exists():
        found = _first(path, b"", [one for one in FORMATS.own() if one.takes == "function"])
    elif path.is_dir():
        found = _folder(path)
    elif path.suffix.lower() == ".py":
        raise ModelError(
            f"no function named in {path.name}",
            hint=f"give {path}:FUNCTION, which returns (module, example inputs)",
            code=Code.NO_SUCH_FUNCTION,
        )
    else:
        found = _file(path)
    if found is None:
        raise ModelError(f"model is of no known format: {path}", hint=_known(), code=Code.MODEL_UNKNOWN)
    return found


def _folder(path: Path) -> tuple[SourceFormat, Look]:
    for formats in (FORMATS.own, FORMATS.foreign):
        if found := _first(path, b"", [one for one in formats() if one.takes == "folder"]):
            return found
    if (refusal := weights_only.refused_folder(path)) is not None:
        raise refusal
    raise ModelError(
        f"folder is not a SavedModel, it has no saved_model.pb: {path}",
        hint=f"give the folder that holds saved_model.pb; {_known()}",
        code=Code.MODEL_UNKNOWN,
    )


def _file(path: Path) -> tuple[SourceFormat, Look] | None:
    """A plug-in's own suffix is looked at first; otherwise plug-ins are only asked about what edgewright does not know."""
    head, suffix = _head(path), path.suffix.lower()
    own = [one for one in FORMATS.own() if one.takes == "file"]
    if not _with_suffix(own, suffix):
        theirs = _with_suffix(FORMATS.foreign(), suffix)
        if found := _first(path, head, theirs):
            return found
    refusal = weights_only.refused_file(path) or archives.refused_by_its_start(path, head)
    if refusal is not None:
        raise refusal
    # if two formats begin with the same bytes, ask the one that the file name names first
    begun = sorted((one for one in own if one.begins(head)), key=lambda one: suffix not in one.suffixes)
    if found := _first(path, head, begun or [one for one in own if not one.magic]):
        return found
    foreign = [
        one for one in FORMATS.foreign() if one.takes == "file" and (not one.magic or one.begins(head))
    ]
    if found := _first(path, head, foreign):
        return found
    for known in [] if begun else _with_suffix([*own, *foreign], suffix):
        if known.damaged is not None and (error := known.damaged(path, head)):
            raise error
    return None


def _first(path: Path, head: bytes, formats: Iterable[SourceFormat]) -> tuple[SourceFormat, Look] | None:
    """The first of the formats that the model is of."""
    for known in formats:
        if (found := known.look(path, head)) is not None:
            return known, found
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


def _known() -> str:
    broken = "".join(f"; {FORMATS.kind} {fault}" for fault in FORMATS.faults())
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
