"""The `[hooks]` table: the time that each script may take, from the project file to the request."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edgewright.api.deployment import hooks_of
from edgewright.config import project
from edgewright.errors import ConfigError
from edgewright.nouns.project import HOOKS, Hooks
from edgewright_agent.protocol import HOOK_SECONDS

PROJECT = 'name = "digits"\nmodel = "model.keras"\n[hooks]\n'


def written(folder: Path, lines: str) -> Path:
    path = folder / "edgewright.toml"
    path.write_text(PROJECT + lines)
    return path


def test_the_keys_are_the_kinds_and_a_limit() -> None:
    assert {field.name for field in msgspec.structs.fields(Hooks)} == {*HOOKS, "timeout_s"}


@pytest.mark.parametrize(
    ("line", "seconds"), [("", HOOK_SECONDS), ("timeout_s = 1", 1), ("timeout_s = 3600.0", 3600)]
)
def test_a_limit_is_read_and_is_no_script(tmp_path: Path, line: str, seconds: float) -> None:
    (tmp_path / "restart.sh").write_text("#!/bin/sh\n")
    found = project.load(written(tmp_path, f'activate = "restart.sh"\n{line}\n'))
    assert found.file.hooks.timeout_s == seconds
    assert hooks_of(found) == {"activate": tmp_path / "restart.sh"}


@pytest.mark.parametrize("value", ["0", "0.5", "3601", "nan", "inf", "-1", '"60"'])
def test_a_limit_out_of_its_range_is_one_line(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        project.load(written(tmp_path, f"timeout_s = {value}\n"))
    assert "timeout_s" in caught.value.message and "\n" not in caught.value.message
