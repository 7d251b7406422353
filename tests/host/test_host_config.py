from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edgewright.api.models import compare_of
from edgewright.config import fleet as fleets
from edgewright.config import profiles, project, trust
from edgewright.config import project as projects
from edgewright.errors import ConfigError
from edgewright.nouns.board import BoardEntry, FleetFile, Pin, TrustFile
from edgewright.nouns.project import Budget, Compare, Project


def written(tmp_path: Path, text: str, name: str = "fleet.toml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_defaults_are_filled_into_every_board(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        '[defaults]\nuser = "pi"\ngroup = "video"\nlabels = ["site-a"]\n[boards.one]\naddress = "192.0.2.1"\nlabels = ["x"]\n[boards.two]\nuser = "me"\n',
    )
    fleet = fleets.load(path)
    assert fleet.boards["one"].user == "pi"
    assert fleet.boards["one"].labels == ("site-a", "x")
    assert fleet.boards["two"].user == "me"
    assert fleet.boards["two"].address == "two"
    assert fleet.boards["two"].group == "video"
    assert fleet.boards["two"].root == "~/.edgewright"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ('[boards.one]\nadress = "x"\n', "unknown key `adress`", "did you mean `address`?"),
        ('[defaults]\nprofil = "pi4b"\n', "unknown key `profil`", "`profile`"),
        ("board = 1\n", "unknown key `board`", "`boards`"),
        ('[boards.one]\nport = "22"\n', "expected", "keys"),
        ("[boards.all]\n", "not a board's name", "every board"),
        ("[boards.one]\nport = 99999\n", "not a port", "65535"),
        ('[boards."One Two"]\n', "not a board's name", "lower-case"),
        ('[boards.one]\naddress = "-oProxyCommand=x"\n', "not an address", "host name"),
        ('[boards.one]\npython = "python3; rm -rf /"\n', "not an absolute path", "/usr/bin/python3"),
        ('[boards.one]\ngroup = "video; id"\n', "not a group of one", "video"),
        ("schema = 9\n", "schema 9", "newer"),
        ("[boards\n", "not valid TOML", "fix"),
        (f"[boards.one]\nport = {'9' * 5000}\n", "not valid TOML", "fix"),
        (f"[boards.one]\nport = {'9' * 400}\n", "not a port", "65535"),
        (f"[limits]\nx = {'[' * 5000}\n", "not valid TOML", "fix"),
    ],
)
def test_a_bad_fleet_file_is_refused_with_a_hint(tmp_path: Path, text: str, message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as error:
        fleets.load(written(tmp_path, text))
    assert message in error.value.message
    assert hint in error.value.hint
    assert "\n" not in error.value.message


def test_an_ipv6_address_is_an_address(tmp_path: Path) -> None:
    fleet = fleets.load(written(tmp_path, '[boards.one]\naddress = "::1"\n'))
    assert fleet.boards["one"].address == "::1"


def test_a_missing_fleet_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such fleet file") as error:
        fleets.load(tmp_path / "fleet.toml")
    assert "fleet add" in error.value.hint


def test_what_is_saved_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "f.toml"
    file = FleetFile(name="f", boards={"a": BoardEntry(address="192.0.2.1", labels=("x",), port=2222)})
    fleets.save(path, file)
    assert fleets.read_file(path) == file
    pins = TrustFile(
        boards={"a": Pin(host_key="ssh-ed25519 AAAA", serial="1")},
        hosts={"j:22": Pin(host_key="ssh-rsa BBBB")},
    )
    fleet = fleets.load(path)
    trust.save(fleet, pins)
    assert trust.load(fleet) == pins
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")] == []


def test_the_project_file_is_strict_about_profiles_and_precisions(tmp_path: Path) -> None:
    base = 'name = "m"\nmodel = "m.onnx"\n'
    loaded = project.load(
        written(tmp_path, base + "[budget]\np95_ms = 5.0\n[budgets.pi4b]\np50_ms = 1.0\n", "edgewright.toml")
    )
    budget = loaded.budget_for("pi4b")
    assert (budget.p50_ms, budget.p95_ms) == (1.0, 5.0)
    assert loaded.budget_for("pi5").p50_ms is None
    for text, hint in (
        ('precision = "int9"\n', "int8"),
        ('[precisions]\npi4 = "int8"\n', "pi4b"),
        ("[budget]\np59_ms = 1.0\n", "p95_ms"),
        ('metric = "top-1"\n', "top1"),
        ("[preprocessing]\nmeans = [1.0]\n", "mean"),
        ('[compare]\nfunction = "boxes.py"\n', "boxes.py:same"),
    ):
        with pytest.raises(ConfigError) as error:
            project.load(written(tmp_path, base + text, "edgewright.toml"))
        assert hint in error.value.hint, text


def test_the_project_file_refuses_a_name_and_limits_that_cannot_be(tmp_path: Path) -> None:
    for text, word in (
        ('name = "A B"\nmodel = "m.onnx"\n', "A B"),
        ('name = "m"\nmodel = "m.onnx"\n[budget]\np50_ms = -3\n', "p50_ms"),
        ('name = "m"\nmodel = "m.onnx"\n[budgets.pi4b]\nmax_drop = 7.0\n', "max_drop"),
        ('name = "m"\nmodel = "m.onnx"\n[compare]\nleast = 99\n', "least"),
    ):
        with pytest.raises(ConfigError) as error:
            project.load(written(tmp_path, text, "edgewright.toml"))
        assert word in error.value.message
        assert error.value.hint


def test_the_comparison_is_a_file_beside_the_project(tmp_path: Path) -> None:
    text = 'name = "m"\nmodel = "m.onnx"\n[compare]\nmask = "kept"\nfunction = "own/boxes.py:same"\nleast = 0.9\n'
    found = compare_of(project.load(written(tmp_path, text, "edgewright.toml")))
    assert found == Compare(mask="kept", function=f"{tmp_path}/own/boxes.py:same", least=0.9)
    assert compare_of(None) == Compare()


def test_every_profile_loads_and_a_wrong_name_is_corrected() -> None:
    loaded = [profiles.load(name) for name in profiles.names()]
    assert len(loaded) >= 10
    with pytest.raises(ConfigError) as error:
        profiles.load("pi4")
    assert "pi4b" in error.value.hint


def test_the_users_own_profile_wins(home: Path) -> None:
    from edgewright.config import strict

    own = msgspec.structs.replace(profiles.load("pi4b"), title="ours")
    strict.write(home / "profiles" / "pi4b.toml", own)
    assert profiles.load("pi4b").title == "ours"


def test_an_unknown_precision_of_a_profile_names_its_file(home: Path) -> None:
    own = home / "profiles" / "mine.toml"
    own.parent.mkdir(parents=True)
    text = (profiles.folders()[1] / "pi5.toml").read_text()
    precision = profiles.load("pi5").precision
    own.write_text(
        text.replace('"pi5"', '"mine"', 1).replace(f'precision = "{precision}"', 'precision = "nosuch"')
    )
    with pytest.raises(ConfigError, match=f"profile {own}: unknown precision: nosuch") as error:
        profiles.load("mine")
    assert "precisions are as-is, fp16" in error.value.hint


def project_of(folder: Path, text: str) -> Project:
    path = folder / "edgewright.toml"
    path.write_text(f'name = "m"\nmodel = "m.onnx"\n{text}')
    return projects.load(path)


def test_memory_is_limited_by_the_names_of_the_files_schema(tmp_path: Path) -> None:
    new = project_of(
        tmp_path, "schema = 2\n[budget]\npeak_process_mb = 60\n[budgets.pi4b]\nmodel_memory_mb = 9\n"
    )
    assert new.budget_for("pi4b") == Budget(peak_process_mb=60, model_memory_mb=9)
    assert projects.memory_note(new) == ""
    old = project_of(tmp_path, "[budget]\npeak_rss_mb = 9\n")
    assert old.budget_for("pi4b").peak_rss_mb == 9
    assert "the model's share" in projects.memory_note(old)
    for text, message, hint in (
        ("[budget]\npeak_process_mb = 60\n", "schema 1 has no `peak_process_mb` in [budget]", "`schema = 2`"),
        (
            "[budgets.pi4b]\npeak_rss_mb = 9\nmodel_memory_mb = 8\n", "in [budgets.pi4b]",
            "model_memory_mb = 9 instead of peak_rss_mb",
        ),
        ("schema = 2\n[budget]\npeak_rss_mb = 60\n", "is a key of schema 1", "`model_memory_mb` is the same"),
        ("schema = 3\n", "has schema 3", "upgrade"),
    ):  # fmt: skip
        with pytest.raises(ConfigError) as error:
            project_of(tmp_path, text)
        assert message in error.value.message and hint in error.value.hint
