"""What an SSH configuration says about one host, with its tokens, `~` and environment variables expanded."""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path

from msgspec import structs

from edgewright.errors import ConfigError
from edgewright.nouns.base import Noun

Table = Mapping[str, tuple[str, ...]]  # lower-case keyword -> its values, as written

USER_KNOWN_HOSTS = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
GLOBAL_KNOWN_HOSTS = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
DEFAULT_PORT = 22
# what the OpenSSH client needs to know beside the settings below; all that concerns trust or forwards is left out
FOR_CLIENT = (
    "addressfamily", "bindaddress", "bindinterface", "casignaturealgorithms", "challengeresponseauthentication", "ciphers",
    "compression", "connectionattempts", "gssapiauthentication", "gssapiclientidentity", "gssapiserveridentity", "gssapitrustdns", "hostkeyalgorithms", "ipqos",
    "kbdinteractiveauthentication", "kbdinteractivedevices", "kexalgorithms", "macs", "passwordauthentication", "pkcs11provider",
    "preferredauthentications", "proxyusefdpass", "pubkeyacceptedalgorithms", "pubkeyacceptedkeytypes",
    "pubkeyauthentication", "rekeylimit", "requiredrsasize",
    "securitykeyprovider", "tcpkeepalive",
)  # fmt: skip
_TOKEN = re.compile(r"%(.?)|\$\{([^}]*)\}", re.DOTALL)


class Query(Noun, frozen=True, kw_only=True):
    """The host to look up, as on the command line of `ssh`.

    Attributes:
        alias: a host name, an address, or a name that only the configuration knows.
        user, port: as for `-l` and `-p`; None leaves them to the configuration.
    """

    alias: str
    user: str | None = None
    port: int | None = None


class HostSettings(Noun, frozen=True, kw_only=True):
    """The settings of one host.

    Attributes:
        identity_files: private keys, or public keys whose private one an agent holds; in the order in which to try them.
        certificate_files: certificates of keys.
        identities_only: offer only those keys of the agent that `identity_files` name.
        identity_agent: socket of the agent; None if there is none.
        proxy_jump, proxy_command: empty if there is none.
        host_key_alias: name of the host in `known_hosts` files; empty for its own.
        user_known_hosts, global_known_hosts: the files with trusted host keys.
        for_client: other keywords that the OpenSSH client needs to log in, each with its value.
    """

    hostname: str
    user: str
    port: int
    identity_files: tuple[Path, ...]
    certificate_files: tuple[Path, ...] = ()
    identities_only: bool = False
    identity_agent: str | None = None
    proxy_jump: str = ""
    proxy_command: str = ""
    host_key_alias: str = ""
    user_known_hosts: tuple[Path, ...] = ()
    global_known_hosts: tuple[Path, ...] = ()
    for_client: tuple[tuple[str, str], ...] = ()


def settings_of(table: Table, query: Query, source: str) -> HostSettings:
    """The settings that a table of keywords gives a host.

    Args:
        source: where the table comes from, for messages.

    Raises:
        ConfigError: a port is no number, or a file name has a token or a variable that is unknown.
    """
    hostname, user, port = first(table, "hostname") or query.alias, first(table, "user"), first(table, "port")
    known = Tokens(
        alias=query.alias, hostname=hostname, port=as_port(port, query.alias, source), user=user or getpass.getuser(),
        key_alias=first(table, "hostkeyalias"), source=source,
    )  # fmt: skip
    jumps = known.expand(_not_none(first(table, "proxyjump")))
    known = structs.replace(known, jump=jumps.rpartition("@")[2].partition(":")[0])

    def files(keyword: str, default: tuple[str, ...] = ()) -> tuple[Path, ...]:
        values = [value for value in table.get(keyword, default) if value.lower() != "none"]
        return tuple(Path(known.expand(value)).expanduser() for value in dict.fromkeys(values))

    return HostSettings(
        hostname=hostname,
        user=known.user,
        port=known.port,
        identity_files=files("identityfile"),
        certificate_files=files("certificatefile"),
        identities_only=first(table, "identitiesonly").lower() in ("yes", "true"),
        identity_agent=_agent(first(table, "identityagent"), known),
        proxy_jump=jumps,
        proxy_command=known.expand(_not_none(first(table, "proxycommand")), variables=False),
        host_key_alias=known.key_alias,
        user_known_hosts=files("userknownhostsfile", USER_KNOWN_HOSTS),
        global_known_hosts=files("globalknownhostsfile", GLOBAL_KNOWN_HOSTS),
        for_client=tuple((keyword, first(table, keyword)) for keyword in FOR_CLIENT if first(table, keyword)),
    )


def first(table: Table, keyword: str) -> str:
    """The first value of a keyword; empty if it has none."""
    return next(iter(table.get(keyword, ())), "")


def as_port(text: str, label: str, source: str) -> int:
    """A `Port`; the default where the text is empty."""
    if not (text or "22").isdigit() or not 0 < int(text or DEFAULT_PORT) < 65536:
        raise ConfigError(f"{source}: not a port of {label}: {text!r}", hint="a port is 1 to 65535")
    return int(text or DEFAULT_PORT)


class Tokens(Noun, frozen=True, kw_only=True):
    """What the tokens of `ssh_config(5)` stand for."""

    alias: str
    hostname: str
    port: int
    user: str
    key_alias: str = ""
    jump: str = ""
    source: str = ""

    def expand(self, text: str, *, variables: bool = True) -> str:
        """Replaces tokens such as `%h` and variables such as `${NAME}`.

        Args:
            variables: replace variables; a shell does so in commands.

        Raises:
            ConfigError: one of them is unknown.
        """

        def one(found: re.Match[str]) -> str:
            if found[2] is not None and not variables:
                return found[0]
            value = os.environ.get(found[2]) if found[2] is not None else self._value(found[1])
            if value is None:
                raise ConfigError(
                    f"{self.source}: {found[0]} in {text!r} stands for nothing",
                    hint="set the variable"
                    if found[2]
                    else "the tokens are listed in `man ssh_config`, TOKENS",
                )
            return value

        return _TOKEN.sub(one, text)

    def _value(self, letter: str) -> str | None:
        """What stands for a token; None for an unknown one."""
        here = socket.gethostname()
        if letter == "C":
            return hashlib.sha1(f"{here}{self.hostname}{self.port}{self.user}".encode()).hexdigest()  # noqa: S324 - OpenSSH's own
        known = {
            "%": "%",
            "d": str(Path.home()),
            "h": self.hostname,
            "i": str(os.getuid()) if hasattr(os, "getuid") else "",
            "j": self.jump,
            "k": self.key_alias or self.alias,
            "L": here.partition(".")[0],
            "l": here,
            "n": self.alias,
            "p": str(self.port),
            "r": self.user,
            "u": getpass.getuser(),
        }
        return known.get(letter)


def _agent(text: str, tokens: Tokens) -> str | None:
    """The socket that an `IdentityAgent` names; without one, the usual variable does."""
    if text.lower() == "none":
        return None
    if text in ("", "SSH_AUTH_SOCK"):
        return os.environ.get("SSH_AUTH_SOCK") or None
    if text.startswith("$") and not text.startswith("${"):
        return os.environ.get(text[1:]) or None
    return str(Path(tokens.expand(text)).expanduser())


def _not_none(text: str) -> str:
    return "" if text.lower() == "none" else text
