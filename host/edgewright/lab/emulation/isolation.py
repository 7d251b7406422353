"""Isolates a simulated board in user, mount and host name namespaces, without root.

Inside, the developer's user appears as `edge` with its own passwd entry and home; the developer's
home, /home and the other boards are hidden behind empty folders. This module builds the command and tries
it once; `openssh` runs it.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Sequence
from pathlib import Path
from shlex import quote

USER = "edge"
UID = 1000
ACCOUNTS = """\
root:x:0:0:root:/root:/bin/sh
sshd:x:101:65534::/run/sshd:/usr/sbin/nologin
{user}:x:{uid}:{uid}:{user}:{home}:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""
GROUPS = "root:x:0:\n{user}:x:{uid}:\nnogroup:x:65534:\n"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def write_accounts(folder: Path) -> None:
    """Writes the board's own `passwd` and `group` into its folder."""
    (folder / "passwd").write_text(ACCOUNTS.format(user=USER, uid=UID, home=home_inside(folder)))
    (folder / "group").write_text(GROUPS.format(user=USER, uid=UID))


def home_inside(folder: Path) -> Path:
    """The path at which the board sees its home."""
    return Path("/home") / USER if Path("/home").is_dir() else folder / "home"


def hidden(lab_root: Path) -> list[Path]:
    """The folders to hide from a board, none of them below another: homes, sockets, crontabs, boards."""
    wanted = {
        Path("/home"),
        Path("/run/user"),
        Path("/var/spool/cron"),
        Path("~").expanduser(),
        *own_home(),
        lab_root,
    }
    paths = {path.resolve() for path in wanted if path.is_dir()}
    system = [Path(path).resolve() for path in ("/usr", "/bin", "/etc", "/lib", "/dev", "/proc", "/sys")]
    usable = {path for path in paths if not any(inner.is_relative_to(path) for inner in system)}
    return sorted(
        path for path in usable if not any(path != other and path.is_relative_to(other) for other in usable)
    )


def own_home() -> list[Path]:
    """The home in this user's passwd entry; none if the user has no entry, as in some containers."""
    try:
        return [Path(pwd.getpwuid(os.getuid()).pw_dir)]
    except KeyError:
        return []


def script(folder: Path, *, name: str, hide: Sequence[Path], keep: Sequence[Path]) -> str:
    """The shell script that sets up the board's view of the file system and runs its arguments in it.

    Args:
        folder: the board's folder; seen at the same path inside.
        name: the board's host name.
        hide: folders that appear empty.
        keep: folders that stay visible although they are below a hidden one, such as a Python's.
    """
    kept = [path for path in keep if any(path.is_relative_to(over) for over in hide)]
    inside = home_inside(folder)
    lines = ["set -e", "umask 022", f"cd {quote(str(folder))}"]
    # a hidden folder can be reached through the working directory or a descriptor opened before
    lines += [f"exec {number}<{quote(str(path))}" for number, path in enumerate(kept, 3)]
    lines += [f"mount -t tmpfs -o mode=755,size=1m none {quote(str(path))}" for path in hide]
    lines += [f"mkdir -p {quote(str(folder))}", f"mount -c --bind . {quote(str(folder))}"]
    if inside != folder / "home":
        lines += [f"mkdir -p {quote(str(inside))}", f"mount -c --bind home {quote(str(inside))}"]
    for number, path in enumerate(kept, 3):
        lines += [
            f"mkdir -p {quote(str(path))}",
            f"mount -c --rbind /proc/self/fd/{number} {quote(str(path))}",
        ]
        lines += [f"exec {number}<&-"]
    lines += [f"mount -c --bind {file} /etc/{file}" for file in ("passwd", "group")]
    lines += [f"hostname {quote(name)} 2>/dev/null || :", "cd /"]
    # a second user namespace drops the capabilities that the mounts needed
    lines += [f'exec unshare --user --map-user={UID} --map-group={UID} -- "$@"']
    return "\n".join(lines)


def command(text: str, *arguments: str) -> list[str]:
    """The argument list that runs a program in the view set up by the script."""
    outer = ["unshare", "--user", "--map-root-user", "--mount", "--uts", "--"]
    return [*outer, "/bin/sh", "-c", text, "sh", *arguments]


def works(folder: Path, *, keep: Sequence[Path], lab_root: Path) -> bool:
    """Whether this machine allows all of that, tested with a real board's folder."""
    text = script(folder, name="board", hide=hidden(lab_root), keep=keep)
    try:
        done = subprocess.run(
            command(text, "/bin/sh", "-c", "id -un && cd && echo probe > probe && rm probe"),
            env={"PATH": PATH, "HOME": str(home_inside(folder))}, capture_output=True, timeout=20,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.strip() == USER.encode()
