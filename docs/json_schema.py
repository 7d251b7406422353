"""Writes docs/json-schema.json and docs/json.md from the records that commands print with `--json`."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import msgspec

from edgewright.cli.results import RECORDS, record
from edgewright.nouns.document import SCHEMA, Document

FILE = Path(__file__).with_name("json-schema.json")
NOTICE = "<!-- written by `make docs` from the code: do not edit -->"
NAMES = {"string": "text", "integer": "integer", "number": "number", "boolean": "boolean", "null": "null"}
Schema = dict[str, Any]


def schema() -> Schema:
    """One JSON Schema for the documents of all commands."""
    kinds = [Document[record(command)] for command in RECORDS]
    found, parts = msgspec.json.schema_components(
        kinds, schema_hook=lambda _: {"type": "string"}, ref_template="#/$defs/{name}"
    )
    documents = []
    for command, one in zip(RECORDS, found, strict=True):
        document = parts.pop(one["$ref"].rpartition("/")[2])
        document["properties"] |= {"schema": {"const": SCHEMA}, "command": {"const": command}}
        documents.append({key: document[key] for key in ("type", "properties")})
    unnamed = json.loads(json.dumps(documents[0]))
    unnamed["properties"] |= {"command": {"const": ""}, "result": {"type": "null"}}
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What `edgewright COMMAND --json` prints",
        "schema": SCHEMA,
        "oneOf": [*documents, unnamed],
        "$defs": parts,
    }
    return dict(_published(whole))


def _published(part: Any) -> Any:
    """Marks all keys as required, as each is always printed, and allows others, as a newer version may add some."""
    if isinstance(part, list):
        return [_published(one) for one in part]
    if not isinstance(part, dict):
        return part
    found = {key: _published(value) for key, value in part.items() if key not in ("default", "description")}
    if isinstance(part.get("properties"), dict):
        summary, about = described(str(part.get("description", "")))
        found |= {"description": summary} if summary else {}
        found["properties"] = {
            key: {**_published(value), **({"description": about[key]} if key in about else {})}
            for key, value in part["properties"].items()
        }
        found["required"] = list(part["properties"])
        found.pop("additionalProperties", None)
    return found


def described(docstring: str) -> tuple[str, dict[str, str]]:
    """The summary of a record's docstring, and the description of each key in its `Attributes`."""
    summary, _, rest = inspect.cleandoc(docstring).partition("Attributes:")
    found: dict[str, str] = {}
    for name, about in re.findall(r"^    ([a-z_0-9, ]+): (.*(?:\n {8,}.*)*)", rest, re.MULTILINE):
        found |= dict.fromkeys(name.split(", "), re.sub(r"\bNone\b", "null", " ".join(about.split())))
    return " ".join(summary.split()), found


def lost(old: Schema, new: Schema) -> list[str]:
    """Keys that programs may rely on and that were removed, or have another type, although the schema's number is the same."""
    if old.get("schema") != new.get("schema"):
        return []
    before, after = keys(old), keys(new)
    return [path for path, kinds in before.items() if after.get(path) != kinds]


def keys(whole: Schema) -> dict[str, set[str]]:
    """Path of each key, such as `status.result.boards[].result.models{}.current` -> its possible types.

    Records are expanded, so that their own names do not matter.
    """
    found: dict[str, set[str]] = {}
    for one in whole["oneOf"]:
        _walk(one, str(one["properties"]["command"]["const"]), whole["$defs"], found)
    return found


def _walk(part: Schema, path: str, parts: Schema, found: dict[str, set[str]]) -> None:
    if "$ref" in part:
        part = parts[part["$ref"].rpartition("/")[2]]
    if "anyOf" in part:
        for one in part["anyOf"]:
            _walk(one, path, parts, found)
        return
    plain = {key: value for key, value in part.items() if key in ("type", "const", "enum")}
    found.setdefault(path, set()).add(json.dumps(plain, sort_keys=True))
    for key, value in part.get("properties", {}).items():
        _walk(value, f"{path}.{key}", parts, found)
    if isinstance(part.get("additionalProperties"), dict):
        _walk(part["additionalProperties"], f"{path}{{}}", parts, found)
    for value in [part.get("items"), *part.get("prefixItems", [])]:
        if isinstance(value, dict):
            _walk(value, f"{path}[]", parts, found)


def page(whole: Schema) -> str:
    """docs/json.md."""
    rows = [
        f"# What `--json` prints\n\n{NOTICE}\n",
        "Every command prints one JSON document on stdout; progress and notes go to stderr. Its JSON Schema is",
        f"[json-schema.json](json-schema.json). This is schema {SCHEMA}: a newer version may add keys; when a key goes or changes its",
        "meaning, `schema` rises. Every key is always present. A number that is not finite is null. Passwords, passphrases and private",
        "keys are never in it.\n",
        "| key | is |\n|---|---|",
        f"| `schema` | {SCHEMA} |",
        "| `command` | the command, such as `fleet list`; empty where the command line names none |",
        "| `ok` | whether the exit code is 0 |",
        "| `error` | `code` (stable), `message` and `hint`: why there is no result; null where there is one |",
        "| `result` | what the command found or did; null where an error prevented it |\n",
        "A command over several boards has a result even if some of them fail: each entry of `boards` has its own `error` or `result`,",
        "each entry of `outcomes` its own `code`, `message` and `hint`.\n",
        "## Results\n\n| command | result |\n|---|---|",
    ]
    for one in whole["oneOf"][:-1]:
        (kind,) = [kind for kind in one["properties"]["result"]["anyOf"] if "$ref" in kind]
        rows.append(f"| `{one['properties']['command']['const']}` | {spoken(kind)} |")
    rows.append("\n## Records\n")
    shown = {name: one for name, one in whole["$defs"].items() if not name.endswith("_")}
    shown["BoardAnswer"] = generic(whole["$defs"])
    for name, one in sorted(shown.items()):
        rows.append(f"### {name}\n\n{one.get('description', '')}\n\n| key | type | is |\n|---|---|---|")
        rows += [
            f"| `{key}` | {spoken(kind)} | {cell(kind.get('description', ''))} |"
            for key, kind in one["properties"].items()
        ]
        rows.append("")
    return "\n".join(rows).rstrip() + "\n"


def generic(parts: Schema) -> Schema:
    """The name of a generic record, such as `BoardAnswer`, without its result's type."""
    found = next(one for name, one in parts.items() if name.startswith("BoardAnswer_"))
    about = found["properties"]["result"]["description"]
    return {**found, "properties": {**found["properties"], "result": {"description": about}}}


def cell(about: str) -> str:
    """Text for a table cell."""
    return about.replace("|", "\\|")


def spoken(kind: Schema) -> str:
    """A type, in words."""
    if "$ref" in kind:
        name = kind["$ref"].rpartition("/")[2]
        if name.endswith("_"):
            outer, _, inner = name[:-1].partition("_")
            answer = "" if inner == "NoneType" else f" of [{inner}](#{inner.lower()})"
            return f"[{outer}](#{outer.lower()}){answer}"
        return f"[{name}](#{name.lower()})"
    if "anyOf" in kind:
        return " or ".join(spoken(one) for one in kind["anyOf"])
    if "const" in kind:
        return f"`{kind['const']}`"
    if "enum" in kind:
        return " or ".join(f"`{one}`" for one in kind["enum"])
    if kind.get("type") == "array":
        items = kind.get("items") or (kind.get("prefixItems") or [{}])[0]
        return f"list of {spoken(items)}" if items else "list"
    if kind.get("type") == "object":
        values = kind.get("additionalProperties")
        return f"object of {spoken(values)} by name" if isinstance(values, dict) and values else "object"
    return NAMES.get(str(kind.get("type")), "any value")


def text() -> str:
    """docs/json-schema.json.

    Raises:
        SystemExit: a key was removed, or has another type, and SCHEMA is the same.
    """
    new = schema()
    gone = lost(json.loads(FILE.read_text()), new) if FILE.exists() else []
    if gone:
        raise SystemExit(
            f"error: docs/json-schema.json had other keys: {', '.join(gone)}\n"
            "hint: raise SCHEMA in host/edgewright/nouns/document.py, then run `make docs`"
        )
    return json.dumps(new, indent=1) + "\n"
