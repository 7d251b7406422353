"""Reads TOML into records: an unknown key is an error that names the nearest valid one."""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec

from edgewright.config import home
from edgewright.errors import Code, ConfigError
from edgewright.files import write_atomic
from edgewright.nouns import schema as schemas

T = TypeVar("T", bound=msgspec.Struct)
MAX_BYTES = 4 * 1024 * 1024
UNKNOWN = re.compile(r"unknown field `(?P<key>[^`]*)`(?: - at `(?P<path>[^`]*)`)?")


def read(path: Path, kind: type[T], *, what: str, schema: int = 1) -> T:
    """The noun in a TOML file.

    Args:
        what: a description for messages, such as `fleet file`.
        schema: newest schema that this version can read.

    Raises:
        ConfigError: the file is missing, not TOML, has an unknown key, a wrong type or a newer schema.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(
            f"no such {what}: {path}", hint=MISSING.get(what, ""), code=Code.FILE_NOT_FOUND
        ) from None
    except OSError as error:
        raise ConfigError(f"cannot read the {what} {path}: {error.strerror}") from None
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"the {what} is larger than {MAX_BYTES // 1024**2} MiB: {path}")
    return convert(parse(raw, path, what), kind, where=f"{what} {path}", schema=schema)


MISSING = {
    "fleet file": "make one with `edgewright fleet add NAME ADDRESS`, or name it with --fleet",
    "project file": "make one with `edgewright init MODEL`, or name it with --project",
    "profile": "`edgewright profiles list` names them",
}


def parse(raw: bytes, path: Path, what: str) -> dict[str, Any]:
    """The tables in a TOML text."""
    try:
        return tomllib.loads(raw.decode("utf-8"))
    except (
        ValueError,
        RecursionError,
    ) as error:  # ValueError: not TOML, not UTF-8, or an integer with over 4,300 digits
        raise ConfigError(f"the {what} {path} is not valid TOML: {error}", hint="fix that line") from None


def convert(
    tables: dict[str, Any], kind: type[T], *, where: str, schema: int = 1, page: str = "docs/files.md"
) -> T:
    """The noun in parsed tables; `where` states their origin in messages, and `page` describes their keys."""
    schemas.check(tables.get("schema", 1), schema, where, ConfigError)
    try:
        return msgspec.convert(tables, kind)
    except msgspec.ValidationError as error:
        raise explain(str(error), kind, where, page) from None


def explain(text: str, kind: type[msgspec.Struct], where: str, page: str) -> ConfigError:
    """msgspec's message in this project's terms, with the nearest valid key."""
    found = UNKNOWN.search(text)
    if not found:
        message = text[:1].lower() + text[1:]
        return ConfigError(
            f"{where}: {message}".replace(" - at `$.", " at `"), hint=f"see {page} for the keys"
        )
    key = found["key"]
    path = (found["path"] or "$").removeprefix("$").lstrip(".")
    keys = keys_at(kind, path)
    near = difflib.get_close_matches(key, keys, n=1, cutoff=0.5)
    hint = f"did you mean `{near[0]}`?" if near else f"the keys are: {', '.join(keys)}"
    return ConfigError(f"{where}: unknown key `{key}`" + (f" in [{path}]" if path else ""), hint=hint)


def keys_at(kind: type[msgspec.Struct], path: str) -> tuple[str, ...]:
    """The keys of the table at a msgspec path such as `boards[...].labels`."""
    current: Any = kind
    for part in re.findall(r"[^.\[\]]+|\[\.\.\.\]", path):
        inner = inner_struct(current if part == "[...]" else get_type_hints(current).get(part))
        if inner is None:
            return current.__struct_fields__ if hasattr(current, "__struct_fields__") else ()
        current = inner
    fields: tuple[str, ...] = current.__struct_fields__
    return fields


def inner_struct(hint: Any) -> Any:
    """The struct in a type such as `dict[str, Budget]` or `Preprocessing | None`."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint
    for argument in get_args(hint):
        found = inner_struct(argument)
        if found is not None:
            return found
    return None


def write(path: Path, noun: msgspec.Struct) -> None:
    """Writes a noun as TOML, atomically; keys that are None or have their default are left out."""
    import tomli_w

    home.made(path.parent)
    write_atomic(path, tomli_w.dumps(plain(noun)), durable=True)


def plain(value: Any) -> Any:
    """Built-in types for TOML, without None and without defaults (except the schema, which is always written)."""
    if isinstance(value, msgspec.Struct):
        result = {}
        for field in msgspec.structs.fields(value):
            inner = getattr(value, field.name)
            if inner is None or (inner == field.default and field.name != "schema"):
                continue
            turned = plain(inner)
            if turned not in ({}, []) or field.required:
                result[field.name] = turned
        return result
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value
