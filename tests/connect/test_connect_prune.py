"""`fleet prune` on a board that another session uses reports what it leaves for that session."""

from __future__ import annotations

import sys
import zipfile

from edgewright.cli.main import main
from edgewright.config import fleet as fleets
from edgewright.connect.session import open_session
from edgewright.runtimes import install


def test_a_prune_names_what_another_session_uses(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EDGEWRIGHT_HOME", str(tmp_path / "home"))
    path = tmp_path / "fleet.toml"
    path.write_text(
        f'[boards.here]\naddress = "local:"\nroot = "{tmp_path / "root"}"\npython = "{sys.executable}"\n'
    )
    wheels = []
    for name in ("onnxruntime", "numpy"):
        wheels.append(tmp_path / f"{name}-1.0-py3-none-any.whl")
        with zipfile.ZipFile(wheels[-1], "w") as archive:
            archive.writestr(f"{name}/__init__.py", "")
    fleet = fleets.load(path)
    prune = ["fleet", "prune", "--fleet", str(path)]
    with open_session(fleet.boards["here"], fleet) as session:
        facts = session.facts()
        made = install.ensure_runtime(session, facts, "onnxruntime", wheels=wheels)
        assert made.installed
        name = next((tmp_path / "root" / "runtimes").iterdir()).name
        for more in ([], ["--dry-run"]):
            assert main([*prune, *more]) == 0
            assert f"here: in use, stays: runtimes/{name}" in capsys.readouterr().out
    assert main(prune) == 0
    assert "in use" not in capsys.readouterr().out
    assert not list((tmp_path / "root" / "runtimes").iterdir())
