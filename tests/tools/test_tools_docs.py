"""What `docs/generate.py --check` finds."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "docs" / "generate.py"


def test_a_link_to_a_page_that_is_not_there_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "TERMINAL_WIDTH"):
        monkeypatch.setenv(name, "100")  # the script sets them: put back at the end
    spec = importlib.util.spec_from_file_location("generate_docs", SCRIPT)
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    (tmp_path / "there.md").write_text("# There\n\n[up](#there) [web](https://example.org/a.md)\n")
    (tmp_path / "page.md").write_text("[a](there.md#there), [b](gone.md#part)\nand [c](also_gone.md)\n")
    assert script.dead_links(tmp_path) == ["page.md: gone.md", "page.md: also_gone.md"]
    assert script.dead_links() == []


def test_the_list_of_packages_is_made_of_docstrings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(SCRIPT.parent)
    import rooms

    package = tmp_path / "host" / "edgewright"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('"""The command\nline: `a` | b. More."""\n')
    (package / "bare.py").write_text("x = 1\n")
    assert rooms.rooms(tmp_path).splitlines()[-1] == "| `host/edgewright` | The command line: `a` \\| b. |"
    assert rooms.unnamed(tmp_path) == ["host/edgewright/bare.py"]
    assert rooms.unnamed() == []
    del sys.modules["rooms"]
