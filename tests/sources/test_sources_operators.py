"""Graphs of TensorFlow that would reach beyond the model are refused by their bytes; ordinary ones are not."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from edgewright.cli.main import main
from edgewright.compile import graph_operators
from edgewright.compile.recognise import recognise
from edgewright.compile.request import CompileRequest
from edgewright.compile.run import compile_model
from edgewright.compile.workers import Workers
from edgewright.errors import ModelError
from edgewright.nouns.conversion import Conversion, Ends

Made = Callable[[str], Path]


def varint(value: int) -> bytes:
    more = value >> 7
    return bytes([value & 127 | 128]) + varint(more) if more else bytes([value])


def field(number: int, payload: bytes | str | int) -> bytes:
    if isinstance(payload, int):
        return varint(number << 3) + varint(payload)
    data = payload.encode() if isinstance(payload, str) else payload
    return varint(number << 3 | 2) + varint(len(data)) + data


def attribute(key: str, value: bytes) -> bytes:
    return field(5, field(1, key) + field(2, value))


def calls(name: str) -> bytes:
    return attribute("f", field(10, field(1, name)))


def text(key: str, value: str) -> bytes:
    return attribute(key, field(2, value))


TEXT = attribute("dtype", field(6, 7))


def node(name: str, op: str, *inputs: str, more: bytes = b"") -> bytes:
    return field(1, name) + field(2, op) + b"".join(field(3, one) for one in inputs) + more


def function(name: str, *nodes: bytes, arguments: tuple[str, ...] = (), more: bytes = b"") -> bytes:
    signature = field(1, name) + b"".join(field(2, field(1, one)) for one in arguments)
    return field(1, field(1, signature) + b"".join(field(3, one) for one in nodes) + more)


def graph(*nodes: bytes, functions: bytes = b"") -> bytes:
    return b"".join(field(1, one) for one in nodes) + field(2, functions)


PLAIN = (node("x", "Placeholder"), node("y", "Relu", "x"))
UNKNOWN_TAG = varint((2 << 3 | 2) + 2**32)  # field 2 for readers that cut it to 32 bits
GRAPHS = {
    "in the graph": graph(*PLAIN, node("z", "WriteFile")),
    "in a function": graph(*PLAIN, functions=function("f", node("z", "ReadFile"))),
    "in a function amid the graph": field(1, PLAIN[0])
    + field(2, function("f", node("z", "PyFunc")))
    + field(1, PLAIN[1]),
    "in a namespace": graph(*PLAIN, node("z", "Relu"), functions=function("f", node("z", "Gang>WriteFile"))),
    "printed to a file": graph(*PLAIN, node("z", "PrintV2", more=text("output_stream", "file:///tmp/x"))),
    "printed to a file, disguised": graph(
        *PLAIN,
        node("z", "PrintV2", more=attribute("output_stream", field(2, "file:///tmp/x") + b"\x11log(abc)")),
    ),
    "described by a file": graph(
        *PLAIN, node("z", "DecodeProtoV2", more=text("descriptor_source", "/tmp/x"))
    ),
}
DAMAGED = {
    "two operators": graph(*PLAIN, node("z", "WriteFile") + field(2, "Relu")),
    "a long tag": graph(*PLAIN, node("z", "Relu") + UNKNOWN_TAG + field(1, "WriteFile")[1:]),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_frozen_graphs_that_reach_beyond_the_model(tmp_path: Path, name: str) -> None:
    path = tmp_path / "net.pb"
    path.write_bytes(GRAPHS[name])
    with pytest.raises(
        ModelError, match="holds operators that reach files, Python or the network"
    ) as refused:
        recognise(path)
    assert refused.value.code == "model-refused"
    assert "export the inference function alone" in refused.value.hint


@pytest.mark.parametrize("name", DAMAGED)
def test_graphs_that_other_readers_may_read_otherwise(tmp_path: Path, name: str) -> None:
    path = tmp_path / "net.pb"
    path.write_bytes(DAMAGED[name])
    with pytest.raises(ModelError, match="cut short or damaged"):
        recognise(path)


def test_frozen_graphs_that_only_say_something(tmp_path: Path) -> None:
    printing = node("z", "PrintV2", more=text("output_stream", "stderr"))
    decoding = node("p", "DecodeProtoV2", more=text("descriptor_source", "local://"))
    (tmp_path / "net.pb").write_bytes(graph(*PLAIN, printing, decoding, node("a", "ReadVariableOp")))
    assert recognise(tmp_path / "net.pb").source.format == "frozen"


SAVE = function("save", node("s", "SaveV2", "prefix"), arguments=("prefix",))
RESTORE = function("restore", node("r", "RestoreV2", "prefix"), arguments=("prefix",))
NODES = (
    *PLAIN,
    node("file", "Placeholder"),
    node("saves", "StatefulPartitionedCall", "file", more=calls("save")),
    node("restores", "StatefulPartitionedCall", "file", more=calls("restore")),
)
OLD_NODES = (
    *PLAIN,
    node("name", "Const", more=TEXT),
    node("file", "PlaceholderWithDefault", "name"),
    node("shard", "ShardedFilename", "file"),
    node("save", "SaveV2", "shard"),
    node("saved", "Identity", "file", "^save"),
    node("read", "RestoreV2", "file"),
    node("assign", "AssignVariableOp", "w", "read"),
    node("restores", "NoOp", "^assign"),
)
SAVER = field(1, "file:0") + field(2, "saves:0") + field(3, "restores")
TABLE = node("fill", "InitializeTableFromTextFileV2", "table", "path")
INITIALISES = function("init", TABLE, arguments=("path",))


def saved(
    nodes: tuple[bytes, ...] = NODES, functions: bytes = SAVE + RESTORE, output: str = "y:0", saver: bytes = SAVER,
    more: bytes = b"",
) -> bytes:  # fmt: skip
    """A SavedModel of one graph, served by its node `output`."""
    signature = field(1, "serving_default") + field(2, field(2, field(1, "y") + field(2, field(1, output))))
    meta = field(2, graph(*nodes, functions=functions)) + field(3, saver) + field(5, signature) + more
    return field(1, 1) + field(2, meta)


def objects(*more: bytes, function: str = "", bound: bytes = b"") -> bytes:
    """Objects, and a function with what is bound to it."""
    listed = field(2, field(1, function) + field(2, bound)) if function else b""
    return field(7, listed + b"".join(field(1, one) for one in more))


def asset(file: str, tensor: str = "path:0") -> bytes:
    return field(6, field(1, field(1, tensor)) + field(2, file))


def main_operator(name: str) -> bytes:
    return field(4, field(1, "saved_model_main_op") + field(2, field(1, field(1, name))))


PATH = node("path", "Const", more=TEXT)
FILLS = node("fills", "StatefulPartitionedCall", "path", more=calls("init"))
IN_VARIABLE = (  # as TensorFlow 2 writes it
    node("path", "Placeholder"),
    node("v", "VarHandleOp", more=text("shared_name", "v")),
    node("assign", "AssignVariableOp", "v", "path"),
    node("read", "ReadVariableOp", "v", "^assign"),
    node("fills", "StatefulPartitionedCall", "read", more=calls("init")),
)
WITH_TABLE = {"nodes": (*NODES, PATH, FILLS), "functions": SAVE + RESTORE + INITIALISES}
TABLES_OPERATOR = "InitializeTableFromTextFileV2"
ASSET = field(5, field(1, 0))


def old_asset(file: str, tensor: str) -> bytes:
    """An asset of TensorFlow 1's collection."""
    listed = field(5, field(1, field(2, field(1, field(1, tensor)) + field(2, file))))
    return field(4, field(1, "saved_model_assets") + field(2, listed))


def variable(collection: str, initializer: str) -> bytes:
    definition = field(1, "w:0") + field(2, initializer) + field(3, "y:0")
    return field(4, field(1, collection) + field(2, field(2, field(1, definition))))


def signature(tensor: bytes) -> bytes:
    return field(5, field(1, "other") + field(2, field(2, field(1, "z") + field(2, tensor))))


FINE = {
    "TensorFlow 2's": saved(),
    "TensorFlow 1's": saved(OLD_NODES, b""),
    "another saver beside": saved((*OLD_NODES, node("o", "Const"), node("other", "RestoreV2", "o")), b""),
    "a table of an asset": saved(**WITH_TABLE, more=asset("words.txt") + main_operator("fills")),
    "a table of an asset and one of texts": saved(
        (
            *NODES,
            PATH,
            FILLS,
            node("texts", "Const"),
            node("other", "LookupTableImportV2", "table", "keys", "texts"),
        ),
        SAVE + RESTORE + INITIALISES,
        more=asset("words.txt")
        + main_operator("fills")
        + objects(field(9, field(1, "texts")), ASSET, function="init", bound=field(2, b"\x01")),
    ),
    "a table of an asset in a variable": saved(
        (*NODES, *IN_VARIABLE), SAVE + RESTORE + INITIALISES, more=asset("words.txt") + main_operator("fills")
    ),
    "a saver in a collection": saved(more=field(4, field(1, "savers") + field(2, field(2, field(1, SAVER))))),
    "texts in a collection": saved(
        more=field(4, field(1, "notes") + field(2, field(2, field(1, "some words"))))
    ),
    "sparse outputs": saved(more=signature(field(4, field(1, "y:0") + field(2, "x:0") + field(3, "y:0")))),
    "a table of an asset in TensorFlow 1": saved((*NODES, PATH, TABLE), more=asset("words.txt")),
}
UNSAFE = {
    "in a function": (saved(functions=SAVE + RESTORE + function("f", node("w", "WriteFile"))), "WriteFile"),
    "in a second graph": (saved() + saved((*PLAIN, node("w", "WriteFile")), b"")[2:], "WriteFile"),
    "serving saves": (saved((*NODES, node("z", "Identity", "y", "^saves")), output="z:0"), "SaveV2"),
    "serving saves in a nested function": (
        saved((*PLAIN, node("z", "PartitionedCall", "y", more=calls("outer"))), SAVE + function("outer", node("i", "save")),
              output="z:0", saver=b""), "SaveV2",
    ),
    "initialising saves": (saved(more=main_operator("saves")), "SaveV2"),
    "restoring saves": (saved((*OLD_NODES[:-1], node("restores", "NoOp", "^assign", "^save")), b""), "SaveV2"),
    "an object saves": (saved(more=objects(function="save")), "SaveV2"),
    "saving stands in for another function": (
        saved(functions=function("save", node("s", "SaveV2"), arguments=("p",), more=field(5, field(1, "api_implements")))
              + RESTORE), "SaveV2",
    ),
    "serving restores": (saved((*NODES, node("z", "Identity", "y", "^restores")), output="z:0"), "RestoreV2"),
    "an object restores": (saved(more=objects(function="restore")), "RestoreV2"),
    "restores another file": (
        saved((*OLD_NODES[:-3], node("read", "RestoreV2", "name"), *OLD_NODES[-2:]), b""), "RestoreV2"),
    "restores another file in a function": (
        saved(functions=SAVE + function("restore", node("c", "Const"), node("r", "RestoreV2", "c"), arguments=("p",))),
        "RestoreV2"),
    "restores for ever": (
        saved(functions=SAVE + RESTORE[:0] + function(
            "restore", node("r", "RestoreV2", "p"), node("c", "PartitionedCall", "p", more=calls("restore")), arguments=("p",))),
        "RestoreV2"),
    "a table of no asset": (saved(**WITH_TABLE), "InitializeTableFromTextFileV2"),
    "a table of an asset elsewhere": (
        saved(**WITH_TABLE, more=asset("../../etc/passwd")), "InitializeTableFromTextFileV2"),
    "a table of a captured text": (
        saved((*NODES, PATH), SAVE + RESTORE + INITIALISES, more=asset("words.txt") + objects(
            field(9, field(1, "path")), function="init", bound=field(2, 0))), "InitializeTableFromTextFileV2"),
    "a table of a text that was an asset": (
        saved((*NODES, PATH), SAVE + RESTORE + INITIALISES, more=asset("words.txt") + objects(
            ASSET + field(9, field(1, "path")), function="init", bound=field(2, 0))), "InitializeTableFromTextFileV2"),
    "a table of a path that was put together": (
        saved((*NODES, PATH, node("made", "StringFormat", more=text("template", "/etc/passwd")),
               node("fills", "StatefulPartitionedCall", "made", more=calls("init"))), SAVE + RESTORE + INITIALISES,
              more=asset("words.txt") + main_operator("fills")), "InitializeTableFromTextFileV2"),
    "serving fills a table": (
        saved((*NODES, PATH, TABLE, node("z", "Identity", "y", "^fill")), output="z:0", more=asset("words.txt")),
        "InitializeTableFromTextFileV2"),
    "a table of a constant in a variable": (
        saved((*NODES, PATH, *IN_VARIABLE[1:]), SAVE + RESTORE + INITIALISES,
              more=asset("words.txt") + main_operator("fills")), "InitializeTableFromTextFileV2"),
    "a table of a variable that is shared": (
        saved((*NODES, *IN_VARIABLE, node("w", "VarHandleOp", more=text("shared_name", "v"))),
              SAVE + RESTORE + INITIALISES, more=asset("words.txt") + main_operator("fills")),
        "InitializeTableFromTextFileV2"),
    "a table of a variable that a function is given": (
        saved((*NODES, *IN_VARIABLE, node("w", "StatefulPartitionedCall", "v", more=calls("g"))),
              SAVE + RESTORE + INITIALISES, more=asset("words.txt") + main_operator("fills")),
        "InitializeTableFromTextFileV2"),
    "a table of a second asset": (
        saved((*NODES, PATH, node("fill", TABLES_OPERATOR, "table", "other")),
              more=asset("words.txt") + old_asset("words.txt", "other")), "InitializeTableFromTextFileV2"),
    "a variable's initial value saves": (saved(more=variable("local_variables", "saves")), "SaveV2"),
    "a collection of text saves": (
        saved(more=field(4, field(1, "saved_model_main_op") + field(2, field(2, field(1, "saves"))))), "SaveV2"),
    "sparse outputs save": (
        saved(more=signature(field(4, field(1, "y:0") + field(2, "saves:0") + field(3, "y:0")))), "SaveV2"),
    "composite outputs save": (saved(more=signature(field(5, field(2, field(1, "saves:0"))))), "SaveV2"),
    "restores in a branch": (
        saved((*PLAIN, node("file", "Placeholder"), node("restores", "If", "file", "other", more=calls("restore"))),
              RESTORE), "RestoreV2"),
    "restoring stands in for another function": (
        saved(functions=SAVE + function("restore", node("r", "RestoreV2", "prefix"), arguments=("prefix",),
                                        more=field(5, field(1, "api_implements")))), "RestoreV2"),
    "a gradient restores": (saved(functions=SAVE + RESTORE + field(2, field(1, "f") + field(2, "restore"))), "RestoreV2"),
    "a table of a path in the function": (
        saved(functions=SAVE + RESTORE + function("init", PATH, TABLE)), "InitializeTableFromTextFileV2"),
}  # fmt: skip


def folder(path: Path, data: bytes) -> Path:
    path.mkdir()
    (path / "saved_model.pb").write_bytes(data)
    return path


@pytest.mark.parametrize("name", FINE)
def test_savers_and_assets_of_ordinary_saved_models(tmp_path: Path, name: str) -> None:
    assert recognise(folder(tmp_path / "net", FINE[name])).source.format == "savedmodel"


@pytest.mark.parametrize("name", UNSAFE)
def test_saved_models_that_reach_beyond_the_model(tmp_path: Path, name: str) -> None:
    data, operator = UNSAFE[name]
    with pytest.raises(
        ModelError, match="holds operators that reach files, Python or the network"
    ) as refused:
        recognise(folder(tmp_path / "net", data))
    assert refused.value.message.endswith(f": {operator}")


SHADOWED = field(2, field(2, function("f", node("z", "Relu"))) + field(2, function("f", node("z", "SaveV2"))))
BARE = saved(more=field(7, field(1, field(8, field(1, "save")))))
IN_A_GROUP = field(
    4, field(1, "local_variables") + field(2, field(2, field(1, field(2, "saves") + b"\x2b\x2c")))
)


@pytest.mark.parametrize("data", [
    b"", b"\x12\x05ab", field(2, field(2, b"") * 2), field(2, SHADOWED), BARE, saved(more=IN_A_GROUP),
    saved(functions=SAVE + RESTORE + function("Identity", node("z", "Const"))),
])  # fmt: skip
def test_a_damaged_saved_model(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ModelError, match="cut short or damaged"):
        recognise(folder(tmp_path / "net", data))


# What TensorFlow itself writes, and what it knows.

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
    saver = graph_operators.SAVING | graph_operators.RESTORING | graph_operators.TABLES
    missed = []
    for name, *texts in rows:
        reaches = any(word in one.lower() for word in REACHES for one in texts)
        looked_at = graph_operators.named_unsafe(name) or name in saver | conditional | PURE
        if (reaches or "PyFunc" in name) and not looked_at:
            missed.append((name, texts))
    assert not missed


@pytest.mark.slow
def test_what_tensorflow_writes_converts_and_what_would_write_is_refused(
    tensorflows: Path, workers: Workers, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("fine", "old"):
        request = CompileRequest(source=tensorflows / name, target="tflite", precision="fp32")
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
    request = CompileRequest(source=tensorflows / "old", target="tflite", precision="fp32", conversion=ends)
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
