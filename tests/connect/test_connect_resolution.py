"""What an SSH configuration says: `ssh -G` is asked, and our own reading, for machines without `ssh`, agrees with it."""

from __future__ import annotations

import os
import pwd
import re
import shlex
import subprocess
import time
from pathlib import Path

import pytest
from msgspec import structs

from edgewright.connect.ssh.resolution import config_reader, openssh
from edgewright.connect.ssh.resolution import lookup as lookups
from edgewright.connect.ssh.resolution.settings import HostSettings, Query, settings_of
from edgewright.errors import ConfigError

SSH = "ssh"
# name -> (configuration, host[, user, port]). {d} is a folder of the test's own.
CONFIGURATIONS: dict[str, tuple[str, str] | tuple[str, str, str | None, int | None]] = {
    "nothing": ("", "pi"),
    "an address": ("", "10.0.0.5"),
    "an address of IPv6": ("", "fe80::1%eth0"),
    "upper case": ("Host pi\n Port 7", "PI"),
    "given user and port win": ("Host pi\n User bob\n Port 7", "pi", "carol", 8),
    "the first value counts": ("Host pi\n Port 7\nHost *\n Port 8\n User bob", "pi"),
    "the general block first": ("Host *\n Port 8\nHost pi\n Port 7", "pi"),
    "keywords before any block": ("Port 9\nHost pi\n Port 7", "pi"),
    "keywords in any case": ("HOST pi\n hOsTnAmE h\n", "pi"),
    "patterns in upper case": ("Host PI\n Port 7", "pi"),
    "a host in upper case": ("Host pi\n HostName HH\nMatch host hh\n User bob", "pi"),
    "match in upper case": ("Match host PI\n Port 7\nMatch originalhost PI\n User bob", "Pi"),
    "match a user in upper case": ("Match user BOB\n Port 7", "pi", "bob", None),
    "equals signs": ("Host=pi\n HostName = h\n Port=7\n User= bob", "pi"),
    "tabs": ("Host\tpi\n\tHostName\th\t\n", "pi"),
    "quotes": ('Host "pi"\n User "bob"\n IdentityFile "{d}/my key"\n', "pi"),
    "single quotes": ("Host 'pi'\n IdentityFile '{d}/my key'\n", "pi"),
    "a quoted keyword's value in part": ('Host pi\n IdentityFile {d}/"my key"/x\n', "pi"),
    "backslashes": ("Host pi\n IdentityFile {d}/my\\ key\n", "pi"),
    "a backslash in quotes": ('Host pi\n IdentityFile "{d}/a\\"b"\n', "pi"),
    "comment lines": ("# Host pi\n  # Port 6\nHost pi\n #Port 5\n Port 7\n", "pi"),
    "a comment after a value": ("Host pi # the kitchen\n Port 7 # not 8\n HostName h #x\n", "pi"),
    "a comment after patterns": ("Host a pi # b c\n Port 7\n", "c"),
    "a number sign in a value": ("Host pi\n User bob#1\n IdentityFile {d}/a#b\n", "pi"),
    "a number sign in quotes": ('Host pi\n IdentityFile "{d}/a #b"\n', "pi"),
    "a comment after a jump": ("Host pi\n ProxyJump gate # the gate\n", "pi"),
    "empty lines and ends": ("\n\nHost pi\r\n Port 7\r\n\n", "pi"),
    "several patterns": ("Host a b pi c\n Port 7", "pi"),
    "stars": ("Host p*\n Port 7", "pi"),
    "a star for nothing": ("Host pi*\n Port 7", "pi"),
    "a question mark": ("Host p?\n Port 7", "pi"),
    "a question mark for nothing": ("Host pi?\n Port 7", "pi"),
    "brackets are letters": ("Host [p]i\n Port 7", "pi"),
    "a negation": ("Host * !pi\n Port 7", "pi"),
    "a negation first": ("Host !pi *\n Port 7", "pi"),
    "a negation of others": ("Host !x p*\n Port 7", "pi"),
    "only a negation": ("Host !x\n Port 7", "pi"),
    "the host of an alias": ("Host pi\n HostName %h.example.org", "pi"),
    "a percent sign in the host": ("Host pi\n HostName a%%b", "pi"),
    "several identities": ("Host pi\n IdentityFile {d}/a\n IdentityFile {d}/b\nHost *\n IdentityFile {d}/c", "pi"),
    "an identity twice": ("Host pi\n IdentityFile {d}/a\nHost *\n IdentityFile {d}/a", "pi"),
    "no identity": ("Host pi\n IdentityFile none\n IdentitiesOnly yes", "pi"),
    "no identity, then one": ("Host pi\n IdentityFile none\nHost *\n IdentityFile {d}/a", "pi"),
    "certificates": ("Host pi\n CertificateFile {d}/a-cert.pub\n CertificateFile {d}/b-cert.pub", "pi"),
    "identities only, true": ("Host pi\n IdentitiesOnly true", "pi"),
    "an agent": ("Host pi\n IdentityAgent {d}/agent", "pi"),
    "an agent of a variable": ("Host pi\n IdentityAgent $EW_AGENT", "pi"),
    "an agent of a variable in braces": ("Host pi\n IdentityAgent ${{EW_AGENT}}.2", "pi"),
    "no agent": ("Host pi\n IdentityAgent none", "pi"),
    "the usual agent": ("Host pi\n IdentityAgent SSH_AUTH_SOCK", "pi"),
    "a jump host": ("Host pi\n ProxyJump bob@gate:2201", "pi"),
    "jump hosts": ("Host pi\n ProxyJump bob@gate:2201,inner", "pi"),
    "a jump host with tokens": ("Host pi\n User bob\n Port 7\n ProxyJump %r@gate-%h", "pi"),
    "no jump host": ("Host pi\n ProxyJump none\nHost *\n ProxyJump gate", "pi"),
    "a command before a jump": ("Host pi\n ProxyCommand nc %h %p\nHost *\n ProxyJump gate", "pi"),
    "a jump before a command": ("Host pi\n ProxyJump gate\nHost *\n ProxyCommand nc %h %p", "pi"),
    "no command, then a jump": ("Host pi\n ProxyCommand none\nHost *\n ProxyJump gate", "pi"),
    "a command with quotes": ('Host pi\n ProxyCommand sh -c "nc %h %p" # x', "pi"),
    "another name of the key": ("Host pi\n HostKeyAlias kitchen", "pi"),
    "files of known hosts": ("Host pi\n UserKnownHostsFile {d}/a {d}/b\n GlobalKnownHostsFile {d}/c", "pi"),
    "no files of known hosts": ("Host pi\n UserKnownHostsFile none\n", "pi"),
    "known hosts with tokens": ("Host pi\n HostKeyAlias k\n UserKnownHostsFile {d}/%k_%n_%h_%p_%r", "pi"),
    "all tokens": (
        "Host pi\n HostName h\n Port 7\n User bob\n HostKeyAlias k\n"
        " IdentityFile {d}/%%_%C_%d_%h_%i_%k_%L_%l_%n_%p_%r_%u\n UserKnownHostsFile {d}/%%_%C_%h_%i_%k_%L_%l_%n_%p_%r_%u",
        "pi",
    ),
    "match all": ("Match all\n Port 7", "pi"),
    "match a host": ("Match host p*,!px\n Port 7", "pi"),
    "match no host": ("Match host p*,!pi\n Port 7", "pi"),
    "match the host that it became": ("Host pi\n HostName h\nMatch host h\n Port 7", "pi"),
    "match the host that was typed": ("Host pi\n HostName h\nMatch originalhost pi\n Port 7", "pi"),
    "match a user": ("Match user bob\n Port 7", "pi", "bob", None),
    "match a user that is set above": ("Host pi\n User bob\nMatch user bob\n Port 7", "pi"),
    "match the local user": ("Match localuser root,nobody-else\n Port 7", "pi"),
    "match a command": ("Match exec \"test %h = pi\"\n Port 7", "pi"),
    "match a command that fails": ("Match exec false\n Port 7", "pi"),
    "match a command that leaves something behind": ('Match exec "sleep 8 & true"\n Port 7', "pi"),
    "match what is not": ("Match !host x\n Port 7\nMatch !exec true\n User bob", "pi"),
    "match several": ("Match host pi user bob exec true\n Port 7", "pi", "bob", None),
    "match with equals signs": ("Match host=pi\n Port 7", "pi"),
    "match ends a host": ("Host x\n Port 5\nMatch all\n Port 7", "pi"),
    "match the last pass": ("Match final host h\n Port 7\nHost pi\n HostName h", "pi"),
    "match the last pass, all": ("Match final all\n User bob\n", "pi"),
    "a canonical name that is not found": (
        "CanonicalizeHostname yes\nCanonicalDomains no.invalid\nMatch canonical host pi*\n Port 7\nMatch final\n User bob", "pi"
    ),
    "a canonical name with enough dots": ("CanonicalizeHostname yes\nCanonicalDomains no.invalid\nMatch final\n Port 7", "a.b.c"),
    "an include": ("Include {d}/more\nHost pi\n Port 7", "pi"),
    "an include in a block": ("Host pi\n Include {d}/more\n Port 7", "pi"),
    "an include in another's block": ("Host other\n Include {d}/more\nHost pi\n Port 7", "pi"),
    "a block that ends in an include": ("Host pi\n Include {d}/blocks\n Port 7", "pi"),
    "a block of another's include": ("Host other\n Include {d}/everyone\nHost pi\n Port 7", "pi"),
    "an include in a match": ("Match exec false\n Include {d}/everyone\nMatch all\n Port 7", "pi"),
    "includes of a pattern": ("Include {d}/part*\n", "pi"),
    "an include that is missing": ("Include {d}/none\nHost pi\n Port 7", "pi"),
    "an include in an include": ("Include {d}/nested\n", "pi"),
    "keywords that say nothing here": ("Host pi\n ForwardAgent yes\n SendEnv LANG\n Compression yes\n Port 7", "pi"),
}  # fmt: skip
FILES = {
    "more": "User bob\n",
    "blocks": "User bob\nHost other\n Port 5\n",
    "everyone": "Host *\n Port 5\n",
    "part1": "Host pi\n User one\n",
    "part2": "Host *\n User two\n Port 2\n",
    "nested": "Include {d}/more {d}/blocks\nHost pi\n Port 3\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files that configurations include, and a variable that they name."""
    place = tmp_path / "included"
    place.mkdir()
    for name, text in FILES.items():
        (place / name).write_text(text.replace("{d}", str(place)))
    monkeypatch.setenv("EW_AGENT", str(place / "agent"))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(place / "usual"))
    return place


def shared(settings):
    """What both readers give: the keywords for the OpenSSH client are of use only where there is one."""
    return structs.replace(settings, for_client=())


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_our_own_reading_is_that_of_openssh(name: str, folder: Path) -> None:
    text, alias, *given = CONFIGURATIONS[name]
    user, port = given or (None, None)
    file = folder / "config"
    file.write_text(text.replace("{d}", str(folder)).replace("{{", "{").replace("}}", "}"))
    query = Query(alias=alias, user=user, port=port)
    theirs = settings_of(openssh.table_of(query, SSH, file), query, "ssh")
    assert shared(settings_of(config_reader.table_of(query, file), query, "ours")) == shared(theirs)
    printed = said_by_ssh(file, query)
    assert (theirs.hostname, theirs.user, str(theirs.port)) == (
        printed["hostname"],
        printed["user"],
        printed["port"],
    )


def said_by_ssh(file: Path, query: Query) -> dict[str, str]:
    """What `ssh -G` prints, by keyword."""
    more = ["-l", query.user] if query.user else []
    more += ["-p", str(query.port)] if query.port else []
    done = subprocess.run(
        [SSH, "-G", "-T", "-F", file, *more, "--", query.alias], capture_output=True, text=True, check=True
    )
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


def test_there_are_enough_configurations_and_most_change_something(folder: Path) -> None:
    assert len(CONFIGURATIONS) >= 60
    changed = 0
    for text, alias, *_ in CONFIGURATIONS.values():
        (folder / "config").write_text(text.replace("{d}", str(folder)).replace("{{", "{").replace("}}", "}"))
        (folder / "empty").write_text("")
        query = Query(alias=alias)
        changed += config_reader.table_of(query, folder / "config") != config_reader.table_of(
            query, folder / "empty"
        )
    assert changed > 60


def test_file_names_are_those_that_ssh_opens(folder: Path) -> None:
    text, alias, *_ = CONFIGURATIONS["all tokens"]
    file = folder / "config"
    file.write_text(text.replace("{d}", str(folder)) + "\n ProxyCommand false\n")
    query = Query(alias=alias)
    log = subprocess.run(
        [SSH, "-v", "-T", "-F", file, alias], capture_output=True, text=True, check=False
    ).stderr
    (opened,) = re.findall(r"identity file (\S+) type", log)[:1]
    home = pwd.getpwuid(os.getuid()).pw_dir
    for table in (openssh.table_of(query, SSH, file), config_reader.table_of(query, file)):
        (found,) = settings_of(table, query, "").identity_files
        assert str(found).replace(str(Path.home()), home) == opened


IN_BOTH = {
    "the system's configuration": ("Host pi\n User bob\n", "Host *\n User root\n Port 7\n IdentityFile /k\n"),
    "a relative include": ("Include conf.d/*\n", "Port 7\n"),
    "a relative include under a condition": ("Host other\n Include conf.d/*\nHost pi\n Port 3\n", ""),
}


@pytest.mark.parametrize("name", IN_BOTH)
def test_the_users_and_the_systems_configuration(
    name: str, own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users, systems = IN_BOTH[name]
    (own_home / ".ssh" / "config").write_text(users)
    (own_home / ".ssh" / "conf.d").mkdir()
    (own_home / ".ssh" / "conf.d" / "a.conf").write_text("Host *\n User carol\n")
    system = tmp_path / "ssh_config"
    system.write_text(systems)
    monkeypatch.setattr(config_reader, "SYSTEM", system)
    script = f"mount --bind {system} /etc/ssh/ssh_config && mount --bind {own_home}/.ssh ~/.ssh && exec ssh -T -G pi"
    known = pwd.getpwuid(os.getuid()).pw_dir
    (Path(known) / ".ssh").mkdir(mode=0o700, exist_ok=True)
    command = ["unshare", "-rm", "sh", "-c", script]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "HOME": known}, check=False
    )
    assert done.returncode == 0, done.stderr
    query = Query(alias="pi")
    theirs = settings_of(openssh.parsed(done.stdout), query, "")
    assert shared(settings_of(config_reader.table_of(query), query, "")) == shared(theirs)
    assert theirs.user == (
        "bob" if "bob" in users else "carol" if users.startswith("Include") else theirs.user
    )


@pytest.mark.parametrize("program", [SSH, None])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Host 'pi\n", "quote|quot"),
        ("Host pi\n Port\n", "port|argument"),
        ("Include {d}/config\n", "include"),
        ("Host pi\n IdentityFile ${NO_SUCH_VARIABLE}/x\n", "stands for nothing"),
        ("Host pi\n IdentityFile %y\n", "stands for nothing"),
    ],
)
def test_a_configuration_that_is_wrong_is_one_line(
    program: str | None, text: str, words: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openssh, "client", lambda: program)
    file = folder / "config"
    file.write_text(text.replace("{d}", str(folder)))
    with pytest.raises(ConfigError, match=f"(?i){words}") as caught:
        lookups.lookup(file)(Query(alias="pi"))
    assert "\n" not in caught.value.message and caught.value.hint


@pytest.mark.parametrize("program", [SSH, None])
def test_a_command_that_hangs_is_ended_and_named(
    program: str | None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openssh, "client", lambda: program)
    monkeypatch.setattr(openssh, "LIMIT_SECONDS", 1.0)
    monkeypatch.setattr(config_reader, "EXEC_SECONDS", 1.0)
    pid = folder / "pid"
    (folder / "config").write_text(
        f'Match exec "sleep 1000 & echo $! > {shlex.quote(str(pid))}; wait"\n Port 7\n'
    )
    with pytest.raises(ConfigError, match="took longer than 1 s") as caught:
        lookups.lookup(folder / "config")(Query(alias="pi"))
    assert "exec" in caught.value.hint or "command" in caught.value.hint
    for _ in range(100):
        if not Path("/proc", pid.read_text().strip()).exists():
            return
        time.sleep(0.05)
    raise AssertionError("what `Match exec` started is still there")


def test_a_host_is_looked_up_once_until_its_configuration_changes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = folder / "count"
    file = folder / "config"
    file.write_text(f'Match exec "echo x >> {count}"\n Port 7\n')
    find = lookups.lookup(file)
    found: list[HostSettings] = [find(Query(alias="pi")) for _ in range(3)]
    assert count.read_text() == "x\n" and {one.port for one in found} == {7}
    assert lookups.lookup(file)(Query(alias="pi")).port == 7 and count.read_text() == "x\n", (
        "of another login"
    )
    file.write_text("Port 8 \n")
    assert find(Query(alias="pi")).port == 8
    monkeypatch.setattr(lookups, "KEPT_SECONDS", 0.0)
    file.write_text(f'Match exec "echo x >> {count}"\n Port 7\n')
    for _ in range(2):
        find(Query(alias="pi"))
    assert count.read_text() == "x\n" * 3


def test_a_host_whose_name_looks_like_an_option_is_none(folder: Path) -> None:
    (folder / "config").write_text("")
    with pytest.raises(ConfigError):
        openssh.table_of(Query(alias="-oProxyCommand=x"), SSH, folder / "config")


def test_tokens_of_a_jump_host_are_expanded(folder: Path) -> None:
    text, alias, *_ = CONFIGURATIONS["a jump host with tokens"]
    (folder / "config").write_text(text)
    found = lookups.lookup(folder / "config")(Query(alias=alias))
    assert found.proxy_jump == "bob@gate-pi"


def test_a_client_of_another_make_is_not_asked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = folder / "ssh"
    other.write_text("#!/bin/sh\necho 'Dropbear: unknown option -G' >&2\nexit 1\n")
    other.chmod(0o755)
    monkeypatch.setattr(openssh, "client", lambda: str(other))
    (folder / "config").write_text("Port 7\n")
    assert lookups.lookup(folder / "config")(Query(alias="pi")).port == 7
