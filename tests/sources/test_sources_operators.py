"""Graphs of TensorFlow that would reach beyond the model are refused by their bytes; ordinary ones are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgewright.compile.inspection import graph_def, graph_flow, model_trust
from edgewright.compile.recognition import recognise
from edgewright.errors import ModelError


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
    assert recognise(path, trusted=True).source.format == "frozen"


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


def test_what_a_graph_runs_has_its_stand_ins_and_gradients_but_no_idle_function() -> None:
    calling = node("z", "PartitionedCall", "x", more=calls("called"))
    library = function("called", node("a", "Relu")) + function("idle", node("a", "SaveV2"))
    library += function("swapped", node("a", "RestoreV2"), more=field(5, field(1, "api_implements")))
    library += function("slope", node("a", "Save")) + field(2, field(1, "called") + field(2, "slope"))
    run = graph_flow.run_by(*graph_def.graph(memoryview(graph(*PLAIN, calling, functions=library))))
    assert {one.op for one in run} == {"Placeholder", "Relu", "PartitionedCall", "RestoreV2", "Save"}


def test_nothing_is_trusted_unless_the_user_says_so() -> None:
    assert not model_trust.trusted()
    with model_trust.trusting(True):
        assert model_trust.trusted()
    assert not model_trust.trusted()
