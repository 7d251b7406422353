"""Every runner fits the sdk's `Runner`: a target's, a stand-in on the host, the guide's, and those that tests make."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgewright import targets
from edgewright.sdk import Runner, RunnerSession
from edgewright.testing import targets as suite

ROOT = Path(__file__).parents[2]
SHAPES = ROOT / "agent/edgewright_agent/shapes.pyi"
PREPARES = "prepare"  # called only if there is something to prepare
Signatures = dict[str, list[str]]


def of_protocol(protocol: type) -> Signatures:
    """Name of each function -> its parameters."""
    return {
        name: [one for one in inspect.signature(member).parameters if one != "self"]
        for name, member in vars(protocol).items()
        if inspect.isfunction(member) and not name.startswith("_")
    }


def of_source(body: list[ast.stmt]) -> Signatures:
    """The same for the functions in the body of a module or a class."""
    return {
        one.name: [arg.arg for arg in one.args.args if arg.arg != "self"]
        for one in body
        if isinstance(one, ast.FunctionDef) and not one.decorator_list
    }


def classes(text: str) -> dict[str, Signatures]:
    tree = ast.parse(text)
    return {one.name: of_source(one.body) for one in tree.body if isinstance(one, ast.ClassDef)}


RUNNER, SESSION = of_protocol(Runner), of_protocol(RunnerSession)


def problems(text: str, *, prepares: bool = True) -> list[str]:
    """The places where a runner's source does not fit the sdk. `prepares`: it must have `prepare`."""
    found = of_source(ast.parse(text).body)
    wanted = {name: given for name, given in RUNNER.items() if prepares or name != PREPARES}
    session = classes(text).get("Session", {})
    return [
        f"{name}({', '.join(given)}) is {there.get(name)}"
        for there, what in ((found, wanted), (session, SESSION))
        for name, given in what.items()
        if there.get(name) != given
    ]


def made_by_tests() -> Iterator[tuple[str, str]]:
    """File and text of the runners that tests write as files; some are texts to be formatted."""
    for file in sorted((ROOT / "tests").rglob("*.py")):
        if file == Path(__file__) or "def import_runtime():" not in file.read_text():
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            text = node.value if isinstance(node, ast.Constant) else None
            if isinstance(text, str) and "def import_runtime():" in text and "class Session" in text:
                filled = re.sub(r"(?<!\{)\{\w+(![rsa])?\}(?!\})", r"0", text.replace("{top}", ""))
                yield file.name, filled.replace("{{", "{").replace("}}", "}")


def test_the_sdk_has_what_a_runner_needs() -> None:
    assert set(RUNNER) == {"import_runtime", "accelerators", PREPARES, "load"}
    assert (
        set(SESSION) == {"feed", "infer", "read", "close"} and "accelerator" in RunnerSession.__annotations__
    )


@pytest.mark.parametrize("target", sorted(one.parent.name for one in ROOT.glob("targets/*/*/runner.py")))
def test_each_target_has_a_runner(target: str) -> None:
    assert problems((targets.folder(target) / "runner.py").read_text()) == []


def test_what_stands_in_on_the_host_has_the_same_sessions() -> None:
    stand_ins = [one for one in ROOT.glob("targets/*/*/host_session.py")]
    assert stand_ins
    for file in stand_ins:
        assert {
            name: given for name, given in classes(file.read_text())["Session"].items() if name in SESSION
        } == SESSION


def test_the_agent_and_the_suite_of_targets_ask_for_the_same() -> None:
    asked = classes(SHAPES.read_text())
    assert asked["Runner"] == RUNNER == suite.FUNCTIONS
    assert asked["Session"] == SESSION == suite.SESSION
    assert asked["Preparing"] == suite.OPTIONAL


def test_runners_that_tests_make_are_like_real_ones() -> None:
    made = list(made_by_tests())
    assert len(made) >= 3
    assert [(name, found) for name, text in made if (found := problems(text, prepares=False))] == []


def test_the_guide_shows_one() -> None:
    page = (ROOT / "docs/add-a-target.md").read_text()
    shown = [
        text
        for text in re.findall(r"```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
        if "class Session" in text
    ]
    assert shown and [problems(text) for text in shown] == [[] for _ in shown]


def test_what_is_missing_is_seen() -> None:
    text = (
        "def import_runtime(): ...\ndef load(folder, options): ...\nclass Session:\n    def feed(self): ..."
    )
    assert problems(text, prepares=False)[:3] == [
        "accelerators() is None", "load(folder, manifest, options) is ['folder', 'options']", "feed(tensors) is []",
    ]  # fmt: skip
