"""The agent's table of commands matches the host's records: names, types, defaults, and the values that each type accepts."""

from __future__ import annotations

import inspect
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from edgewright.errors import ProtocolError
from edgewright.wire import answers, commands, types
from edgewright_agent import protocol
from edgewright_agent.protocol import AgentError
from edgewright_agent.session import arguments
from edgewright_agent.session.commands import Commands
from edgewright_agent.session.server import Server

RECORDS = {one.do: one for one in commands.COMMANDS if one is not commands.Describe}
SHA, RELEASE, TXN = "a" * 64, "1.0-0123abcd", "f" * 32
PROTOCOL = {"rounds": 2, "warmup_s": 0.3, "steady_s": 1, "min_samples": 11, "limit_s": 15.0}
WHEEL = {"file": "toy-1.0-py3-none-any.whl", "sha256": SHA, "size": 9}
TEXT: list[Any] = ["", "a", "A", "a/b", "a b", ".a", "-a", "a" * 64, "a" * 65, "a\n", "ä", 7, None, [], True]
SHAS: list[Any] = [SHA, SHA[1:], SHA + "\n", SHA.upper(), 0, None]


def numbers(limit: float) -> list[Any]:
    return [0, 1, limit, limit + 1, -1, 0.5, float(limit), limit + 0.5, -0.5, "1", None, True, [1]]


SAMPLES: dict[str, list[Any]] = {
    "sha256": SHAS,
    "name": [*TEXT, "m-1._x"],
    "release": [*TEXT, RELEASE, RELEASE + "\n", RELEASE[:-1], RELEASE.upper(), "a" * 64 + "-01234567"],
    "version": [*TEXT, "1.0+cu12", "1!2"],
    "txn": [TXN, TXN[1:], TXN + "\n", TXN.upper(), 1, None],
    "runtime": [*SHAS, "system:tensorrt", "system:", "system:A", "system:a\n"],
    "word": [*TEXT, "MYRIAD.1:2", "a:b"],
    "wanted": [*TEXT, RELEASE, "1.0"],
    "line": ["", "a" * 100, "a" * 101, 7, None],
    "file": ["", "a" * 300, "a" * 301, 7, None],
    "reason": ["", "a" * 1000, "a" * 1001, 7, None],
    "size": numbers(16 * 1024**3),
    "count": numbers(1000),
    "threads": numbers(1024),
    "lines": numbers(100000),
    "rounds": numbers(100),
    "samples": numbers(10**6),
    "seconds": numbers(86400),
    "hook seconds": numbers(3600),
    "flag": [True, False, 0, 1, None, "true"],
    "hooks": [{}, {"activate": SHA}, {"activate": "x"}, {"start": SHA}, {"activate": None}, [], None],
    "releases": [[RELEASE], [RELEASE] * 10, [RELEASE] * 11, [], ["x"], RELEASE, None],
    "wheels": [[WHEEL], [WHEEL] * 101, [], [{**WHEEL, "size": -1}], [{"file": "a"}], None],
    "protocol": [PROTOCOL, {**PROTOCOL, "rounds": 101}, {**PROTOCOL, "limit_s": "1"}, {}, None],
}


def whole(kind: Any, value: Any) -> bool:
    """Whether the host's type accepts a value: on the wire, `0.0` is not a whole number."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return not (isinstance(value, float) and get_args(kind)[:1] == (int,))


def test_every_word_of_the_agent_is_a_type_of_the_host() -> None:
    assert set(arguments.TYPES) == set(types.WORDS) == set(SAMPLES)


@pytest.mark.parametrize("word", sorted(SAMPLES))
def test_both_take_the_same_values(word: str) -> None:
    kind = types.WORDS[word]
    taken = [arguments.fits(value, word) for value in SAMPLES[word]]
    assert taken == [whole(kind, value) for value in SAMPLES[word]], SAMPLES[word]
    assert True in taken and False in taken
    assert arguments.fits(None, word + "?")


@pytest.mark.parametrize("do", sorted(arguments.COMMANDS))
def test_a_command_has_the_same_arguments_on_both_sides(do: str) -> None:
    expected = {
        name: rule if isinstance(rule, tuple) else (rule, arguments.REQUIRED)
        for name, rule in arguments.COMMANDS[do].items()
    }
    hints = get_type_hints(RECORDS[do], include_extras=True)
    found = {}
    for field in msgspec.structs.fields(RECORDS[do]):
        default = field.default
        if field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        found[field.name] = (hints[field.name], arguments.REQUIRED if field.required else default)
    assert {name: default for name, (_, default) in found.items()} == {
        name: default for name, (_, default) in expected.items()
    }
    for name, (word, _) in expected.items():
        kind = types.WORDS[word.rstrip("?")]
        assert found[name][0] == (kind | None if word.endswith("?") else kind), name


def test_both_know_the_same_commands() -> None:
    assert set(RECORDS) == set(arguments.COMMANDS)
    assert all(hasattr(Server if do in ("put", "get") else Commands, do) or do in GIVEN for do in RECORDS)


GIVEN = (
    "activate",
    "commit",
    "revert",
    "outcome",
    "install",
    "discard",
    "provision",
)  # set by `Commands.__init__`


def test_what_has_its_default_is_not_sent() -> None:
    """An agent of an earlier version refuses an argument that it does not know."""
    one = commands.Verify(model="m", release=RELEASE, txn=TXN)
    assert one.arguments() == {"model": "m", "release": RELEASE, "txn": TXN}
    assert commands.Describe(model="m").arguments() == {"model": "m", "inputs": None}
    asked = commands.Activate(model="m", release=RELEASE, expected_current=None, txn=TXN, deadline_s=60)
    assert asked.arguments()["expected_current"] is None


@pytest.mark.parametrize("command", commands.COMMANDS, ids=lambda one: one.__name__)
def test_the_agent_takes_what_a_record_sends(command: type[commands.Command[Any]]) -> None:
    required = [field.name for field in msgspec.structs.fields(command) if field.required]
    keep = {"evaluate": "all", "prune": 3}
    given = {name: keep[command.do] if name == "keep" else SAMPLE[name] for name in required}
    sent = protocol.decode(protocol.encode(command(**given).arguments()))
    assert sent.items() <= arguments.check(command.do, sent).items()
    with pytest.raises(AgentError, match="does not take this argument"):
        arguments.check(command.do, {**sent, "colour": "blue"})
    assert inspect.getdoc(command) and inspect.getdoc(command.answer())


SAMPLE: dict[str, Any] = {
    "model": "m", "release": RELEASE, "txn": TXN, "sha256": SHA, "size": 9, "offset": 0, "result": "1-log", "host": "h",
    "ttl_s": 60, "target": "tflite", "name": "toy", "version": "1.0", "wheels": (types.Wheel(**WHEEL),), "manifest": SHA,
    "runtime": SHA, "evaluation": SHA, "releases": (RELEASE,), "protocol": types.Protocol(**PROTOCOL),
    "inputs": SHA, "expected_current": None, "deadline_s": 60, "lines": 1, "install": True,
}  # fmt: skip


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (commands.Status, {"models": [], "lease": None, "problem": ""}),
        (commands.Status, {"models": {"m": {"known_good": None}}, "lease": None, "problem": ""}),
        (commands.Commit, {}),
        (commands.Commit, {"outcome": 7}),
        (commands.Install, {"release": "r"}),
        (commands.Logs, {"log": {"result": "r", "sha256": "0" * 63, "size": 1}}),
        (commands.Logs, {"log": {"result": "r", "sha256": "0" * 64, "size": -1}}),
        (commands.Bench, {"runs": [{}] * (answers.MAX_RUNS + 1)}),
        (commands.Prune, {"removed": "all", "freed_bytes": 1}),
        (commands.Facts, {"cpus": "four"}),
        (commands.Part, {"complete": "yes"}),
    ],
)
def test_answers_of_another_shape_are_refused(command: type[commands.Command[Any]], answer: Any) -> None:
    with pytest.raises(ProtocolError, match=f"answer to {command.do} is not valid"):
        command.read(answer)


def test_keys_of_a_newer_agent_are_passed_over() -> None:
    found = commands.Commit.read({"outcome": "committed", "novelty": {"of": ["a newer agent"]}})
    assert found == answers.Outcome(outcome="committed")


@pytest.mark.parametrize("shape", [[-1], [2**31 + 1], [1] * 33])
def test_a_shape_or_a_count_that_cannot_be_is_refused(shape: list[int]) -> None:
    answer = {"schema": 1, "inputs": [{"dtype": "float32", "shape": [1, 4]}]}
    assert commands.Describe.read({"manifest": answer}).manifest.inputs[0].shape == (1, 4)
    answer["inputs"] = [{"dtype": "float32", "shape": shape}]
    with pytest.raises(ProtocolError):
        commands.Describe.read({"manifest": answer})
    with pytest.raises(ProtocolError):
        commands.Part.read({"offset": -1})
