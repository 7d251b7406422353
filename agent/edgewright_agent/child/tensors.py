"""Tensors in `.npy` and `.npz` files as a stream of samples, without numpy.

A sample is the bytes of one index of axis 0, in C order, little-endian. No more than one sample of a member
is held in memory.
"""

import ast
import os
import shutil
import struct
import zipfile

from edgewright_agent import shapes
from edgewright_agent.protocol import PIECE, AgentError, Code

FORMATS = {  # numpy dtype name: (letter of struct, bytes)
    "float16": ("e", 2),
    "float32": ("f", 4),
    "float64": ("d", 8),
    "int8": ("b", 1),
    "int16": ("h", 2),
    "int32": ("i", 4),
    "int64": ("q", 8),
    "uint8": ("B", 1),
    "uint16": ("H", 2),
    "uint32": ("I", 4),
    "uint64": ("Q", 8),
    "bool": ("?", 1),
}
KINDS = {"f": "float", "i": "int", "u": "uint"}
MAX_HEADER = 64 * 1024  # bytes of one member's header
MAGIC = b"\x93NUMPY"
EPOCH = (1980, 1, 1, 0, 0, 0)  # a fixed time: the same tensors give the same file


def bad(message: "str") -> "AgentError":
    """The error of an invalid tensor file."""
    return AgentError(Code.BAD_ARGUMENT, message)


def product(shape: "shapes.Sizes") -> "int":
    """The number of elements in a shape."""
    total = 1
    for size in shape:
        total *= size
    return total


def dtype_of(descr: "str") -> "str":
    """The numpy dtype name for a header's `descr`, such as `<f4`.

    Raises:
        AgentError: `bad-argument`, if the dtype is not a little-endian number.
    """
    order, kind, size = descr[:1], descr[1:2], descr[2:]
    if descr == "|b1":
        return "bool"
    name = KINDS.get(kind, "") + (str(int(size) * 8) if size in ("1", "2", "4", "8") else "")
    if name not in FORMATS or order not in ("<", "|" if size == "1" else "<"):
        raise bad("a tensor has a dtype that cannot be read: %s" % ascii(descr)[:40])
    return name


def parse_header(text: "str") -> "tuple[str, tuple[int, ...]]":
    """(dtype name, shape) from the text of a `.npy` header.

    Raises:
        AgentError: `bad-argument`, if it is not a header, or its order is not C.
    """
    try:
        header = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        header = None
    if not isinstance(header, dict) or set(header) != {"descr", "fortran_order", "shape"}:
        raise bad("a tensor has no readable header")
    shape = header["shape"]
    if not isinstance(shape, tuple) or not all(type(size) is int and size >= 0 for size in shape):
        raise bad("a tensor's shape is not a tuple of sizes: %s" % ascii(shape)[:80])
    if header["fortran_order"] is not False and not (header["fortran_order"] is True and len(shape) < 2):
        raise bad("a tensor is in Fortran order")
    if not isinstance(header["descr"], str):
        raise bad("a tensor is not of one dtype")
    return dtype_of(header["descr"]), shape


def read_exactly(stream: "shapes.Stream", size: "int") -> "bytes":
    """Read exactly `size` bytes from a stream.

    Raises:
        AgentError: `bad-argument`, if it ends early or is damaged.
    """
    pieces = []
    while size:
        try:
            piece = stream.read(min(size, PIECE))
        except (zipfile.BadZipFile, OSError, EOFError, ValueError) as error:
            raise bad("a tensor is damaged: %s" % error)
        except Exception as error:  # includes zlib.error, whose module small boards may lack
            raise bad("a tensor cannot be unpacked: %s" % error)
        if not piece:
            raise bad("a tensor ends early")
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


class Member:
    """One tensor of a file.

    Attributes:
        dtype: numpy dtype name. shape: includes the axis of the samples. count: length of that axis.
        sample_shape, sample_bytes: shape and size of one sample.
    """

    def __init__(self, stream: "shapes.Stream", total: "int") -> "None":
        self._stream = stream
        magic = read_exactly(stream, 8)
        if magic[:6] != MAGIC or magic[6] not in (1, 2, 3):
            raise bad("a tensor is not in the npy format")
        wide = magic[6] > 1
        size = struct.unpack("<I" if wide else "<H", read_exactly(stream, 4 if wide else 2))[0]
        if size > MAX_HEADER:
            raise bad("a tensor's header is too long: %d bytes" % size)
        text = read_exactly(stream, size).decode("latin-1").strip()
        self.dtype, self.shape = parse_header(text)
        if not self.shape:
            raise bad("a tensor has no axis of samples")
        self.count, self.sample_shape = self.shape[0], self.shape[1:]
        self.sample_bytes = product(self.sample_shape) * FORMATS[self.dtype][1]
        declared = 8 + (4 if wide else 2) + size + self.count * self.sample_bytes
        if declared != total:
            raise bad("a tensor's header promises %d bytes, it has %d" % (declared, total))

    def samples(self) -> "shapes.Iterator[bytes]":
        """Iterate over the samples in order, as bytes; only once. The last read also checks the CRC of an archive."""
        for _ in range(self.count):
            yield read_exactly(self._stream, self.sample_bytes)


def real_for_integers(member: "shapes.Tensor", spec: "shapes.Spec") -> "bool":
    """Whether a member holds real values, but the spec's tensor their quantised integers."""
    integers = not spec["dtype"].startswith("float") and spec["dtype"] != "bool"
    return integers and bool(spec.get("scale")) and member.dtype.startswith("float")


class Quantised:
    """A member of real values, quantised to the integers of a spec with `dtype`, `scale` and `zero_point`.

    Values outside the dtype's range are clipped. Attributes: as for Member.
    """

    def __init__(self, member: "shapes.Tensor", spec: "shapes.Spec") -> "None":
        letter, size = FORMATS[spec["dtype"]]
        self._member, self._letter = member, letter
        self._scale, self._zero = spec.get("scale") or 1.0, spec.get("zero_point") or 0
        self._low = 0 if letter.isupper() else -(1 << (8 * size - 1))
        self._high = self._low + (1 << 8 * size) - 1
        self.dtype, self.shape, self.count = spec["dtype"], member.shape, member.count
        self.sample_shape, self.sample_bytes = member.sample_shape, product(member.sample_shape) * size

    def samples(self) -> "shapes.Iterator[bytes]":
        """As for Member. Raises AgentError: `bad-argument`, if a value is not finite."""
        for data in self._member.samples():
            values = numbers(data, self._member.dtype)
            try:
                near = [round(value / self._scale) + self._zero for value in values]
            except (ValueError, OverflowError):
                raise bad("an input is not finite")
            limited = [min(max(value, self._low), self._high) for value in near]
            yield struct.pack("<%d%s" % (len(limited), self._letter), *limited)


class Resized:
    """A member of floats, converted to floats of another width. Attributes: as for Member."""

    def __init__(self, member: "shapes.Tensor", dtype: "str") -> "None":
        self._member, self._letter = member, FORMATS[dtype][0]
        self.dtype, self.shape, self.count, self.sample_shape = (
            dtype,
            member.shape,
            member.count,
            member.sample_shape,
        )
        self.sample_bytes = product(member.sample_shape) * FORMATS[dtype][1]

    def samples(self) -> "shapes.Iterator[bytes]":
        """As for Member. Raises AgentError: `bad-argument`, if a value is too large for the width."""
        for data in self._member.samples():
            values = numbers(data, self._member.dtype)
            try:
                yield struct.pack("<%d%s" % (len(values), self._letter), *values)
            except OverflowError:
                raise bad("an input is too large for %s" % self.dtype)


def fitted(member: "shapes.Tensor", spec: "shapes.Spec") -> "shapes.Tensor":
    """The member with its floats converted as the spec requires: to integers with a scale, or to floats of another width."""
    if real_for_integers(member, spec):
        return Quantised(member, spec)
    floats = member.dtype.startswith("float") and spec["dtype"].startswith("float")
    return Resized(member, spec["dtype"]) if floats and member.dtype != spec["dtype"] else member


class Tensors:
    """The members of an `.npz`; a lone `.npy` is one member, `input_0`.

    Raises:
        AgentError: `bad-argument` if the file is neither; `not-found` if it cannot be opened.
    """

    def __init__(self, path: "str") -> "None":
        try:
            self._file = open(path, "rb")
        except OSError as error:
            raise AgentError(Code.NOT_FOUND, "a tensor file cannot be opened: %s" % error.strerror)
        self._zip: "zipfile.ZipFile | None" = None
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> "None":
        start = self._file.read(6)
        self._file.seek(0)
        if start == MAGIC:
            self.names = ["input_0"]
            return
        try:
            archive = self._zip = zipfile.ZipFile(self._file)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
            raise bad("a tensor file is neither npy nor npz")
        infos = archive.infolist()
        self._infos = {info.filename[:-4]: info for info in infos if info.filename.endswith(".npy")}
        if len(self._infos) != len(infos):
            raise bad("a tensor file has members that are no tensors, or one twice")
        for info in infos:
            if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise bad("a tensor is packed in a way that cannot be read: %s" % ascii(info.filename)[:80])
        self.names = sorted(self._infos)

    def member(self, name: "str") -> "Member":
        """The member with that name, which can be read once.

        Raises:
            AgentError: `bad-argument`, if there is none.
        """
        if name not in self.names:
            found = ", ".join(self.names)[:200]
            raise bad("a tensor file has no member %s, it has %s" % (ascii(name), ascii(found)))
        if self._zip is None:
            return Member(self._file, os.fstat(self._file.fileno()).st_size)
        info = self._infos[name]
        try:
            return Member(self._zip.open(info), info.file_size)
        except (
            zipfile.BadZipFile,
            NotImplementedError,
            RuntimeError,
            OSError,
            EOFError,
            ValueError,
        ) as error:
            raise bad("a tensor is damaged: %s" % error)

    def close(self) -> "None":
        """Closes the file."""
        if self._zip is not None:
            self._zip.close()
        self._file.close()

    def __enter__(self) -> "Tensors":
        return self

    def __exit__(self, *_: "object") -> "None":
        self.close()


def check(member: "shapes.Tensor", spec: "shapes.Spec", what: "str") -> "None":
    """Refuses a member whose samples do not match the tensor of a spec; a batch axis of 1 may be missing.

    Args:
        member: the tensor in the file.
        spec: dict with `name`, `shape` and `dtype`.
        what: for the message, such as `input_0`.
    """
    shape = tuple(spec["shape"])
    if member.dtype != spec["dtype"]:
        raise bad("%s is %s, the model wants %s" % (what, member.dtype, spec["dtype"]))
    if member.sample_shape != shape and not (shape[:1] == (1,) and member.sample_shape == shape[1:]):
        found = (what, list(member.sample_shape), list(shape))
        raise bad("%s has samples of shape %s, the model wants %s" % found)


def of_dtype(spec: "shapes.Spec", dtype: "str") -> "shapes.Spec":
    """The spec of the same tensor in another dtype."""
    return {**spec, "dtype": dtype}


def numbers(data: "bytes", dtype: "str") -> "tuple[float, ...]":
    """The numbers in little-endian bytes, as a tuple."""
    letter, size = FORMATS[dtype]
    return struct.unpack("<%d%s" % (len(data) // size, letter), data)


def header(dtype: "str", shape: "shapes.Sizes") -> "bytes":
    """The bytes of a `.npy` header, version 1."""
    size = FORMATS[dtype][1]
    descr = "%s%s%d" % ("|" if size == 1 else "<", dtype[0], size)
    text = repr({"descr": descr, "fortran_order": False, "shape": tuple(shape)}).encode("ascii")
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return MAGIC + b"\x01\x00" + struct.pack("<H", len(text)) + text


class NpzWriter:
    """Writes an uncompressed `.npz` sample by sample; complete at the end of the block, absent if the block fails.

    Args:
        path: the file to write; until the end, each member is in `<path>.<i>`.
        members: (name, dtype, sample shape) of each tensor.
    """

    def __init__(self, path: "str", members: "list[shapes.Member]") -> "None":
        self._path, self._members, self._count = path, members, 0
        self._parts = [open("%s.%d" % (path, index), "w+b") for index in range(len(members))]

    def add(self, tensors: "list[bytes]") -> "None":
        """Appends one sample: the bytes of each member, in order.

        Raises:
            ValueError: a tensor does not have the size of its shape.
        """
        if len(tensors) != len(self._members):
            raise ValueError("%d outputs instead of %d" % (len(tensors), len(self._members)))
        for part, data, (name, dtype, shape) in zip(self._parts, tensors, self._members):
            if len(data) != product(shape) * FORMATS[dtype][1]:
                raise ValueError(
                    "%s has %d bytes, not those of %s %s" % (name, len(data), dtype, list(shape))
                )
            part.write(data)
        self._count += 1

    def __enter__(self) -> "NpzWriter":
        return self

    def __exit__(self, kind: "object", *_: "object") -> "None":
        try:
            if kind is None:
                self._pack()
        finally:
            for part in self._parts:
                part.close()
                os.unlink(part.name)

    def _pack(self) -> "None":
        with zipfile.ZipFile(self._path, "w", zipfile.ZIP_STORED) as archive:
            for part, (name, dtype, shape) in zip(self._parts, self._members):
                part.seek(0)
                with archive.open(zipfile.ZipInfo(name + ".npy", EPOCH), "w", force_zip64=True) as member:
                    member.write(header(dtype, (self._count,) + tuple(shape)))
                    shutil.copyfileobj(part, member, PIECE)
