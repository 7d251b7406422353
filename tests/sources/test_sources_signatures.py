"""Which function of a SavedModel or .tflite file is the model; and inputs and outputs of both that are not tensors."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flat_requests import compile_request

from edgewright.api.models import model_request
from edgewright.cli.project_source import ModelOptions
from edgewright.compile.inspection import tflite_file
from edgewright.compile.open_inputs import decided
from edgewright.compile.pipeline import compile_model, plan
from edgewright.compile.sources.signatures import Signature, choose
from edgewright.compile.workers.pool import Workers
from edgewright.config import project
from edgewright.errors import ModelError, UsageError
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.conversion import Conversion, Ends

slow = pytest.mark.slow
MAKE = """
import pathlib, sys, tensorflow as tf
place = pathlib.Path(sys.argv[1])
v1, spec = tf.compat.v1, tf.TensorSpec
weight = tf.constant([[1., -2.], [3., 4.], [5., 6.], [7., 8.]])

@tf.function(input_signature=[spec((None, 4), name="x")])
def detect(x):
    return {"scores": tf.nn.relu(x) @ weight}

@tf.function(input_signature=[spec((1, 4), name="z"), spec((), tf.int32, name="n")])
def count(z, n):
    return {"sum": tf.while_loop(lambda at, s: at < tf.constant(3), lambda at, s: (at + 1, s + z * 2.), [tf.constant(0), z])[1] + tf.cast(n, tf.float32)}

module = tf.Module()
module.detect, module.count, module.weight = detect, count, weight
ways = {"default": {"serving_default": detect, "count": count}, "several": {"detect": detect, "count": count}, "one": {"count": count}}
for name, signatures in ways.items():
    tf.saved_model.save(module, str(place / name), signatures=signatures)
    made = tf.lite.TFLiteConverter.from_saved_model(str(place / name), signature_keys=list(signatures)).convert()
    (place / f"{name}.tflite").write_bytes(made)
with v1.Session(graph=tf.Graph()) as session:
    x = v1.placeholder(tf.float32, (None, 4), name="image")
    y = tf.identity(x @ v1.get_variable("w", shape=(4, 2)), name="y")
    z = tf.identity(x * 2., name="z")
    session.run(v1.global_variables_initializer())
    build = lambda out: v1.saved_model.signature_def_utils.predict_signature_def({"x": x}, {"out": out})
    builder = v1.saved_model.Builder(str(place / "version1"))
    builder.add_meta_graph_and_variables(session, ["serve"], {"predict": build(y), "twice": build(z)})
    builder.save()
with v1.Session(graph=tf.Graph()) as session:
    x = v1.sparse_placeholder(tf.float32, (1, 4), name="x")
    y = tf.identity(tf.sparse.to_dense(x), name="y")
    signature = v1.saved_model.build_signature_def(*({name: v1.saved_model.build_tensor_info(one)} for name, one in (("x", x), ("y", y))))
    builder = v1.saved_model.Builder(str(place / "version1_sparse"))
    builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
    builder.save()

def kinds(name, given, call):
    module = tf.Module()
    module.call = tf.function(call, input_signature=given)
    tf.saved_model.save(module, str(place / name), signatures=module.call)

x = spec((1, 4), name="x")
kinds("ragged", [x], lambda x: {"rows": tf.RaggedTensor.from_row_lengths(tf.reshape(x, (4,)), tf.constant([1, 3])), "y": x})
kinds("sparse", [x], lambda x: {"rows": tf.sparse.from_dense(x)})
kinds("text", [x], lambda x: {"words": tf.strings.as_string(x)})
kinds("takes_text", [spec((1,), tf.string, name="t")], lambda t: {"y": tf.strings.length(t)})
kinds("varies", [x], lambda x: {"found": tf.where(x > 0)})
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models."""
    folder = tmp_path_factory.mktemp("signatures")
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MAKE, folder], check=True, capture_output=True, timeout=300
    )
    return folder


@pytest.fixture
def made(place: Path, workers: Workers) -> Callable[..., Artifact]:
    def convert(name: str, target: str = "tflite", signature: str = "") -> Artifact:
        conversion = Conversion(ends=Ends(signature=signature))
        return compile_model(
            compile_request(source=place / name, target=target, conversion=conversion), workers=workers
        )

    return convert


def refused(made: Callable[..., Artifact], name: str, signature: str = "") -> ModelError:
    with pytest.raises(ModelError) as caught:
        made(name, signature=signature)
    return caught.value


KNOWN = [Signature("detect", ["x"], ["boxes", "scores"]), Signature("count", ["n", "z"], ["sum"])]
LISTED = "detect(x) -> boxes, scores; count(n, z) -> sum"


def test_which_is_chosen() -> None:
    path, default = Path("net"), Signature("serving_default", ["x"], ["y"])
    assert choose(path, [default], "") == (default, ())
    assert choose(path, KNOWN[:1], "") == (KNOWN[0], ())
    noted = ("signature serving_default was taken, there are others: detect, count",)
    assert choose(path, [*KNOWN, default], "") == (default, noted)
    assert choose(path, [*KNOWN, default], "count") == (KNOWN[1], ("signature count",))
    with pytest.raises(ModelError, match="net has no signatures"):
        choose(path, [], "count")
    with pytest.raises(ModelError, match="net has 2 signatures and no serving_default") as caught:
        choose(path, KNOWN, "")
    assert caught.value.hint == f"name one: --signature detect; there are {LISTED}"
    with pytest.raises(ModelError, match="net has no signature counts") as caught:
        choose(path, KNOWN, "counts")
    assert caught.value.hint == f"did you mean count? there are {LISTED}"


def test_it_is_given_on_the_command_line_or_in_the_project_file(tmp_path: Path) -> None:
    given = ModelOptions(signature="detect").options(None)
    assert model_request(tmp_path, **given).model.conversion.ends == Ends(signature="detect")
    file = tmp_path / "edgewright.toml"
    file.write_text('schema = 1\nname = "net"\nmodel = "net"\n[conversion.ends]\nsignature = "detect"\n')
    assert project.load(file).file.conversion.ends == Ends(signature="detect")


@slow
@pytest.mark.parametrize("end", ["", ".tflite"])
def test_the_default_is_taken_and_the_others_are_named(
    made: Callable[..., Artifact], place: Path, end: str
) -> None:
    manifest = made(f"default{end}").manifest
    assert manifest.notes[0] == "signature serving_default was taken, there are others: count"
    assert manifest.outputs[0].shape == (1, 2)
    assert not [note for note in made(f"one{end}").manifest.notes if "signature" in note]
    kind = end[1:] or "savedmodel"
    assert decided(compile_request(source=place / f"default{end}", target="tflite"), kind) == manifest.notes


@slow
@pytest.mark.parametrize("end", ["", ".tflite"])
def test_one_of_several_has_to_be_chosen(made: Callable[..., Artifact], end: str) -> None:
    error = refused(made, f"several{end}")
    assert error.message == f"several{end} has 2 signatures and no serving_default"
    for said in ("--signature ", "detect(x) -> scores", "sum"):
        assert said in error.hint
    error = refused(made, f"several{end}", "detec")
    assert error.message == f"several{end} has no signature detec"
    assert error.hint.startswith("did you mean detect? there are ")


@slow
@pytest.mark.parametrize("target", ["tflite", "onnxruntime", "openvino"])
def test_the_chosen_one_becomes_the_model(made: Callable[..., Artifact], target: str) -> None:
    manifest = made("default", target, "count").manifest
    assert manifest.notes[0] == "signature count"
    assert manifest.outputs[0].shape == (1, 4)
    assert manifest.parity.sqnr_db > 100


@slow
@pytest.mark.parametrize(
    ("file", "signature"), [("default", "serving_default"), ("several", "detect"), ("several", "count")]
)
def test_of_a_tflite_file_it_becomes_the_first_subgraph(
    made: Callable[..., Artifact], place: Path, file: str, signature: str
) -> None:
    """What it calls follows it. A file in which it is the first one already stays as it is."""
    known = {one.name: one.subgraph for one in tflite_file.look(place / f"{file}.tflite").signatures}
    assert sorted(known.values()) == [0, 1]
    artifact = made(f"{file}.tflite", signature=signature)
    manifest = artifact.manifest
    assert manifest.notes[0] == f"signature {signature}"
    loop = signature == "count"
    assert manifest.outputs[0].shape == ((1, 4) if loop else (1, 2))
    if known[signature]:
        (one,) = tflite_file.look(artifact.folder / manifest.entry).signatures
        assert (one.name, one.subgraph) == ("serving_default", 0)  # as in every file that is made
        assert ("WHILE" in manifest.requires) == loop
        assert manifest.model_bytes < (place / f"{file}.tflite").stat().st_size


@slow
def test_other_targets_get_the_function_alone(made: Callable[..., Artifact], place: Path) -> None:
    known = {one.name: one.subgraph for one in tflite_file.look(place / "several.tflite").signatures}
    assert known["detect"] == 1
    for target in ("onnxruntime", "openvino"):
        manifest = made("several.tflite", target, "detect").manifest
        assert manifest.outputs[0].shape == (1, 2)
        assert manifest.source.file == "several.tflite"


@slow
def test_signatures_of_tensorflow_1(made: Callable[..., Artifact]) -> None:
    assert "twice(x) -> out" in refused(made, "version1").hint
    manifest = made("version1", signature="twice").manifest
    assert manifest.notes == ("signature twice", "batch of x was open, made 1")  # the graph calls it image
    assert manifest.outputs[0].shape == (1, 4)


@slow
def test_a_signature_is_part_of_the_key_and_for_some_formats_alone(
    place: Path, small_models: Callable[[str], Path]
) -> None:
    def key(source: Path, **ends: object) -> str:
        return plan(
            compile_request(source=source, target="onnxruntime", conversion=Conversion(ends=Ends(**ends)))
        ).key  # type: ignore[arg-type]

    assert key(place / "default", signature="count") != key(place / "default")
    with pytest.raises(UsageError, match="no signatures to choose from in an ONNX file"):
        key(small_models("onnx") / "cnn.onnx", signature="x")
    with pytest.raises(UsageError, match="a signature and ends are given both: count"):
        key(place / "default", signature="count", inputs=("x",))


@slow
@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("ragged", "output rows of ragged is a ragged tensor", "ragged.to_tensor(shape=...)"),
        ("sparse", "output rows of sparse is a sparse tensor", "tf.sparse.to_dense"),
        ("text", "output words is text", "export the numbers behind the text"),
        ("version1_sparse", "input x of version1_sparse is a sparse tensor", "with a dense input"),
        ("takes_text", "input t is text", "cut the text or image decoding off"),
        ("varies", "output found of varies changes its shape from input to input", "a fixed number of rows"),
    ],
)
def test_ends_that_are_no_tensors_of_a_fixed_shape(
    made: Callable[..., Artifact], name: str, message: str, hint: str
) -> None:
    error = refused(made, name)
    assert error.message.startswith(message)
    assert hint in error.hint
