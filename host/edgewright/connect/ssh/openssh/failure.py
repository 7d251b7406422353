"""Reads the log of an `ssh` program that could not log in: which server refused what, in our words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from edgewright.connect.ssh import known_hosts, limits
from edgewright.connect.ssh.auth import HINT
from edgewright.connect.ssh.host_keys import algorithms, fingerprint
from edgewright.connect.ssh.negotiation import CHANGED, listed, other_types
from edgewright.connect.ssh.openssh.askpass import PASSWORD, QUESTIONS
from edgewright.connect.ssh.openssh.private_config import Entry, with_addresses
from edgewright.connect.ssh.server_text import MOST_WORDS, plain
from edgewright.errors import AuthError, Code, EdgewrightError, TrustError, Unreachable
from edgewright.nouns.base import Noun

_NOISE = re.compile(
    r"debug\d:|OpenSSH_|Killed by signal |Authenticated |Transferred: |Bytes per second|@@@|Warning: Permanently added|kex_|ssh_askpass: "
    r"|Connecting to |no such identity: |\S+: Permission denied \("
    r"|It is required that |This private key will be |Load key |Permissions \d|sign_and_send_pubkey: "
)
_HOST_KEY = re.compile(r"Server host key: (?P<type>\S+) (?P<fingerprint>SHA256:\S+)")
_CHANGED = re.compile(
    r"^(?:Host key for|No \S+ host key is known for) (?P<name>edgewright-\S+) |^Host key verification failed",
    re.MULTILINE,
)
_DENIED = re.compile(r"Permission denied \((?P<methods>[^)]*)\)|Too many authentication failures")
# up to 7.7 the file comes last
_OFFERED = re.compile(
    r"debug1: Offering public key: (?:[A-Z0-9-]+ SHA256:\S+ (?P<old>.+)|(?P<key>.+?) (?:\S+ )?SHA256:\S+)"
)
_UNSIGNED = re.compile(
    r"sign_and_send_pubkey: (?:signing failed for \S+ \"(?P<key>.+?)\"(?: from agent)?: )?(?P<why>.+)"
)
_UNREADABLE = re.compile(r"Load key \"(?P<file>.+?)\": (?P<why>.+)")
_PUBLIC = "a public key, and the agent does not hold its private key"
_NO_KEY = "not a private key that can be read"
_METHODS = {"password": PASSWORD, "keyboard-interactive": QUESTIONS}
_PARTLY = re.compile(r"Authenticated (?:using \"(?P<method>[^\"]+)\" )?with partial success")
_AUTHENTICATED = re.compile(r"^Authenticated to .*$", re.MULTILINE)
_ASKED = re.compile(
    r"^debug1: (?:SSH2_MSG_SERVICE_ACCEPT received|Authentications that can continue: (?P<methods>\S+))",
    re.MULTILINE,
)
_NO_COMMON = re.compile(r"no matching (?P<what>.+?) found\. Their offer: (?P<offer>.*)")
_BEHIND = re.compile(r"channel \d+: open failed: \S+ \S+: (?P<why>.+)|stdio forwarding failed")
_BUSY = re.compile(
    r"^(?:kex|ssh)_exchange_identification: |^Connection (?:closed|reset) by .* port|^banner exchange: .*closed",
    re.MULTILINE,
)
_CONNECT = re.compile(r"^ssh: (?:connect to host \S+ port \d+: )?")
_NETWORK = (
    ("Could not resolve hostname", "is the address spelled right? try: ping ADDRESS"),
    ("Connection refused", "the machine is up, its sshd is not, or listens on another port"),
    ("timed out", "is it switched on, and in this network?"),
    ("No route to host", "is it switched on, and in this network?"),
    ("Network is unreachable", "is it switched on, and in this network?"),
)
_ALGORITHM = {
    "key exchange method": "KexAlgorithms",
    "cipher": "Ciphers",
    "MAC": "MACs",
    "host key type": "HostKeyAlgorithms",
}


class Attempt(Noun, frozen=True, kw_only=True):
    """What one run of the `ssh` program came to.

    Attributes:
        code: its exit code.
        log: what `ssh -v` wrote to stderr.
        answered: the kinds of what it was given at its prompts.
        locked: file of a key -> why it stayed locked.
        asks: whether somebody could be asked.
        refused: it was ended, since a server wants other answers than there are.
    """

    code: int
    log: str
    answered: tuple[str, ...] = ()
    locked: Mapping[str, str] = {}
    asks: bool = False
    refused: bool = False

    @property
    def busy(self) -> bool:
        """Whether a server hung up before its key exchange, as one over its MaxStartups does."""
        own = _of_the_last(self.log)
        return self.code != 0 and bool(_BUSY.search(own)) and "Server host key" not in own


def authenticated(log: str) -> int:
    """How many servers have let us in."""
    return len(_AUTHENTICATED.findall(log))


def _of_the_last(log: str) -> str:
    """What the log has about the server that was reached last."""
    return _AUTHENTICATED.split(log)[-1]


def failure(attempt: Attempt, entries: Sequence[Entry]) -> EdgewrightError:
    """The error for a failed login.

    Args:
        entries: the servers on the way.
    """
    log = _of_the_last(attempt.log)
    entry = entries[min(authenticated(attempt.log), len(entries) - 1)]
    where = f"{entry.endpoint.label} ({entry.endpoint.host})"
    if _ASKED.search(log):  # from here on the log contains the server's text too
        if attempt.refused or _DENIED.search(log):
            return _denied(attempt, log, entry, where)
    elif _CHANGED.search(log):
        return _untrusted(log, entry)
    elif common := _NO_COMMON.search(log):
        return _no_common(common, entry, where)
    behind = _BEHIND.search(log)
    if behind and len(entries) > 1:
        why = plain(behind["why"] or "it refuses to forward")[:MOST_WORDS]
        return Unreachable(f"the jump host cannot reach {where}: {why.lower()}", hint="check its port")
    said = _CONNECT.sub("", with_addresses(telling(log), entries))
    hint = next((hint for words, hint in _NETWORK if words.lower() in said.lower()), limits.BUSY_HINT)
    said = said[:1].lower() + said[1:]
    return Unreachable(f"cannot reach {where}: {said or 'ssh gave no reason'}", hint=hint)


def telling(log: str, between: str = "; ") -> str:
    """The last lines that are not about its progress, as one."""
    lines = [line for line in log.splitlines() if line.strip() and not _NOISE.match(line.strip())]
    kept = [line for line in lines if not line.startswith("Connection closed by UNKNOWN")]
    return plain(between.join(kept[-3:] or ["the connection was closed"][: len(lines)]))[:MOST_WORDS]


def _no_common(found: re.Match[str], entry: Entry, where: str) -> EdgewrightError:
    offered = found["offer"].split(",")
    if found["what"] == "host key type" and entry.pinned:
        return other_types(entry.endpoint, algorithms(entry.pinned), offered)
    keyword = _ALGORITHM.get(found["what"], "its algorithms")
    return Unreachable(
        f"no common {found['what']} with {where}; it offers only {listed(offered)}",
        hint=f"widen {keyword} in your SSH configuration, or in the server's sshd_config",
    )


def _untrusted(log: str, entry: Entry) -> TrustError:
    shown = list(_HOST_KEY.finditer(log))
    print_ = shown[-1]["fingerprint"] if shown else ""
    for line in known_hosts.revoked(entry.endpoint):
        if fingerprint(line.key) == print_:
            return known_hosts.refusal(entry.endpoint, line)
    if print_ in map(fingerprint, entry.pinned):
        print_ = ""
    old = ", ".join(fingerprint(text) for text in entry.pinned)
    return TrustError(
        f"the host key of {entry.endpoint.label} changed: pinned {old}, shown {plain(print_) or 'another'}",
        hint=CHANGED.format(name=entry.endpoint.board),
        code=Code.HOST_KEY_CHANGED,
    )


def _denied(attempt: Attempt, log: str, entry: Entry, where: str) -> AuthError:
    accepted, tried = _keys(log, attempt.locked)
    tried += [*entry.unusable, *_answers(attempt.answered)]
    named = [
        found["methods"] for found in (*_ASKED.finditer(log), *_DENIED.finditer(log)) if found["methods"]
    ]
    wanted = plain(named[-1] if named else "").split(",")
    parts = [f"it accepted {' and '.join(accepted)} and wants more"] if accepted else []
    parts.append(f"tried {', '.join(dict.fromkeys(tried)) or 'nothing: no usable key'}")
    parts += [f"it takes {_either(wanted)}"] if wanted[0] else ["it allows no more attempts"]
    said = telling(log, " ")
    parts += [f"it says: {said}"] if said else []
    asks = {"password", "keyboard-interactive"} & set(wanted)
    hint = "run it at a terminal, where it can ask" if asks and not attempt.asks else HINT
    return AuthError(f"{where} refused the login of {entry.endpoint.user}; {'; '.join(parts)}", hint=hint)


def _keys(log: str, locked: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """(what was accepted though the server wants more, the keys that were refused or cannot be used)."""
    accepted: list[str] = []
    tried: dict[str, str] = {}
    last = ""
    for line in log.splitlines():
        if found := _OFFERED.match(line):
            last = plain(found["key"] or found["old"])[:MOST_WORDS]
            tried[last] = locked.get(last, "")
        elif found := _PARTLY.search(line):
            method = found["method"] or "publickey"
            by_key = method == "publickey" and tried.pop(last, None) is not None
            accepted.append(last if by_key else _METHODS.get(method, plain(method)))
        elif found := _UNSIGNED.match(line):
            why = plain(found["why"]).replace("agent refused operation", "the agent refused to sign")
            tried[plain(found["key"] or last)] = why
        elif found := _UNREADABLE.match(line):
            file, why = plain(found["file"]), plain(found["why"])
            why = _NO_KEY if why in ("invalid format", "error in libcrypto") else why
            tried[file] = _PUBLIC if file.endswith(".pub") else why
    return accepted, [f"{key} ({why})" if why else key for key, why in tried.items()]


def _answers(kinds: Sequence[str]) -> list[str]:
    """The kinds of answers that were given, for a message."""
    return [QUESTIONS] if QUESTIONS in kinds else [PASSWORD] if PASSWORD in kinds else []


def _either(methods: Sequence[str]) -> str:
    """Methods of authentication, but those of Kerberos, which are not asked for."""
    return " or ".join([one for one in methods if not one.startswith("gssapi")][:8])[:MOST_WORDS]
