"""The range of the data that a model is calibrated with, what leaves it, and what the goldens cover."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from flat_requests import compile_request

from edgewright.api.results import BoardAnswer
from edgewright.cli.views.artifact import data_rows
from edgewright.cli.views.infer import show
from edgewright.compile.data import input_ranges
from edgewright.compile.data.answers import Answers
from edgewright.compile.data.evaluation_set import prepare
from edgewright.compile.data.input_domains import InputDomain
from edgewright.compile.pipeline import compile_model
from edgewright.compile.quality import metrics
from edgewright.compile.workers.pool import Workers
from edgewright.deployments.board_scoring import Scoring
from edgewright.errors import ProtocolError
from edgewright.measure import infer
from edgewright.measure.release_manifest import of
from edgewright.nouns.artifact import Artifact, Calibration, TensorSpec
from edgewright.nouns.project import Budget
from edgewright.wire.answers import Inferred, Result
from edgewright.wire.commands import Infer

Made = Callable[..., Artifact]
FLOAT = TensorSpec(name="x", shape=(1, 3), dtype="float32")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder: net.onnx, a classifier of 6 classes with two inputs, and data.npz: 1 to 4, and -1 to 0."""
    import onnx
    from onnx import helper, numpy_helper

    folder, random = tmp_path_factory.mktemp("ranges"), np.random.default_rng(1)
    node, value = helper.make_node, helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            node("MatMul", ["x", "w"], ["a"]), node("Add", ["a", "z"], ["b"]), node("Relu", ["b"], ["c"]),
            node("MatMul", ["c", "v"], ["d"]), node("Softmax", ["d"], ["classes"]),
        ],
        "net", [value("x", 1, [1, 3]), value("z", 1, [1, 6])], [value("classes", 1, [1, 6])],
        [numpy_helper.from_array(random.normal(size=size).astype("float32"), name) for name, size in (("w", (3, 6)), ("v", (6, 6)))],
    )  # fmt: skip
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8),
        folder / "net.onnx",
    )
    x, z = random.uniform(1, 4, (200, 3)), random.uniform(-1, 0, (200, 6))
    x[:2, 0], z[:2, 0] = (1, 4), (-1, 0)
    np.savez(folder / "data.npz", x=x.astype("float32"), z=z.astype("float32"))
    np.savez(
        folder / "far.npz", x=(x * 3).astype("float32"), z=z.astype("float32"), labels=np.arange(200) % 6
    )
    np.savez(
        folder / "near.npz", x=(x * 1.05).astype("float32"), z=z.astype("float32"), labels=np.arange(200) % 6
    )
    return folder


@pytest.fixture
def made(place: Path, workers: Workers) -> Made:
    """`made(precision, **request)`: net.onnx for onnxruntime."""

    def compiled(precision: str, **more: object) -> Artifact:
        request = compile_request(
            source=place / "net.onnx", target="onnxruntime", precision=precision, **more
        )  # type: ignore[arg-type]
        return compile_model(request, workers=workers)

    return compiled


def test_the_range_of_the_data_is_kept_for_each_input(place: Path, made: Made) -> None:
    """Of all that calibrated; where nothing is calibrated, of what was looked at. None of random numbers."""
    int8 = made("int8", calibration=place / "data.npz").manifest.calibration
    assert int8.kind == "data"
    assert np.allclose(int8.ranges, [(1, 4), (-1, 0)])
    fp32 = made("fp32", calibration=place / "data.npz").manifest.calibration
    assert (fp32.kind, fp32.samples) == ("none", 0)
    assert np.allclose(fp32.ranges, [(1, 4), (-1, 0)], atol=0.1)
    assert made("fp32").manifest.calibration.ranges == ()
    assert made("int8", calibration="synthetic").manifest.calibration.ranges == ()


def test_ranges_and_covered_classes_are_shown(place: Path, made: Made) -> None:
    rows = dict(data_rows(made("int8", calibration=place / "data.npz")))
    assert rows["input x"] == "1 to 4 in the calibration data"
    assert rows["input z"] == "-1 to 0 in the calibration data"
    answers = np.load(made("int8", calibration=place / "data.npz").folder / "goldens.npz")["output_0"]
    count = len(set(answers.reshape(-1, 6).argmax(axis=1)))
    assert 1 < count < 6
    assert rows["goldens"] == f"cover {count} of 6 classes of classes"
    assert data_rows(made("fp32")) == []


def test_an_evaluation_set_that_leaves_the_range_is_noted(place: Path, made: Made) -> None:
    far = made("int8", calibration=place / "data.npz", evaluation=place / "far.npz").manifest
    assert [note for note in far.notes if "evaluation" in note] == [
        "evaluation set: input x goes from 3 to 12, the calibration data from 1 to 4"
    ]
    near = made("int8", calibration=place / "data.npz", evaluation=place / "near.npz").manifest
    assert not [note for note in near.notes if "evaluation" in note]


def test_boards_are_shown_it_too(place: Path, made: Made) -> None:
    manifest = made("int8", calibration=place / "data.npz").manifest
    notes = {}
    for name in ("far", "near"):
        given = prepare(place / f"{name}.npz", manifest.inputs)
        scoring = Scoring(metrics.load("top1"), given, given.load_labels(), manifest.outputs)
        mine = Answers("top5", (np.tile(np.arange(5, dtype=np.int32), (200, 1)),))
        checks = scoring.checks(manifest, mine, None, Budget())
        assert all(check.ok for check in checks)
        notes[name] = [check.note for check in checks if check.name == "range"]
    assert notes == {"far": ["input x goes from 3 to 12, the calibration data from 1 to 4"], "near": []}


def test_infer_says_that_inputs_leave_the_range(place: Path, made: Made) -> None:
    manifest = made("int8", calibration=place / "data.npz").manifest
    inputs = io.BytesIO()
    np.savez(inputs, input_0=np.full((5, 1, 3), 9, "float32"), input_1=np.zeros((5, 1, 6), "float32"))
    assert infer.outside(of(manifest), inputs.getvalue()) == [
        "input x goes from 9 to 9, the calibration data from 1 to 4"
    ]
    old = msgspec.structs.replace(manifest, calibration=Calibration())
    assert infer.outside(of(old), inputs.getvalue()) == []


def test_people_and_programs_see_the_warning_of_infer(capsys: pytest.CaptureFixture[str]) -> None:
    one = infer.Inference({"y": np.zeros(1)}, 1.0, "v1", "r", "cpu", (), ["input x goes from 9 to 9"])
    show([BoardAnswer(board="b", result=one)])
    assert capsys.readouterr().out.splitlines()[-1] == "  warning: input x goes from 9 to 9"
    assert one.record().warnings == ("input x goes from 9 to 9",)


def test_what_leaves_a_range() -> None:
    def left(spec: TensorSpec, known: input_ranges.Range, mine: input_ranges.Range) -> bool:
        return bool(input_ranges.outside([spec], [known], [mine]))

    assert not left(FLOAT, (0, 1), (-0.1, 1.1))
    assert left(FLOAT, (0, 1), (-0.11, 1)) and left(FLOAT, (0, 1), (0.5, 1.11))
    assert left(FLOAT, (2, 2), (2, 3)) and not left(FLOAT, (2, 2), (2, 2))
    words = TensorSpec(name="ids", shape=(1, 3), dtype="int64")
    assert not left(words, (0, 10), (0, 1000))  # a word that calibration did not show is nothing to warn of
    pixels = TensorSpec(name="x", shape=(1, 3), dtype="uint8")
    assert left(pixels, (0, 100), (0, 255))


def test_integers_with_a_scale_count_as_what_they_stand_for() -> None:
    spec = TensorSpec(name="x", shape=(3,), dtype="int8", scale=0.5, zero_point=-128)
    found = input_ranges.Ranges([spec])
    assert list(found.watched([[np.array([-128, 0, 127], np.int8)]]))
    assert found.found == ((0.0, 127.5),)
    assert found.see([np.array([-3.0, 0, 5])]) == ((-3.0, 5.0),)  # real values already
    assert found.found == ((-3.0, 127.5),)


@pytest.mark.parametrize(
    ("cause", "implied", "data", "noted"),
    [
        ("rescaling", (0, 255), (0, 1), True),
        ("rescaling", (0, 255), (-1, 1), True),
        ("rescaling", (0, 255), (0, 14), False),  # dark pictures
        ("rescaling", (0, 255), (0, 255), False),
        ("rescaling", (0, 255), (0, 300), False),
        ("rescaling", (0, 255), (0, 65535), True),
        ("normalization", (-0.2, 1.2), (0, 1), False),
        ("normalization", (-0.2, 1.2), (0, 255), True),
        ("normalization", (-0.2, 1.2), (-4, 9), False),  # long tails
        ("normalization", (990, 1040), (0, 1), True),
    ],
)
def test_which_data_are_in_another_range(
    cause: str, implied: input_ranges.Range, data: input_ranges.Range, noted: bool
) -> None:
    domain = InputDomain(cause=cause, low=(implied[0],), high=(implied[1],), stored=True)
    assert bool(input_ranges.misfits([FLOAT], (domain,), [data])) is noted
    assert not input_ranges.misfits([FLOAT], (None,), [data])
    odd = msgspec.structs.replace(
        domain, stored=False
    )  # a division by 1000, say: no usual way to store pictures
    assert not input_ranges.misfits([FLOAT], (odd,), [data])


def test_ranges_are_written_shortly() -> None:
    assert [input_ranges.text(one) for one in ((1.3e-5, 1.0), (-0.0001, 255.0), (1010.124, 1016.35), (2, 2), (0, 1.5e-5))] == [
        "0 to 1", "0 to 255", "1010.12 to 1016.35", "2 to 2", "0 to 1.5e-05",
    ]  # fmt: skip


def test_ranges_without_an_end_are_written_too() -> None:
    """A mask of minus infinity is an input like any other."""
    inf, nan = np.inf, np.nan
    found = [input_ranges.text(one) for one in ((-inf, 0), (0, inf), (-1e308, 1e308), (nan, nan), (inf, inf))]
    assert found == ["-inf to 0", "0 to inf", "-1e+308 to 1e+308", "nan to nan", "inf to inf"]
    assert input_ranges.outside([FLOAT], [(-1.0, 0.0)], [(-inf, 0.0)]) == [
        "input x goes from -inf to 0, the calibration data from -1 to 0"
    ]


ONE = io.BytesIO()  # an input
np.savez(ONE, input_0=np.zeros((1, 3), np.float32))
ONE = ONE.getvalue()


class Answering:
    """A session whose board answers an inference."""

    def put(self, data: bytes, label: str) -> str:
        return "0" * 64

    def call(self, command: Infer) -> Inferred:
        result = Result(result="1-outputs", sha256="0" * 64, size=1)
        return Inferred(outputs=result, ms=(1.0,), release="v1-00000000", runtime="r 1", accelerator="cpu")

    def get_file(self, result: object, *, most: int) -> io.BytesIO:
        buffer = io.BytesIO()
        np.savez(buffer, output_0=np.zeros((1, 1, 6), np.float32))
        return buffer

    def simulated(self) -> tuple[str, ...]:
        return ()


def test_an_error_of_this_machine_is_not_blamed_on_the_board(
    monkeypatch: pytest.MonkeyPatch, place: Path, made: Made
) -> None:
    found = infer.run_on(Answering(), "m", None, ONE)  # type: ignore[arg-type]
    assert found.warnings == () and list(found.outputs) == ["output_0"]
    manifest = made("int8", calibration=place / "data.npz").manifest

    def broken(about: object, inputs: bytes) -> list[str]:
        raise ValueError("mine")

    monkeypatch.setattr(infer, "outside", broken)
    with pytest.raises(ValueError, match="mine"):
        infer.run_on(Answering(), "m", None, ONE, about=of(manifest))  # type: ignore[arg-type]


def test_answers_of_another_shape_than_the_manifests_are_the_boards_fault(place: Path, made: Made) -> None:
    manifest = made("int8", calibration=place / "data.npz").manifest
    other = msgspec.structs.replace(manifest.outputs[0], shape=(1, 7))
    manifest = msgspec.structs.replace(manifest, outputs=(other,))
    with pytest.raises(ProtocolError, match="not understood"):
        infer.run_on(Answering(), "m", None, ONE, about=of(manifest))  # type: ignore[arg-type]
