"""The parts of docs/wire.md and docs/errors.md that come from the code: from the records of the wire and the enum of codes."""

from __future__ import annotations

import inspect
import re
import types as builtin
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

from edgewright.errors import Code
from edgewright.wire import answers, caps, commands, types

BEGIN, END = "<!-- written by `make docs` from the code: begin -->\n", "<!-- end -->\n"
PLAIN = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    type(None): "null",
    object: "anything",
}
AGENT_LAST = Code.UNKNOWN_COMMAND  # codes up to this one are the agent's


def wire(page: str) -> str:
    """The page with its generated part updated."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + section() + END + after


def section() -> str:
    """Types of arguments, commands, and the records in answers."""
    rows = [*limits(), "\n### Types of arguments\n", "| type | is |", "|---|---|"]
    rows += [f"| {word} | {described(word)} |" for word in sorted(types.WORDS)]
    for command in commands.COMMANDS:
        rows += [
            "",
            f"### {title(command)}\n",
            document(command),
            "",
            f"Arguments: {arguments(command)}. Time limit: {command.limit_s:g} s.",
            "",
        ]
        rows += [f"Answer: {answered(command)}"]
    rows += ["\n### Records in answers\n"]
    for record in sorted(nested(), key=lambda one: one.__name__):
        rows += [f"`{record.__name__}`: {document(record)}\n", f"```text\n{shape(record)}\n```\n"]
    return "\n".join(rows)


def limits() -> list[str]:
    """The table of caps."""
    rows = [
        "\n### What the host takes\n",
        "A board may say anything: each place where the host reads from one has a cap.\n",
    ]
    rows += ["| the host reads | at most | and no more than | more is |", "|---|---|---|---|"]
    rows += [f"| {cap.reads} | {amount(cap)} | {cap.tighter or '-'} | {cap.then} |" for cap in caps.CAPS]
    return rows


def amount(cap: caps.Cap) -> str:
    """The cap in words."""
    if cap.unit != "bytes":
        return f"{cap.most} {cap.unit}"
    return f"{cap.most // caps.MIB} MiB" if cap.most >= caps.MIB else f"{cap.most // 1024} KiB"


def title(command: type[commands.Command[Any]]) -> str:
    """The heading of a command."""
    return f"`{command.do}`" + (" without inputs" if command is commands.Describe else "")


def document(record: type) -> str:
    """A docstring, with its list of attributes as bullet points."""
    text = inspect.getdoc(record) or ""
    what, _, attributes = text.partition("\nAttributes:\n")
    lines = [line.strip() for line in re.sub(r"\n\s{8,}", " ", "\n" + attributes).split("\n") if line.strip()]
    named = [re.sub(r"(^|\. )(\w+): ", r"\1`\2`: ", line) for line in lines]
    return what.strip() + "".join(f"\n- {line}" for line in named)


def described(word: str) -> str:
    """The values that a type of argument accepts."""
    kind = types.WORDS[word]
    if get_origin(kind) is Annotated:
        return next(str(one.description) for one in get_args(kind)[1:] if one.description)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return f"`{shape(kind, words=True)}`"
    if kind is types.Hooks:
        return "an object: `activate`, `health`, `quiesce`, `resume` -> sha256 of the hook's file"
    return PLAIN[kind]


def arguments(command: type[commands.Command[Any]]) -> str:
    """`model` name, `threads` threads or null (null)."""
    found = []
    hints = get_type_hints(command, include_extras=True)
    for field in msgspec.structs.fields(command):
        default = "" if field.required else f" ({written(field)})"
        found.append(f"`{field.name}` {word_of(hints[field.name])}{default}")
    if command is commands.Describe:
        found.append("`inputs` null")
    return ", ".join(found) or "none"


def written(field: msgspec.structs.FieldInfo) -> str:
    """The default of a field as JSON."""
    default = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    return msgspec.json.encode(default).decode()


def word_of(kind: Any) -> str:
    """A type of argument in words."""
    for word, known in types.WORDS.items():
        if kind == known:
            return word
    return f"{word_of(Union[tuple(one for one in get_args(kind) if one is not type(None))])} or null"  # noqa: UP007 - at run time


def answered(command: type[commands.Command[Any]]) -> str:
    """The answer to a command."""
    record = command.answer()
    if record is answers.Nothing:
        return "`{}`."
    if record.__module__ != answers.__name__:
        return f"`{record.__module__}.{record.__name__}`."
    return f"{document(record)}\n\n```text\n{shape(record)}\n```"


def shape(record: type, *, words: bool = False) -> str:
    """An object of JSON: its keys with their types; optional ones with `?`.

    Args:
        words: use the words for types of arguments.
    """
    hints = get_type_hints(record, include_extras=True)
    keys = [
        f'"{field.encode_name}"{"" if field.required else "?"}: {word_of(hints[field.name]) if words else named(hints[field.name])}'
        for field in msgspec.structs.fields(record)
    ]
    one = "{" + ", ".join(keys) + "}"
    return one if len(one) < 110 or words else "{\n  " + ",\n  ".join(keys) + "\n}"


def named(kind: Any) -> str:
    """A type in an answer."""
    if get_origin(kind) is Annotated:
        notes = [one.description for one in get_args(kind)[1:] if getattr(one, "description", None)]
        return (
            str(notes[0])
            if kind is not types.Sha256 and notes
            else named(get_args(kind)[0])
            if kind is not types.Sha256
            else "sha256"
        )
    if kind in PLAIN:
        return PLAIN[kind]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind.__name__
    inner = [one for one in get_args(kind) if one is not Ellipsis]
    if get_origin(kind) is tuple:
        return (
            f"[{named(inner[0])}, ...]" if Ellipsis in get_args(kind) else f"[{', '.join(map(named, inner))}]"
        )
    if get_origin(kind) is dict:
        return f"{{{named(inner[0])}: {named(inner[1])}}}"
    if isinstance(kind, builtin.UnionType) or get_origin(kind) is Union:
        return " or ".join(named(one) for one in inner)
    return str(kind)


def structs_in(kind: Any) -> set[type]:
    """The records of the wire that a type consists of."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        if kind.__module__ != answers.__name__:
            return set()
        hints = get_type_hints(kind, include_extras=True).values()
        return {kind}.union(*(structs_in(one) for one in hints))
    return set[type]().union(*(structs_in(one) for one in get_args(kind)))


def nested() -> set[type]:
    """The records nested in answers, without the answers themselves, and the record in errors."""
    whole = {command.answer() for command in commands.COMMANDS}
    return (set[type]().union(*(structs_in(one) for one in whole)) - whole) | {answers.About}


def errors(notice: str) -> str:
    """docs/errors.md."""
    words = [code for code in Code]
    last = words.index(AGENT_LAST) + 1
    rows = [
        f"# Error codes\n\n{notice}The `code` of an error, in JSON, in the history and on the wire: a stable word for programs. What to do here is"
    ]
    rows.append("general; the hint of an error is often more precise. `BOARD` is the name of a board.\n")
    for heading, some in (("From a board's agent", words[:last]), ("From edgewright", words[last:])):
        rows += [f"## {heading}\n", "| code | means | what to do |", "|---|---|---|"]
        rows += [f"| `{code.value}` | {code.meaning} | {code.cure} |" for code in sorted(some)]
        rows.append("")
    return "\n".join(rows)


def pages(folder: Path, notice: str) -> dict[str, str]:
    """Name -> text of the generated pages."""
    return {"wire.md": wire((folder / "wire.md").read_text()), "errors.md": errors(notice)}
