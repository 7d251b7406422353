"""Extracts from a framework's or converter's exception the line with the reason, and the location of the error."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from edgewright.errors import Code, ConversionError

MOST = 240  # characters of a line
CONVERTERS = frozenset(
    {
        Code.CONVERSION_FAILED, Code.CUSTOM_OPERATORS, Code.OPERATOR_UNKNOWN, Code.LOOP_NOT_CALIBRATED, Code.OPSET_TOO_OLD, Code.OPSET_TOO_NEW,
        Code.WORKER_CRASHED, Code.WORKER_TIMEOUT, Code.MODEL_REFUSED, Code.MODEL_TOO_LARGE,
    }
)  # fmt: skip
"""Codes of failures of one converter or runtime that another one may not have."""
LOGGED = frozenset({Code.CONVERSION_FAILED, Code.WORKER_CRASHED, Code.WORKER_TIMEOUT})
"""Codes of errors for which the log has details."""
LOG = "log: "
BRANCHES = "its Python code may branch on tensors' values: use torch.where or torch.cond there"
_BRANCHING = ("GuardOnDataDependentSymNode", "DataDependentOutputException", "NonConcreteBooleanIndexError")

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
# lines that hold the reason that all others only announce; the first match wins
_TELLING = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?P<reason>No conversion rule found for operations: .+)",  # OpenVINO
        r"(?P<reason>No ONNX function found for <OpOverload\(op='(?P<operator>[\w.:]+)')",  # torch.onnx since 2.5
        r"(?P<reason>Lowering not found: .+)",  # litert-torch
        r"(?P<reason>Conversion is failed for: .+)",
        r"\berror: (?P<reason>.+)",  # MLIR, in TensorFlow's converter
    )
)
# lines before the reason: positions in a library's own sources, and headings
_ANNOUNCING = re.compile(
    r"Exception from |Check '.*' failed at |FrontEnd API failed with |Model wasn't fully converted|Summary:\Z|#+ "
    r"|Traceback \(most recent call last\)|While (validating|converting) |Failed to convert the exported program|File \""
)
_NODE = re.compile(r"While (?:validating|converting) (?:.*friendly_name|(?:ONNX )?node) '([^']+)'")
_CODE = re.compile(r'File "([^"]+)", line (\d+)')
_OURS = (str(Path(__file__).parents[2]), str(Path(__file__).parents[4] / "targets"))


def telling(error: BaseException) -> str:
    """The line of an exception that states the reason, shortened; the exception's type if it has no message."""
    return line_of(str(error)) or type(error).__name__


def described(error: BaseException) -> str:
    """An exception's type and the line that states the reason."""
    said = line_of(str(error))
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def line_of(text: str) -> str:
    """The line that states the reason in the output of a library or program; empty if there is none."""
    lines = [_ANSI.sub("", line).strip() for line in text.splitlines()]
    lines = [line for line in lines if line]
    for pattern in _TELLING:
        if found := next(filter(None, map(pattern.search, lines)), None):
            named = found.groupdict()
            return _short(
                f"No ONNX function found for {named['operator']}"
                if named.get("operator")
                else named["reason"]
            )
    node = next(filter(None, map(_NODE.match, lines)), None)
    said = next((line for line in lines if not _ANNOUNCING.match(line)), lines[0] if lines else "")
    return f"{_short(said)}, at {node[1]}" if node else _short(said)


def _short(line: str) -> str:
    return line[:MOST].rstrip(".:,; ")


def refused(error: BaseException, place: str = "") -> ConversionError:
    """A framework's exception as a ConversionError that states its package, its type, the reason, and the location in the model.

    Args:
        place: the layer, if the opened source knows it.
    """
    return ConversionError(
        f"{_owner(error)} failed: {described(error)}{place or position(error)}",
        hint=BRANCHES if branching(error) else "",
        code=Code.CONVERSION_FAILED,
    )


def unreadable(error: BaseException | None) -> str:
    """The path that an exception, or what caused it, could not open for want of permission; empty if there is none."""
    while error is not None:
        if isinstance(error, PermissionError) and error.filename is not None:
            return str(error.filename)
        error = error.__cause__ or error.__context__
    return ""


def branching(error: BaseException) -> bool:
    """Whether an exception is about Python code that branches on tensor values."""
    return type(error).__name__ in _BRANCHING


def with_ways(error: ConversionError, ways: str) -> None:
    """Adds alternatives to an error's hint; the log's path stays last."""
    before, log, path = f"; {error.hint}".rpartition(f"; {LOG}")
    parts = (before.removeprefix("; "), ways, LOG + path) if log else (error.hint, ways)
    error.hint = "; ".join(filter(None, parts))


def position(error: BaseException) -> str:
    """`, at mods.py:8`: the last line of user code that an exception names or passed through; empty if there is none."""
    passed = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    return position_in(str(error)) or _last(passed)


def position_in(text: str) -> str:
    """As `position`, for the code lines that a text names."""
    return _last([(file, int(line)) for file, line in _CODE.findall(text)])


def _last(places: Sequence[tuple[str, int]]) -> str:
    own = [(file, line) for file, line in places if _of_the_user(file)]
    return f", at {Path(own[-1][0]).name}:{own[-1][1]}" if own else ""


def _of_the_user(file: str) -> bool:
    """Whether a source file is neither edgewright's nor an installed library's."""
    installed = (sys.prefix, sys.base_prefix, *_OURS)
    return (
        file.endswith(".py")
        and Path(file).is_file()
        and "site-packages" not in file
        and not file.startswith(installed)
    )


def _owner(error: BaseException) -> str:
    """The package that an exception comes from: its type's, else the first one in the traceback that is not edgewright's."""
    named = type(error).__module__.split(".")[0]
    if named != "builtins":
        return named
    frames = [str(frame.f_globals.get("__name__", "")) for frame, _ in traceback.walk_tb(error.__traceback__)]
    packages = [name.split(".")[0] for name in frames]
    ours = ("", "__main__", "edgewright", "edgewright_targets")
    return next((name for name in packages if name not in ours), "conversion")
