"""Without data, random inputs are numbers that the source's first layers are made for, in every format."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from flat_requests import compile_request

from edgewright.compile.data import input_domains
from edgewright.compile.data.calibration import SampleSet, random_samples
from edgewright.compile.data.goldens import load
from edgewright.compile.data.input_domains import InputDomain
from edgewright.compile.formats import FORMATS
from edgewright.compile.pipeline import compile_model
from edgewright.compile.recognition import recognise
from edgewright.compile.tasks.source import SourceRef
from edgewright.compile.workers.pool import Workers
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.conversion import Ends

MAKE_TENSORFLOW = """
import sys, pathlib, keras, tensorflow as tf
place = pathlib.Path(sys.argv[1])
L, ops = keras.layers, keras.ops
ids, mask = (L.Input((6,), dtype="int32", name=name) for name in ("ids", "mask"))
types, image, sensors = L.Input((6,), name="types"), L.Input((4, 4, 3), name="image"), L.Input((3,), name="sensors")
rows = L.Embedding(50, 4, mask_zero=True)(ids) + L.Embedding(2, 4)(types)  # Keras makes indexes of floats
rows = rows + ops.expand_dims((1. - ops.cast(mask, "float32")) * -10000., -1)
pixels = L.Flatten()(L.Rescaling(1 / 127.5, offset=-1)(image))
normal = L.Normalization(mean=[1., 2., 3.], variance=[4., 4., 9.])(sensors)
net = keras.Model([ids, mask, types, image, sensors], L.Dense(3)(L.Concatenate()([L.GlobalAveragePooling1D()(rows), pixels, normal])))
net.save(place / "net.keras")
net.export(place / "net", verbose=False)
(place / "net.tflite").write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(place / "net")).convert())
@tf.function(input_signature=[tf.TensorSpec((1, 4), name="x"), tf.TensorSpec((1,), tf.int32, name="n")])
def branch(x, n):
    return {"y": tf.cond(n[0] > 0, lambda: x * tf.cast(n[0], tf.float32), lambda: x)}
module = tf.Module()
module.branch = branch
tf.saved_model.save(module, str(place / "branch"), signatures=branch)
(place / "branch.tflite").write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(place / "branch")).convert())
picture = L.Input((8, 8, 3), name="image")
inner = L.Conv2D(4, 3, activation="relu")(L.Rescaling(1 / 255.)(L.RandomRotation(.1)(L.RandomFlip()(picture))))
keras.Model(picture, L.Dense(5)(L.Dropout(.5)(L.GlobalAveragePooling2D()(inner)))).save(place / "own_rescaling.keras")
with tf.Graph().as_default() as graph:
    ids = tf.compat.v1.placeholder(tf.int32, (1, 6), name="ids")
    table = tf.constant([[float(at), 1.] for at in range(9)])
    tf.identity(tf.gather(table, tf.reshape(ids, (6,)) + 2), name="y")
(place / "net.pb").write_bytes(graph.as_graph_def().SerializeToString())
"""
MAKE_TORCH = """
import sys, torch, weakref

class Lean(torch.nn.Module):
    # changes its inputs in place, and fails where its activations are kept
    def forward(self, image, soft, mask):
        soft.unsqueeze_(1)
        scores = image.mean((1, 2)) + (1 - soft) * -1e4
        pixels = image / 255
        kept = weakref.ref(pixels)
        pixels = pixels + 1
        assert kept() is None
        return pixels.mean(2) * mask, scores

def lean():
    return Lean(), (torch.zeros(1, 3, 4, 4), torch.zeros(1, 4), torch.zeros(1, 3, 4, dtype=torch.int64))

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.types, self.head = torch.nn.Embedding(50, 4), torch.nn.Embedding(2, 4), torch.nn.Linear(4, 2)
        self.register_buffer("mean", torch.tensor([.485, .456, .406]).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor([.229, .224, .225]).view(1, 3, 1, 1))
    def forward(self, ids, types, mask, keep, image, raw):
        rows = self.words(ids) + self.types.weight[types] + (1 - mask.float())[..., None] * -10000.
        rows = rows.masked_fill((keep == 0)[..., None], 0.)
        pixels = (raw / 255 - self.mean) / self.deviation
        return self.head(rows), ((image - self.mean) / self.deviation).mean((2, 3)), pixels.mean((2, 3))

def make():
    ids, pixels = (torch.zeros(1, 6, dtype=torch.int64) for _ in range(4)), (torch.zeros(1, 3, 4, 4) for _ in range(2))
    return Net(), (*ids, *pixels)

if __name__ == "__main__":
    net, example = make()
    torch.export.save(torch.export.export(net.eval(), example), f"{sys.argv[1]}/net.pt2")
"""
SEEN = {
    "ids": ("lookup", 0, 49),
    "types": ("lookup", 0, 1),
    "mask": ("mask", 0, 1),
    "keep": ("mask", 0, 1),
    "image": ("rescaling", 0, 255),
    "raw": ("rescaling", 0, 255),
    "sensors": ("normalization", -6, 12),
}
# of ONNX: name -> (elem_type, what is done with it), what follows
INT, FLOAT, BOOL = 7, 1, 9


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder: one model in each format whose inputs are of each kind."""
    folder = tmp_path_factory.mktemp("domains")
    (folder / "net.py").write_text(MAKE_TORCH)
    for program in (["-c", MAKE_TENSORFLOW], [str(folder / "net.py")]):
        subprocess.run(
            [sys.executable, "-W", "ignore", *program, folder], check=True, capture_output=True, timeout=300
        )
    write_onnx(folder / "net.onnx")
    write_branches(folder / "branches.onnx")
    write_smaller_tables(folder)
    write_branch(folder / "branch.onnx")
    code = """
import openvino as ov, sys
for one in sys.argv[1:]: ov.save_model(ov.convert_model(one), one.replace("onnx", "xml"), compress_to_fp16=False)
"""
    files = [folder / "net.onnx", folder / "branch.onnx"]
    subprocess.run([sys.executable, "-c", code, *files], check=True, capture_output=True, timeout=100)
    return folder


def write_onnx(path: Path) -> None:
    """Segment ids, a mask that is added, one that selects, a mask of floats, pictures, a table of another axis, and what nobody can tell."""
    import onnx
    from onnx import helper, numpy_helper

    node, value, random = helper.make_node, helper.make_tensor_value_info, np.random.default_rng(0)
    inputs = {
        "ids": (INT, [1, 6]), "types": (INT, [1, 6]), "mask": (INT, [1, 6]), "keep": (INT, [1, 6]), "soft": (FLOAT, [1, 6]),
        "image": (FLOAT, [1, 3, 4, 4]), "columns": (INT, [6]), "free": (INT, [1, 6]), "plain": (FLOAT, [1, 6]), "gain": (FLOAT, [1, 6]), "level": (INT, [1, 6]),
    }  # fmt: skip
    nodes = [
        node("Cast", ["ids"], ["narrow"], to=6), node("Unsqueeze", ["narrow", "axis"], ["ids3"]), node("Gather", ["words", "ids3"], ["w"]),
        node("Gather", ["kinds", "types"], ["t"]),
        node("Cast", ["mask"], ["m"], to=FLOAT), node("Sub", ["one", "m"], ["not_m"]), node("Mul", ["not_m", "low"], ["bias"]),
        node("Equal", ["keep", "zero"], ["gone"]), node("Where", ["gone", "low", "plain"], ["kept"]),
        node("Sub", ["one", "soft"], ["not_s"]), node("Mul", ["not_s", "low"], ["soft_bias"]),
        node("Sub", ["image", "k127"], ["centred"]), node("Div", ["centred", "k127"], ["pixels"]), node("Flatten", ["pixels"], ["p"]),
        node("Gather", ["wide", "columns"], ["c"], axis=1), node("Cast", ["free"], ["f"], to=FLOAT), node("Mul", ["gain", "half"], ["g"]), node("Cast", ["level"], ["l"], to=FLOAT), node("Div", ["l", "k255"], ["share"]),
        node("MatMul", ["f", "square"], ["ff"]), node("Sum", ["bias", "kept", "soft_bias", "ff", "g", "share"], ["s"]),
        node("ReduceSum", ["w"], ["ws"]), node("ReduceSum", ["t"], ["ts"]), node("ReduceSum", ["c"], ["cs"]), node("ReduceSum", ["p"], ["ps"]),
        node("Sum", ["s", "ws", "ts", "cs", "ps"], ["y"]),
    ]  # fmt: skip
    held = {
        "words": random.normal(size=(50, 4)), "kinds": random.normal(size=(2, 4)), "wide": random.normal(size=(3, 5)), "one": 1., "low": -1e4,
        "k127": 127.5, "k255": 255., "half": .125, "square": random.normal(size=(6, 6)),
    }  # fmt: skip
    weights = [numpy_helper.from_array(np.asarray(array, np.float32), name) for name, array in held.items()]
    weights += [numpy_helper.from_array(np.array([1]), "axis"), numpy_helper.from_array(np.array(0), "zero")]
    given = [value(name, *one) for name, one in inputs.items()]
    graph = helper.make_graph(nodes, "net", given, [value("y", FLOAT, [1, 1, 1, 6])], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


def write_branches(path: Path) -> None:
    """y = x * 2 or x - 1 by the bool `which`, times 1 or 3 by the number `mode`."""
    import onnx
    from onnx import helper, numpy_helper

    node, value = helper.make_node, helper.make_tensor_value_info

    def branch(operator: str, constant: float) -> onnx.GraphProto:
        weight = numpy_helper.from_array(np.float32(constant), "k")
        return helper.make_graph(
            [node(operator, ["x", "k"], ["b"])], operator, [], [value("b", FLOAT, [1, 4])], [weight]
        )

    nodes = [
        node("If", ["which"], ["y"], then_branch=branch("Mul", 2), else_branch=branch("Sub", 1)),
        node("Equal", ["mode", "three"], ["is"]),
        node("Cast", ["is"], ["z"], to=FLOAT),
    ]
    graph = helper.make_graph(
        nodes, "net", [value("x", FLOAT, [1, 4]), value("which", BOOL, []), value("mode", INT, [1])],
        [value("y", FLOAT, [1, 4]), value("z", FLOAT, [1])], [numpy_helper.from_array(np.array([3]), "three")],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


def write_branch(path: Path) -> None:
    """y = x * n if n > 0, else x: whatever n is compared with, it is a number."""
    import onnx
    from onnx import helper, numpy_helper

    node, value, inner = (
        helper.make_node,
        helper.make_tensor_value_info,
        [helper.make_tensor_value_info("b", FLOAT, [1, 4])],
    )
    times = [node("Cast", ["n"], ["f"], to=FLOAT), node("Mul", ["x", "f"], ["b"])]
    then, other = (
        helper.make_graph(nodes, "branch", [], inner) for nodes in (times, [node("Identity", ["x"], ["b"])])
    )
    nodes = [
        node("Greater", ["n", "zero"], ["above"]), node("Squeeze", ["above"], ["is"]),
        node("If", ["is"], ["y"], then_branch=then, else_branch=other),
    ]  # fmt: skip
    given = [value("x", FLOAT, [1, 4]), value("n", INT, [1])]
    zero = numpy_helper.from_array(np.array([0]), "zero")
    graph = helper.make_graph(nodes, "net", given, [value("y", FLOAT, [1, 4])], [zero])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


def write_smaller_tables(folder: Path) -> None:
    """`ids` are looked up among 50 rows, and among 49 in a function (function.onnx) or as an element of a sequence
    (sequence.onnx), or 10 in a branch (inner.onnx)."""
    import onnx
    from onnx import helper, numpy_helper

    node, value = helper.make_node, helper.make_tensor_value_info
    opset = [helper.make_opsetid("", 13), helper.make_opsetid("own", 1)]
    held = {"big": np.ones((50, 2), np.float32), "small": np.ones((10, 2), np.float32)}
    weights = {name: numpy_helper.from_array(array, name) for name, array in held.items()}
    look = [node("Gather", ["small", "ids"], ["g"]), node("ReduceSum", ["g"], ["s"], keepdims=0)]
    function = helper.make_function("own", "Look", ["small", "ids"], ["s"], look, opset[:1])
    before = [node("Gather", ["big", "ids"], ["r"]), node("ReduceSum", ["r"], ["b"], keepdims=0)]
    scalar = value("s", FLOAT, [])
    taken = helper.make_graph(look, "taken", [], [scalar], [weights["small"]])
    other = helper.make_graph([node("Identity", ["b"], ["s"])], "other", [], [scalar])
    ids, which = value("ids", INT, [1, 6]), value("which", BOOL, [])
    chosen = node("If", ["which"], ["q"], then_branch=taken, else_branch=other)
    last = node("Add", ["b", "q"], ["y"])
    hidden = [
        node("SequenceConstruct", ["ids"], ["several"]),
        node("Constant", [], ["first"], value_int=0),
        node("SequenceAt", ["several", "first"], ["same"]),
        node("Gather", ["small", "same"], ["g"]),
        node("ReduceSum", ["g"], ["q"], keepdims=0),
    ]
    for name, given, nodes, functions in (
        ("function", [ids], [*before, node("Look", ["small", "ids"], ["q"], domain="own"), last], [function]),
        ("sequence", [ids], [*before, *hidden, last], []),
        ("inner", [ids, which], [*before, chosen, last], []),
    ):
        kept = [weights["big"]]
        if name != "inner":
            kept.append(numpy_helper.from_array(np.ones((49, 2), np.float32), "small"))
        graph = helper.make_graph(nodes, name, given, [value("y", FLOAT, [])], kept)
        model = helper.make_model(graph, opset_imports=opset, ir_version=8, functions=functions)
        onnx.save(model, folder / f"{name}.onnx")


def known(workers: Workers, path: Path) -> dict[str, InputDomain | None]:
    """The domain of each input of a source."""
    source = recognise(path).source
    ref = SourceRef(path=path.absolute(), format=source.format, sha256=source.sha256, ends=Ends())
    framework = FORMATS[source.format].framework
    inputs, _ = workers.call(
        framework, "edgewright.compile.tasks.source", "read_the_model", source=ref, samples=SampleSet()
    )
    found = workers.call(framework, "edgewright.compile.tasks.source", "domains_of_inputs", source=ref)
    names = [spec.name.removeprefix("serving_default_").removesuffix(":0") for spec in inputs]
    return dict(zip(names, found, strict=True))


@pytest.mark.parametrize(
    "name", ["net.keras", "net", "net.tflite", "net.onnx", "net.xml", "net.pt2", "net.py:make"]
)
def test_what_the_first_layers_take(place: Path, workers: Workers, name: str) -> None:
    """And the model runs on what they take: read_the_model did."""
    found = known(workers, place / name)
    for one, (cause, low, high) in SEEN.items():
        domain = found.get(one)
        if one not in found or (one == "image" and "net.p" in name):
            continue
        assert domain is not None, one
        assert (domain.cause, domain.integers) == (cause, cause in ("lookup", "mask")), one
        assert domain.range == pytest.approx((low, high), abs=1e-3), one
    assert len(found) >= 5


def test_what_only_some_formats_can_hold(place: Path, workers: Workers) -> None:
    found = known(workers, place / "net.onnx")
    assert found["columns"] is not None and found["columns"].range == (0, 4)  # axis 1 of a table of 3 x 5
    assert found["soft"] is not None and (found["soft"].cause, found["soft"].range) == ("mask", (0, 1))
    level = found["level"]
    assert level is not None and (level.cause, level.range, level.integers) == ("rescaling", (0, 255), True)
    assert (found["free"], found["plain"], found["gain"]) == (None, None, None)
    image = known(workers, place / "net.pt2")["image"]
    assert image is not None and image.cause == "normalization"
    assert image.shape == (1, 3, 1, 1)
    assert image.low == pytest.approx([0.485 - 0.687, 0.456 - 0.672, 0.406 - 0.675], abs=1e-4)
    added = known(workers, place / "net.pb")["ids"]  # 2 is added to the index of 9 rows
    assert added is not None and added.range == (0, 6)


def test_a_misread_graph_refuses_no_model(place: Path, workers: Workers) -> None:
    """The reader does not follow sequences: the table behind one is smaller than what it found."""
    assert known(workers, place / "sequence.onnx") == {"ids": None}


def test_tables_of_functions_count(place: Path, workers: Workers) -> None:
    ids = known(workers, place / "function.onnx")["ids"]
    assert ids is not None and (ids.cause, ids.range) == ("lookup", (0, 48))


@pytest.mark.parametrize("name", ["branch", "branch.tflite", "branch.xml"])
def test_what_a_branch_may_do_with_it_is_not_known(place: Path, workers: Workers, name: str) -> None:
    assert known(workers, place / name)["n"] is None


def test_tables_of_branches_count(place: Path, workers: Workers) -> None:
    ids = known(workers, place / "inner.onnx")["ids"]
    assert ids is not None and (ids.cause, ids.range) == ("lookup", (0, 9))


def test_modules_that_change_tensors_in_place_and_keep_none(place: Path, workers: Workers) -> None:
    """And a mask that stands beside other inputs: the numbers of an example are not constants."""
    image, soft, mask = known(workers, place / "net.py:lean").values()
    assert soft is not None and (soft.cause, soft.range) == ("mask", (0, 1))
    assert mask is not None and (mask.cause, mask.range) == ("mask", (0, 1))
    assert image is None  # its mean is taken, too


def test_both_branches_are_taken(place: Path, workers: Workers) -> None:
    """With each value of the other condition, too."""
    artifact = compile_model(
        compile_request(source=place / "branches.onnx", target="onnxruntime"), workers=workers
    )
    (x, which, mode), (y, z) = load(artifact.folder / "goldens.npz", 3, 2)
    assert {(bool(one), int(other[0])) for one, other in zip(which, mode, strict=True)} == {
        (one, other) for one in (False, True) for other in range(4)
    }
    assert set(z.reshape(-1)) == {0.0, 1.0}
    assert np.allclose(y, np.where(which.reshape(-1, 1, 1), x * 2, x - 1))


def test_data_in_another_range_than_a_model_rescales_are_noted(
    place: Path, workers: Workers, tmp_path: Path
) -> None:
    """And it is converted all the same. Dark pictures are no reason for a note."""
    pixels = np.random.default_rng(0).random((40, 8, 8, 3), dtype=np.float32)
    notes = {}
    for high in (1, 40, 255):
        np.save(tmp_path / f"{high}.npy", pixels * high)
        request = compile_request(
            source=place / "own_rescaling.keras",
            target="tflite",
            precision="int8",
            calibration=tmp_path / f"{high}.npy",
        )
        manifest = compile_model(request, workers=workers).manifest
        notes[high] = manifest.notes
        assert manifest.calibration.ranges[0] == pytest.approx((0, high), abs=0.01 * high)
    assert "input image: calibration data go from 0 to 1, the model expects 0 to 255" in notes[1]
    assert not [note for high in (40, 255) for note in notes[high] if "calibration" in note]


def test_random_numbers_of_a_domain() -> None:
    specs = [
        TensorSpec(name=str(at), shape=(1, 400, 3), dtype=dtype)
        for at, dtype in enumerate(("int32", "float32", "float32", "float32"))
    ]
    found = (
        InputDomain(cause="lookup", low=(0.0,), high=(6.0,), integers=True),
        InputDomain(cause="rescaling", low=(0.0,), high=(255.0,)),
        InputDomain(cause="normalization", low=(-3.0, 7.0, 0.0), high=(3.0, 13.0, 600.0), shape=(3,)),
        None,
    )
    first, again = (list(random_samples(specs, 2, found)) for _ in range(2))
    assert all(
        np.array_equal(a, b)
        for one, other in zip(first, again, strict=True)
        for a, b in zip(one, other, strict=True)
    )
    assert not np.array_equal(first[0][0], first[1][0])
    ids, pixels, sensors, plain = first[0]
    assert set(ids.reshape(-1)) == set(range(7))
    assert 0 <= pixels.min() < 5 and 250 < pixels.max() <= 255
    assert np.allclose(sensors.mean(axis=(0, 1)), [0, 10, 300], atol=20) and sensors[..., 0].max() <= 3
    assert abs(plain.std() - 1) < 0.1
    assert [array.dtype.name for array in first[0]] == ["int32", "float32", "float32", "float32"]


def test_floats_of_which_nothing_is_known_stay_as_they_were() -> None:
    spec = TensorSpec(name="x", shape=(1, 5), dtype="float32")
    before = np.random.default_rng(20_011)
    for sample in random_samples([spec], 3, (None,)):
        assert np.array_equal(sample[0], before.standard_normal((1, 5)).astype("float32"))


def test_a_graph_that_cannot_be_read_is_no_error() -> None:
    class Strange:
        inputs = (TensorSpec(name="x", shape=(1,), dtype="int64"),)

        def first_layers(self) -> None:
            raise ValueError("of another kind")

    assert input_domains.of(Strange()) == (None,)
