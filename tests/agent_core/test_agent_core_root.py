import os
from pathlib import Path

import pytest

from edgewright_agent.protocol import AgentError
from edgewright_agent.storage import failures
from edgewright_agent.storage import root as root_folder

DISK = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw,errors=remount-ro\n"
PI_OVERLAY = "22 1 0:20 / / rw,relatime - overlay overlay rw,lowerdir=/lower,upperdir=/upper/data\n"


@pytest.mark.parametrize(
    ("text", "cmdline", "expected"),
    [
        (DISK, "", ""),
        (
            DISK + "30 22 0:30 / /home rw,nosuid - tmpfs tmpfs rw\n",
            "",
            "volatile",
        ),
        (DISK + "30 22 8:2 / /home ro,relatime - ext4 /dev/sda2 rw\n", "", "read-only"),
        (DISK + "30 22 8:2 / /home rw,relatime - ext4 /dev/sda2 ro\n", "", "read-only"),
        (DISK + "30 22 8:2 / /home rw,noexec - ext4 /dev/sda2 rw\n", "", "noexec"),
        (
            DISK
            + "30 22 8:2 / /home rw,noexec - ext4 /dev/sda2 rw\n31 30 8:3 / /home/pi rw - ext4 /dev/c rw\n",
            "",
            "",
        ),
        (DISK + "30 22 8:2 / /home/p rw,noexec - ext4 /dev/sda2 rw\n", "", ""),
        (DISK + "30 22 8:2 / /home/pi/my\\040root rw,noexec - ext4 /dev/sda2 rw\n", "", ""),
        (PI_OVERLAY, "console=tty1 boot=overlay root=PARTUUID=1-02", "volatile"),
        (PI_OVERLAY, "root=/dev/sda overlayroot=tmpfs", "volatile"),
        (PI_OVERLAY, "root=/dev/sda", ""),
    ],
)
def test_mounts_that_will_not_do(text, cmdline, expected):
    assert root_folder.mount_problem("/home/pi/.edgewright", text, cmdline) == expected


def test_a_space_in_a_mount_point_is_understood():
    text = DISK + "30 22 8:2 / /my\\040root rw,noexec - ext4 /dev/sda2 rw\n"
    assert root_folder.mount_problem("/my root/x", text, "") == "noexec"


def code_and_message(root) -> str:
    with pytest.raises(AgentError) as refused:
        root_folder.prepare(str(root))
    assert refused.value.code == "root-refused"
    return refused.value.message


def test_foreign_linked_open_and_volatile_roots_are_refused(tmp_path):
    mine, link, foreign, shared = (tmp_path / name for name in ("mine", "link", "foreign", "shared"))
    mine.mkdir(mode=0o700)
    link.symlink_to(mine)
    assert "symbolic link" in code_and_message(link)
    foreign.mkdir(mode=0o700)
    os.chown(foreign, 12345, 12345)
    assert "another user" in code_and_message(foreign)
    shared.mkdir()
    shared.chmod(0o777)
    assert "may write" in code_and_message(shared)
    (tmp_path / "file").touch()
    assert code_and_message(tmp_path / "file")
    for odd in ("relative", "", "/", "/tmp/../etc"):
        assert "plain absolute" in code_and_message(odd)
    assert "volatile" in code_and_message("/dev/shm/edgewright-test-root")
    assert not Path("/dev/shm/edgewright-test-root").exists()


def test_the_refusal_takes_the_place_of_the_greeting(connect, root, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    root.symlink_to(tmp_path / "elsewhere")
    wire = connect()
    assert wire.greeting["error"]["code"] == "root-refused"
    assert wire.close() == 1 and [path.name for path in (tmp_path / "elsewhere").iterdir()] == []


def test_what_is_made_is_for_the_owner_alone(connect, kit, root):
    kit.deployed(connect(), root, "a", "1")
    for path in root.rglob("*"):
        assert path.is_symlink() or not path.stat().st_mode & 0o077, path


def test_a_link_planted_below_the_root_leads_nowhere(connect, kit, root, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    wire = connect()
    (root / "models" / "digits").mkdir(parents=True)
    (root / "models" / "digits" / "versions").symlink_to(outside)
    with pytest.raises(kit.AgentFailureError):
        kit.deployed(wire, root, "a", "1")
    assert [path.name for path in (outside).iterdir()] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_only_a_root_folder_of_edgewright_is_to_be_given_to_the_login(tmp_path):
    empty, data, used = (tmp_path / name for name in ("empty", "data", "used"))
    for folder in (empty, data, used):
        folder.mkdir(mode=0o755)
    (data / "bin").mkdir()
    (used / "state.0.json").touch()
    causes = {}
    for folder in (empty, data, used):
        os.chown(folder, 65501, 65501)
        with pytest.raises(AgentError, match="belongs to another user, uid 65501") as caught:
            root_folder.prepare(str(folder))
        causes[folder.name] = caught.value.about["cause"]
    assert causes == {"empty": "owner", "data": "", "used": "owner"}


def test_a_login_without_a_name_is_a_number_in_a_command():
    assert failures.name_of(65501) == "uid 65501" and failures.name_of(65501, "%d") == "65501"
