"""Anything that a host may send ends in a result or an error; the agent writes nothing outside the root and uses little memory."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
import warnings
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from edgewright.connect.agent import package as agent_package
from edgewright.connect.agent import runner_package
from edgewright_agent import protocol
from edgewright_agent.session import arguments

# a session's state depends on earlier requests: shrinking an example takes long and shows little
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
SOON = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)
LONG = settings(SOON, max_examples=1500)
EXAMPLES = [pytest.param(SOON, id="some"), pytest.param(LONG, id="many", marks=pytest.mark.exhaustive)]
MEMORY_KB = 80 * 1024

SHAS = st.sampled_from(["a" * 64, "0" * 64, "../" * 21 + "a", "A" * 64])
TEXTS = st.sampled_from(["m", "doubler", "1", "1-aaaaaaaa", "a" * 32, "b" * 32, "system:tflite-runtime", "/etc/passwd", "../../x",
                         "1-log.txt", "x\0y", "\u202e", "\ud800", "", "." * 64, "top1", "cpu", "lo\nng"])  # fmt: skip
NUMBERS = st.sampled_from([0, 1, -1, 3, 2**63, 10**400, 0.5, 1e308, float("inf"), float("nan")])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | SHAS | TEXTS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS | st.sampled_from(["activate", "file", "sha256", "size"]), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@st.composite
def requests(draw):
    """Requests that the agent may or may not understand."""
    do = draw(st.sampled_from(sorted(set(arguments.COMMANDS) - {"put", "purge"})))
    args = {key: draw(VALUES) for key in arguments.COMMANDS[do] if draw(st.integers(0, 9))}
    if not draw(st.integers(0, 9)):
        args[draw(TEXTS)] = draw(VALUES)
    return {"id": 0, "do": do, "args": args}


def outside(root):
    """Everything next to the root folder."""
    return sorted(str(path) for path in root.parent.rglob("*") if root not in path.parents and path != root)


def peak_kb(agent):
    """The greatest resident memory of an agent so far."""
    lines = Path(f"/proc/{agent.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


@pytest.fixture
def agent(start, tmp_path):
    """An agent whose root is next to a file that is not its own."""
    (tmp_path / "bystander").write_text("precious")
    return start(tmp_path / "root", command=(sys.executable,))


@pytest.mark.parametrize("examples", EXAMPLES)
def test_any_request_gets_one_answer(agent, tmp_path, survived, examples):
    before, tried = outside(tmp_path / "root"), []

    @examples
    @given(requests())
    def run(request):
        began = time.monotonic()
        answer = agent.call(request["do"], **request["args"])
        assert time.monotonic() - began < 14
        assert set(answer) in ({"id", "ok"}, {"id", "error"}), answer
        unread = (
            answer.get("error", {}).get("code") == "protocol"
        )  # a number out of range: not even the id is known
        assert answer["id"] == (None if unread else agent.last), answer
        if "error" in answer:
            error = answer["error"]
            assert error["code"] != "io" or "the agent failed in" not in error["message"], (request, error)
            assert "\n" not in error["message"] and len(error["message"]) < 5000
        tried.append(1)

    run()
    assert agent.call("ping")["ok"] == {}
    assert outside(tmp_path / "root") == before and peak_kb(agent) < MEMORY_KB
    survived("hostile hosts: requests of any content", len(tried))


@pytest.mark.parametrize("examples", EXAMPLES)
def test_any_line_gets_an_answer_and_the_session_goes_on(agent, survived, examples):
    tried = []

    @examples
    @given(st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()))
    def run(data):
        agent.process.stdin.write(data.replace(b"\n", b" ") + b"\n")
        assert agent.line()["error"]["code"] in ("protocol", "unknown-command", "bad-argument")
        tried.append(1)

    run()
    assert agent.call("ping")["ok"] == {} and peak_kb(agent) < MEMORY_KB
    survived("hostile hosts: lines of any content", len(tried))


@pytest.mark.parametrize(
    "examples",
    [
        pytest.param(settings(SOON, max_examples=25), id="some"),
        pytest.param(settings(SOON, max_examples=600), id="many", marks=pytest.mark.exhaustive),
    ],
)
def test_any_hello_ends_the_start_or_begins_a_session(tmp_path, survived, examples):
    package, tried = agent_package.package(), []
    (tmp_path / "bystander").write_text("precious")
    good = {"edgewright": 1, "nonce": "0" * 32, "root": str(tmp_path / "root"), "host": "h", "loader": package.loader,
            "agent": {"sha256": package.sha256, "size": len(package.data)}}  # fmt: skip
    keys = [*sorted(set(good) - {"loader"}), "entry", "group", "txn"]

    @examples
    @given(st.dictionaries(st.sampled_from(keys), VALUES, max_size=2), st.binary(max_size=300))
    def run(changes, rest):
        line = {**good, **changes}
        if line["root"] != good["root"] and not str(line["root"]).startswith(("/etc", "../")):
            line["root"] = good["root"]
        started = subprocess.run([sys.executable, "-I", "-S", "-B", "-c", protocol.BOOT],
                                 input=protocol.encode(line) + rest, capture_output=True, timeout=30)  # fmt: skip
        assert started.returncode in (0, 1), started.stderr.decode()
        tried.append(1)

    run()
    assert {path.name for path in tmp_path.iterdir()} <= {"bystander", "root"}
    survived("hostile hosts: hellos of any content", len(tried))


@pytest.mark.parametrize("examples", EXAMPLES)
def test_any_runner_is_kept_or_refused(agent, tmp_path, kit, survived, examples):
    good, before, tried = runner_package.package("tflite").data, outside(tmp_path / "root"), []

    @examples
    @given(
        st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()), st.integers(0, 5000)
    )
    def run(data, at):
        for one in (data, good[:at] + data + good[at:]):
            assert "ok" in agent.put(one, kit.sha(one))
            answer = agent.call("runner", target="tflite", sha256=kit.sha(one))
            assert "ok" in answer or answer["error"]["code"] == "bad-argument", answer
            tried.append(1)

    run()
    assert outside(tmp_path / "root") == before and peak_kb(agent) < MEMORY_KB
    survived("hostile hosts: runners of any content", len(tried))


def zipped(members):
    """A zip whose members have these names."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as archive:
        warnings.simplefilter("ignore")  # the repeated name is intended
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()


PARTS = st.sampled_from(
    [
        "..",
        ".",
        "",
        "a",
        "b.py",
        "x" * 300,
        "toy-1.data",
        "purelib",
        "RUNTIME.json",
        "C:",
        "a\\b",
        "\u202e",
        "a b",
    ]
)
MEMBERS = st.lists(
    st.tuples(st.lists(PARTS, min_size=1, max_size=4).map("/".join), st.binary(max_size=20)), max_size=4
)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_any_wheel_is_unpacked_inside_or_refused(agent, tmp_path, kit, survived, examples):
    runner = agent.give_runner()
    before, tried = outside(tmp_path / "root"), []

    @examples
    @given(MEMBERS, st.integers(0, 400), st.integers(0, 255))
    def run(members, at, byte):
        data = bytearray(zipped([one for one in members if one[0]]))
        if at < len(data):
            data[at] = byte
        data = bytes(data)
        assert "ok" in agent.put(data, kit.sha(data))
        row = {"file": "toy-1.0-py3-none-any.whl", "sha256": kit.sha(data), "size": len(data)}
        about = {"name": "toy", "target": "tflite", "version": "1", "wheels": [row], "runner": runner}
        answer = agent.call("provision", **about)
        assert "ok" in answer or answer["error"]["code"] in ("bad-argument", "io"), answer
        assert "the agent failed in" not in str(answer), answer
        tried.append(1)

    run()
    assert outside(tmp_path / "root") == before
    for path in (tmp_path / "root" / "runtimes").rglob("*"):
        assert not path.is_symlink() and (path.is_dir() or path.stat().st_size < 10_000)
    survived("hostile hosts: wheels with members and bytes of any kind", len(tried))


LIMITS = {"noise": 1.0, "error": 1.0, "unequal": None, "apart": None}
VERDICT = [{"limits": {**LIMITS, "slices": [{"axis": 0, "noise": [1.0, None, 0.5, 1]}]}}]
SCHEMAS = [{"schema": 1}, {"schema": 2, "verdict": VERDICT}]


def judged(data, manifest, kind, value) -> None:
    """Puts a value somewhere in a verdict."""
    values = st.sampled_from([value, [value], [value] * 4])
    manifest.update(schema=2, verdict=json.loads(json.dumps(VERDICT)))
    limits = manifest["verdict"][0]["limits"]
    if kind == "verdict":
        manifest["verdict"] = data.draw(st.sampled_from([value, [value], [{"limits": value}]]))
    elif kind == "limits":
        limits[data.draw(st.sampled_from(sorted(limits)))] = data.draw(values)
    else:
        limits["slices"][0][data.draw(st.sampled_from(["axis", "noise", "x"]))] = data.draw(values)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_any_manifest_is_installed_inside_or_refused(agent, tmp_path, kit, survived, examples):
    built, txn, wheel, runner = kit.artifact("fuzz"), "a" * 32, kit.wheel(), agent.give_runner()
    agent.put(wheel, kit.sha(wheel))
    row = {"file": "toy-1.0-py3-none-any.whl", "sha256": kit.sha(wheel), "size": len(wheel)}
    ref = agent.call("provision", name="toy", target="tflite", version="1", wheels=[row])["ok"]["ref"]
    before, tried, installed = outside(tmp_path / "root"), [], []
    good = json.loads(built.manifest)
    paths = st.sampled_from(
        [
            "../x",
            "/x",
            "a/../../x",
            "manifest.json",
            "model.tflite/x",
            "x.new",
            ".hidden",
            "a//b",
            "deep/er/file",
            "\0",
            "model.tflite",
        ]
    )

    @examples
    @given(st.data(), VALUES, paths)
    def run(data, value, path):
        manifest = json.loads(json.dumps({**good, **data.draw(st.sampled_from(SCHEMAS))}))
        entry = manifest["files"][data.draw(st.integers(0, 1))]
        kinds = ["path", "file", "top", "spec", "goldens", "unknown", "bytes", "verdict", "limits", "slices"]
        kind = data.draw(st.sampled_from(kinds))
        if kind == "path":
            entry["path"] = path
        elif kind == "file":
            entry[data.draw(st.sampled_from(["path", "sha256", "size", "x"]))] = value
        elif kind == "top":
            manifest[data.draw(st.sampled_from(sorted(manifest)))] = value
        elif kind == "spec":
            spec = manifest[data.draw(st.sampled_from(["inputs", "outputs"]))][0]
            spec[data.draw(st.sampled_from(["name", "dtype", "shape", "scale", "zero_point"]))] = value
        elif kind == "goldens":
            manifest["goldens"][data.draw(st.sampled_from(["file", "count", "tolerance"]))] = value
        elif kind in ("verdict", "limits", "slices"):
            judged(data, manifest, kind, value)
        elif kind == "unknown":
            manifest[data.draw(TEXTS)] = value
        text = json.dumps(manifest).encode()
        if kind == "bytes":
            text = text[: data.draw(st.integers(0, len(text)))]
        for one in (*built.files.values(), text):
            assert "ok" in agent.put(one, kit.sha(one))
        agent.call("begin", model="m", txn=txn, host="h", ttl_s=60)
        about = {
            "model": "m",
            "version": "1",
            "manifest": kit.sha(text),
            "runtime": ref,
            "hooks": {},
            "txn": txn,
            "runner": runner,
        }
        answer = agent.call("install", **about)
        assert "ok" in answer or answer["error"]["code"] in (
            "bad-manifest",
            "newer-schema",
            "not-found",
            "hash-mismatch",
            "bad-argument",
            "failed-before",
        ), answer
        if "ok" in answer:
            installed.append(answer["ok"]["release"])
            checked = agent.call("verify", model="m", release=installed[-1], txn=txn)
            assert "the agent failed in" not in str(checked), (manifest, checked)
            assert "runner-missing" not in str(checked), checked
            assert "ok" in agent.call("discard", model="m", release=installed[-1], txn=txn)
        tried.append(1)

    run()
    assert installed, "nothing valid was among them"
    assert outside(tmp_path / "root") == before
    survived("hostile hosts: manifests of any content", len(tried))
