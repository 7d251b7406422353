"""Reads manifests: verifies their hash before parsing, then checks them strictly."""

import hashlib
import re

from edgewright_agent import shapes
from edgewright_agent.protocol import (
    MANIFEST_SCHEMA,
    MAX_FILE,
    MAX_FILES,
    MAX_SLICES,
    SHA256,
    AgentError,
    Code,
    loads,
)

NAME = "manifest.json"
LIMITS = {"noise", "error", "unequal", "apart", "slices"}
MAX_SLACK = 1024 * 1024  # bytes for a release's folders and manifest
PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+@-]{0,127}\Z")  # one part of a path
MAX_FEATURES = 256  # of a CPU
FEATURE = re.compile(r"[A-Za-z0-9_.+-]{1,64}\Z")  # or a name of a CPU
WORD = re.compile(r"[a-z0-9][a-z0-9-]{0,31}\Z")  # a target or a precision


def bad(what: "str") -> "AgentError":
    """The error for an invalid manifest."""
    return AgentError(Code.BAD_MANIFEST, "the manifest is not valid: %s" % what)


def safe_path(path: "object") -> "bool":
    """Whether a path is relative, plain and stays inside its folder."""
    parts = path.split("/") if isinstance(path, str) else []
    return 0 < len(parts) <= 8 and all(PART.match(part) and not part.endswith(".new") for part in parts)


def is_whole(value: "object") -> "shapes.IsWhole":
    """Whether a value is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_count(value: "object", limit: "float") -> "shapes.IsWhole":
    """Whether a value is a whole number from 0 to a limit."""
    return isinstance(value, int) and is_whole(value) and 0 <= value <= limit


def need(condition: "object", what: "str") -> "None":
    """Raise `bad-manifest` unless a condition holds."""
    if not condition:
        raise bad(what)


def check_files(entries: "shapes.Unchecked") -> "set[str]":
    """Check the list of files. Returns their paths."""
    need(isinstance(entries, list) and 0 < len(entries) <= MAX_FILES, "files")
    paths = set()
    for entry in entries:
        need(isinstance(entry, dict) and set(entry) == {"path", "sha256", "size"}, "an entry of files")
        path = entry["path"]
        need(safe_path(path) and path != NAME, "path: %r" % (path,))
        need(path not in paths, "a repeated path: %s" % path)
        need(isinstance(entry["sha256"], str) and SHA256.match(entry["sha256"]), "sha256 of %s" % path)
        need(is_count(entry["size"], MAX_FILE), "size of %s" % path)
        paths.add(path)
    for path in paths:
        parts = path.split("/")
        inside = [above for above in ("/".join(parts[:n]) for n in range(1, len(parts))) if above in paths]
        need(not inside, "a file that is also a folder: %s" % "".join(inside[:1]))
    need(sum(entry["size"] for entry in entries) <= MAX_FILE, "the sum of the sizes")
    return paths


def check_tensors(specs: "shapes.Unchecked", what: "str") -> "None":
    """Check the list of inputs or outputs."""
    need(isinstance(specs, list) and 0 < len(specs) <= 256, what)
    for spec in specs:
        need(isinstance(spec, dict) and isinstance(spec.get("name"), str), "a name in %s" % what)
        need(
            isinstance(spec.get("dtype"), str) and isinstance(spec.get("shape"), list),
            "dtype and shape in %s" % what,
        )
        need(all(is_count(size, 2**31) for size in spec["shape"]), "a shape in %s" % what)


def check_goldens(goldens: "shapes.Unchecked", paths: "set[str]") -> "None":
    """Check the entry `goldens`."""
    need(isinstance(goldens, dict) and isinstance(goldens.get("file"), str), "goldens")
    need(goldens["file"] in paths, "the file of the goldens")
    need(is_count(goldens.get("count"), 10**6) and goldens["count"] > 0, "the count of goldens")
    tolerance = goldens.get("tolerance")
    need(isinstance(tolerance, dict), "the tolerance")
    for key in ("sqnr_db", "relative"):
        need(
            isinstance(tolerance.get(key), (int, float)) and not isinstance(tolerance[key], bool),
            "tolerance %s" % key,
        )


def is_limit(value: "object") -> "shapes.IsNumber":
    """Whether a value is a number of at least 0. A manifest's numbers are finite: `loads` refuses others."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


def check_limits(limits: "shapes.Unchecked", shape: "list[int]") -> "int":
    """Check the limits of one output. Returns its number of slices."""
    need(isinstance(limits, dict) and set(limits) == LIMITS, "the limits of an output")
    noise, error, unequal, apart = (limits[key] for key in ("noise", "error", "unequal", "apart"))
    slices = limits["slices"]
    need(isinstance(slices, list), "slices")
    if unequal is None:
        need(is_limit(noise) and is_limit(error), "the limits of noise and error")
        need(apart is None or is_limit(apart), "the limit of values that are apart")
    else:
        need(is_count(unequal, MAX_FILE), "the limit of unequal values")
        need(noise is None and error is None and apart is None and not slices, "the limits of classes")
    axes = set()
    for one in slices:
        need(isinstance(one, dict) and set(one) == {"axis", "noise"}, "an entry of slices")
        axis, rows = one["axis"], one["noise"]
        need(is_count(axis, len(shape) - 1) and axis not in axes, "the axis of slices")
        need(isinstance(rows, list) and len(rows) == shape[axis], "the number of slices")
        need(all(row is None or is_limit(row) for row in rows), "the limit of a slice")
        axes.add(axis)
    return sum(shape[axis] for axis in axes)


def check_verdict(verdict: "shapes.Unchecked", outputs: "list[shapes.Spec]") -> "None":
    """Check the verdict. It has one entry per output."""
    need(isinstance(verdict, list) and len(verdict) == len(outputs), "verdicts")
    need(all(isinstance(one, dict) for one in verdict), "a verdict")
    for spec in outputs:
        scale, zero = spec.get("scale"), spec.get("zero_point")
        need(scale is None or is_limit(scale), "the scale of an output")
        need(zero is None or is_whole(zero), "the zero point of an output")
    slices = [check_limits(one.get("limits"), spec["shape"]) for one, spec in zip(verdict, outputs)]
    need(sum(slices) <= MAX_SLICES, "the number of slices")


def check_cpu(cpu: "shapes.Unchecked") -> "None":
    """Check what the machine code of an artifact runs on."""
    need(isinstance(cpu, dict) and set(cpu) == {"arch", "name", "features"}, "cpu")
    features = cpu["features"]
    need(isinstance(features, list) and len(features) <= MAX_FEATURES, "the features of the cpu")
    words = [cpu["arch"], cpu["name"]] + features
    need(all(isinstance(word, str) and FEATURE.match(word) for word in words), "a word of the cpu")


def parse(data: "bytes", sha256: "str") -> "shapes.Manifest":
    """Parse the manifest in these bytes.

    Raises:
        AgentError: `hash-mismatch`, before anything is parsed; `newer-schema`; `bad-manifest`.
    """
    if hashlib.sha256(data).hexdigest() != sha256:
        raise AgentError(Code.HASH_MISMATCH, "the manifest does not have its declared hash")
    try:
        manifest: "shapes.Manifest" = loads(data.decode("utf-8"))
    except ValueError:
        raise bad("not JSON")
    need(isinstance(manifest, dict) and is_count(manifest.get("schema"), 2**31), "schema")
    if manifest["schema"] > MANIFEST_SCHEMA:
        raise AgentError(
            Code.NEWER_SCHEMA,
            "the manifest's schema is newer than this agent: %d" % manifest["schema"],
        )
    need(manifest["schema"] > 0, "schema")
    for key in ("target", "precision"):
        need(isinstance(manifest.get(key), str) and WORD.match(manifest[key]), key)
    paths = check_files(manifest.get("files"))
    need(isinstance(manifest.get("entry"), str) and manifest["entry"] in paths, "entry")
    check_tensors(manifest.get("inputs"), "inputs")
    check_tensors(manifest.get("outputs"), "outputs")
    check_goldens(manifest.get("goldens"), paths)
    if manifest["schema"] > 1:  # schema 1 is judged by the tolerance of its goldens
        check_verdict(manifest.get("verdict"), manifest["outputs"])
    if "cpu" in manifest:
        check_cpu(manifest["cpu"])
    return manifest


def model_bytes(manifest: "shapes.Manifest") -> "int":
    """The total size of the files in bytes."""
    return sum(entry["size"] for entry in manifest["files"])
