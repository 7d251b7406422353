"""Real runtimes on real old Pythons: resolved, fetched and unpacked by `deploy` itself, then verified and measured."""

from __future__ import annotations

from pathlib import Path

import needs
import old_pythons
import pytest
from command_line import command_line

MODEL = Path(__file__).parents[3] / "examples" / "digits" / "digits-v1.keras"


@pytest.mark.slow
@pytest.mark.sampled(4)
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("version", "target", "runtime"), old_pythons.DEPLOYED, ids=lambda value: str(value).replace(" ", "-")
)
def test_a_real_deployment(make_lab, survived, version, target, runtime):
    name = f"{target[:2]}{version.replace('.', '')}"
    make_lab(1, name=name, python=str(needs.python(version)))
    ran = command_line(
        "deploy", MODEL, "--to", f"{name}-1", "--name", "digits", "--target", target, "--precision", "fp32", "--json"
    )  # fmt: skip
    assert "outcomes" in ran.json, (ran.out, ran.err)
    assert ran.outcome["outcome"] == "committed", (ran.outcome, ran.err)
    assert ran.outcome["runtime"].startswith(runtime)
    assert ran.check("answers")["ok"]
    survived("pythons: a deployment with the real runtime that this Python gets")
