"""Writes the folder: completely beside its place and renamed, or not at all."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from edgewright import targets
from edgewright.c_program import goldens, readme, runtime
from edgewright.c_program.header import header, tables
from edgewright.c_program.text import chosen, comment, filled, identifier, named, quoted, read, write_text
from edgewright.errors import Code, EdgewrightError, UsageError
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.base import Noun
from edgewright.nouns.c_program import CProgram
from edgewright.nouns.cpu import Cpu
from edgewright.nouns.progress import Progress
from edgewright.nouns.target import Target
from edgewright.runtimes.resolve import Picked, Search

COMPILERS = {"aarch64": "aarch64-linux-gnu-gcc", "x86_64": "gcc"}  # as Debian names them
_INCLUDES = ("errno.h", "stdarg.h", "stdio.h", "stdlib.h", "string.h")


class ExportedProgram(Noun, frozen=True, kw_only=True):
    """A C program that was written, or would be.

    Attributes:
        name: of the model in C: it stands before each name, and the files are `<name>_model.h`, `.c` and the program `<name>_model`.
        files: their paths in the folder, sorted. Empty in a dry run.
        size: bytes of the model and of the libraries, which a board needs besides the program. 0 in a dry run.
        runtime: name and version.
    """

    artifact: str
    name: str
    folder: Path
    cpu: Cpu
    compiler: str
    runtime: str
    files: tuple[str, ...] = ()
    size: int = 0


class Export:
    """The export of one artifact, checked but not begun.

    Args:
        output: the new folder; by default `<name>-c` in this one.
        name: of the model in C; by default it comes from that of its source file.

    Raises:
        UsageError: its target cannot be exported to C, `name` is none in C, or there cannot be a new folder at `output`.
        EdgewrightError: `no-wheel`, its runtime has no wheel for the CPU.
    """

    def __init__(self, artifact: Artifact, output: Path | None, name: str | None = None) -> None:
        self._artifact = artifact
        manifest = artifact.manifest
        self._target = targets.load(manifest.target)
        self._cpu = _cpu(artifact, self._target)
        self._name = identifier(manifest.source.file) if name is None else chosen(name)
        self._folder = output or Path(f"{self._name}-c")
        if self._folder.exists() or self._folder.is_symlink():
            raise UsageError(
                f"there is something already: {self._folder}",
                hint="name a folder that does not exist yet: --output FOLDER",
            )
        if not self._folder.absolute().parent.is_dir():
            raise UsageError(
                f"no such folder: {self._folder.absolute().parent}",
                hint="name a new folder in one that exists",
            )
        self._search: Search = runtime.search(self._target, self._cpu.arch, manifest.requires)
        self._picked: Picked = self._search.best()

    def described(self) -> ExportedProgram:
        """What would be written."""
        return ExportedProgram(
            artifact=self._artifact.id,
            name=self._name,
            folder=self._folder,
            cpu=self._cpu,
            compiler=COMPILERS[self._cpu.arch],
            runtime=self._picked.title,
        )

    def write(self, progress: Progress) -> ExportedProgram:
        """Writes the folder.

        Raises:
            EdgewrightError: the runtime's wheels cannot be had, or the folder cannot be written.
        """
        row, wheels = runtime.fetched(self._search, self._picked, progress)
        module = targets.c_program(self._target)
        manifest = self._artifact.manifest
        part: CProgram = module.program(self._artifact.folder, manifest.inputs, manifest.outputs)
        try:
            with _beside(self._folder) as scratch:
                runtime.unpack(wheels, part.libraries, scratch)
                self._fill(scratch, part)
                readme.write(scratch, self._artifact, self.described(), row.glibc)
                files = [one for one in scratch.rglob("*") if one.is_file()]
                found = tuple(sorted(one.relative_to(scratch).as_posix() for one in files))
                size = sum(
                    one.stat().st_size
                    for one in files
                    if one.name == manifest.entry or one.parent.name == "lib"
                )
                scratch.rename(self._folder)
        except OSError as error:
            raise _failure(self._folder, error) from error
        runtime_name = f"{row.distribution} {row.version}"
        return msgspec.structs.replace(self.described(), runtime=runtime_name, files=found, size=size)

    def _fill(self, folder: Path, part: CProgram) -> None:
        """Writes all files but the libraries and the README."""
        manifest = self._artifact.manifest
        shutil.copyfile(self._artifact.folder / manifest.entry, folder / manifest.entry)
        write_text(folder / f"{self._name}_model.h", header(self._artifact, self._cpu, self._name))
        write_text(folder / f"{self._name}_model.c", named(self._source(part), self._name))
        write_text(folder / "main.c", named(read("main.c"), self._name))
        write_text(folder / "Makefile", self._makefile(part))
        goldens.write(self._artifact, folder, self._name)

    def _source(self, part: CProgram) -> str:
        """The implementation: tables, checks that all targets share, and the target's own part."""
        manifest = self._artifact.manifest
        model = self._artifact.folder / manifest.entry
        constants = {
            "FILE_BYTES": str(model.stat().st_size),
            "FILE_CRC32": f"{_checksum(model):#010x}u",
            "CPU": quoted(self._cpu.title),
            **part.constants,
        }
        defined = [f"#define EW_{name} {value}" for name, value in constants.items()]
        parts = (
            "#define _DEFAULT_SOURCE",
            '#include "ew.h"',
            "\n".join(f"#include <{one}>" for one in _INCLUDES),
            "\n".join(defined),
            tables(self._artifact, self._cpu),
            read(f"cpu_{self._cpu.arch}.c").rstrip(),
            read("common.c").rstrip(),
            part.source.rstrip(),
        )
        return "\n\n".join(parts) + "\n"

    def _makefile(self, part: CProgram) -> str:
        libraries = (Path(one).name.removeprefix("lib").removesuffix(".so") for one in part.libraries)
        places = {
            "TITLE": comment(
                f"Builds a program that runs {self._artifact.manifest.source.file} on {self._cpu.title}."
            ),
            "CC": COMPILERS[self._cpu.arch],
            "NAME": self._name,
            "LIBRARIES": " ".join(f"-l{one}" for one in libraries),
        }
        return filled("Makefile", self._name, places)


@contextlib.contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """A new folder beside this one, which is removed unless it was renamed."""
    scratch = Path(tempfile.mkdtemp(dir=folder.absolute().parent, prefix=_prefix(folder)))
    try:
        scratch.chmod(0o755)
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _prefix(folder: Path) -> str:
    return f".{folder.name[:100]}."


def _failure(folder: Path, error: OSError) -> EdgewrightError:
    """What to tell the user: a file of the artifact or of a wheel could not be read, or the folder not be written."""
    beside = str(folder.absolute().parent.resolve() / _prefix(folder))
    names = [one for one in (error.filename, error.filename2) if one is not None]  # to copy has two
    if names and not any(str(Path(one).resolve()).startswith(beside) for one in names):
        return EdgewrightError(
            f"cannot read {error.filename}: {error.strerror}",
            hint="see that you may read this file, then run this again",
            code=Code.IO,
        )
    return EdgewrightError(
        f"cannot write {folder}: {error.strerror}",
        hint="name a new folder in one that exists, on a disk with free space: --output FOLDER",
        code=Code.IO,
    )


def _checksum(path: Path) -> int:
    """The CRC-32 of a file."""
    found = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found = zlib.crc32(block, found)
    return found


def _cpu(artifact: Artifact, target: Target) -> Cpu:
    """The CPU of an artifact that can be exported. Raises UsageError for all others."""
    able = [name for name in targets.names() if targets.load(name).c_program]
    if not target.c_program:
        raise UsageError(
            f"artifacts of the target {target.name} cannot be exported to C",
            hint=f"convert the model with --target {able[0]}" if able else "",
        )
    cpu = artifact.manifest.cpu
    if cpu is None or cpu.arch not in COMPILERS:
        raise UsageError(
            f"no C program for {cpu.title if cpu else 'an unknown CPU'}",
            hint=f"convert it for a profile with one of these: {', '.join(COMPILERS)}",
        )
    return cpu
