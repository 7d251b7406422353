"""Logins that make it hard: shells, banners, refusals, jump hosts, forced commands, no SFTP."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from edgewright.connect import agent_package, ssh
from edgewright.errors import EdgewrightError, Unreachable

SHELLS = ("/bin/bash", "/bin/csh", "/bin/dash", "/usr/bin/fish")


@pytest.mark.parametrize("shell", SHELLS)
def test_a_whole_deployment_under_every_login_shell(pi, kit, survived, shell):
    assert os.access(shell, os.X_OK), f"{shell} is missing: install it"
    accounts = pi.lab.folder / "passwd"
    text = accounts.read_text()
    user = next(row for row in text.splitlines() if row.startswith(f"{pi.board.user}:"))
    accounts.write_text(text.replace(user, user.rpartition(":")[0] + ":" + shell))
    try:
        release = pi.deploy(shell, os.path.basename(shell))
    finally:
        accounts.write_text(text)
    assert pi.current == release
    survived("logins: csh, fish, bash and dash as the login shell")
