"""Runs TVM in its toolchain, and IREE's linker, as programs: a crash ends neither the worker nor the command.

Their exit status is not believed: a CPU or feature that LLVM does not know is ignored with a line. The conversion runs the result besides.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright_targets._onnx.machine_code import node_named
from edgewright_targets.tvm.toolchain_program import FAILURE

if TYPE_CHECKING:
    from onnx import ModelProto

    from edgewright.sdk import ConversionError, Cpu

PROGRAM = Path(__file__).with_name("toolchain_program.py")
_TRIPLES = {"aarch64": "aarch64-linux-gnu", "x86_64": "x86_64-linux-gnu"}
_EMULATIONS = {"aarch64": "aarch64linux", "x86_64": "elf_x86_64"}
# what compiled code calls: libraries that are named in the file, so that it needs nothing of the process that loads it
_NEEDED = ("libtvm_ffi.so", "libtvm_runtime.so", "libm.so.6")
_SAYS_ERROR = re.compile(
    r"^.*?(?P<what>'\S+' is not a recognized (?:feature|processor) for this target|(?:fatal )?error: .+?)(?: \(ignoring \w+\))?$",
    re.MULTILINE,
)
_CLASS = re.compile(r"^\w*(?:Error|Exception): ")


def compiled(python: Path, model: ModelProto, source: Path, wanted: list[tuple[Cpu, Path]]) -> None:
    """Compiles an ONNX file for CPUs.

    Args:
        python: that of the toolchain.
        model: for the names of its nodes.
        source: the same as a file, in a folder that is used for what is made on the way.
        wanted: CPUs, and the file to write for each.

    Raises:
        ConversionError: TVM cannot compile an operator, which the error names, or crashed.
    """
    folders = {str(place): described(cpu) for place, (cpu, _) in enumerate(wanted)}
    said = _run(command(python, source, folders), source.parent)
    failure = source.with_name(FAILURE)
    if failure.is_file():
        raise _refused(json.loads(failure.read_text("utf-8")), model)
    _no_error(said)
    for folder, (cpu, made) in zip(folders, wanted, strict=True):
        objects = sorted((source.parent / folder).glob("*.o"), key=lambda one: int(one.stem))
        if not objects:
            raise _failed((said.strip().splitlines() or ["no message"])[-1])
        _link(objects, cpu, made)


def command(python: Path, source: Path, folders: dict[str, dict[str, Any]]) -> list[str]:
    """The command that compiles an ONNX file into object files."""
    return [str(python), "-I", "-B", str(PROGRAM), source.name, json.dumps(folders)]


def described(cpu: Cpu) -> dict[str, Any]:
    """A CPU as TVM describes targets."""
    without = [f"-{one}" for one in cpu.without]
    return {
        "kind": "llvm",
        "mtriple": _TRIPLES[cpu.arch],
        "mcpu": cpu.name,
        **({"mattr": without} if without else {}),
    }


def _link(objects: list[Path], cpu: Cpu, made: Path) -> None:
    """Links object files to a library that names the libraries it needs.

    There are none of the board's to link to: one with the name is made of the model's own code, which the linker then does not need.
    """
    names = [one.name for one in objects]
    stubs = []
    for needed in _NEEDED:
        stubs.append(f"needed-{needed}")
        _no_error(_run([*linker(cpu), "-soname", needed, names[-1], "-o", stubs[-1]], objects[0].parent))
    # every symbol is looked up as the file is loaded: one that is missing then ends in an error, not in the end of the process
    flags = ["-z", "now", "--no-as-needed", "--strip-all"]
    _no_error(_run([*linker(cpu), *flags, *names, *stubs, "-o", str(made)], objects[0].parent))
    if not made.is_file():
        raise _failed("the linker made no file")


def linker(cpu: Cpu) -> list[str]:
    """The command of the linker that comes with IREE, for libraries of a CPU."""
    from importlib.util import find_spec

    spec = find_spec("iree.compiler._mlir_libs")
    assert spec is not None and spec.origin is not None  # noqa: S101 - `tools` of the target names its distribution
    program = str(Path(spec.origin).with_name("iree-lld"))
    return [program, "-flavor", "gnu", "-m", _EMULATIONS[cpu.arch], "-shared", "--build-id=none"]


def _run(program: list[str], folder: Path) -> str:
    """What a program prints, run in a folder. Raises ConversionError if it crashes or does not end."""
    from edgewright.sdk.programs import run_converter

    done = run_converter("TVM", program, folder)
    print(done.stdout)  # noqa: T201 - a worker's stdout is its log
    if done.returncode < 0:
        raise _failed(f"the compiler crashed (signal {-done.returncode})")
    return done.stdout


def _no_error(said: str) -> None:
    """Raises ConversionError if a program printed an error."""
    line = _SAYS_ERROR.search(said)
    if line is not None:
        raise _failed(line["what"])


def _refused(failure: dict[str, Any], model: ModelProto) -> ConversionError:
    """The error for what the program in the toolchain wrote."""
    what, node = str(failure["what"]), failure["node"]
    lines = [line.strip() for line in what.splitlines() if line.strip()] or ["no message"]
    named = "" if node is None else node_named(model, str(node["kind"]), int(node["place"]))
    return _failed(_CLASS.sub("", lines[-1]), named)


def _failed(reason: str, node: str = "") -> ConversionError:
    from edgewright.sdk import Code, ConversionError

    reason = reason[:300].rstrip(".")
    return ConversionError(
        f"TVM cannot compile {node}: {reason}" if node else f"TVM cannot compile the model: {reason}",
        hint="write the model with other operators, or take another target, such as --target onnxruntime",
        code=Code.OPERATOR_UNKNOWN if node else Code.CONVERSION_FAILED,
    )
