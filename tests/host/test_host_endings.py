"""The closing sentence of each command: what a person can do next, on stderr, and never with `--json`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import pytest
import typer
from command_line import Ran, command_line

from edgewright.api.results import BoardAnswer
from edgewright.cli.commands import fleet_remove, fleet_repair, lab
from edgewright.cli.main import app
from edgewright.lab.boards import LabBoard
from edgewright.wire.answers import Damage, Repaired

# command line -> a part of its closing sentence, in this order
ENDINGS = {
    "init NET": "next: edit it, then `edgewright convert",
    "init NET --output other.toml": "--project other.toml",
    "lab list": "there is no lab: `edgewright lab up` starts boards",
    "lab down": "`edgewright lab up` starts boards",
    "logs here": "the log's last 100 lines at most: --lines shows more; `edgewright status here`",
    "status": "no model is there yet: `edgewright deploy",
    "fleet repair here": "`edgewright status --verify` hashes",
    "fleet show": "`edgewright fleet add NAME` with options changes a board",
    "fleet list": "`edgewright fleet trust here` pins",
    "fleet prune here": "keeps its newest 3 known-good releases",
    "fleet agent agent.pyz": "install it as root",
    "fleet trust here": "`edgewright doctor",
    "fleet add more local:": "`edgewright doctor more`",
    "fleet remove more --yes": "use --purge",
    "doctor here": "`edgewright deploy",
    "doctor --host": "`edgewright convert",
    "cache list": "`edgewright cache prune`",
    "cache prune --dry-run": "leave --dry-run out",
    "cache prune": "`edgewright cache list`",
    "cache prune --max-size 0": "the next conversion fills it",
    "toolchain list": "`edgewright toolchain install NAME`",
    "toolchain install onnx2tf --dry-run": "leave --dry-run out",
    "toolchain remove onnx2tf": "`edgewright toolchain install onnx2tf`",
    "profiles list": "`edgewright profiles show NAME`",
    "profiles show pi4b": "`edgewright lab up --profile pi4b`",
    "targets": "`edgewright targets --matrix`",
    "targets --matrix": "`edgewright convert MODEL --target",
    "history": "nothing was deployed yet: `edgewright deploy",
}
# Commands whose closing sentences other tests see, since they need a model on a board or take long.
ELSEWHERE = {
    "demo", "compress", "convert", "export", "optimize", "provision", "deploy", "infer", "bench", "rollback", "history show", "lab up", "fleet reset",
}  # fmt: skip


@pytest.fixture
def here(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a model, and a fleet of one board on this machine."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text("def make(): ...\n")
    (tmp_path / "fleet.toml").write_text(
        f'[boards.here]\naddress = "local:"\nroot = "{tmp_path / "board"}"\npython = "{sys.executable}"\n'
    )
    (home / "logs").mkdir()
    (home / "logs/convert.log").write_text("a log")
    yield tmp_path


def typed(words: str, *more: str) -> Ran:
    """A command line of the table."""
    return command_line(*words.replace("NET", "net.py:make").split(), *more)


def test_each_command_ends_in_a_sentence_for_people(here: Path) -> None:
    for words, part in ENDINGS.items():
        ran = typed(words)
        last = ran.err.strip().splitlines()[-1:]
        assert last and part in last[0] and part not in ran.out, (words, ran.out, ran.err)
    for words, part in ENDINGS.items():
        ran = typed(words, "--json", *(["--force"] if words.startswith("init") else []))
        assert part not in ran.err and ran.out.startswith("{"), (words, ran.out, ran.err)


def test_no_command_is_forgotten() -> None:
    every = set(commands(typer.main.get_command(app)))
    tried = {name for name in every for words in ENDINGS if f"{words} ".startswith(f"{name} ")}
    assert every - ELSEWHERE == tried - ELSEWHERE and every >= ELSEWHERE


def commands(group: click.Command, before: str = "") -> Iterator[str]:
    """The names of all commands, such as `fleet add`."""
    if not isinstance(group, click.Group):
        yield before
        return
    if group.invoke_without_command and before:
        yield before
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield from commands(command, f"{before} {name}".strip())


def test_what_is_left_is_said_at_the_end() -> None:
    left = Repaired(left=(Damage(code="io", message="it belongs to root"),))
    for value, dry_run, part in (
        (left, False, "the rest is for you to do: follow the hints above"),
        (Repaired(done=("the link",)), True, "leave --dry-run out"),
        (Repaired(done=("the link",)), False, "`edgewright status --verify`"),
    ):
        answer: BoardAnswer[Repaired] = BoardAnswer(board="b", result=value)
        assert part in fleet_repair.ending([answer], dry_run=dry_run)
    assert "run it again for b when" in fleet_remove.ending(["b"], purge=True)
    assert "adds a board again" in fleet_remove.ending([], purge=True)


def test_labs_that_are_down_are_named_with_what_starts_them() -> None:
    plain = dict.fromkeys(LabBoard.__struct_fields__, "") | {"fleet": Path("fleet.toml"), "machine": False}
    a, b = (
        LabBoard(**(plain | {"lab": name, "name": f"{name}-1", "alive": alive}))  # type: ignore[arg-type]
        for name, alive in (("a", True), ("my-lab", False))
    )
    assert lab.list_ending([a, b]).startswith(
        "my-lab-1 down: `edgewright lab up --name my-lab --boards 1 --fleet fleet.toml` starts"
    )
    machine = msgspec.structs.replace(b, arch="armv7l", suite="forky", machine=True, kernel="arm64")
    assert "--boards 1 --arch armv7l --suite forky --vm --kernel arm64 --fleet" in lab.list_ending(
        [a, machine]
    )
    assert "`edgewright lab down` stops them" in lab.list_ending([a])
