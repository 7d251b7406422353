"""TVM's C interface, called by ctypes: the Python package around it needs more distributions, and is built for one version of Python.

Packed with the runner: Python 3.6, standard library only. TVM's header `tvm/ffi/c_api.h` describes the structures.
"""

import ctypes
import glob
import os
import struct

from edgewright_agent import shapes

FFI, RUNTIME = "tvm_ffi/lib/libtvm_ffi.so", "tvm/lib/libtvm_runtime.so"
_INT, _BOOL, _DATA_TYPE, _DEVICE, _TEXT, _OBJECTS, _TENSOR, _ARRAY = 1, 2, 5, 6, 8, 64, 70, 71
_HEADER = 24  # bytes of an object before what it holds
_CPU = 1
_ELF = struct.Struct(
    "<40sQ10xHH"
)  # a header of 64 bits: where its sections' table is, the size of a row, rows
_CODES = {"int": 0, "uint": 1, "float": 2, "bool": 6}


class Value(ctypes.Structure):
    """An argument or a result: `kind` says what `value` is."""

    _fields_ = [("kind", ctypes.c_int32), ("padding", ctypes.c_uint32), ("value", ctypes.c_int64)]


class _Bytes(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_size_t)]


class _Error(ctypes.Structure):
    _fields_ = [("kind", _Bytes), ("message", _Bytes)]


class _Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p), ("device", ctypes.c_int32 * 2), ("axes", ctypes.c_int32), ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16), ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.c_void_p), ("offset", ctypes.c_uint64),
    ]  # fmt: skip


class Handle:
    """An object of TVM's, which is freed with this one."""

    def __init__(self, value: "Value", free: "shapes.Native") -> "None":
        self.value, self.pointer, self._free = value, ctypes.c_void_p(value.value), free

    def __del__(self) -> "None":
        self._free(self.pointer)


class Library:
    """TVM's runtime, loaded from the first of some folders that has it.

    Raises:
        ImportError: none has it, or it cannot be loaded.
    """

    def __init__(self, folders: "shapes.Sequence[str]") -> "None":
        try:
            # the runtime's library needs the other one, which is then found by its name
            self._c = ctypes.CDLL(_found(folders, FFI))
            self._kept = ctypes.CDLL(_found(folders, RUNTIME))
        except OSError as error:
            raise ImportError("cannot load the runtime of TVM: %s" % error)
        (self.version,) = [_version(folder) for folder in folders if os.path.isfile(_in(folder, RUNTIME))][:1]

    def function(self, name: "str") -> "Handle":
        """A global function by its name."""
        text = name.encode("ascii")
        kept = ctypes.create_string_buffer(text)
        found = ctypes.c_void_p()
        self._check(
            self._c.TVMFFIFunctionGetGlobal(
                ctypes.byref(_Bytes(ctypes.addressof(kept), len(text))), ctypes.byref(found)
            )
        )
        if not found.value:
            raise RuntimeError("the runtime of TVM has no function %s" % name)
        return self._held(Value(_OBJECTS, 0, found.value))

    def call(
        self, function: "Handle", *arguments: "shapes.Native"
    ) -> "shapes.Native":  # Handle, or a whole number
        """Calls a function with handles, values, whole numbers and bytes (for text). RuntimeError has TVM's message."""
        given = (Value * max(len(arguments), 1))(*[_given(one) for one in arguments])
        result = Value()
        self._check(self._c.TVMFFIFunctionCall(function.pointer, given, len(arguments), ctypes.byref(result)))
        return self._held(result) if result.kind >= _OBJECTS else result.value

    def tensor(self, allocate: "Handle", shape: "Handle", dtype: "str", data: "bytes") -> "Handle":
        """A tensor with a copy of the data, in memory that TVM aligned."""
        made: Handle = self.call(allocate, shape, data_type(dtype), Value(_DEVICE, 0, _CPU), None)
        inside = _inside(made)
        if _size(inside) != len(data):
            raise ValueError("input has %d bytes instead of %d" % (len(data), _size(inside)))
        ctypes.memmove(inside.data, data, len(data))
        return made

    def _held(self, value: "Value") -> "Handle":
        return Handle(value, self._c.TVMFFIObjectDecRef)

    def _check(self, failed: "int") -> "None":
        if not failed:
            return
        found = ctypes.c_void_p()
        self._c.TVMFFIErrorMoveFromRaised(ctypes.byref(found))
        if not found.value:
            raise RuntimeError("TVM failed without a message")
        held = self._held(Value(_OBJECTS, 0, found.value))
        message = _Error.from_address(held.value.value + _HEADER).message
        raise RuntimeError(ctypes.string_at(message.data, message.size).decode("utf-8", "replace"))


def is_whole(path: "str") -> "bool":
    """Whether an ELF file has its last part, the table of its sections: one that is cut off would end the process as it is loaded."""
    with open(path, "rb") as file:
        head = file.read(_ELF.size)
        size = os.fstat(file.fileno()).st_size
    if len(head) < _ELF.size or not head.startswith(b"\x7fELF"):
        return False
    start, each, count = _ELF.unpack(head)[1:]
    return bool(size >= start + each * count)


def data_type(dtype: "str") -> "Value":
    """The value for the name of a data type, such as `float32`."""
    kind = dtype.rstrip("0123456789")
    bits = int(dtype[len(kind) :] or 8)
    return Value(_DATA_TYPE, 0, _CODES[kind] | bits << 8 | 1 << 16)


def is_array(result: "Handle") -> "bool":
    """Whether a result is several tensors."""
    return bool(result.value.kind == _ARRAY)


def content(result: "Handle") -> "bytes":
    """A copy of a tensor's bytes. Raises ValueError if it is none."""
    if result.value.kind != _TENSOR:
        raise ValueError("the model returns something else than a tensor")
    inside = _inside(result)
    return ctypes.string_at(inside.data + inside.offset, _size(inside))


def _inside(tensor: "Handle") -> "shapes.Native":
    return _Tensor.from_address(tensor.value.value + _HEADER)


def _size(tensor: "shapes.Native") -> "int":
    size = tensor.bits * tensor.lanes // 8
    for axis in range(tensor.axes):
        size *= tensor.shape[axis]
    return int(size)


def _given(one: "shapes.Native") -> "Value":
    if one is None:
        return Value()
    if isinstance(one, Handle):
        return one.value
    if isinstance(one, Value):
        return one
    if isinstance(one, bytes):  # alive until the call returns, as the caller holds it
        return Value(_TEXT, 0, ctypes.cast(ctypes.c_char_p(one), ctypes.c_void_p).value)
    return Value(_BOOL if isinstance(one, bool) else _INT, 0, int(one))


def _in(folder: "str", name: "str") -> "str":
    return os.path.join(folder or ".", name)


def _found(folders: "shapes.Sequence[str]", name: "str") -> "str":
    """The path of a library. Raises ImportError."""
    for folder in folders:
        if os.path.isfile(_in(folder, name)):
            return _in(folder, name)
    raise ImportError("no %s" % name)


def _version(folder: "str") -> "str":
    """That of the distribution in a folder, from its metadata."""
    for path in glob.glob(_in(glob.escape(folder or "."), "apache_tvm-*.dist-info")):
        return os.path.basename(path)[len("apache_tvm-") : -len(".dist-info")]
    return "unknown"
