"""Every call of TensorRT's that the runner makes is one that TensorRT has, in each major version: checked against what the
real Python bindings say of themselves (`api.jsonl`, made by `capture.py`). It shows no more than that: nothing runs here.
"""

import ast
import json
from collections import defaultdict
from pathlib import Path

import pytest

from edgewright.connect.agent.annotations import without_annotations

HERE = Path(__file__).parent
RUNNER = HERE.parents[1] / "targets/edgewright_targets/tensorrt/runner.py"
ENTRIES = ("import_runtime", "accelerators", "environment", "prepare", "load", "Session", "_Tensor")
KINDS = {  # names of variables in the runner, and what they hold
    "builder": "Builder", "network": "INetworkDefinition", "config": "IBuilderConfig", "parser": "OnnxParser",
    "runtime": "Runtime", "engine": "ICudaEngine", "logger": "Logger", "self._engine": "ICudaEngine",
    "self._context": "IExecutionContext",
}  # fmt: skip
ALIASES = {"nvonnxparser::IParserError": "ParserError"}
MODULE = {"__version__"}
# What 8.6 has and 8.2, which JetPack 4.6 has, lacks: its bindings are not in the index, their sources say so.
SINCE_8_2 = {
    "IBuilderConfig.set_memory_pool_limit",
    "ICudaEngine.num_io_tensors",
    "MemoryPoolType",
    "TensorIOMode",
}


class Api:
    """What one version offers."""

    def __init__(self, version: str, without: set[str] = frozenset()) -> None:
        self.version, self.major, self.classes, self.enums = version, int(version.split(".")[0]), {}, {}
        captured = "8.6.1" if version == "8.2.0" else version
        for line in (HERE / "api.jsonl").read_text().splitlines():
            number, what, name, members = json.loads(line)
            if number == captured and name not in without:
                kept = members
                if what == "class":
                    kept = {key: value for key, value in members.items() if f"{name}.{key}" not in without}
                (self.classes if what == "class" else self.enums)[name] = kept
        assert self.classes and self.enums


APIS = [Api("8.2.0", SINCE_8_2), Api("8.6.1"), Api("10.3.0"), Api("11.4.0")]


class Uses:
    """Walks the runner as one version would run it; `problems` are calls that this version does not have."""

    def __init__(self, source: str, api: Api) -> None:
        self.api, self.problems, self.seen, self.done = api, [], defaultdict(set), set()
        tree = ast.parse(source)
        self.known = {one.name: one for one in tree.body if isinstance(one, ast.FunctionDef | ast.ClassDef)}
        for name in ENTRIES:
            self.reach(name)

    def reach(self, name: str) -> None:
        """A function or class of the runner's own that is called."""
        if name in self.known and name not in self.done:
            self.done.add(name)
            self.block(self.known[name].body)

    def block(self, nodes) -> None:
        for node in nodes:
            self.walk(node)

    def holds(self, test: ast.expr) -> bool | None:
        """Whether a condition on the version holds; None where it is about something else."""
        if isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id == "major":
            assert isinstance(test.ops[0], ast.Lt) and len(test.ops) == 1
            return self.api.major < test.comparators[0].value
        if isinstance(test, ast.Call) and isinstance(test.func, ast.Name) and test.func.id == "hasattr":
            kind = self.kind(test.args[0])
            return test.args[1].value in self.api.classes[kind] if kind else None
        return None

    def walk(self, node: ast.AST) -> None:
        if isinstance(node, ast.If | ast.IfExp):
            answer = self.holds(node.test)
            self.walk(node.test) if answer is None else None
            for branch, wanted in ((node.body, True), (node.orelse, False)):
                if answer in (None, wanted):
                    self.block(branch if isinstance(branch, list) else [branch])
            return
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            self.reach(node.func.id)
        if isinstance(node, ast.ClassDef):
            self.derived(node)
        if isinstance(node, ast.Call):
            self.call(node)
        elif isinstance(node, ast.Attribute):
            self.member(node)
        for child in ast.iter_child_nodes(node):
            self.walk(child)

    def kind(self, node: ast.expr) -> str | None:
        """The TensorRT class of an expression, as far as it can be inferred."""
        text = ast.unparse(node)
        if text in KINDS:
            return KINDS[text]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if self.module(node.func.value):
                return node.func.attr
            owner = self.kind(node.func.value)
            gives = [one["gives"] for one in self.methods(owner, node.func.attr)]
            return ALIASES.get(gives[0], gives[0]) if gives else None
        return None

    def methods(self, owner: str | None, name: str) -> list:
        found = self.api.classes.get(owner or "", {}).get(name, [])
        return found if isinstance(found, list) else []

    @staticmethod
    def module(node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id in ("trt", "tensorrt")

    def problem(self, node: ast.AST, what: str) -> None:
        self.problems.append(f"{self.api.version}, line {node.lineno}: {what}")

    def call(self, node: ast.Call) -> None:
        """A method's or a constructor's arguments."""
        if not isinstance(node.func, ast.Attribute):
            return
        if self.module(node.func.value):
            owner, name = node.func.attr, "__init__"
        else:
            owner, name = self.kind(node.func.value), node.func.attr
        if owner not in self.api.classes or name not in self.api.classes[owner]:
            return  # `member` says so
        if not any(fits(one["takes"], node) for one in self.methods(owner, name)):
            self.problem(node, f"{owner}.{name} does not take {ast.unparse(node)}")
        self.seen["calls"].add(f"{owner}.{name}")

    def member(self, node: ast.Attribute) -> None:
        """A class or an enumeration of the module, a member of either, or a member of an object."""
        if self.module(node.value):
            if node.attr not in {*self.api.classes, *self.api.enums, *MODULE}:
                self.problem(node, f"no tensorrt.{node.attr}")
            return
        if isinstance(node.value, ast.Attribute) and self.module(node.value.value):
            owner = node.value.attr
            if owner in MODULE:
                return
            there = {*self.api.enums.get(owner, ()), *self.api.classes.get(owner, ())}
        else:
            owner = self.kind(node.value)
            if owner not in self.api.classes:
                return
            there = self.api.classes[owner]
        if node.attr not in there:
            self.problem(node, f"no {owner}.{node.attr}")
        elif isinstance(node.ctx, ast.Store) and not self.api.classes[owner][node.attr]["set"]:
            self.problem(node, f"{owner}.{node.attr} cannot be set")
        self.seen["members"].add(f"{owner}.{node.attr}")

    def derived(self, node: ast.ClassDef) -> None:
        """A class of the runner's own below one of TensorRT's: its methods are the base's, with as many arguments."""
        for base in node.bases:
            if isinstance(base, ast.Attribute) and self.module(base.value) and base.attr in self.api.classes:
                for method in node.body:
                    if method.name == "__init__":
                        continue
                    there = self.methods(base.attr, method.name)
                    if not any(len(one["takes"]) == len(method.args.args) - 1 for one in there):
                        self.problem(method, f"{base.attr} does not call {method.name} so")
                    self.seen["calls"].add(f"{base.attr}.{method.name}")


def fits(takes: list, call: ast.Call) -> bool:
    """Whether a call's arguments are those of a signature."""
    given = len(call.args)
    if call.args and isinstance(call.func, ast.Attribute) and call.func.attr == "__init__":
        given -= 1  # the object itself
    named = {word.arg for word in call.keywords}
    names = [name for name, _ in takes]
    needed = {name for name, optional in takes[given:] if not optional}
    return given <= len(takes) and needed <= named <= set(names[given:])


@pytest.fixture(scope="module")
def source() -> str:
    return without_annotations(RUNNER.read_text())


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.version)
def test_the_runner_calls_what_there_is(source, api):
    found = Uses(source, api)
    assert found.problems == []
    assert {"Builder.build_serialized_network", "IExecutionContext.execute_v2", "Runtime.deserialize_cuda_engine",
            "OnnxParser.parse_from_file", "Logger.__init__", "IBuilderConfig.clear_flag"} <= found.seen["calls"]  # fmt: skip
    by_index = {"ICudaEngine.num_bindings", "ICudaEngine.get_binding_name"} & {
        *found.seen["members"],
        *found.seen["calls"],
    }
    by_name = {"ICudaEngine.num_io_tensors", "ICudaEngine.get_tensor_name"} & {
        *found.seen["members"],
        *found.seen["calls"],
    }
    assert (len(by_index), len(by_name)) == ((2, 0) if api.major < 10 else (0, 2))
    ranges = "IInt8EntropyCalibrator2.read_calibration_cache" in found.seen["calls"]
    assert ranges == (api.major < 11)
    assert ("IBuilderConfig.max_workspace_size" in found.seen["members"]) == (api.version == "8.2.0")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (".execute_v2(", ".execute_v9(", "no IExecutionContext.execute_v9"),
        ("runtime.deserialize_cuda_engine(file.read())", "runtime.deserialize_cuda_engine()", "does not take"),
        ("trt.BuilderFlag.TF32", "trt.BuilderFlag.TF33", "no BuilderFlag.TF33"),
        ("trt.Builder(logger)", "trt.Builder(logger, 1)", "does not take"),
        ("if major < 11:", "if major < 12:", "11.4.0.*no BuilderFlag.INT8"),
        ("if major < 10 else _tensors", "if major < 11 else _tensors", "10.3.0.*no ICudaEngine.num_bindings"),
        ("def get_batch(self, names):", "def get_batch(self):", "does not call get_batch so"),
        ("parser.get_error(index).desc()", "parser.get_error(index).text()", "no ParserError.text"),
        ("trt.OnnxParser(network, logger)", "trt.OnnxParser(network)", "does not take"),
        ('hasattr(config, "set_memory_pool_limit")', "workspace", "8.2.0.*no IBuilderConfig.set_memory_pool_limit"),
        ("_bindings(engine) if major < 10", "_bindings(engine) if major < 8", "8.2.0.*no ICudaEngine.num_io_tensors"),
    ],
)  # fmt: skip
def test_a_wrong_call_is_found(source, old, new, says):
    import re

    assert source.count(old) == 1
    problems = [text for api in APIS for text in Uses(source.replace(old, new), api).problems]
    assert any(re.search(says, text) for text in problems), problems
