"""A real lab for each test, always taken down."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import needs
import pytest
from command_line import document_of

from edgewright.cli.main import main
from edgewright.compile.workers.pool import Workers
from edgewright.lab import boards
from edgewright.lab.boards import LabBoard

KINDS = {
    "isolated": {},
    "plain": {"isolate": False},
    "built-in": {"sshd": "built-in"},
}
Run = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """The path for a test's fleet file."""
    return tmp_path / "fleet" / "fleet.toml"


@pytest.fixture
def up(fleet: Path, home: Path) -> Iterator[Callable[..., list[LabBoard]]]:
    """`boards.up` with the test's own fleet file and home folder."""

    def start(count: int, **options: Any) -> list[LabBoard]:
        return boards.up(count, fleet_path=fleet, **options)

    yield start
    if boards.listing():
        boards.down()


@pytest.fixture
def emulator() -> None:
    """What boards of another architecture need."""
    needs.tool("qemu-aarch64-static", "qemu-arm-static", "apt-get", "dpkg-deb")


@pytest.fixture
def machine() -> None:
    """What whole machines of another architecture need."""
    needs.tool("qemu-system-aarch64", "qemu-system-arm", "qemu-img", "fdtput", "apt-get", "dpkg-deb")


@pytest.fixture(scope="module")
def here(module_home: Path) -> Iterator[Path]:
    """The folder of a module's tests: its userlands are made once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(module_home)
        yield module_home
        assert main(["lab", "down"]) == 0


@pytest.fixture
def run(here: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Runs a command; returns its exit code and its result or error."""

    def call(*arguments: str) -> tuple[int, dict[str, Any]]:
        code = main([*arguments, "--json"])
        document = document_of(capsys.readouterr().out)
        return code, document["result"] or document["error"]

    return call


@pytest.fixture(scope="module")
def workers(here: Path) -> Iterator[Workers]:
    """The worker processes that all conversions of a module share."""
    with Workers(here / "convert.log") as running:
        yield running


@pytest.fixture(params=sorted(KINDS))
def options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The options of `up` for one kind of server."""
    return dict(KINDS[request.param])


@pytest.fixture
def ssh(tmp_path: Path) -> Run:
    """Runs a command on a board with OpenSSH's client, which checks its host key against the trust file."""

    def run(board: LabBoard, command: str, *, given: bytes = b"", identity: Path | None = None) -> Any:
        import tomllib

        trust = tomllib.loads(board.fleet.with_name("fleet.trust.toml").read_text())
        known = tmp_path / f"known_hosts_{board.name}"
        known.write_text(f"[{board.address}]:{board.port} {trust['boards'][board.name]['host_key']}\n")
        key = tmp_path / "identity"  # ssh expands % signs in the path that it is given
        key.write_bytes((identity or board.identity).read_bytes())
        key.chmod(0o600)
        return subprocess.run(
            [
                "ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes",
                "-o", "IdentitiesOnly=yes",
                "-o", f"UserKnownHostsFile={known}", "-o", "LogLevel=ERROR", "-i", str(key),
                "-p", str(board.port), f"{board.user}@{board.address}", command,
            ],
            input=given, capture_output=True, timeout=60,
        )  # fmt: skip

    return run
