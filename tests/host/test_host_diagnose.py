from __future__ import annotations

from typing import Any

import pytest

from edgewright.deploy.diagnose import diagnose, guarded
from edgewright.nouns.board import Board
from edgewright.nouns.facts import Facts, LibcFacts, PythonFacts, RuntimeFact

BOARD = Board(name="kitchen", address="192.0.2.1", profile="pi4b")
PI = Facts(
    model="Raspberry Pi 4 Model B Rev 1.4", arch="aarch64", cpus=4, memory_mb=3793, disk_free_bytes=8 * 1024**3, guard="cron",
    governor="performance", libc=LibcFacts(name="glibc", version="2.36"),
    python=PythonFacts(version="3.11.2", executable="/usr/bin/python3", platform="linux-aarch64", tag="cp311"),
    runtimes=(RuntimeFact(ref="system:tflite-runtime", name="tflite-runtime", target="tflite", version="2.14.0", system=True),),
)  # fmt: skip


def found(**changes: Any) -> list[tuple[str, str]]:
    import msgspec

    diagnosis = diagnose(BOARD, msgspec.structs.replace(PI, **changes))
    return [(finding.level, finding.message) for finding in diagnosis.findings]


def test_a_board_that_has_all_is_ready() -> None:
    assert found() == []
    assert diagnose(BOARD, PI).ready


@pytest.mark.parametrize(
    ("changes", "level", "word"),
    [
        ({"arch": "x86_64"}, "problem", "aarch64"),
        ({"root_problem": "noexec"}, "problem", "noexec"),
        ({"runtimes": ()}, "advice", "no runtime yet"),
        ({"runtimes": (), "libc": LibcFacts(name="musl", version="1.2")}, "problem", "no runtime for Python 3.11.2"),
        ({"disk_free_bytes": 100 * 1024**2}, "advice", "100 MiB"),
        ({"governor": "ondemand"}, "advice", "ondemand"),
        ({"guard": "none"}, "advice", "no reboot guard"),
    ],
)  # fmt: skip
def test_what_is_lacking_is_said(changes: dict[str, Any], level: str, word: str) -> None:
    findings = found(**changes)
    assert len(findings) == 1, findings
    assert findings[0][0] == level
    assert word in findings[0][1]


class Answering:
    """Stands for a board that answers `guard`; the agent's own tests run the real one."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.answer = answer

    def call(self, do: str, **arguments: Any) -> dict[str, Any]:
        assert do == "guard"
        return self.answer


def test_a_guard_that_was_not_tested_is_a_problem() -> None:
    good = Answering({"guard": "cron", "tested": True, "why": ""})
    assert guarded(good, True) == []  # type: ignore[arg-type]
    for answer in (
        {"guard": "none", "tested": False, "why": "no crontab"},
        {"guard": "cron", "tested": False, "why": ""},
    ):
        findings = guarded(Answering(answer), True)  # type: ignore[arg-type]
        assert [finding.level for finding in findings] == ["problem"]
    assert guarded(Answering({"guard": "none", "tested": False}), False) == []  # type: ignore[arg-type]
