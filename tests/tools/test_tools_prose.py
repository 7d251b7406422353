"""What `tools/prose.py` finds in text, and leaves alone in code."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "prose.py"
PROGRAM = '''"""It is told anew, beside that
without a word."""

said = {"told": 1, "alike": 2}  # nobody is of ours


def mend(told: str) -> str:
    """Recommends a kernel of its own, the limits of its own kernel, and `hardware.said()`."""
    return f"{told}: answers all alike, {said}" + "told"
'''


@pytest.fixture(scope="module")
def prose() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prose", SCRIPT)
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def found(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """`line phrase` of what was printed."""
    lines = [
        line.split(":", 3) for line in capsys.readouterr().out.splitlines() if not line.startswith("error")
    ]
    return [f"{line[1]}{line[2]}" for line in lines]


def test_phrases_in_strings_comments_and_docstrings_are_found(
    prose: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not in names, in keys of one word, in fields of an f-string, or within longer words."""
    (tmp_path / "program.py").write_text(PROGRAM)
    assert prose.main([str(tmp_path)]) == 1
    assert found(capsys) == [
        "1 'told'",
        "1 'anew'",
        "1 'beside that'",
        "2 'without a word'",
        "4 'nobody is'",
        "4 'of ours'",
        "8 'of its own'",
        "9 'alike'",
    ]


def test_a_phrase_over_two_lines_of_a_page_is_found(
    prose: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\nIt runs in a process of its\nown. It Need\nNot stay.\n")
    assert prose.main([str(page)]) == 1
    assert found(capsys) == ["3 'of its own'", "4 'Need Not'"]
    page.write_text("# Page\n\nIt runs in its own process. It does not have to stay.\n")
    assert prose.main([str(page)]) == 0


def test_every_phrase_is_found_by_itself(prose: ModuleType) -> None:
    for phrase in (
        "mended",
        "said",
        "called so",
        "is there to",
        "as wished",
        "besides what",
        "so as not to",
        "hereby",
    ):
        assert [one[1] for one in prose.found_in(f"It {phrase} x")] == [phrase]


def test_rooms_that_were_rewritten_are_checked_for_more(
    prose: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(prose, "ROOT", tmp_path)
    text = '"""One line a\nsample, for a person: it is told."""\n'
    for name in ("benchmarks/truth/layer.py", "host/new.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    assert prose.main([str(tmp_path / "benchmarks")]) == 1
    assert found(capsys) == ["2 'told'"]
    assert prose.main([str(tmp_path / "host")]) == 1
    assert found(capsys) == ["1 'One line a sample'", "2 'for a person'", "2 'told'"]


def test_the_repository_is_checked(prose: ModuleType) -> None:
    names = {str(file.relative_to(prose.ROOT)) for file in prose.files([])}
    assert {
        "README.md",
        "CHANGELOG.md",
        "Makefile",
        "agent/edgewright_agent/storage/state.py",
        "docs/wire.md",
    } <= names
    assert not any(name.startswith("tests/upgrades/made_by_") for name in names)
