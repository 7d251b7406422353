"""The command line, run in this process."""

from __future__ import annotations

import contextlib
import io
import json
from typing import Any, NamedTuple

from edgewright.cli.main import main


class Ran(NamedTuple):
    """What one command line gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The document of a command with `--json`."""
        return dict(json.loads(self.out))

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
    """Runs `edgewright ARGUMENTS --json`: the exit code and the document."""
    ran = command_line(*arguments, "--json")
    return ran.code, ran.json
