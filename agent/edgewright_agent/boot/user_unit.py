"""The guard as a systemd user unit, if the user may linger: it runs at boot without a login.

The unit file stays in the root folder; systemd links it into its own folder of units.
"""

import os

from edgewright_agent import shapes
from edgewright_agent.processes import programs

TEXT = """[Unit]
Description=edgewright: ends trials that a reboot cut short

[Service]
Type=oneshot
ExecStart=%s

[Install]
WantedBy=default.target
"""


def name_of(board_id: "str") -> "str":
    """The name of a root folder's unit."""
    return "edgewright-%s.service" % board_id[:12]


def environment() -> "dict[str, str]":
    """The environment that `systemctl --user` needs to find the user's systemd."""
    runtime = os.environ.get("XDG_RUNTIME_DIR") or "/run/user/%d" % os.getuid()
    bus = os.environ.get("DBUS_SESSION_BUS_ADDRESS") or "unix:path=%s/bus" % runtime
    return dict(os.environ, XDG_RUNTIME_DIR=runtime, DBUS_SESSION_BUS_ADDRESS=bus)


def call(name: "str", *arguments: "str") -> "str":
    """Run a program. Returns why it failed, or empty."""
    path = programs.find(name)
    if path is None:
        return "no %s" % name
    found = programs.run([path] + list(arguments), env=environment())
    words = " ".join((name,) + arguments[:2])
    return "" if found[0] == 0 else "%s: %s" % (words, programs.said(*found))


def user() -> "str":
    """The login's name, or its number if it has none."""
    import pwd  # a minimal Python may lack it

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def lingers() -> "bool":
    """Whether the user's units run without a login."""
    path = programs.find("loginctl")
    return path is not None and "Linger=yes" in programs.run([path, "show-user", user(), "-p", "Linger"])[1]


def install(files: "shapes.Files", board_id: "str", command: "list[str]") -> "str":
    """Enable the unit and let the user linger. Returns why that failed, or empty."""
    unit = name_of(board_id)
    why = call("systemctl", "--user", "show-environment")
    if not why and not lingers():
        why = call("loginctl", "enable-linger", user())
        why = why or ("" if lingers() else "loginctl enable-linger had no effect")
    if not why:
        files.write(unit, (TEXT % " ".join(command)).encode("ascii"))
        why = call("systemctl", "--user", "enable", files.path(unit)) or call(
            "systemctl", "--user", "daemon-reload"
        )
    return why


def there(files: "shapes.Files", board_id: "str", command: "list[str]") -> "bool":
    """Whether the unit is enabled and has the expected content."""
    try:
        with open(files.path(name_of(board_id))) as file:
            right = file.read() == TEXT % " ".join(command)
    except OSError:
        return False
    return right and not call("systemctl", "--user", "is-enabled", name_of(board_id)) and lingers()


def test(files: "shapes.Files", board_id: "str", command: "list[str]") -> "str":  # noqa: ARG001 - the signature of `crontab.test`
    """Run the unit once. Returns what went wrong, or empty."""
    return call("systemctl", "--user", "start", name_of(board_id))


def remove(files: "shapes.Files", board_id: "str") -> "str":
    """Disable the unit, if there is one; leave the user's lingering as it is. Returns why that failed."""
    unit = name_of(board_id)
    if not os.path.isfile(files.path(unit)):
        return ""
    why = call("systemctl", "--user", "disable", unit)
    if not why:
        files.remove_file(unit)
    return why
