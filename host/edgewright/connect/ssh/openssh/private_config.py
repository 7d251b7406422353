"""The configuration that the `ssh` program gets instead of the user's: what was resolved for each server on the way, and our pins.

Each server gets a name from us, in `HostKeyAlias` too: the pins are stored under it, and messages of `ssh` contain it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgewright.connect.ssh import keys, limits
from edgewright.connect.ssh.config import Endpoint
from edgewright.connect.ssh.openssh import agent as ssh_agent
from edgewright.connect.ssh.pins import PinOf, not_revoked
from edgewright.errors import ConfigError
from edgewright.nouns.base import Noun

BOARD = "edgewright-board"
JUMP = "edgewright-jump-{}"
ALIVE_SECONDS, ALIVE_COUNT = 10, 6  # a link over which nothing comes back for a minute is dead
_FOR_ALL = (
    ("StrictHostKeyChecking", "yes"), ("GlobalKnownHostsFile", "/dev/null"), ("UpdateHostKeys", "no"), ("CheckHostIP", "no"),
    ("VerifyHostKeyDNS", "no"), ("PermitLocalCommand", "no"), ("ForwardAgent", "no"), ("GSSAPIDelegateCredentials", "no"),
    ("ServerAliveInterval", str(ALIVE_SECONDS)), ("ServerAliveCountMax", str(ALIVE_COUNT)),
)  # fmt: skip
ASKS_BY_NAME = (
    8,
    5,
)  # from this version on, questions say which server asks; before, one could ask for a passphrase
_OLD = (("KbdInteractiveAuthentication", "no"), ("ChallengeResponseAuthentication", "no"))
_RSA = ("rsa-sha2-512", "rsa-sha2-256")
_NAME = re.compile(r"[A-Za-z0-9:_][A-Za-z0-9._:%@+-]*\Z")
_WORD = re.compile(r"[A-Za-z0-9@%_+=:,./~*\[\]^-]+\Z")


class Entry(Noun, frozen=True, kw_only=True):
    """One server of the way.

    Attributes:
        name: the name that `ssh` knows it by.
        endpoint: how to log in to it.
        pinned: `<type> <base64>` of each host key that it may show.
        files: the identity files that exist.
        agent: socket of an agent that answers; empty for none.
        unusable: what cannot be offered, for the message of a refusal.
        via: name of the server before it; empty for the first.
    """

    name: str
    endpoint: Endpoint
    pinned: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    agent: str = ""
    unusable: tuple[str, ...] = ()
    via: str = ""


def way(endpoint: Endpoint, pin_of: PinOf, *, known: bool = True) -> list[Entry]:
    """The servers on the way to an endpoint, and the endpoint, nearest first.

    Args:
        known: the endpoint itself is pinned, too.

    Raises:
        TrustError: a server has no pinned key, or only revoked ones.
        AuthError: the fleet names an identity file that is missing.
    """
    found: list[Entry] = []
    for hop in (*endpoint.jumps, endpoint):
        pinned = not_revoked(hop, pin_of(hop)) if known or hop is not endpoint else ()
        name = BOARD if hop is endpoint else JUMP.format(len(found))
        found.append(entry_of(name, hop, pinned, found[-1].name if found else ""))
    return found


def entry_of(name: str, hop: Endpoint, pinned: tuple[str, ...], via: str) -> Entry:
    """One server, with what there is to log in to it."""
    keys.check_identity(hop)
    refuse_shell(hop)
    own = [hop.identity] if hop.identity else []
    files = dict.fromkeys([*own, *hop.settings.identity_files])
    agent = hop.settings.identity_agent or ""
    fault = ssh_agent.fault(agent) if agent else ""
    return Entry(
        name=name,
        endpoint=hop,
        pinned=pinned,
        files=tuple(file for file in files if keys.is_there(file)),
        agent="" if fault else agent,
        unusable=(f"ssh-agent ({fault})",) if fault else (),
        via=via,
    )


def refuse_shell(hop: Endpoint) -> None:
    """Raises ConfigError for a name that a shell would take apart: `ssh` puts it into the command that reaches the server."""
    names = [hop.address, *([hop.user] if hop.settings.proxy_command else [])]
    for name in names:
        if not _NAME.match(name):
            raise ConfigError(
                f"not a name for {hop.label}: {name!r}", hint="use letters, digits, dot, dash and colon"
            )


def with_addresses(text: str, entries: Sequence[Entry]) -> str:
    """A text of `ssh`, with the servers' addresses in place of our names for them."""
    return re.sub(
        rf"(?<!\w)(?:{'|'.join(re.escape(one.name) for one in entries)})(?!\w)",
        lambda found: next(one.endpoint.address for one in entries if one.name == found[0]),
        text,
    )


def known_hosts(entries: list[Entry]) -> str:
    """The lines of the only `known_hosts` file."""
    return "".join(f"{entry.name} {text}\n" for entry in entries for text in entry.pinned)


def text(
    entries: list[Entry], hosts_file: Path, version: tuple[int, int], more: tuple[tuple[str, str], ...] = ()
) -> str:
    """The configuration. It names the board, since boards may share a machine, and a login has few sessions.

    Args:
        hosts_file: the only `known_hosts` file.
        version: of the OpenSSH client.
        more: keywords for the last server, before all others: the first value of a keyword counts.

    Raises:
        ConfigError: a value cannot be written into such a file.
    """
    last = _block(f"Host {entries[-1].name}", more)
    shared = _block(
        "Host *",
        (*(_OLD if version < ASKS_BY_NAME else ()), *_FOR_ALL, ("UserKnownHostsFile", path(hosts_file))),
    )
    board = f"# {_whole_line(entries[-1].endpoint.board)}\n"
    return "\n".join(
        [board, last, shared, *(_block(f"Host {one.name}", tuple(_keywords(one))) for one in entries)]
    )


def _keywords(entry: Entry) -> Iterator[tuple[str, str]]:
    settings = entry.endpoint.settings
    yield "HostName", _quoted(settings.hostname.replace("%", "%%"))
    yield "Port", str(settings.port)
    yield "User", _quoted(settings.user)
    yield "HostKeyAlias", entry.name
    if entry.via:
        yield "ProxyJump", entry.via
    else:  # of a server behind others it would run while these log in, and while a person thinks
        yield "ConnectTimeout", f"{limits.CONNECT_SECONDS:g}"
    if settings.proxy_command and not entry.via:
        yield "ProxyCommand", _whole_line(settings.proxy_command.replace("%", "%%"))
    for file in entry.files:
        yield "IdentityFile", path(file)
    if not entry.files:
        yield "IdentityFile", "none"
    for file in settings.certificate_files:
        yield "CertificateFile", path(file)
    yield "IdentitiesOnly", "yes" if settings.identities_only else "no"
    yield "IdentityAgent", path(Path(entry.agent)) if entry.agent else "none"
    if entry.pinned:
        yield "HostKeyAlgorithms", ",".join(_algorithms(entry.pinned))
    for keyword, value in settings.for_client:
        yield keyword, _whole_line(value)


def _algorithms(keys: tuple[str, ...]) -> list[str]:
    """The algorithms of these keys: no other key is asked for."""
    types = dict.fromkeys(text.split()[0] for text in keys)
    return [name for kind in types for name in (_RSA if kind == "ssh-rsa" else (kind,))]


def _block(head: str, keywords: tuple[tuple[str, str], ...]) -> str:
    return "".join(f"{line}\n" for line in (head, *(f"  {keyword} {value}" for keyword, value in keywords)))


def path(file: Path) -> str:
    """A file name, without tokens or variables."""
    if "${" in str(file):
        raise ConfigError(
            f"the `ssh` program cannot be given the file name {file}", hint="move it to another folder"
        )
    return _quoted(str(file).replace("%", "%%"))


def _quoted(value: str) -> str:
    """A value as one word."""
    if _WORD.match(value):
        return value
    if '"' in value or "\\" in value:
        raise ConfigError(
            f"the `ssh` program cannot be given {value!r}", hint="use a name without quotes and backslashes"
        )
    return f'"{_whole_line(value)}"'


def _whole_line(value: str) -> str:
    """A value that reaches to the end of its line."""
    if not value.isprintable():
        raise ConfigError(
            f"the `ssh` program cannot be given {value!r}",
            hint="remove what cannot be printed from the SSH configuration",
        )
    return value
