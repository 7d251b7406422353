"""Text for C: names, strings, comments and numbers that no model's name can break."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

from edgewright.errors import UsageError

PARTS = Path(__file__).with_name("parts")

# the C library has functions such as `sem_open` and `svc_run`, which the names of a model could replace
_TAKEN = {"aio", "argp", "fts", "fts64", "gai", "iconv", "mq", "pidfd", "sem", "shm", "svc"}
_LONGEST = 40
_NAME = re.compile(rf"[A-Za-z][A-Za-z0-9_]{{0,{_LONGEST - 1}}}")
_PREFIX = re.compile(r"\b(ew|EW)_(?=\w)")
_OWN_HEADER = '"ew.h"'


def identifier(file: str) -> str:
    """The name of a model in C, from that of its source file: `MobileNet v2.onnx` -> `mobilenet_v2`."""
    stem = file.rsplit(".", 1)[0] if "." in file.strip(".") else file
    name = re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_")[:_LONGEST].strip("_")
    if not name or name in _TAKEN or name[0].isdigit():
        name = f"model_{name}".strip("_")
    return name


def chosen(name: str) -> str:
    """A name that a user gave to a model in C.

    Raises:
        UsageError: names in C cannot begin with it.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"not a name in C: {name!r}",
            hint=f"begin with a letter; take letters, digits and underscores of ASCII, at most {_LONGEST}",
        )
    if name in _TAKEN:
        raise UsageError(
            f"the C library has functions whose names begin with {name}_",
            hint=f"take another name: model_{name}",
        )
    return name


def read(part: str) -> str:
    """A file of `parts`."""
    return (PARTS / part).read_text(encoding="utf-8")


def write_text(path: Path, text: str) -> None:
    """Writes a text file, in UTF-8 whatever the user's locale is."""
    path.write_text(text, encoding="utf-8")


def named(text: str, name: str) -> str:
    """Text of a template with the model's prefix instead of `ew_` and `EW_`, and with its header instead of `ew.h`."""
    text = text.replace(_OWN_HEADER, f'"{name}_model.h"')
    return _PREFIX.sub(lambda found: f"{name if found[1] == 'ew' else name.upper()}_", text)


def filled(part: str, name: str, places: Mapping[str, str]) -> str:
    """A template from `parts` with the model's prefix, and with a text for each `@PLACE@`, unchanged."""
    pieces = re.split(r"@([A-Z]+)@", named(read(part), name))
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
