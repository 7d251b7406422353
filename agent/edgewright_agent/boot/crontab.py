"""The guard in the user's crontab: one `@reboot` line, identified by its mark; all other lines stay."""

import glob
import os

from edgewright_agent import shapes
from edgewright_agent.processes import programs
from edgewright_agent.storage.state import take

DAEMONS = ("cron", "crond", "fcron")
SIGNS = (  # of a running cron, for systems that hide other users' processes
    "/run/crond.pid",
    "/run/cron.pid",
    "/var/run/crond.pid",
    "/var/run/cron.pid",
    "/run/fcron.pid",
    "/usr/lib/systemd/system-generators/systemd-crontab-generator",
)


def mark_of(board_id: "str") -> "str":
    """The mark at the end of a root folder's line."""
    return "# edgewright " + board_id


def line_of(command: "list[str]", board_id: "str") -> "str":
    """The line that runs a command at boot. The mark is a comment to the shell."""
    return "@reboot %s >/dev/null 2>&1 %s" % (" ".join(command), mark_of(board_id))


def without(text: "str", board_id: "str") -> "str":
    """Remove a root folder's line from a crontab."""
    lines = text.splitlines(True)
    return "".join(line for line in lines if not line.rstrip().endswith(mark_of(board_id)))


def with_line(text: "str", command: "list[str]", board_id: "str") -> "str":
    """Put a root folder's line first in a crontab: before any SHELL that the user sets for other lines."""
    return line_of(command, board_id) + "\n" + without(text, board_id)


def daemon_runs() -> "bool":
    """Whether a cron daemon is running."""
    for path in glob.glob("/proc/[0-9]*/comm"):
        try:
            with open(path) as file:
                if file.read().strip() in DAEMONS:
                    return True
        except OSError:
            pass
    return any(os.path.exists(path) for path in SIGNS)


def program() -> "tuple[str, str]":
    """(path of `crontab`, empty if there is none; why it cannot be used)."""
    path = programs.find("crontab")
    if path is None:
        return "", "no crontab program"
    if os.path.basename(os.path.realpath(path)) == "busybox":
        return "", "busybox's cron may not know @reboot"
    return path, ""


def read(path: "str") -> "tuple[str, str]":
    """Read (the user's crontab, why it cannot be read)."""
    code, out, err = programs.run([path, "-l"])
    if code == 0:
        return out, ""
    if "no crontab" in err.lower():
        return "", ""
    return "", "crontab -l: " + programs.said(code, out, err)


def write(path: "str", text: "str") -> "str":
    """Set the user's crontab. Returns why that failed."""
    code, out, err = programs.run([path, "-"], text.encode("utf-8", "surrogateescape"))
    return "" if code == 0 else "crontab -: " + programs.said(code, out, err)


def change(path: "str", edit: "shapes.Edit") -> "str":
    """Apply `edit` to the user's crontab. Returns why that failed, or empty.

    Holds a lock on the program's file: several root folders of one user may change the crontab at once.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        take(file)
        text, why = read(path)
        wanted = edit(text)
        return why or ("" if wanted == text else write(path, wanted))
    finally:
        os.close(file)


def install(files: "shapes.Files", board_id: "str", command: "list[str]") -> "str":
    """Add or change the line. Returns why that failed, or empty."""
    path, why = program()
    if not why and not daemon_runs():
        why = "no cron runs"
    why = why or change(path, lambda text: with_line(text, command, board_id))
    if not why and not there(files, board_id, command):
        why = "crontab did not keep the line"
    return why


def there(files: "shapes.Files", board_id: "str", command: "list[str]") -> "bool":  # noqa: ARG001
    """Whether the line is in the user's crontab."""
    path, why = program()
    return not why and line_of(command, board_id) in read(path)[0].splitlines()


def test(files: "shapes.Files", board_id: "str", command: "list[str]") -> "str":  # noqa: ARG001
    """Run the line as cron would: with sh and a minimal environment. Returns what went wrong, or empty."""
    known = {key: os.environ[key] for key in ("HOME", "LOGNAME", "USER") if key in os.environ}
    home = known.get("HOME", "/")
    shell = ["/bin/sh", "-c", line_of(command, board_id)[len("@reboot ") :]]
    found = programs.run(
        shell,
        env=dict(known, PATH="/usr/bin:/bin", SHELL="/bin/sh"),
        cwd=home if os.path.isdir(home) else "/",
    )
    return "" if found[0] == 0 else "the line failed: " + programs.said(*found)


def remove(files: "shapes.Files", board_id: "str") -> "str":  # noqa: ARG001
    """Remove the line, if it is there. Returns why that failed, or empty."""
    path, why = program()
    if why or read(path)[1]:  # a user who may not have a crontab does not have our line
        return ""
    return change(path, lambda text: without(text, board_id))
