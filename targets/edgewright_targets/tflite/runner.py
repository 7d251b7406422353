"""Runs a .tflite artifact on a board. Python 3.6, standard library only until `load`.

The interpreter is ai-edge-litert's, else tflite-runtime's, else TensorFlow's own.
"""

# ruff: noqa: B905, ARG001 - zip has no `strict` in Python 3.6; all runners have the same functions
import os

from edgewright_agent import shapes

_PACKAGES = (
    ("ai-edge-litert", "ai_edge_litert.interpreter", "ai_edge_litert"),
    ("tflite-runtime", "tflite_runtime.interpreter", "tflite_runtime"),
    ("tensorflow", "tensorflow.lite.python.interpreter", "tensorflow"),
)


def _interpreter() -> "tuple[str, str, shapes.Native]":
    """(distribution, version, Interpreter class) of the first package that imports.

    Raises:
        ImportError: none does; the message lists every reason.
    """
    import importlib

    reasons = []
    for distribution, module, package in _PACKAGES:
        try:
            found = importlib.import_module(module).Interpreter
        except (ImportError, OSError, AttributeError) as error:
            reasons.append("%s: %s" % (distribution, error))
            continue
        return distribution, importlib.import_module(package).__version__, found
    raise ImportError("no LiteRT interpreter: " + "; ".join(reasons))


def import_runtime() -> "str":
    """Imports the runtime. Returns its distribution and version, such as `ai-edge-litert 2.3.0`."""
    distribution, version, _ = _interpreter()
    return "%s %s" % (distribution, version)


def accelerators() -> "list[str]":
    """Names of accelerators that are usable now. The wheels of this runtime only contain CPU kernels."""
    return ["cpu"]


def prepare(folder: "str", manifest: "shapes.Manifest", options: "shapes.Options") -> "dict[str, str]":
    """Nothing is built on the board."""
    return {}


def load(folder: "str", manifest: "shapes.Manifest", options: "shapes.Options") -> "Session":
    """A Session over the artifact in `folder`.

    Args:
        manifest: the manifest as a dict; `inputs` and `outputs` give order and dtypes.
        options: `threads` (int), `accelerator` (`cpu`, `auto` or None), `prepared` (not used).

    Raises:
        ValueError: the accelerator is not one of `accelerators()`, or tensors do not match the manifest.
    """
    wanted = options.get("accelerator") or "cpu"
    if wanted not in ("cpu", "auto"):
        raise ValueError("accelerator not available to this runtime: %s" % wanted)
    path = os.path.join(folder, manifest["entry"])
    interpreter = _interpreter()[2](model_path=path, num_threads=int(options.get("threads") or 1))
    return Session(interpreter, manifest)


class Session:
    """One loaded model. `accelerator` is the one that is really used."""

    def __init__(self, interpreter: "shapes.Native", manifest: "shapes.Manifest") -> "None":
        self.accelerator = "cpu"
        self._interpreter = interpreter
        self._inputs = _matched(interpreter.get_input_details(), manifest["inputs"], "input")
        for detail, spec in zip(self._inputs, manifest["inputs"]):
            if list(detail["shape"]) != list(spec["shape"]):
                interpreter.resize_tensor_input(detail["index"], list(spec["shape"]), strict=True)
        interpreter.allocate_tensors()
        self._outputs = _matched(interpreter.get_output_details(), manifest["outputs"], "output")
        self._shapes = [spec["shape"] for spec in manifest["inputs"]]
        self._indexes = [detail["index"] for detail in self._inputs]

    def feed(self, tensors: "shapes.Sequence[bytes]") -> "list[shapes.Native]":
        """Converts bytes of each input, in the manifest's order, to the native feed."""
        import numpy

        return [
            numpy.frombuffer(bytes(data), dtype=detail["dtype"]).reshape(shape)
            for data, detail, shape in zip(tensors, self._inputs, self._shapes)
        ]

    def infer(self, feed: "list[shapes.Native]") -> "list[shapes.Native]":
        """Runs one inference: inputs in, every output out."""
        interpreter = self._interpreter
        for index, array in zip(self._indexes, feed):
            interpreter.set_tensor(index, array)
        interpreter.invoke()
        return [interpreter.get_tensor(detail["index"]) for detail in self._outputs]

    def read(self, outputs: "list[shapes.Native]") -> "list[bytes]":
        """Converts native outputs to bytes of each output, in the manifest's order and dtype."""
        return [output.tobytes() for output in outputs]

    def close(self) -> "None":
        """Frees the interpreter."""
        self._interpreter = None


def _matched(details: "shapes.Details", specs: "list[shapes.Spec]", kind: "str") -> "shapes.Details":
    """The interpreter's tensors in the manifest's order: by name, or by position if no name in the file is known."""
    by_name = {detail["name"]: detail for detail in details}
    missing = [spec["tensor"] for spec in specs if spec.get("tensor") and spec["tensor"] not in by_name]
    if missing:
        raise ValueError("%ss differ from the manifest: no %s" % (kind, ", ".join(missing)))
    names = [spec.get("tensor", spec["name"]) for spec in specs]
    if len(by_name) == len(specs) and all(name in by_name for name in names):
        found = [by_name[name] for name in names]
    elif len(details) == len(specs):
        found = list(details)
    else:
        raise ValueError("%ss differ from the manifest: %d instead of %d" % (kind, len(details), len(specs)))
    import numpy

    for detail, spec in zip(found, specs):
        if numpy.dtype(detail["dtype"]).name != spec["dtype"]:
            raise ValueError(
                "%s %s differs from the manifest: %s instead of %s"
                % (kind, spec["name"], numpy.dtype(detail["dtype"]).name, spec["dtype"])
            )
    return found
