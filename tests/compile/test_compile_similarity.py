"""The user's own comparison of answers: `[compare] function`."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from flat_requests import changed, compile_request

from edgewright.compile.pipeline import compile_model, plan
from edgewright.compile.quality import user_comparison
from edgewright.compile.quality.verdict import description as table
from edgewright.compile.quality.verdict.judge import Judged, Suspect
from edgewright.compile.quality.verdict.refusal import Unlike
from edgewright.compile.workers.pool import Workers
from edgewright.errors import DataError, UsageError
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.project import Compare
from edgewright.nouns.verdict import Limits, OutputVerdict

BOXES = """
import numpy as np


def same(references, answers):
    \"\"\"Share of equal boxes, whatever order they are in.\"\"\"
    (ours,), (theirs,) = references, answers
    near = np.abs(ours[:, 0, :, None] - theirs[:, 0, None]).max(axis=-1) < 0.01
    return near.any(axis=2).mean(axis=1)


def half(references, answers):
    return same(references, answers) / 2
"""


def named(folder: Path, text: str, function: str = "same", least: float = 0.99) -> Compare:
    (folder / "boxes.py").write_text(text)
    return Compare(function=f"{folder / 'boxes.py'}:{function}", least=least)


def share(folder: Path, body: str, count: int = 4) -> float:
    own = user_comparison.load(
        named(folder, f"import numpy as np\n\ndef same(references, answers):\n    {body}\n")
    )
    assert own is not None
    return own.share([np.zeros((count, 1, 3))], [np.ones((count, 1, 3))])


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("return 1", 1.0),
        ("return True", 1.0),
        ("return [0.5, 1, 1, 1]", 0.875),
        ("return np.float32(0.25)", 0.25),
        ("return 1 + 1e-12", 1.0),
        ("return float(answers[0].mean() - references[0].mean())", 1.0),
    ],
)
def test_what_a_function_may_return(tmp_path: Path, body: str, value: float) -> None:
    assert share(tmp_path, body) == value


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return 1 / 0", "boxes.py:same failed: ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "boxes.py:same failed: SystemExit: 3"),
        ("return 'good'", "returned a str"),
        ("return None", "returned None"),
        ("return [1, 1, 1]", r"of shape \(3,\)"),
        ("return np.ones((4, 3))", r"of shape \(4, 3\)"),
        ("return [[1], [1, 1]]", "returned no numbers: ValueError"),
        ("return float('nan')", "not finite"),
        ("return [1, 1, 1, float('inf')]", "not finite"),
        ("return 99.5", "returned 99.5, which is not between 0 and 1"),
        ("return [1, 1, 1, -0.5]", "returned -0.5, which is not between 0 and 1"),
    ],
)
def test_what_is_no_share(tmp_path: Path, body: str, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        share(tmp_path, body)
    assert caught.value.hint and "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("same = 3", "no function same in"),
        ("import nowhere_at_all", "fails while it is imported: ModuleNotFoundError"),
    ],
)
def test_a_module_without_the_function(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        user_comparison.load(named(tmp_path, text))


@pytest.mark.parametrize(("function", "words"), [("boxes.py", "not module.py:function"), ("no.py:f", "no such file: no.py")])  # fmt: skip
def test_a_function_that_is_not_there_is_found_before_anything_runs(
    tmp_path: Path, function: str, words: str
) -> None:
    request = compile_request(
        source=ordered(tmp_path), target="onnxruntime", compare=Compare(function=function)
    )
    with pytest.raises(UsageError, match=words):
        plan(request)


def test_the_limit_itself_is_enough(tmp_path: Path) -> None:
    own = user_comparison.load(named(tmp_path, BOXES, least=0.7))
    assert own is not None and own.enough(np.mean([0.7] * 3)) and not own.enough(0.69999)


def test_the_cache_knows_the_file_by_its_bytes(tmp_path: Path) -> None:
    def key(folder: Path, text: str, **changes: object) -> str:
        folder.mkdir(exist_ok=True)
        compare = msgspec.structs.replace(named(folder, text), **changes)
        return plan(compile_request(source=source, target="onnxruntime", compare=compare)).key

    source = ordered(tmp_path)
    first = key(tmp_path / "a", BOXES)
    assert key(tmp_path / "b", BOXES) == first
    assert key(tmp_path / "b", f"{BOXES}\n") != first
    assert key(tmp_path / "b", BOXES, least=0.5) != first


def ordered(folder: Path) -> Path:
    """Two boxes (1, 2, 4), best first: their scores differ by less than 16-bit floats can represent."""
    import onnx
    from onnx import TensorProto, helper

    weights = helper.make_tensor("weights", TensorProto.FLOAT, (1, 2), [1.0, 1.00002])
    many = helper.make_tensor("many", TensorProto.INT64, (1,), [2])
    flat = helper.make_tensor("flat", TensorProto.INT64, (1,), [-1])
    nodes = [
        helper.make_node("Abs", ["x"], ["sizes"]),
        helper.make_node("ReduceMax", ["sizes"], ["size"], axes=[1, 2], keepdims=0),
        helper.make_node("Mul", ["size", "weights"], ["scores"]),
        helper.make_node("TopK", ["scores", "many"], ["best", "ranks"], axis=1),
        helper.make_node("Reshape", ["ranks", "flat"], ["order"]),
        helper.make_node("Gather", ["x", "order"], ["y"], axis=1),
    ]
    shape = (1, 2, 4)
    graph = helper.make_graph(
        nodes, "ordered", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)], [weights, many, flat],
    )  # fmt: skip
    path = folder / "ordered.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    boxes = np.random.default_rng(3).normal(size=(40, *shape)).astype(np.float32)
    np.savez(folder / "boxes.npz", x=boxes[:, 0])
    return path


def test_only_what_is_not_finite_or_apart_has_a_limit() -> None:
    spec = TensorSpec(name="y", shape=(1, 5), dtype="float32")
    lost = Judged(
        verdict=OutputVerdict(sqnr_db=3.0, not_covered=((1, 2),), limits=Limits(noise=1.0, error=1.0, apart=1e5)),
        low=True, still=True, wrong=2, suspects=(Suspect(1, 0, -3.0),),
    )  # fmt: skip
    found = user_comparison.instead_of_limits(lost, spec, 16)
    assert found.verdict == OutputVerdict(sqnr_db=3.0, limits=Limits(noise=1e300, error=1e300, apart=1e5))
    assert (found.low, found.still, found.suspects, found.wrong) == (False, False, (), 2)
    labels = Judged(verdict=OutputVerdict(equal=0.2, limits=Limits(unequal=3)), low=True, unequal=64)
    found = user_comparison.instead_of_limits(labels, spec, 16)
    assert found.verdict.limits == Limits(unequal=80) and not found.low


def test_a_function_of_the_users_own_decides_instead_of_limits(tmp_path: Path, workers: Workers) -> None:
    request = compile_request(
        source=ordered(tmp_path), target="onnxruntime", precision="fp16", calibration=tmp_path / "boxes.npz"
    )
    with pytest.raises(Unlike, match="in other places"):
        compile_model(request, workers=workers)
    compare = named(tmp_path, BOXES)
    manifest = compile_model(changed(request, compare=compare), workers=workers).manifest
    assert manifest.compare is not None and manifest.compare.share == 1
    assert (manifest.compare.function, manifest.compare.least) == ("boxes.py:same", 0.99)
    limits = manifest.verdict[0].limits
    assert (limits.noise, limits.error, limits.slices) == (1e300, 1e300, ())
    assert (manifest.verdict[0].sqnr_db or 0) < 10  # the figures stay
    assert ("compare", "boxes.py:same: 100 % the same, at least 99 %") in list(table.rows(manifest))
    assert '"compare":{"function":"boxes.py:same",' in manifest.canonical().decode()
    without = msgspec.structs.replace(
        manifest, compare=None
    )  # the ids of such artifacts do not include the key
    assert '"compare"' not in without.canonical().decode()

    strict = changed(request, compare=named(tmp_path, BOXES, "half"))
    with pytest.raises(
        Unlike, match=r"boxes.py:half finds 50 % of the answers the same, of at least 99 %"
    ) as caught:
        compile_model(strict, workers=workers)
    assert caught.value.hint and caught.value.code == "parity"
