"""Runs IREE's importer and compiler as programs: a crash ends neither the worker nor the command.

Their exit status is not believed: an unknown pass prints `error:` and exits with 0. The conversion runs the result besides.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edgewright_targets._onnx.machine_code import node_named

if TYPE_CHECKING:
    from onnx import ModelProto

    from edgewright.sdk import ConversionError, Cpu

OPSET = 17  # the importer's operators are those of ONNX 17 at the least
_TRIPLES = {"aarch64": "aarch64-linux-gnu", "x86_64": "x86_64-linux-gnu"}
PREPROCESSING = "--iree-preprocessing-pass-pipeline"
FLAGS = (
    "--iree-hal-target-device=local",
    "--iree-hal-local-target-device-backends=llvm-cpu",
    "--iree-opt-level=O3",
    "--iree-llvmcpu-enable-ukernels=all",
    "--iree-dispatch-creation-data-tiling",
    # SqueezeNet on x86: 20 ms instead of 100
    f"{PREPROCESSING}=builtin.module(util.func(iree-preprocessing-convert-conv-to-channels-last))",
    "--iree-llvmcpu-debug-symbols=false",
    "--iree-vm-bytecode-module-strip-source-map",
)
_ERROR = re.compile(
    r"^(?:.*?:(?P<line>\d+):\d+: )?(?:[\w-]+: )?(?:fatal )?error: (?P<what>.+)$", re.MULTILINE | re.IGNORECASE
)
_EXCEPTION = re.compile(r"^\w[\w.]*(?:Error|Exception)\b:? ?.*$", re.MULTILINE)
_OPERATOR = re.compile(r'torch\.operator"?\s*(?:\(.*?\) <\{name = )?"onnx\.(?P<kind>\w+)"')


def imported(source: Path, model: ModelProto) -> Path:
    """Imports an ONNX file to MLIR; returns the new file, which is beside it.

    Raises:
        ConversionError: the importer refused it or crashed.
    """
    made = source.with_suffix(".mlir")
    importer = [sys.executable, "-m", "iree.compiler.tools.import_onnx"]
    _run([*importer, source.name, "-o", made.name, "--opset-version", str(OPSET)], source, made, model)
    return made


def compiled(code: Path, cpu: Cpu, model: ModelProto, made: Path) -> None:
    """Compiles MLIR for a CPU.

    Args:
        model: the imported one, for the names of its nodes.
        made: the file to write.

    Raises:
        ConversionError: the compiler refused an operator, which the error names, or crashed.
    """
    _run(command(code, cpu, made), code, made, model)


def command(code: Path, cpu: Cpu, made: Path) -> list[str]:
    """The command that compiles MLIR for a CPU, to be run in the folder of its source: paths would make the code another one."""
    from importlib.util import find_spec

    spec = find_spec("iree.compiler._mlir_libs")
    assert spec is not None and spec.origin is not None  # noqa: S101 - `tools` of the target names its distribution
    without = ",".join(f"-{one}" for one in cpu.without)
    return [
        str(Path(spec.origin).with_name("iree-compile")), code.name, "-o", str(made), *FLAGS,
        f"--iree-llvmcpu-target-triple={_TRIPLES[cpu.arch]}", f"--iree-llvmcpu-target-cpu={cpu.name}",
        *([f"--iree-llvmcpu-target-cpu-features={without}"] if without else []),
    ]  # fmt: skip


def _run(program: list[str], source: Path, made: Path, model: ModelProto) -> None:
    """Runs a program in the folder of its source. Raises ConversionError unless it succeeds and prints no error."""
    from edgewright.sdk.programs import run_converter

    done = run_converter("IREE", program, source.parent)
    print(done.stdout)  # noqa: T201 - a worker's stdout is its log
    if done.returncode < 0:
        raise _failed(f"the compiler crashed (signal {-done.returncode})", "")
    if done.returncode or not made.is_file() or _ERROR.search(done.stdout):
        raise _refused(done.stdout, done.returncode, source, model)


def _refused(text: str, status: int, source: Path, model: ModelProto) -> ConversionError:
    """The error for what a program printed; it names the node that the first error is about."""
    error = _ERROR.search(text)
    if error is None:
        lines = _EXCEPTION.findall(text)
        return _failed(lines[-1][:300] if lines else f"exit status {status}", "")
    what, line = error["what"], error["line"]
    node = ""
    if line is not None and source.suffix == ".mlir":
        node = node_at(source.read_text("utf-8", "replace").splitlines()[: int(line)], model)
    return _failed(what.partition(": ")[0][:300].rstrip("."), node)


def node_at(lines: list[str], model: ModelProto) -> str:
    """The node of the model that the last line was imported from, such as `Foo (foo_1)`; empty if it is none.

    The importer writes the nodes in the graph's order, and weights as nodes of the kind Constant, which errors about their readers may name.
    """
    found = _OPERATOR.search(lines[-1]) if lines else None
    if found is None or found["kind"] == "Constant":
        return ""
    kind = found["kind"]
    before = sum(1 for line in lines if (one := _OPERATOR.search(line)) and one["kind"] == kind)
    return node_named(model, kind, before - 1)


def _failed(reason: str, node: str) -> ConversionError:
    from edgewright.sdk import Code, ConversionError

    return ConversionError(
        f"IREE cannot compile {node}: {reason}" if node else f"IREE cannot compile the model: {reason}",
        hint="write the model with other operators, or take another target, such as --target onnxruntime",
        code=Code.OPERATOR_UNKNOWN if node else Code.CONVERSION_FAILED,
    )
