"""The reader of plug-ins, with real distributions on the path: folders with metadata, as pip creates them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgewright import targets
from edgewright.errors import UsageError
from edgewright.nouns.facts import Facts, RuntimeFact
from edgewright.plugins import Entry, Registry, sources_of

GROUP = "edgewright.test_colours"
GOOD = "COLOUR = 'ff0000'"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path for distributions."""
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [
        name for name, module in sys.modules.items() if str(tmp_path) in str(getattr(module, "__file__", ""))
    ]:
        del sys.modules[name]


def put(site: Path, distribution: str, source: str, *names: str) -> None:
    """Installs a distribution of one module, with an entry point for each name."""
    module = distribution.replace("-", "_")
    (site / f"{module}.py").write_text(source)
    about = site / f"{module}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    points = "".join(f"{name} = {module}:COLOUR\n" for name in names)
    (about / "entry_points.txt").write_text(f"[{GROUP}]\n{points}")


def check(entry: Entry, found: Any) -> int:
    if not isinstance(found, str):
        raise ValueError(f"{entry.value} is no text")
    return int(found, 16)


def registry() -> Registry[int]:
    return Registry(GROUP, "colour", lambda: {"black": "own_colours:BLACK"}, check)


def test_a_plugin_stands_beside_what_edgewright_has(site: Path) -> None:
    (site / "own_colours.py").write_text("BLACK = '000000'")
    put(site, "paint", GOOD, "red")
    found = registry()
    assert found.names() == ["black", "red"]
    assert (found.load("black"), found.load("red")) == (0, 0xFF0000)
    assert found.entry("red").distribution == "paint 1.0"
    assert not found.faults()


def test_nothing_foreign_is_read_for_what_edgewright_has(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (site / "own_colours.py").write_text("BLACK = '000000'")
    put(site, "paint", GOOD, "red")
    monkeypatch.setattr("importlib.metadata.entry_points", None)
    assert registry().load("black") == 0
    assert "paint" not in sys.modules


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("COLOUR = = 1", "SyntaxError: invalid syntax (broken.py, line 1)"),
        ("raise SystemExit('bye')", "SystemExit: bye"),
        ("raise Exception('two\\nlines')", "Exception: two"),
        ("raise ValueError()", "it gives no reason"),
        ("OTHER = 1", "AttributeError: module 'broken' has no attribute 'COLOUR'"),
        ("COLOUR = 7", "broken:COLOUR is no text"),
    ],
)
def test_one_that_cannot_be_used_is_named_and_the_others_work(site: Path, source: str, reason: str) -> None:
    put(site, "broken", source, "blue")
    put(site, "paint", GOOD, "red")
    found = registry()
    assert found.names() == ["black", "red"]
    assert found.load("red") == 0xFF0000
    assert [str(fault) for fault in found.faults()] == [f"blue from broken 1.0 cannot be used: {reason}"]
    with pytest.raises(UsageError) as refused:
        found.load("blue")
    assert refused.value.message == f"colour blue from broken 1.0 cannot be used: {reason}"
    assert refused.value.hint == "update or uninstall broken"


def test_edgewrights_own_name_stays_its_own(site: Path) -> None:
    (site / "own_colours.py").write_text("BLACK = '000000'")
    put(site, "paint", GOOD, "black", "red")
    found = registry()
    assert found.load("black") == 0
    assert found.names() == ["black", "red"]
    assert [fault.reason for fault in found.faults()] == ["edgewright's own colour has that name"]


def test_a_name_that_two_declare_is_neithers(site: Path) -> None:
    put(site, "paint", GOOD, "red")
    put(site, "crayons", GOOD, "red", "blue")
    found = registry()
    assert found.names() == ["black", "blue"]
    assert [fault.distribution for fault in found.faults()] == ["crayons 1.0", "paint 1.0"]
    with pytest.raises(UsageError, match=r"declared more than once: by crayons 1\.0, paint 1\.0"):
        found.load("red")


def test_a_name_that_no_path_can_hold_is_refused(site: Path) -> None:
    put(site, "paint", GOOD, "Red/../x")
    found = registry()
    assert found.names() == ["black"]
    assert "lower-case" in found.faults()[0].reason


def test_an_unknown_name_lists_the_known_ones(site: Path) -> None:
    put(site, "paint", GOOD, "red")
    with pytest.raises(UsageError, match="unknown colour: green") as refused:
        registry().load("green")
    assert (refused.value.hint, refused.value.code) == ("colours are black, red", "usage")


def test_what_a_plugin_depends_on_is_its_package(site: Path) -> None:
    for name in ("shared/acme/__init__.py", "shared/acme/deep/x.py", "shared/other/__init__.py", "single.py"):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text("")
    assert sources_of("shared.acme.deep.x") == site / "shared/acme"
    assert sources_of("single") == site / "single.py"
    assert sources_of("no_such_package.x") is None


def test_a_plugins_target_takes_no_runtime_of_edgewrights_own(monkeypatch: pytest.MonkeyPatch) -> None:
    own = targets.load("tflite")
    known = own.system[0].distribution
    entry = Entry(name="aaa", value="aaa:TARGET", distribution="acme 1.0")
    monkeypatch.setitem(targets.REGISTRY.__dict__, "_plugins", {"aaa": entry})
    monkeypatch.setitem(targets.REGISTRY._loaded, "aaa", msgspec.structs.replace(own, name="aaa"))
    assert targets.names()[0] == "aaa"
    fact = RuntimeFact(ref=f"system:{known}", name=known, target="", version="99.0", system=True)
    assert targets.recognised(Facts(runtimes=(fact,))).runtimes[0].target == "tflite"
