import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright_agent.installed import manifest
from edgewright_agent.protocol import AgentError

HOSTILE_PATHS = [
    "/etc/passwd",
    "../x",
    "a/../../x",
    "a//b",
    "",
    ".",
    "a/.",
    "~/x",
    ".hidden",
    "a\\b",
    "a\0b",
    "a" * 200,
    "manifest.json",
    "x.new",
    "a b",
    "/".join("abcdefghi"),
    7,
    None,
]


def parse(content) -> dict:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return manifest.parse(data, hashlib.sha256(data).hexdigest())


def code_of(content) -> str:
    with pytest.raises(AgentError) as refused:
        parse(content)
    return refused.value.code


@pytest.fixture
def good(kit) -> dict:
    return json.loads(kit.artifact()["manifest"])


@pytest.mark.parametrize("path", HOSTILE_PATHS)
def test_hostile_paths_are_refused(good, path):
    good["files"].append({"path": path, "sha256": "a" * 64, "size": 1})
    assert code_of(good) == "bad-manifest"


@pytest.mark.parametrize(
    "change",
    [
        {"files": []},
        {"files": {}},
        {"entry": "absent"},
        {"schema": 0},
        {"schema": "1"},
        {"schema": True},
        {"target": "../x"},
        {"precision": None},
        {"inputs": []},
        {"outputs": [{"name": "y"}]},
        {"goldens": None},
        {"goldens": {"file": "model.tflite", "count": 0}},
        {"goldens": {"file": "model.tflite", "count": 1, "tolerance": {}}},
    ],
)
def test_what_is_missing_or_of_the_wrong_type_is_refused(good, change):
    assert code_of({**good, **change}) == "bad-manifest"


def test_sizes_and_twins_are_refused(good):
    entry = good["files"][0]
    for more in (
        [{**entry, "size": 2**60}],
        [{**entry, "size": -1}],
        [entry],
        [{**entry, "path": entry["path"] + "/in"}],
    ):
        assert code_of({**good, "files": [*good["files"], *more]}) == "bad-manifest"
    large = [{**entry, "path": f"f{n}", "size": 10 * 2**30} for n in range(2)]
    assert code_of({**good, "files": [*good["files"], *large]}) == "bad-manifest"


def test_newer_and_unreadable_manifests_have_codes_of_their_own(good):
    assert code_of({**good, "schema": 3}) == "newer-schema"
    assert code_of(b"\xff{") == code_of(b"[" * 10000) == code_of(b"[]") == "bad-manifest"
    with pytest.raises(AgentError) as refused:
        manifest.parse(b"not even JSON", "a" * 64)
    assert refused.value.code == "hash-mismatch"


NOISE = {"noise": 1.0, "error": 0, "unequal": None, "apart": None, "slices": []}
CLASSES = {"noise": None, "error": None, "unequal": 3, "apart": None, "slices": []}


def second(good: dict, *limits: dict, shapes=None) -> dict:
    """A manifest of schema 2 with an output for each of the limits."""
    shapes = shapes or [[2, 3]] * len(limits)
    outputs = [{**good["outputs"][0], "shape": shape} for shape in shapes]
    verdict = [{"limits": one, "sqnr_db": None, "what a later host knows": 1} for one in limits]
    return {**good, "schema": 2, "outputs": outputs, "verdict": verdict}


def sliced(*rows: tuple) -> dict:
    return {**NOISE, "slices": [{"axis": axis, "noise": noise} for axis, noise in rows]}


@pytest.mark.parametrize(
    "limits",
    [
        NOISE,
        CLASSES,
        {**NOISE, "noise": 2**62, "error": 1e308, "apart": 1e4},
        sliced((0, [1.0, None]), (1, [0, 5e-324, 2.5])),
    ],
)
def test_a_verdict_is_taken(good, limits):
    assert parse(second(good, limits, NOISE))["verdict"][0]["limits"] == limits


@pytest.mark.parametrize(
    "limits",
    [
        None, [], {}, {**NOISE, "more": 1}, {key: NOISE[key] for key in NOISE if key != "apart"},
        {**NOISE, "noise": None}, {**NOISE, "error": None}, {**NOISE, "noise": -1.0}, {**NOISE, "error": "1"},
        {**NOISE, "noise": True}, {**NOISE, "apart": -1}, {**NOISE, "apart": [1]}, {**NOISE, "slices": None}, {**NOISE, "slices": {}},
        {**CLASSES, "unequal": -1}, {**CLASSES, "unequal": 1.5}, {**CLASSES, "unequal": True}, {**NOISE, "unequal": 3},
        {**CLASSES, "apart": 1.0}, {**CLASSES, "slices": sliced((0, [1, 1]))["slices"]}, {**CLASSES, "unequal": None},
        {**NOISE, "slices": [7]}, {**NOISE, "slices": [{"axis": 0}]}, {**NOISE, "slices": [{"axis": 0, "noise": [1, 1], "x": 1}]},
        sliced((2, [1, 1])), sliced((-1, [1, 1, 1])), sliced((True, [1, 1, 1])), sliced((0.0, [1, 1])), sliced(("0", [1, 1])),
        sliced(([], [1, 1])), sliced((0, [1])), sliced((0, [1, 1, 1])), sliced((0, None)), sliced((0, {"0": 1, "1": 1})),
        sliced((0, [1, -1])), sliced((0, [1, "1"])), sliced((0, [1, True])), sliced((0, [1, [1]])), sliced((0, [1, 1]), (0, [1, 1])),
    ],
)  # fmt: skip
def test_a_verdict_of_another_shape_is_refused(good, limits):
    assert code_of(second(good, limits)) == "bad-manifest"
    assert code_of(second(good, NOISE, limits)) == "bad-manifest"


@pytest.mark.parametrize("number", ["1e999", "NaN", "Infinity", "-Infinity", str(2**63)])
def test_a_limit_that_is_not_finite_is_refused(good, number):
    text = json.dumps(second(good, {**NOISE, "noise": "HERE"})).replace('"HERE"', number)
    assert code_of(text.encode()) == "bad-manifest"


@pytest.mark.parametrize("verdict", [None, {}, [], "x", [None], [[]], [{}], [{"limits": NOISE}] * 2])
def test_a_verdict_has_an_entry_an_output(good, verdict):
    assert code_of({**good, "schema": 2, "verdict": verdict}) == "bad-manifest"
    assert code_of({**good, "schema": 2}) == "bad-manifest"
    assert (
        parse({**good, "verdict": verdict})["schema"] == 1
    )  # it has no requirements: what is installed does not matter


def test_a_scalar_has_no_slices(good):
    assert parse(second(good, NOISE, shapes=[[]]))
    assert code_of(second(good, sliced((0, [])), shapes=[[]])) == "bad-manifest"


def test_slices_are_counted_over_all_outputs(good):
    half = sliced((0, [1.0] * 2048))
    assert parse(second(good, half, half, shapes=[[2048, 1], [2048]]))
    more = sliced((0, [1.0] * 2048), (1, [None]))
    assert code_of(second(good, half, more, shapes=[[2048, 1], [2048, 1]])) == "bad-manifest"


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_value_in_a_verdict_ends_in_a_manifest_or_an_error(kit, data):
    good = json.loads(kit.artifact()["manifest"])
    content = json.loads(json.dumps(second(good, sliced((0, [1.0, None]), (1, [0, 1, 2])), CLASSES)))
    at, path = content["verdict"], []
    while isinstance(at, dict | list) and at and (not path or data.draw(st.booleans())):
        path.append(data.draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at)))))
        above, at = at, at[path[-1]]
    above[path[-1]] = data.draw(json_values)
    try:
        parse(content)
    except AgentError as error:
        assert error.code == "bad-manifest"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(
    key=st.sampled_from(["schema", "precision", "files", "inputs", "outputs", "goldens", "entry", "target"]),
    value=json_values,
)
def test_any_value_ends_in_a_manifest_or_an_error(kit, key, value):
    content = {**json.loads(kit.artifact()["manifest"]), key: value}
    try:
        assert parse(content)[key] == value
    except AgentError as error:
        assert error.code in ("bad-manifest", "newer-schema")


def test_an_install_needs_its_files_and_leaves_nothing_when_one_is_missing(connect, kit, root):
    wire = connect()
    txn, built, runtime = kit.begun(wire), kit.artifact(), kit.provision(wire)
    wire.put(built["manifest"])
    with pytest.raises(kit.AgentFailureError, match=r"not-found"):
        wire.call("install", model="digits", version="1", manifest=built["sha256"], runtime=runtime, txn=txn)
    assert wire.call("status")["models"] == {} and not (root / "models" / "digits").exists()
    assert not [
        name for name in [path.name for path in (root / "incoming").iterdir()] if name.startswith("stage")
    ]


def test_bytes_that_rot_after_the_upload_are_not_installed(connect, kit, root):
    wire = connect()
    txn, built = kit.begun(wire), kit.artifact()
    runtime = kit.provision(wire)
    for data in [*built["files"].values(), built["manifest"]]:
        wire.put(data)
    (root / "incoming" / kit.sha(built["files"]["model.tflite"])).write_bytes(b"rotten")
    with pytest.raises(kit.AgentFailureError, match=r"hash-mismatch"):
        wire.call("install", model="digits", version="1", manifest=built["sha256"], runtime=runtime, txn=txn)


def test_installing_again_is_no_work(connect, kit):
    wire = connect()
    txn = kit.begun(wire)
    release = kit.install(wire, kit.artifact(), txn)
    again = {
        "model": "digits",
        "version": "1",
        "manifest": kit.artifact()["sha256"],
        "runtime": kit.provision(wire),
        "txn": txn,
    }
    assert wire.call("install", **again) == {"release": release, "state": "staged", "existed": True}


def test_a_runtime_of_another_target_or_none_is_refused(connect, kit):
    wire = connect()
    txn = kit.begun(wire)
    with pytest.raises(kit.AgentFailureError, match=r"runtime-missing"):
        kit.install(wire, kit.artifact(), txn, runtime="a" * 64)
    with pytest.raises(kit.AgentFailureError, match=r"another target: tflite"):
        kit.install(wire, kit.artifact(target="onnxruntime"), txn)


def test_what_is_in_use_is_not_discarded(connect, kit, root):
    wire = connect()
    old = kit.deployed(wire, root, "a", "1")
    txn = kit.begun(wire)
    new = kit.install(wire, kit.artifact("b"), txn, "2")
    with pytest.raises(kit.AgentFailureError, match=r"in-use"):
        wire.call("discard", model="digits", release=old, txn=txn)
    assert wire.call("discard", model="digits", release=new, txn=txn) == {}
    assert [path.name for path in (root / "models/digits/versions").iterdir()] == [old]
    assert [path.name for path in (root / "trash").iterdir()] == []


def test_prune_removes_nothing_that_can_be_reached(connect, kit, root):
    wire = connect()
    releases = [kit.deployed(wire, root, tag, str(n)) for n, tag in enumerate("abcd", 1)]
    on_trial = kit.deployed(wire, root, "e", "5", commit=False)
    kit.provision(wire, kit.wheel({"other/__init__.py": b"x" * 1000}), version="2.0")
    answer = wire.call("prune", keep=2)
    assert set([path.name for path in (root / "models/digits/versions").iterdir()]) == {
        *releases[2:],
        on_trial,
    }
    assert [
        folder.startswith("toy-1.0") for folder in [path.name for path in (root / "runtimes").iterdir()]
    ] == [True]
    assert answer["freed_bytes"] > 1000 and f"digits {releases[0]}" in answer["removed"]
    assert wire.call("status")["models"]["digits"]["known_good"] == releases[2:]
    txn = wire.call("status")["models"]["digits"]["trial"]["txn"]
    assert wire.call("revert", txn=txn) == {"outcome": "reverted"} and kit.current(root) == releases[3]


def test_a_deployments_own_uploads_survive_a_prune(connect, kit, root):
    wire = connect()
    txn = kit.begun(wire)
    release = kit.install(wire, kit.artifact(), txn)
    evaluation = wire.put(b"evaluation set")
    wire.call("prune", keep=0)
    assert [path.name for path in (root / "models/digits/versions").iterdir()] == [release]
    assert wire.call("part", sha256=evaluation, size=14)["complete"]
