"""Runs an OpenVINO IR artifact on a board (OpenVINO 2022.1 and later). Python 3.6 syntax, lazy imports."""

# ruff: noqa: B905, ARG001 - zip has no `strict` in Python 3.6; all runners have the same functions
import inspect
import os
import re

from edgewright_agent import shapes
from edgewright_targets._x86 import sums  # packed with this module

_NO_KERNEL = re.compile(r"no reorder available|not supported|unsupported|not implemented", re.IGNORECASE)
_DEVICES = (("cpu", "CPU"), ("gpu", "GPU"), ("npu", "NPU"))


class ModelRefused(RuntimeError):
    """The device's plugin cannot run some layer of the model in its precision."""

    hint = "take another precision, such as fp16, or another target"


def _core() -> "shapes.Native":
    """OpenVINO's Core, whose module moved between releases.

    Raises:
        ImportError: openvino is absent, or older than 2022.1.
    """
    try:
        from openvino import Core
    except ImportError:
        from openvino.runtime import Core
    return Core()


def _version() -> "str":
    try:
        from openvino import get_version
    except ImportError:
        from openvino.runtime import get_version
    return str(get_version()).split("-")[0]


def import_runtime() -> "str":
    """Imports the runtime. Returns its distribution and version, such as `openvino 2025.3.0`."""
    _core()
    return "openvino " + _version()


def accelerators() -> "list[str]":
    """Names of accelerators that are usable now, `cpu` first."""
    present = [device.split(".")[0] for device in _core().available_devices]
    return [name for name, device in _DEVICES if device in present]


def prepare(folder: "str", manifest: "shapes.Manifest", options: "shapes.Options") -> "dict[str, str]":
    """Nothing is built on the board."""
    return {}


def load(folder: "str", manifest: "shapes.Manifest", options: "shapes.Options") -> "Session":
    """A Session over the artifact in `folder`.

    Args:
        manifest: the manifest as a dict; `inputs` and `outputs` give order and dtypes.
        options: `threads` (int), `accelerator` (a name of `accelerators()`, None, or `auto`), `prepared` (not used),
            `exact` (see `exactly`).

    Raises:
        ValueError: the accelerator is absent.
        ModelRefused: the accelerator cannot run a layer of the model.
    """
    core = _core()
    present = [name.split(".")[0] for name in core.available_devices]
    wanted = options.get("accelerator") or "cpu"
    if wanted == "auto":
        wanted = "gpu" if "GPU" in present else "cpu"
    device = dict(_DEVICES).get(wanted, "")
    if device not in present:
        raise ValueError("accelerator not available to this runtime: %s" % wanted)
    model = core.read_model(os.path.join(folder, manifest["entry"]))
    settings = _settings(core, device, int(options.get("threads") or 1))
    settings.update(exactly(options))
    try:
        compiled = core.compile_model(model, device, settings)
    except RuntimeError as error:
        found = [line.strip() for line in str(error).splitlines() if _NO_KERNEL.search(line)]
        if not found:
            raise
        raise ModelRefused("OpenVINO cannot run this model on %s: %s" % (wanted, found[0][:300]))
    return Session(compiled, manifest, wanted)


def exactly(options: "shapes.Options") -> "dict[str, str]":
    """Settings that compute quantised layers in floats, if this CPU would saturate 8-bit sums and the options say `exact`.

    That is for verdicts, which apply to other machines. On a board it would be slower than fp32; the board's own check
    refuses what it answers too far from the source.
    """
    return {"LP_TRANSFORMS_MODE": "NO"} if options.get("exact") and sums.saturate(options) else {}


def _settings(core: "shapes.Native", device: "str", threads: "int") -> "dict[str, str]":
    """Settings for low latency. On the CPU: f32 arithmetic, as recent CPUs default to bf16, and a thread count.

    Properties that this release does not support are left out.
    """
    settings = {"PERFORMANCE_HINT": "LATENCY"}
    if device == "CPU":
        known = [str(name) for name in core.get_property(device, "SUPPORTED_PROPERTIES")]
        for name, value in (
            ("INFERENCE_PRECISION_HINT", "f32"),
            ("INFERENCE_NUM_THREADS", str(threads)),
        ):
            if name in known:
                settings[name] = value
    return settings


class Session:
    """One loaded model. `accelerator` is the one that is really used."""

    def __init__(self, compiled: "shapes.Native", manifest: "shapes.Manifest", accelerator: "str") -> "None":
        self.accelerator = accelerator
        self._compiled = compiled
        self._request = compiled.create_infer_request()
        # The runner owns the feed, so the timed call does not copy it; releases before 2023 cannot share memory.
        known = inspect.signature(self._request.infer).parameters
        self._sharing = {"share_inputs": True} if "share_inputs" in known else {}
        self._inputs = _ports(compiled.inputs, manifest["inputs"], "input")
        self._outputs = _ports(compiled.outputs, manifest["outputs"], "output")
        self._specs = [(spec["dtype"], spec["shape"]) for spec in manifest["inputs"]]
        self._dtypes = [spec["dtype"] for spec in manifest["outputs"]]

    def feed(self, tensors: "shapes.Sequence[bytes]") -> "shapes.Feed":
        """Converts bytes of each input, in the manifest's order, to the native feed."""
        import numpy

        return {
            port: numpy.frombuffer(bytes(data), dtype=dtype).reshape(shape).copy()
            for data, port, (dtype, shape) in zip(tensors, self._inputs, self._specs)
        }

    def infer(self, feed: "shapes.Feed") -> "list[shapes.Native]":
        """Runs one inference: inputs in, every output out."""
        results = self._request.infer(feed, **self._sharing)
        return [results[port] for port in self._outputs]

    def read(self, outputs: "list[shapes.Native]") -> "list[bytes]":
        """Converts native outputs to bytes of each output, in the manifest's order and dtype."""
        import numpy

        return [
            numpy.ascontiguousarray(output, dtype=dtype).tobytes()
            for output, dtype in zip(outputs, self._dtypes)
        ]

    def close(self) -> "None":
        """Frees the compiled model."""
        self._request = None
        self._compiled = None


def _ports(
    ports: "shapes.Sequence[shapes.Native]", specs: "list[shapes.Spec]", kind: "str"
) -> "list[shapes.Native]":
    """The model's ports in the manifest's order: by name, or by position if no name in the file is known."""
    if len(ports) != len(specs):
        raise ValueError("%ss differ from the manifest: %d instead of %d" % (kind, len(ports), len(specs)))
    by_name = {name: port for port in ports for name in port.get_names()}
    missing = [spec["tensor"] for spec in specs if spec.get("tensor") and spec["tensor"] not in by_name]
    if missing:
        raise ValueError("%ss differ from the manifest: no %s" % (kind, ", ".join(missing)))
    names = [spec.get("tensor", spec["name"]) for spec in specs]
    if all(name in by_name for name in names):
        return [by_name[name] for name in names]
    return list(ports)
