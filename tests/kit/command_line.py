"""Runs the command line in this process."""

from __future__ import annotations

import contextlib
import io
import json
from typing import Any, NamedTuple

import msgspec

from edgewright.cli.main import main
from edgewright.cli.results import RECORDS, record
from edgewright.nouns.document import Document


def document_of(out: str) -> dict[str, Any]:
    """The document that a command printed, compared strictly with its record: every key, every type, nothing else."""
    plain = dict(json.loads(out))
    kind = record(plain["command"]) if plain["command"] in RECORDS else None
    read = msgspec.json.decode(out, type=Document[kind], dec_hook=lambda wanted, value: wanted(value))
    assert json.loads(msgspec.json.encode(read, enc_hook=str)) == plain
    return plain


def result_of(out: str) -> dict[str, Any]:
    """The result in the document that a command printed."""
    result = document_of(out)["result"]
    assert result is not None, out
    return dict(result)


class Ran(NamedTuple):
    """The exit code and output of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The result in the document of a command with `--json`."""
        return result_of(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """The error in the document of a command with `--json`."""
        document = document_of(self.out)
        assert document["result"] is None and not document["ok"], self.out
        return dict(document["error"])

    @property
    def outcome(self) -> dict[str, Any]:
        """The only board's outcome."""
        outcomes = self.json["outcomes"]
        assert len(outcomes) == 1, self.err
        return dict(outcomes[0])

    def check(self, name: str) -> dict[str, Any]:
        """A line of the gate."""
        return next(check for check in self.outcome["checks"] if check["name"] == name)


def command_line(*arguments: object) -> Ran:
    """Runs `edgewright ARGUMENTS`."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    return Ran(code, out.getvalue(), err.getvalue())


def command_json(*arguments: object) -> tuple[int, dict[str, Any]]:
    """Runs `edgewright ARGUMENTS --json`: the exit code and the result."""
    ran = command_line(*arguments, "--json")
    return ran.code, ran.json
