"""Plug-ins whose code fails while it works: one line names the plug-in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from edgewright import targets
from edgewright.compile import cache_key, steps
from edgewright.compile.data.answers import Answers
from edgewright.compile.formats import problem
from edgewright.compile.quality import metrics
from edgewright.compile.sources.source_format import SourceFormat
from edgewright.connect.transports import TRANSPORTS, linked
from edgewright.errors import ConversionError, EdgewrightError, Unreachable
from edgewright.metrics import METRICS, to_show
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.board import Board, Fleet
from edgewright.nouns.conversion_step import ConversionStep
from edgewright.nouns.metric import Metric
from edgewright.plugins import Entry
from edgewright.records import Records
from edgewright.wire.transport_kind import TransportKind

SPEC = TensorSpec(name="y", shape=(1, 2), dtype="float32")


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`install(registry, record, version)`: puts a record into a registry as if an installed distribution declared it."""

    def put(registry: Records[Any], record: Any, version: str = "2.0", value: str = "odd:RECORD") -> None:
        entry = Entry(name=record.name, value=value, distribution=f"odd {version}")
        monkeypatch.setitem(registry.__dict__, "_plugins", {record.name: entry})
        monkeypatch.setitem(registry._loaded, record.name, record)

    return put


def boom(*given: object) -> Any:
    raise KeyError("version")


def metric(score: Callable[..., Any] = boom, **more: Any) -> Metric:
    return Metric(name="near", title="x", score=score, **more)


@pytest.mark.parametrize(
    ("score", "message"),
    [
        (boom, r"metric near from odd 2\.0 failed: score: KeyError: 'version'"),
        (lambda *_: np.zeros((3, 2)), r"metric near of odd 2\.0 returned float64 of shape \(3, 2\)"),
        (lambda *_: "good", r"metric near of odd 2\.0 returned a str"),
    ],
)
def test_a_metric_that_fails(install: Callable[..., None], score: Callable[..., Any], message: str) -> None:
    install(METRICS, metric(score))
    answers = Answers("first", [np.zeros((3, 2), np.float32)])
    with pytest.raises(EdgewrightError, match=message):
        metrics.load("near").score(answers, np.zeros(3))


@pytest.mark.parametrize("fit", [boom, lambda *_: 3])
def test_a_metric_whose_fit_fails(install: Callable[..., None], fit: Callable[..., Any]) -> None:
    install(METRICS, metric(fit=fit))
    with pytest.raises(EdgewrightError, match=r"metric near from odd 2\.0 failed: fit"):
        metrics.load("near").labels(np.zeros(3), [SPEC])


@pytest.mark.parametrize(
    ("show", "reason"), [(boom, "show: KeyError: 'version'"), (lambda _: 3, "show gave int, not text")]
)
def test_a_value_is_shown_though_its_show_fails(
    install: Callable[..., None], show: Callable[..., Any], reason: str
) -> None:
    install(METRICS, metric(show=show))
    for shown in (to_show("near"), metrics.load("near").metric):
        assert shown.shown(0.5) == f"50.0% (metric near from odd 2.0 failed: {reason})"


@pytest.mark.parametrize(
    ("connect", "error", "message"),
    [
        (boom, EdgewrightError, r"transport odd from odd 2\.0 failed: connect: KeyError: 'version'"),
        (lambda *_: None, EdgewrightError, r"transport odd from odd 2\.0 failed: connect gave NoneType"),
        (
            lambda *_: Path("/no/such/device").read_bytes(),
            Unreachable,
            "box is not reached by the transport odd: No such",
        ),
    ],
)
def test_a_transport_that_fails(
    install: Callable[..., None], connect: Callable[..., Any], error: type[Exception], message: str
) -> None:
    install(TRANSPORTS, TransportKind(name="odd", connect=connect))
    box = Board(name="box", address="odd:1", profile="generic-x86_64")
    with pytest.raises(error, match=message):
        linked(box, Fleet(name="f", path=Path("fleet.toml"), boards={"box": box}), None)


@pytest.mark.parametrize(("found", "said"), [(3, "int"), ("a note", "str"), ([1], "list")])
def test_a_step_that_returns_no_notes(install: Callable[..., None], found: Any, said: str) -> None:
    install(steps.STEPS, ConversionStep(name="odd", worker="onnx", run=lambda _: found))
    with pytest.raises(
        ConversionError, match=f"conversion step odd returned {said}, not a list of notes"
    ) as error:
        steps.run_steps(["odd"], None)
    assert "odd 2.0" in error.value.hint


def test_a_format_needs_a_tool_and_a_marker_a_folder() -> None:
    known = SourceFormat(
        name="odd", title="x", known_as=".x", framework="onnx", tools=("numpy",), look=boom, open=boom
    )
    assert not problem(known)
    assert problem(msgspec.structs.replace(known, tools=())).startswith("its tools are empty")
    assert "takes no folder" in problem(msgspec.structs.replace(known, marker="a.b"))
    (fault,) = faults_of(msgspec.structs.replace(known, tools=()))
    assert "source format" not in fault and "its tools are empty" in fault


def faults_of(record: SourceFormat) -> list[str]:
    from edgewright.compile.formats import FORMATS

    entry = Entry(name=record.name, value="odd:RECORD", distribution="odd 2.0")
    try:
        FORMATS._check(entry, record)
    except ValueError as error:
        return [str(error)]
    return []


def test_a_runtime_for_one_python_says_so_as_a_range(tmp_path: Path) -> None:
    known = targets.load("onnxruntime")
    row = msgspec.structs.replace(known.runtimes[0], python="3.9")
    found = list(
        targets._problems(msgspec.structs.replace(known, runtimes=(row,)), targets.folder("onnxruntime"))
    )
    assert found == [
        f"python of its runtime {row.distribution} {row.version} is not FIRST-LAST, such as 3.9-3.13: 3.9"
    ]
    assert not list(targets._problems(known, targets.folder("onnxruntime")))


def test_the_python_whose_wheels_boards_get_is_a_version() -> None:
    known, folder = targets.load("tvm"), targets.folder("tvm")
    assert known.wheel_python and not list(targets._problems(known, folder))
    for wrong in ("3", "310", "py3.10", "3.10.1"):
        found = list(targets._problems(msgspec.structs.replace(known, wheel_python=wrong), folder))
        assert found == [f"wheel_python is not a version, such as 3.10: {wrong}"]


def test_a_c_program_has_its_function() -> None:
    known, folder = targets.load("onnxruntime"), targets.folder("onnxruntime")
    for module, wrong in (
        ("onnxruntime.explain", "onnxruntime.explain lacks the function program"),
        ("onnxruntime.nothing", "it names a module that is not there: onnxruntime.nothing"),
        ("tflite.finish", "it names a module of another target: tflite.finish"),
    ):
        assert list(targets._problems(msgspec.structs.replace(known, c_program=module), folder)) == [wrong]


def test_which_record_of_which_version_made_it_is_in_the_key(install: Callable[..., None]) -> None:
    edge: Any = SimpleNamespace(
        target=targets.load("onnxruntime"), source="onnx", precision="fp32", steps=("odd",)
    )
    step = ConversionStep(name="odd", worker="onnx", run=boom)
    found = []
    for version, value in (("2.0", "odd:RECORD"), ("2.1", "odd:RECORD"), ("2.0", "odd:OTHER")):
        install(steps.STEPS, step, version, value)
        found.append(cache_key._plugins(edge, "top1"))
    assert found[0] == ([("edgewright.steps", "odd", "odd:RECORD", "odd 2.0")], ["", "", "", "", "odd"])
    assert len({str(records) for records, _ in found}) == 3
