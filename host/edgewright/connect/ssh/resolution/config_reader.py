"""Reads `ssh_config(5)`, for machines without an OpenSSH client. Keywords that do not say how to log in are skipped.

Two passes are made where the configuration asks for it, as OpenSSH makes them: names are made canonical in between.
"""

from __future__ import annotations

import contextlib
import fnmatch
import getpass
import glob
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from edgewright.connect.ssh.resolution.openssh import exit_code
from edgewright.connect.ssh.resolution.settings import (
    GLOBAL_KNOWN_HOSTS,
    USER_KNOWN_HOSTS,
    Query,
    Table,
    Tokens,
    first,
)
from edgewright.connect.ssh.resolution.words import split
from edgewright.errors import ConfigError

SYSTEM = Path("/etc/ssh/ssh_config")
MOST_INCLUDES = 16  # in one another, as in OpenSSH
EXEC_SECONDS = 5.0
IDENTITIES = tuple(
    f"~/.ssh/id_{kind}" for kind in ("rsa", "ecdsa", "ecdsa_sk", "ed25519", "ed25519_sk", "xmss", "dsa")
)
_ALL_VALUES = ("identityfile", "certificatefile")  # each one counts, not the first alone
_WHOLE_LINE = ("proxycommand", "proxyjump")
_SEVERAL = ("userknownhostsfile", "globalknownhostsfile", "canonicaldomains")
_ONE = (
    "hostname", "user", "port", "identitiesonly", "identityagent", "hostkeyalias", "canonicalizehostname",
    "canonicalizemaxdots", "canonicalizefallbacklocal",
)  # fmt: skip
_TAKEN = (*_ALL_VALUES, *_WHOLE_LINE, *_SEVERAL, *_ONE)


def table_of(query: Query, file: Path | None = None) -> Table:
    """What the configuration says about a host.

    Args:
        file: the configuration to read instead of `~/.ssh/config` and /etc/ssh/ssh_config.

    Raises:
        ConfigError: the configuration is wrong.
    """
    files = [file] if file else [Path("~/.ssh/config").expanduser(), SYSTEM]
    reader = Reader(query)
    reader.take(files)
    if reader.canonicalise() or reader.again:
        reader.final = True
        reader.take(files)
    table = dict(reader.found)
    table["hostname"] = (reader.hostname(),)
    table.setdefault("identityfile", IDENTITIES)
    table.setdefault("userknownhostsfile", USER_KNOWN_HOSTS)
    table.setdefault("globalknownhostsfile", GLOBAL_KNOWN_HOSTS)
    return table


class Reader:
    """What was read of one host, over all files and passes.

    Attributes:
        found: the keywords so far; the first value of most of them counts.
        final: whether this is the second pass.
        again: whether a `Match final` asks for a second pass.
    """

    def __init__(self, query: Query) -> None:
        self.query = query
        self.host = query.alias
        self.found: dict[str, tuple[str, ...]] = {}
        if query.user is not None:
            self.found["user"] = (query.user,)
        if query.port is not None:
            self.found["port"] = (str(query.port),)
        self.final = self.again = False

    def take(self, files: list[Path]) -> None:
        """Reads files; those that are missing count as empty."""
        for file in files:
            self._file(file, True, 0)

    def hostname(self) -> str:
        """The `HostName` so far, else the host itself."""
        text = first(self.found, "hostname")
        return self._tokens(self.host).expand(text) if text else self.host

    def canonicalise(self) -> bool:
        """Makes the host's name canonical. Returns whether the configuration is to be read again."""
        self.host = self.hostname().lower()
        self.found["hostname"] = (self.host.replace("%", "%%"),)
        wanted = first(self.found, "canonicalizehostname").lower()
        if wanted not in ("yes", "true", "always"):
            return False
        proxied = any(first(self.found, name).lower() not in ("", "none") for name in _WHOLE_LINE)
        if not proxied or wanted == "always":
            self._look_up()
        return True

    def _look_up(self) -> None:
        """Appends the first of the canonical domains with which a name server knows the host."""
        bare, dots = self.host.rstrip("."), int(first(self.found, "canonicalizemaxdots") or 1)
        if _is_address(bare) or bare.count(".") > dots:
            return
        for domain in self.found.get("canonicaldomains", ()):
            full = bare if self.host.endswith(".") else f"{bare}.{domain}"
            with contextlib.suppress(OSError, UnicodeError):
                socket.getaddrinfo(full, None)
                self.host = full
                self.found["hostname"] = (full.replace("%", "%%"),)
                return
        if first(self.found, "canonicalizefallbacklocal").lower() in ("no", "false"):
            raise ConfigError(
                f"no name server knows {self.host} in a canonical domain",
                hint="check CanonicalDomains in the SSH configuration",
            )

    def _file(self, file: Path, reached: bool, depth: int) -> None:
        """Reads one file. `reached`: whether the block that includes it matches."""
        if depth > MOST_INCLUDES:
            raise ConfigError(
                f"{file}: more than {MOST_INCLUDES} files include one another", hint="remove the loop"
            )
        try:
            lines = file.read_text("utf-8", "replace").splitlines()
        except OSError:
            return
        active = reached
        for number, line in enumerate(lines, 1):
            where = f"{file}, line {number}"
            keyword, rest = _keyword(line)
            if not keyword:
                continue
            if keyword == "host":
                active = self._host(split(rest, where)) and reached
            elif keyword == "match":
                active = reached and self._match(split(rest, where), where)
            elif keyword == "include":
                for one in _included(split(rest, where)):
                    self._file(one, active, depth + 1)
            elif keyword in _TAKEN:
                self._keep(keyword, rest, where, active)

    def _keep(self, keyword: str, rest: str, where: str, active: bool) -> None:
        """Keeps a keyword's values, unless an earlier line has them."""
        if keyword in _WHOLE_LINE:
            values = [rest.partition("#")[0].rstrip() if keyword == "proxyjump" else rest]
        else:
            values = split(rest, where)
        if not values or not values[0]:
            raise ConfigError(
                f"{where}: {keyword} has no value", hint="write one after it, or remove the line"
            )
        if not active:
            return
        if keyword in _ALL_VALUES:
            kept = self.found.get(keyword, ())
            self.found[keyword] = kept if values[0] in kept else (*kept, values[0])
        elif not any(name in self.found for name in (_WHOLE_LINE if keyword in _WHOLE_LINE else (keyword,))):
            self.found[keyword] = tuple(values) if keyword in _SEVERAL else (values[0],)

    def _host(self, patterns: list[str]) -> bool:
        """Whether a `Host` line names this host."""
        if any(_like(self.host, one[1:]) for one in patterns if one.startswith("!")):
            return False
        return any(_like(self.host, one) for one in patterns if not one.startswith("!"))

    def _match(self, words: list[str], where: str) -> bool:
        """Whether all conditions of a `Match` line hold."""
        result = bool(words)
        for name, negated, argument in _conditions(words, where):
            holds = self._holds(name, argument, where) if result or name in ("final", "canonical") else False
            result = result and holds != negated
        return result

    def _holds(self, name: str, argument: str, where: str) -> bool:
        if name == "all":
            return True
        if name == "final":
            self.again = True
            return self.final
        if name == "canonical":  # which asks for no second pass
            return self.final
        if name == "exec":
            return self._runs(argument)
        known = {
            "host": self.hostname().lower(),
            "originalhost": self.query.alias.lower(),
            "user": first(self.found, "user") or getpass.getuser(),
            "localuser": getpass.getuser(),
        }
        if name not in known:
            raise ConfigError(
                f"{where}: Match {name} is not known", hint="install an OpenSSH client, which knows it"
            )
        return _any_like(known[name], argument.lower() if name.endswith("host") else argument)

    def _runs(self, command: str) -> bool:
        """Whether the user's own command ends well; it comes from the user's configuration, as for `ssh`."""
        text = self._tokens(self.hostname()).expand(command)
        shell = os.environ.get("SHELL") or "/bin/sh"
        try:
            process = subprocess.Popen([shell, "-c", text], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
        except OSError:
            return False
        code = exit_code(process, EXEC_SECONDS)
        if code is None:
            raise ConfigError(
                f"a `Match exec` took longer than {EXEC_SECONDS:g} s: {command}",
                hint="try that command by hand",
            )
        return code == 0

    def _tokens(self, hostname: str) -> Tokens:
        user, port = first(self.found, "user"), first(self.found, "port")
        return Tokens(
            alias=self.query.alias, hostname=hostname, port=int(port) if port.isdigit() else 22,
            user=user or getpass.getuser(), key_alias=first(self.found, "hostkeyalias"), source="the SSH configuration",
        )  # fmt: skip


def _keyword(line: str) -> tuple[str, str]:
    """The lower-case keyword of a line and what follows it; empty for a comment."""
    text = line.strip()
    if not text or text.startswith("#"):
        return "", ""
    end = next((index for index, letter in enumerate(text) if letter in " \t="), len(text))
    rest = text[end:].lstrip(" \t")
    return text[:end].strip('"').lower(), rest.removeprefix("=").lstrip(" \t")


def _conditions(words: list[str], where: str) -> Iterator[tuple[str, bool, str]]:
    """(name, negated, argument) of each condition of a `Match` line."""
    rest = list(words)
    while rest:
        word, equals, argument = rest.pop(0).partition("=")
        name = word.lstrip("!").lower()
        if name not in ("all", "final", "canonical") and not equals:
            if not rest:
                raise ConfigError(f"{where}: Match {name} has no value", hint="write one after it")
            argument = rest.pop(0)
        yield name, word.startswith("!"), argument


def _included(patterns: list[str]) -> Iterator[Path]:
    """The files that an `Include` names; relative ones are in `~/.ssh`."""
    for pattern in patterns:
        full = Path("~/.ssh").expanduser() / Path(pattern).expanduser()
        yield from map(Path, sorted(glob.glob(str(full))))  # noqa: PTH207  (absolute patterns)


def _like(text: str, pattern: str) -> bool:
    """Whether a text has the form of a pattern with `*` and `?`."""
    return fnmatch.fnmatchcase(text, pattern.replace("[", "[[]"))


def _any_like(text: str, patterns: str) -> bool:
    """Whether a text has the form of one of the patterns between commas, and of none behind a `!`."""
    listed = patterns.split(",")
    if any(_like(text, one[1:]) for one in listed if one.startswith("!")):
        return False
    return any(_like(text, one) for one in listed if not one.startswith("!"))


def _is_address(text: str) -> bool:
    import ipaddress

    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True
