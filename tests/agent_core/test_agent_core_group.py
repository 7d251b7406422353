"""A shared group: its members can read the models and nothing else; without a group only the login can."""

import grp
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

MIGHTY = os.geteuid() == 0  # it may become another user, and give files to any group
GROUP = "games" if MIGHTY else grp.getgrgid(os.getegid()).gr_name
GID = grp.getgrnam(GROUP).gr_gid


def modes(root) -> dict[str, tuple[str, int]]:
    """Mode and group of everything but links."""
    found = {}
    for path in [root, *root.rglob("*")]:
        about = path.lstat()
        if not stat.S_ISLNK(about.st_mode):
            found[str(path.relative_to(root))] = (oct(stat.S_IMODE(about.st_mode)), about.st_gid)
    return found


def test_without_a_group_nobody_else_may_read(connect, kit, root):
    wire = connect()
    kit.deployed(wire, root, "a", "1")
    assert all(int(mode, 8) & 0o077 == 0 for mode, _ in modes(root).values())


def test_the_group_reads_the_models_and_nothing_else(connect, kit, root):
    wire = connect(hello={"group": GROUP})
    release = kit.deployed(wire, root, "a", "1")
    found = modes(root)
    versions = f"models/digits/versions/{release}"
    assert found["."] == ("0o2750", GID)
    for folder in ("models", "models/digits", "models/digits/versions", versions):
        assert found[folder] == ("0o750", GID)
    for file in ("model.tflite", "manifest.json", "goldens.npz"):
        assert found[f"{versions}/{file}"] == ("0o640", GID)
    opened = {path for path, (mode, _) in found.items() if int(mode, 8) & 0o077}
    assert all(path == "." or path.split("/")[0] == "models" for path in opened)
    assert "models/digits/records" not in opened
    if MIGHTY:
        reads_as_a_member(root)


def reads_as_a_member(root: Path) -> None:
    """Another user, who is in the group, reads the model and none of the agent's own files."""
    seen = as_member(root, f"print(open({str(root / 'models/digits/current/model.tflite')!r}, 'rb').read(5))")
    assert seen.returncode == 0 and seen.stdout == b"b'model'\n"
    for private in ("state.0.json", "board_id", "incoming", "agent"):
        seen = as_member(root, f"import os; os.open({str(root / private)!r}, os.O_RDONLY)")
        assert b"PermissionError" in seen.stderr


def as_member(root: Path, program: str) -> subprocess.CompletedProcess:
    """A program of a user who is in the group and is not the login."""
    for folder in root.parents:
        if folder.stat().st_uid == os.geteuid() and len(folder.parts) > 2:
            folder.chmod(folder.stat().st_mode | 0o011)
    drop = f"import os; os.setgroups([{GID}]); os.setgid(65534); os.setuid(65534)\n"
    return subprocess.run([sys.executable, "-S", "-c", drop + program], capture_output=True, timeout=60)


def test_what_was_installed_before_is_opened_and_stays_so(connect, kit, root):
    kit.deployed(connect(), root, "a", "1")
    connect(hello={"group": GROUP})
    before = {path: mode for path, mode in modes(root).items() if path.startswith("models/")}
    assert sum(mode == ("0o640", GID) for mode in before.values()) == 3
    wire = connect()  # another host, whose fleet file names no group
    kit.deployed(wire, root, "b", "2")
    assert sum(mode == ("0o640", GID) for mode in modes(root).values()) == 6


def test_a_folder_that_a_crash_left_closed_is_opened_at_the_next_start(connect, kit, root):
    kit.deployed(connect(hello={"group": GROUP}), root, "a", "1")
    before = modes(root)
    for path in ("models/digits/versions", "models/digits/current/model.tflite"):
        (root / path).chmod(0o700)
    connect()
    assert {path: mode for path, mode in modes(root).items() if path.startswith("models")} == {
        path: mode for path, mode in before.items() if path.startswith("models")
    }


@pytest.mark.parametrize("group", ["no-such-group", "root; id", "", 7])
def test_a_group_that_is_none_is_refused_before_anything_is_opened(group, connect, root):
    wire = connect(hello={"group": group})
    code = "root-refused" if group == "no-such-group" else "bad-argument"
    assert wire.greeting["error"]["code"] == code
    if group == "no-such-group":
        assert wire.greeting["error"]["about"] == {"cause": "no-group", "group": group}
    assert stat.S_IMODE(root.stat().st_mode) == 0o700


def test_a_login_outside_the_group_is_refused():
    program = (
        "import grp, os, sys; sys.path.insert(0, sys.argv[1])\n"
        "from edgewright_agent.storage import root\n"
        "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try:\n    root.gid_of('root', '/srv/models')\n"
        "except root.AgentError as error:\n    print(error.code, error.message, error.about)\n"
    )
    agent = Path(__file__).parents[2] / "agent"
    done = subprocess.run(
        [sys.executable, "-S", "-c", program, agent], capture_output=True, text=True, timeout=20
    )
    assert (
        done.stdout.startswith("root-refused the login is not in the group root")
        and "not-in-group" in done.stdout
    )


def test_the_group_of_the_fleet_file_reaches_the_board(root, tmp_path, monkeypatch):
    import msgspec

    from edgewright.config import fleet as fleets
    from edgewright.connect.session import open_session
    from edgewright.wire import commands

    monkeypatch.setenv("EDGEWRIGHT_HOME", str(tmp_path / "home"))
    file = tmp_path / "fleet.toml"
    file.write_text(f'[defaults]\ngroup = "{GROUP}"\n[boards.one]\nroot = "{root}"\n')
    fleet = fleets.load(file)

    board = msgspec.structs.replace(fleet.boards["one"], address="local:")
    with open_session(board, fleet) as session:
        assert session.facts().guard == "none"
        assert b"refused" not in bytes(session.get(session.call(commands.Logs(lines=10)).log))
    assert modes(root)["models"] == ("0o750", GID)
