"""The JSON that programs read: its keys are pinned here. A key that goes or changes its meaning needs a new JSON_VERSION."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec

from edgewright.cli.main import main
from edgewright.cli.render import JSON_VERSION
from edgewright.compile.explain import Element, Explanation, Group, Layer
from edgewright.compile.matrix import Cell
from edgewright.deploy.board_runtimes import TargetFit
from edgewright.deploy.diagnose import Diagnosis
from edgewright.lab.boards import LabBoard
from edgewright.measure.search.engine import Move, SearchResult, Trial, Verdict
from edgewright.nouns.artifact import Accuracy, Manifest
from edgewright.nouns.facts import Facts, ThermalZone
from edgewright.nouns.finding import Finding
from edgewright.nouns.measurement import Latency, Measurement
from edgewright.nouns.outcome import BoardOutcome, Check
from edgewright.nouns.profile import Profile
from edgewright.nouns.target import Target
from edgewright.nouns.verdict import Compared, Limits, OutputVerdict, Slice, SliceLimits
from edgewright.store.cache import Entry

PINNED = Path(__file__).with_name("json_contract.json")
DOCUMENTS = (
    BoardOutcome,
    Check,
    Measurement,
    Latency,
    Manifest,
    Compared,
    OutputVerdict,
    Limits,
    SliceLimits,
    Slice,
    Accuracy,
    Facts,
    ThermalZone,
    Diagnosis,
    TargetFit,
    Finding,
    Profile,
    Target,
    LabBoard,
    Explanation,
    Element,
    Layer,
    Group,
    Cell,
    SearchResult,
    Trial,
    Move,
    Verdict,
    Entry,
)
README = Path(__file__).parents[2] / "README.md"


def test_no_key_of_the_json_was_lost_or_renamed() -> None:
    pinned = json.loads(PINNED.read_text())
    assert pinned["version"] == JSON_VERSION
    for kind in DOCUMENTS:
        now = [field.encode_name for field in msgspec.structs.fields(kind)]
        assert now == pinned[kind.__name__], (
            f"{kind.__name__}: update json_contract.json, and JSON_VERSION unless keys were only added"
        )


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
