"""Inspects PyTorch's zip archives: `torch.export` programs, and pickles.

Nothing is unpickled here: a pickle's instructions are listed, not run.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from edgewright.compile.inspection.model_trust import refuse_untrusted
from edgewright.errors import Code, ModelError

EXPORT = "torch.export.save(torch.export.export(module.eval(), example_inputs), 'model.pt2')"
_HINT = (
    f"export the module instead: {EXPORT}; or give module.py:function, which returns it with example inputs"
)
_OF_HUGGING_FACE = "; a model of Hugging Face's: optimum-cli export onnx --model FOLDER OUT"
_PLAIN = ("torch", "collections", "numpy", "builtins", "__builtin__", "_codecs")
_OBJECTS = ("data/constants/opaque_obj_", "data/constants/custom_obj_")
_QUANTISED = (b"torch.ops.quantized", b"torch.ops.torchao")  # operators, as the program's text names them
_MAX_PICKLE_BYTES = 64 << 20  # bytes of a pickle that are read


def look(path: Path) -> bool | None:
    """Whether the `torch.export` program in a zip archive is quantised; None for an archive without one.

    Raises:
        zipfile.BadZipFile, EOFError: it is truncated or damaged.
        ModelError: it is a kind of PyTorch file that has no graph, or that runs code when opened.
    """
    from edgewright.compile.inspection.pt2_file import PROGRAM  # its patterns are for archives alone

    with zipfile.ZipFile(path) as archive:
        members = set(archive.namelist())
        if damaged := archive.testzip():
            raise zipfile.BadZipFile(f"damaged member: {damaged}")
        inner = {name.partition("/")[2] for name in members}
        if "archive_format" in inner:
            return _pt2(path, archive)
        if PROGRAM in members:
            refuse_strange(path, archive.namelist(), archive.read)
            return _quantised(archive.read(PROGRAM))
        if any(name.startswith("code/") for name in inner) and "data.pkl" in inner:
            raise refused(path, "is a TorchScript archive, which holds no torch.export graph")
        pickles = [name for name in members if name == "data.pkl" or name.endswith("/data.pkl")]
        if pickles:
            raise pickled(path, archive.read(pickles[0]))
    return None


def _pt2(path: Path, archive: zipfile.ZipFile) -> bool | None:
    """As `look`; raises ModelError for an archive that torch.export did not write."""
    members = {name.partition("/")[2]: name for name in archive.namelist()}
    if any(name.startswith("data/aotinductor/") for name in members):
        raise refused(path, "is compiled for one machine by AOTInductor")
    if any(name.lower().startswith(_OBJECTS) for name in members):
        refuse_untrusted(refused(path, "holds pickled objects beside its tensors"))
    names = archive.namelist()
    root = names[0].partition("/")[0] + "/"
    inner = [name[len(root) :] if name.startswith(root) else f"../{name}" for name in names]
    refuse_strange(path, inner, lambda name: archive.read(root + name))
    graphs = [members[name] for name in members if name.startswith("models/") and name.endswith(".json")]
    return any(_quantised(archive.read(name)) for name in graphs) if graphs else None


def refuse_strange(path: Path, names: Sequence[str], read: Callable[[str], bytes]) -> None:
    """Raises ModelError for a program that holds anything that torch.export does not write; see `pt2_file.strange`."""
    from edgewright.compile.inspection import pt2_file

    if found := pt2_file.strange(names, read):
        shown = "".join(letter if letter.isprintable() else " " for letter in found[:60])
        refuse_untrusted(
            refused(path, f"holds what torch.export does not write and PyTorch may run: {shown}")
        )


def _quantised(program: bytes) -> bool:
    return any(word in program for word in _QUANTISED)


def pickled(path: Path, data: bytes) -> ModelError:
    """The error for a pickle: either weights alone, or a module whose code would run."""
    try:
        names = _globals(data[:_MAX_PICKLE_BYTES])
    except ValueError:
        names = []
    strange = [name for name in names if name.split(".")[0] not in _PLAIN or name.startswith("torch.nn.")]
    if strange:
        return refused(path, f"is a pickled {strange[0]}, and opening a pickle runs whatever code it names")
    if any(name.startswith("torch.") for name in names):
        return refused(path, "holds weights alone, a PyTorch state dict has no graph", _OF_HUGGING_FACE)
    return refused(path, "is a pickle, and opening one runs whatever code it names")


def _globals(data: bytes) -> list[str]:
    """Dotted names that the pickle imports, in order and without duplicates."""
    import pickletools

    found: dict[str, None] = {}
    strings: list[str] = []
    for code, argument, _ in pickletools.genops(data):
        if code.name == "GLOBAL":
            found[str(argument).replace(" ", ".")] = None
        elif code.name == "STACK_GLOBAL" and len(strings) > 1:
            found[".".join(strings[-2:])] = None
        elif isinstance(argument, str):
            strings = [*strings[-1:], argument]
    return list(found)


def refused(path: Path, why: str, more: str = "") -> ModelError:
    """The error for a file of PyTorch's that cannot be a source. `more` is appended to the hint."""
    return ModelError(f"{path.name} {why}", hint=f"{_HINT}{more}", code=Code.MODEL_REFUSED)


def refused_by_its_start(path: Path, head: bytes) -> ModelError | None:
    """The error for a file whose first bytes show that it cannot be a source; else None."""
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return pickled(path, _whole_start(path))
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 28 and b'"' in head[9:12]:
        return refused(path, "holds weights alone, a safetensors file has no graph", _OF_HUGGING_FACE)
    if head[4:8].startswith(b"ET1"):
        return refused(path, "is a compiled ExecuTorch program")
    return None


def _whole_start(path: Path) -> bytes:
    """The bytes of an old PyTorch file from the object's own pickle on: such a file is a sequence of pickles."""
    with path.open("rb") as file:
        data = file.read(_MAX_PICKLE_BYTES)
    at = 0
    for _ in range(3):  # magic number, protocol version, sizes of the machine's types
        end = _end_of_pickle(data, at)
        if not end or data[end : end + 1] != b"\x80":
            break
        at = end
    return data[at:]


def _end_of_pickle(data: bytes, start: int) -> int:
    """The end of the pickle that starts at `start`; 0 if there is none."""
    import pickletools

    try:
        last: Iterable[int | None] = (position for _, _, position in pickletools.genops(data[start:]))
        return start + max(position or 0 for position in last) + 1
    except ValueError:
        return 0
