"""Artifacts by content, in a folder: `objects/<id>/` holds the files and `manifest.json`, `keys/<key>` an id.

Everything is written next to its final place and renamed, so that concurrent processes, or a kill, only leave complete
artifacts. An artifact that was returned is marked as in use until the process ends.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import msgspec

from edgewright.config import home, usage_marks
from edgewright.errors import ArtifactError, Code
from edgewright.file_hashes import HASHES
from edgewright.files import open_regular, sha256_file, write_atomic
from edgewright.nouns import schema as schemas
from edgewright.nouns.artifact import Artifact, FileEntry, Manifest
from edgewright.store import sparse
from edgewright_agent.protocol import MAX_MANIFEST, loads

MANIFEST = "manifest.json"
SCHEMA = 2
_ATTEMPTS = 3


class ArtifactStore:
    """A folder of artifacts, with an index of what they were made from.

    Args:
        folder: created if absent.
    """

    def __init__(self, folder: Path) -> None:
        self._objects = folder / "objects"
        self._keys = folder / "keys"
        self._temporary = folder / "temporary"
        for path in (self._objects, self._keys, self._temporary):
            home.made(path)

    def add(
        self, files: Mapping[str, Path], manifest: Manifest, beside: Mapping[str, Path] | None = None
    ) -> Artifact:
        """Copies the files into the store. An artifact that is already there and complete is kept.

        Args:
            files: path in the artifact -> file; exactly those of the manifest.
            beside: files that are kept in its folder for this machine, and that the manifest does not name.

        Raises:
            ArtifactError: the files do not match the manifest.
        """
        place = self._objects / manifest.id
        if usage_marks.hold(place):
            try:
                found = load(place)
                _copy(_missing(beside or {}, place), place)
                return found
            except ArtifactError:
                self._discard(place)
        if set(files) != {entry.path for entry in manifest.files}:
            raise ArtifactError(f"files differ from the manifest: {', '.join(sorted(files))}")
        scratch = Path(tempfile.mkdtemp(dir=self._temporary))
        try:
            _copy({**files, **(beside or {})}, scratch)
            (scratch / MANIFEST).write_bytes(manifest.canonical())
            load(scratch)
            usage_marks.hold(scratch)  # before a prune can see it: the mark moves with the folder
            _move_into_place(scratch, place)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return Artifact(folder=place, manifest=manifest)

    def get(self, prefix: str) -> Artifact:
        """The artifact whose id is, or begins with, `prefix` (at least 4 hex digits), its bytes verified.

        Raises:
            ArtifactError: there is none, or several match; or its bytes do not match its manifest.
        """
        found = [name for name in self._ids() if name.startswith(prefix)] if len(prefix) >= 4 else []
        if len(found) != 1:
            short = ", ".join(name[:12] for name in found)
            raise ArtifactError(
                f"several artifacts begin with {prefix}: {short}" if found else f"no such artifact: {prefix}",
                hint="give more digits" if found else "edgewright convert makes artifacts",
                code=Code.ARTIFACT_AMBIGUOUS if found else Code.ARTIFACT_NOT_FOUND,
            )
        place = self._objects / found[0]
        usage_marks.hold(place)
        return load(place)

    def manifest(self, whole: str) -> Manifest:
        """The manifest of an artifact, by its full id; does not verify its files.

        Raises:
            ArtifactError: it is missing or damaged.
        """
        if whole not in self._ids():
            raise ArtifactError(f"no such artifact: {whole}", code=Code.ARTIFACT_NOT_FOUND)
        found = load(self._objects / whole, verify=False).manifest
        if found.id != whole:
            raise ArtifactError(
                f"manifest is damaged: {self._objects / whole}", hint="convert the model again"
            )
        return found

    def list(self) -> tuple[Artifact, ...]:
        """All artifacts, sorted by id, without verifying their bytes; damaged manifests are skipped."""
        found = []
        for name in self._ids():
            try:
                found.append(load(self._objects / name, verify=False))
            except ArtifactError:
                continue
        return tuple(found)

    def cached(self, key: str) -> Artifact | None:
        """The complete artifact that was made from this key; None if there is none."""
        try:
            return self.get((self._keys / key).read_text().strip())
        except (OSError, ArtifactError):
            return None

    def remember(self, key: str, artifact: Artifact) -> None:
        """Records what an artifact was made from."""
        write_atomic(self._keys / key, artifact.id + "\n", scratch=self._temporary)

    def forget_lost_keys(self) -> None:
        """Removes the keys of artifacts that no longer exist."""
        for key in self._keys.iterdir():
            try:
                if not (self._objects / key.read_text().strip()).is_dir():
                    key.unlink(missing_ok=True)
            except OSError:
                continue

    def _ids(self) -> tuple[str, ...]:
        return tuple(sorted(item.name for item in self._objects.iterdir() if len(item.name) == 64))

    def _discard(self, place: Path) -> None:
        aside = Path(tempfile.mkdtemp(dir=self._temporary))
        place.rename(aside / "damaged")
        shutil.rmtree(aside)


def _copy(files: Mapping[str, Path], folder: Path) -> None:
    for path, file in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        sparse.copy(file, folder / path, follow=False)


def _missing(files: Mapping[str, Path], folder: Path) -> dict[str, Path]:
    return {path: file for path, file in files.items() if not (folder / path).exists()}


def _move_into_place(scratch: Path, place: Path) -> None:
    """Renames into place, unless another process did so first with the same bytes; retries if a prune removes those."""
    for attempt in range(_ATTEMPTS):
        try:
            scratch.rename(place)
            return
        except OSError:
            if usage_marks.hold(place):
                return
            if attempt == _ATTEMPTS - 1:
                raise


def load(folder: Path, *, verify: bool = True) -> Artifact:
    """Reads an artifact's folder.

    Raises:
        ArtifactError: the manifest is missing, invalid or of a newer schema, or bytes do not match it.
    """
    try:
        with open_regular(folder / MANIFEST) as file:
            data = file.read(MAX_MANIFEST + 1)
    except OSError as error:
        raise ArtifactError(
            f"folder is not an artifact, it has no manifest.json: {folder}",
            hint="give a folder that convert made",
        ) from error
    manifest = _parsed(data, folder)
    if verify:
        _verify(folder, manifest)
    return Artifact(folder=folder, manifest=manifest)


def entry(root: Path, path: str) -> FileEntry:
    """The manifest's entry for a file of a new artifact."""
    return FileEntry(path=path, sha256=sha256_file(root / path), size=(root / path).stat().st_size)


def _parsed(data: bytes, folder: Path) -> Manifest:
    try:
        raw = loads(data.decode("utf-8"))
        schema = raw["schema"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ArtifactError(
            f"manifest is damaged: {folder / MANIFEST}", hint="convert the model again"
        ) from error
    schemas.check(schema, SCHEMA, f"manifest {folder / MANIFEST}", ArtifactError)
    try:
        return msgspec.convert(raw, Manifest)
    except msgspec.ValidationError as error:
        raise ArtifactError(f"manifest is not valid: {error}", hint="convert the model again") from error


def _verify(folder: Path, manifest: Manifest) -> None:
    for item in manifest.files:
        plain = PurePosixPath(item.path)
        if plain.is_absolute() or ".." in plain.parts or not plain.parts:
            raise ArtifactError(f"manifest names a file outside the artifact: {item.path}")
        try:
            with open_regular(folder / item.path) as file:
                size = os.fstat(file.fileno()).st_size
                # before the hash: a sparse file of another size may take days
                whole = size == item.size and HASHES.of(file, again=True)[0] == item.sha256
        except OSError as error:
            strange = error.errno == errno.EINVAL
            raise ArtifactError(
                f"artifact holds something that is no regular file: {folder / item.path}"
                if strange
                else f"artifact lacks a file: {folder / item.path}",
                hint="convert it again",
            ) from error
        if not whole:
            raise ArtifactError(
                f"bytes do not match the manifest: {folder / item.path}",
                hint="the file was changed or damaged; convert the model again",
                code=Code.ARTIFACT_DAMAGED,
            )
