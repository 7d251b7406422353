"""What TensorFlow itself writes, and what it knows, held against the operators that are refused."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from flat_requests import compile_request

from edgewright.cli.main import main
from edgewright.compile.inspection import unsafe_operators
from edgewright.compile.pipeline import compile_model
from edgewright.compile.recognition import recognise
from edgewright.compile.workers.pool import Workers
from edgewright.errors import ModelError
from edgewright.nouns.conversion import Conversion, Ends

Made = Callable[[str], Path]

MAKE = """
    import sys
    import tensorflow as tf
    folder = sys.argv[1]
    open(folder + "/words.txt", "w").write("a\\nb\\n")

    class Net(tf.Module):
        def __init__(self):
            words = tf.lookup.TextFileInitializer(folder + "/words.txt", tf.string, tf.lookup.TextFileIndex.WHOLE_LINE,
                                                  tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER)
            self.table, self.weights = tf.lookup.StaticHashTable(words, -1), tf.Variable(tf.eye(4, 3))
            pairs = tf.lookup.KeyValueTensorInitializer(tf.constant([0, 1], tf.int64), tf.constant(["cat", "dog"]))
            self.names = tf.lookup.StaticHashTable(pairs, "?")
        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)])
        def run(self, x):
            return tf.matmul(x, self.weights)
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def find(self, x):
            return self.names.lookup(self.table.lookup(x))

    class Writing(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)])
        def write(self, x):
            tf.io.write_file(folder + "/written", "x")
            return x * 2

    net = Net()
    tf.saved_model.save(net, folder + "/fine", signatures={"serving_default": net.run, "find": net.find})
    writing = Writing()
    tf.saved_model.save(writing, folder + "/writes", signatures={"serving_default": writing.write})
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph, v1.Session() as session:
        x = v1.placeholder("float32", (None, 6), name="x")
        y = v1.matmul(x, v1.get_variable("w", shape=(6, 4), use_resource=False), name="y")
        session.run(v1.global_variables_initializer())
        saver = v1.train.Saver()
        with tf.control_dependencies([saver.as_saver_def().save_tensor_name]):
            tf.identity(y, name="saves")
        ends = {"serving_default": v1.saved_model.predict_signature_def({"x": x}, {"y": y})}
        builder = v1.saved_model.Builder(folder + "/old")
        builder.add_meta_graph_and_variables(session, ["serve"], ends, saver=saver)
        builder.save()
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.python.client import pywrap_tf_session
    known = op_def_pb2.OpList.FromString(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList()))
    with open(folder + "/operators.txt", "w") as file:
        for one in known.op:
            texts = [a.name for a in one.input_arg if a.type in (0, 7)]
            texts += [a.name for a in one.attr if a.type in ("string", "list(string)")]
            print(one.name, *texts, file=file)
"""
# words in the names of operators and their texts that stand for what lies beyond a graph
REACHES = ("file", "path", "directory", "prefix", "url", "address", "descriptor", "vocab", "memory_region",
           "output_stream", "data_source", "query", "debug_ops", "logdir", "endpoint", "server", "pattern")  # fmt: skip
PURE = {  # their texts are text, or a file's name in the making
    "RegexReplace", "RegexFullMatch", "StaticRegexReplace", "StaticRegexFullMatch", "ShardedFilename", "ShardedFilespec",
    "_FusedQuantizedConv2D", "_FusedQuantizedDepthwiseConv2D", "_QuantizedMatMul",
}  # fmt: skip


@pytest.fixture(scope="module")
def tensorflows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tensorflows")
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(MAKE), str(made)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    (made / "written").unlink(missing_ok=True)
    return made


@pytest.mark.slow
def test_all_that_tensorflow_knows_and_that_takes_a_name_from_outside_is_refused(tensorflows: Path) -> None:
    rows = [line.split() for line in (tensorflows / "operators.txt").read_text().splitlines()]
    assert len(rows) > 1500
    conditional = {"PrintV2", "DecodeProtoV2", "EncodeProto"}
    saver = unsafe_operators.SAVING | unsafe_operators.RESTORING | unsafe_operators.TABLES
    missed = []
    for name, *texts in rows:
        reaches = any(word in one.lower() for word in REACHES for one in texts)
        looked_at = unsafe_operators.named_unsafe(name) or name in saver | conditional | PURE
        if (reaches or "PyFunc" in name) and not looked_at:
            missed.append((name, texts))
    assert not missed


@pytest.mark.slow
def test_what_tensorflow_writes_converts_and_what_would_write_is_refused(
    tensorflows: Path, workers: Workers, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("fine", "old"):
        request = compile_request(source=tensorflows / name, target="tflite", precision="fp32")
        assert compile_model(request, workers=workers).manifest.parity.sqnr_db > 100
    writes = str(tensorflows / "writes")
    for command in (["convert", writes, "--target", "tflite"], ["convert", writes, "--target", "tflite", "--explain"],
                    ["init", writes]):  # fmt: skip
        assert main(command) == 1
        assert "reach files, Python or the network: WriteFile" in capsys.readouterr().err
    assert not (tensorflows / "written").exists()


@pytest.mark.slow
def test_ends_that_lead_to_the_saver_are_refused(tensorflows: Path, workers: Workers) -> None:
    ends = Conversion(ends=Ends(inputs=("x",), outputs=("saves",)))
    request = compile_request(source=tensorflows / "old", target="tflite", precision="fp32", conversion=ends)
    before = sorted(Path.cwd().iterdir())
    with pytest.raises(ModelError, match="SaveV2"):
        compile_model(request, workers=workers)
    assert sorted(Path.cwd().iterdir()) == before


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["keras", "tf_keras", "frozen"])
def test_the_small_models_are_ordinary(small_models: Made, kind: str) -> None:
    looked = [
        path
        for path in small_models(kind).iterdir()
        if path.suffix == ".pb" or (path / "saved_model.pb").is_file()
    ]
    assert looked or kind == "tf_keras"
    for path in looked:
        assert recognise(path).source.format in ("frozen", "savedmodel")
