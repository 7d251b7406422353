"""What programs read: JSON documents match their published schema, and the README's commands have the options that it names."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from command_line import command_line, document_of

from edgewright.cli.main import COMMANDS, main
from edgewright.cli.results import RECORDS
from edgewright.nouns.document import SCHEMA

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"


@pytest.fixture
def schema(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script that writes the schema."""
    monkeypatch.syspath_prepend(ROOT / "docs")
    import json_schema

    yield json_schema
    del sys.modules["json_schema"]


def test_the_published_schema_is_what_the_commands_print(schema) -> None:  # type: ignore[no-untyped-def]
    published = json.loads((ROOT / "docs" / "json-schema.json").read_text())
    assert schema.lost(published, schema.schema()) == []
    assert published == schema.schema(), "run `make docs`"


def test_every_command_with_json_has_a_record(capsys: pytest.CaptureFixture[str]) -> None:
    found = set()
    for name in COMMANDS:
        main([name, "--help"])
        shown = capsys.readouterr().out
        _, _, subcommands = shown.partition("\nCommands:\n")
        words = re.findall(r"^  ([a-z]+) ", subcommands, re.MULTILINE)
        found |= {f"{name} {word}" for word in words} or {name}
    assert found | {"history"} == set(RECORDS)  # which lists without a sub-command


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        (lambda whole: whole["$defs"]["Latency"]["properties"].pop("p95"), ["p95"]),
        (lambda whole: whole["$defs"]["Latency"]["properties"].update(p95={"type": "string"}), ["p95"]),
        (lambda whole: whole["$defs"]["Latency"]["properties"].update(p96={"type": "number"}), []),
        (lambda whole: whole.update(schema=SCHEMA + 1), []),
    ],
    ids=["gone", "another type", "added", "another number"],
)
def test_a_key_that_went_needs_another_number(schema, change, lost: list[str]) -> None:  # type: ignore[no-untyped-def]
    before = schema.schema()
    after = json.loads(json.dumps(before))
    change(after)
    assert sorted({path.rpartition(".")[2] for path in schema.lost(before, after)}) == lost


def test_a_lost_key_is_not_written(schema, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    published = schema.schema()
    published["$defs"]["Latency"]["properties"]["p42"] = {"type": "number"}
    monkeypatch.setattr(schema, "FILE", tmp_path / "json-schema.json")
    (tmp_path / "json-schema.json").write_text(json.dumps(published))
    with pytest.raises(SystemExit, match=r"p42.*\nhint: raise SCHEMA"):
        schema.text()


def test_a_document_of_another_shape_is_noticed() -> None:
    """The check of every document that a test reads (`command_line.document_of`)."""
    out = command_line("targets", "--json").out
    for wrong in (
        out.replace('"title"', '"name_of_it"'),
        out.replace('"ok": true', '"ok": 1'),
        out.replace('"error": null,', ""),
    ):
        assert wrong != out
        with pytest.raises((msgspec.ValidationError, AssertionError)):
            document_of(wrong)
    assert document_of(out)["ok"] is True


@pytest.mark.parametrize(
    ("arguments", "command", "code"),
    [
        (["fleet", "show", "nobody"], "fleet show", 64),
        (["fleet", "shoe"], "", 64),
        (["nothing"], "", 64),
        (["deploy", "m.onnx"], "deploy", 64),
        (["convert", "gone.onnx"], "convert", 1),
    ],
)
def test_an_error_is_a_document_too(
    arguments: list[str], command: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = command_line(*arguments, "--json")
    assert (ran.code, document_of(ran.out)["command"]) == (code, command), ran.out
    assert ran.error["message"] and ran.error["code"]


def test_the_password_of_the_history_is_in_no_document(monkeypatch: pytest.MonkeyPatch) -> None:
    for url in ("postgresql://me:s3cret@127.0.0.1:1/x", "nothing://me:s3cret@host/x", "me:s3cret@host"):
        monkeypatch.setenv("EDGEWRIGHT_HISTORY", url)
        ran = command_line("history", "--json")
        assert ran.code == 1 and "s3cret" not in ran.out + ran.err, ran.out
        assert ran.error["code"] == "history"


def test_every_command_of_the_readme_exists_with_its_options(capsys) -> None:  # type: ignore[no-untyped-def]
    lines = re.findall(
        r"edgewright ([a-z][^\n;&`#]*)", "\n".join(re.findall(r"```sh\n(.*?)```", README.read_text(), re.S))
    )
    assert len(lines) >= 8
    for line in lines:
        words = line.split()
        path = words[: 2 if words[0] in ("fleet", "lab", "profiles") else 1]
        assert main([*path, "--help"]) == 0, line
        shown = capsys.readouterr().out
        for option in re.findall(r"--[a-z-]+", line):
            assert option in shown, f"{option} of: edgewright {line}"
