"""Text for C: names, strings, comments and numbers that no model's name can break."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

PARTS = Path(__file__).with_name("parts")

# headers and functions of the C library and of POSIX have these, or files and targets of the exported folder
_TAKEN = {
    "assert", "complex", "ctype", "errno", "fenv", "float", "inttypes", "iso646", "limits", "locale", "math", "setjmp", "signal",
    "stdalign", "stdarg", "stdatomic", "stdbool", "stddef", "stdint", "stdio", "stdlib", "stdnoreturn", "string", "tgmath", "threads",
    "time", "uchar", "wchar", "wctype", "main", "mq", "sem", "shm", "goldens", "lib", "licenses", "makefile", "gnumakefile", "check",
    "clean",
}  # fmt: skip
_LONGEST = 40
_PREFIX = re.compile(r"\b(ew|EW)_(?=\w)")
_OWN_HEADER = '"ew.h"'


def identifier(file: str) -> str:
    """The name of a model in C, from that of its source file: `MobileNet v2.onnx` -> `mobilenet_v2`."""
    stem = file.rsplit(".", 1)[0] if "." in file.strip(".") else file
    name = re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_")[:_LONGEST].strip("_")
    if not name or name in _TAKEN or name[0].isdigit():
        name = f"model_{name}".strip("_")
    return name


def named(text: str, name: str) -> str:
    """Text of a template with the model's prefix instead of `ew_` and `EW_`."""
    text = text.replace(_OWN_HEADER, f'"{name}.h"')
    return _PREFIX.sub(lambda found: f"{name if found[1] == 'ew' else name.upper()}_", text)


def filled(part: str, name: str, places: Mapping[str, str]) -> str:
    """A template from `parts` with the model's prefix, and with a text for each `@PLACE@`, unchanged."""
    pieces = re.split(r"@([A-Z]+)@", named((PARTS / part).read_text(), name))
    pieces[1::2] = [places[one] for one in pieces[1::2]]
    return "".join(pieces)


def quoted(value: str) -> str:
    """A string of C. Control characters become question marks: a program prints names to terminals."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in value)
    plain = (
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}"
        for byte in shown.encode("utf-8", "replace")
    )
    return f'"{"".join(plain)}"'


def comment(value: str) -> str:
    """Text that neither begins nor ends a comment, on one line."""
    return (
        "".join(letter if letter.isprintable() else "?" for letter in value)
        .replace("*/", "* /")
        .replace("/*", "/ *")
    )


def number(value: float) -> str:
    """A double of C."""
    if math.isinf(value):
        return "HUGE_VAL" if value > 0 else "-HUGE_VAL"
    return repr(float(value))
