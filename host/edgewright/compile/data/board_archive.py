"""Reads the archives of tensors that boards send: large ones stay in files that are mapped, so that no number in one decides how much memory it takes."""

from __future__ import annotations

import math
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from typing import IO, TYPE_CHECKING, Any, Protocol

from edgewright.compile.data import samples

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

MAX_MEMBERS = 1024  # outputs of one model
DIRECTORY = 512  # bytes of the archive's directory a member, at most
_END = struct.Struct("<4s4H2LH")  # the record that ends an archive
_SMALL = 1 << 20  # bytes of an array that is kept in memory, and of a piece
_VERSION_1 = b"\x93NUMPY\x01\x00"  # whose header has at most 64 KiB


class Spec(Protocol):
    """What must be known of an output to read it: a manifest's `TensorSpec`, or a `Tensor` that a board named."""

    @property
    def dtype(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def scale(self) -> float | None: ...
    @property
    def zero_point(self) -> int | None: ...


def sample_bytes(specs: Sequence[Spec]) -> int:
    """Bytes of the outputs for one sample.

    Raises:
        ValueError: a dtype that no output has.
    """
    import numpy as np

    try:
        return sum(math.prod(spec.shape) * np.dtype(spec.dtype).itemsize for spec in specs)
    except TypeError as error:
        raise ValueError(f"an output of a dtype that there is not: {error}") from error


def stored(file: IO[bytes], specs: Sequence[Spec] | None, count: int) -> list[Array]:
    """The arrays `output_<i>` of an `.npz` from a board, of `count` samples each.

    Args:
        file: may be closed then.
        specs: dtype and shape of each; None where they are not known.

    Raises:
        ValueError: it is not what it must be.
    """
    try:
        size, known = _size(file), MAX_MEMBERS if specs is None else len(specs)
        entries = _check_end(file, size, known)
        with zipfile.ZipFile(file) as archive:
            members = {info.filename: info for info in archive.infolist()}
            names = [f"output_{index}.npy" for index in range(entries if specs is None else known)]
            if not names or sorted(members) != sorted(names) or len(archive.infolist()) != len(names):
                raise ValueError(f"members other than the {len(names)} outputs")
            if any(info.compress_type != zipfile.ZIP_STORED for info in members.values()):
                raise ValueError("an archive that is packed")  # a few bytes may become any number
            if sum(max(info.file_size, info.compress_size) for info in members.values()) > size:
                raise ValueError("members that share their bytes")
            return [
                _member(archive, members[name], None if specs is None else specs[index], count)
                for index, name in enumerate(names)
            ]
    except (zipfile.BadZipFile, EOFError, OSError, KeyError, RuntimeError, struct.error, zlib.error) as error:
        raise ValueError(f"no archive that can be read: {error}") from error


def _size(file: IO[bytes]) -> int:
    return file.seek(0, 2)


def _check_end(file: IO[bytes], size: int, most: int) -> int:
    """How many members there are; ValueError before `zipfile` reads a directory that is larger than theirs can be."""
    file.seek(max(0, size - 42))
    tail = file.read(42)
    if len(tail) < _END.size:
        raise ValueError("no archive that can be read: too short")
    sign, _, _, _, entries, length, offset, comment = _END.unpack(tail[-_END.size :])
    if (
        sign != b"PK\x05\x06" or comment or tail[:4] == b"PK\x06\x07"
    ):  # the last is of archives of more than 4 GiB
        raise ValueError("no archive that can be read: another end")
    if entries > most or length > most * DIRECTORY or offset + length + _END.size != size:
        raise ValueError(f"members other than the outputs: {entries} in a directory of {length} bytes")
    return int(entries)


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, spec: Spec | None, count: int) -> Array:
    """One member; ValueError when it is not of the output's dtype and shape, or promises more than it has."""
    name = info.filename.removesuffix(".npy")
    with archive.open(info) as member:
        if member.read(len(_VERSION_1)) != _VERSION_1:
            raise ValueError(f"{name} is no array of version 1")
        member.seek(0)
        shape, fortran, dtype = samples.header(member)
        size = info.file_size - member.tell()
        known = spec is None or (dtype.name == spec.dtype and tuple(shape[1:]) == spec.shape)
        if not known or fortran or dtype.kind not in "biuf" or min(shape, default=0) < 1:
            raise ValueError(f"{name} is {dtype} of shape {shape}")
        if shape[0] != count:
            raise ValueError(f"{name} has {shape[0]} answers for {count} samples")
        if math.prod(shape) * dtype.itemsize != size:
            raise ValueError(f"{name} of shape {shape} in {size} bytes")
        return _array(member, size, dtype, shape)


def _array(member: IO[bytes], size: int, dtype: Any, shape: tuple[int, ...]) -> Array:
    """The values: a large array is mapped from a file without a name, where they are aligned."""
    import numpy as np

    if size <= _SMALL:
        return np.frombuffer(bytearray(member.read()), dtype).reshape(shape)
    return mapped(iter(lambda: member.read(_SMALL), b""), dtype, shape)


def mapped(pieces: Iterable[bytes], dtype: Any, shape: Sequence[int]) -> Array:
    """An array from the bytes of its values, mapped from a file without a name.

    Raises:
        OSError: the folder for temporary files is full.
    """
    import numpy as np

    with tempfile.TemporaryFile(prefix="edgewright-") as aligned:
        for piece in pieces:
            aligned.write(piece)
        aligned.flush()
        found: Array = np.asarray(np.memmap(aligned, dtype, "c", shape=tuple(shape)))
    return found
