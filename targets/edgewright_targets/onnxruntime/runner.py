"""Runs an .onnx artifact on a board with ONNX Runtime. Python 3.6, standard library only until `load`."""

# ruff: noqa: B905 - zip has no `strict` in Python 3.6
import json
import os

from edgewright_agent import shapes
from edgewright_targets._x86 import sums  # packed with this module

_PROVIDERS = (  # slowest first
    ("cpu", "CPUExecutionProvider"),
    ("cuda", "CUDAExecutionProvider"),
    ("tensorrt", "TensorrtExecutionProvider"),
)
_NAMES = {provider: name for name, provider in _PROVIDERS}
_EXACT = "session.x64quantprecision"  # known from 1.13 on; older versions ignore it
_MAKE = 1  # raise it if `prepare` makes something else from the same model


def import_runtime() -> "str":
    """Imports the runtime. Returns its distribution and version, such as `onnxruntime 1.19.2`."""
    import onnxruntime

    return "onnxruntime %s" % onnxruntime.__version__


def accelerators() -> "list[str]":
    """Names of accelerators that are usable now, `cpu` first."""
    import onnxruntime

    available = onnxruntime.get_available_providers()
    return [name for name, provider in _PROVIDERS if provider in available]


def prepares(options: "shapes.Options") -> "bool":
    """Whether `prepare` may have work to do: TensorRT's engines, which take minutes."""
    return options.get("accelerator") in ("tensorrt", "auto")


def environment(options: "shapes.Options") -> "shapes.Result":
    """What prepared files depend on besides the model; empty if nothing is prepared."""
    import onnxruntime

    if _chain(options)[0] != "tensorrt":
        return {}
    # packed with this module
    from edgewright_targets._cuda import device

    needs = dict(device.board(), tensorrt=device.installed())
    return dict(needs, make=_MAKE, onnxruntime=onnxruntime.__version__)


def prepare(folder: "str", manifest: "shapes.Manifest", options: "shapes.Options") -> "dict[str, str]":
    """Has TensorRT build its engines into `options["prepared"]`: a session does so if its cache there is empty.

    Returns:
        `{"accelerator": name}` if the model runs on another accelerator, because TensorRT does not start here or supports
        no part of the model.
    """
    session = load(folder, manifest, options)
    took = session.accelerator
    session.close()
    if took == "tensorrt" and not os.listdir(options["prepared"]):
        took = _chain(options)[1]
    return {} if took == "tensorrt" else {"accelerator": took}


def load(folder: "str", manifest: "shapes.Manifest", options: "shapes.Options") -> "Session":
    """A Session over the artifact in `folder`.

    Args:
        manifest: the manifest as a dict; `inputs` and `outputs` give order and dtypes.
        options: `threads` (int), `accelerator` (a name of `accelerators()`, None, or `auto` for the
            fastest), `prepared` (folder of TensorRT's engines), `trace` (path prefix for profiles that
            show which node ran where; this costs time), `exact` (see `sums.saturate`).

    Raises:
        ValueError: the accelerator is absent.
    """
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = int(options.get("threads") or 1)
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    if options.get("trace"):
        settings.enable_profiling = True
        settings.profile_file_prefix = options["trace"]
    providers = [_configured(name, manifest, options) for name in _chain(options)]
    path = os.path.join(folder, manifest["entry"])
    native = opened(path, settings, providers, options)
    # the runtime silently falls back if a provider does not start: ask the session which one it uses
    return Session(native, manifest, _NAMES[native.get_providers()[0]])


def opened(
    model: "str | bytes",
    settings: "shapes.Native",
    providers: "list[shapes.Provider]",
    options: "shapes.Options",
) -> "shapes.Native":
    """An InferenceSession that sums 8-bit products exactly, as far as the CPU and the runtime's version allow.

    Args:
        model: a path, or the model's bytes.
        options: `exact` as in `sums.saturate`.
    """
    import onnxruntime

    if not saturates(options) or not hasattr(settings, "add_session_config_entry"):  # 1.4 lacks it
        return onnxruntime.InferenceSession(model, sess_options=settings, providers=providers)
    settings.add_session_config_entry(_EXACT, "1")
    try:
        return onnxruntime.InferenceSession(model, sess_options=settings, providers=providers)
    except Exception as error:
        if type(error).__name__ not in ("NotImplemented", "Fail"):
            raise
    # The exact mode is not available for QLinear operators with signed activations, which do not saturate, and in 1.32 (not in 1.23) for
    # weights that share a zero point. With basic optimisations only, Q and DQ remain around float arithmetic.
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    return onnxruntime.InferenceSession(model, sess_options=settings, providers=providers)


def saturates(options: "shapes.Options") -> "bool":
    """Whether this CPU would sum 8-bit products inexactly: see `sums.saturate`. The exact mode is slower."""
    return sums.saturate(options)


def _chain(options: "shapes.Options") -> "list[str]":
    """The accelerator, followed by those that take the nodes that it cannot run."""
    usable = accelerators()
    wanted = options.get("accelerator") or "cpu"
    if wanted == "auto":
        wanted = usable[-1]
    if wanted not in usable:
        raise ValueError("accelerator not available to this runtime: %s" % wanted)
    return usable[: usable.index(wanted) + 1][::-1]


def _configured(name: "str", manifest: "shapes.Manifest", options: "shapes.Options") -> "shapes.Provider":
    """A provider in the runtime's form, with its options if it has any."""
    provider = dict(_PROVIDERS)[name]
    if name != "tensorrt":
        return provider
    settings = {
        "trt_fp16_enable": str(manifest.get("precision") == "fp16"),
        "trt_int8_enable": str(str(manifest.get("precision")).startswith("int8")),
    }
    prepared = options.get("prepared")
    if prepared:
        settings.update(trt_engine_cache_enable="True", trt_engine_cache_path=prepared)
    return provider, settings


def _name(spec: "shapes.Spec") -> "str":
    """The tensor's name in the file."""
    return spec.get("tensor", spec["name"])


class Session:
    """One loaded model. `accelerator` is the one that is really used."""

    def __init__(self, native: "shapes.Native", manifest: "shapes.Manifest", accelerator: "str") -> "None":
        self.accelerator = accelerator
        self._native, self._split = native, len(native.get_providers()) > 1
        self._specs = [(_name(spec), spec["dtype"], spec["shape"]) for spec in manifest["inputs"]]
        self._names = [_name(spec) for spec in manifest["outputs"]]
        self._dtypes = [spec["dtype"] for spec in manifest["outputs"]]
        missing = {name for name, _, _ in self._specs} ^ {item.name for item in native.get_inputs()}
        missing |= set(self._names) - {item.name for item in native.get_outputs()}
        if missing:
            raise ValueError("tensors differ from the manifest: %s" % ", ".join(sorted(missing)))

    def feed(self, tensors: "shapes.Sequence[bytes]") -> "dict[str, shapes.Native]":
        """Converts bytes of each input, in the manifest's order, to the native feed."""
        import numpy

        return {
            name: numpy.frombuffer(bytes(data), dtype=dtype).reshape(shape)
            for data, (name, dtype, shape) in zip(tensors, self._specs)
        }

    def infer(self, feed: "dict[str, shapes.Native]") -> "list[shapes.Native]":
        """Runs one inference: inputs in, every output out."""
        outputs: "list[shapes.Native]" = self._native.run(self._names, feed)
        return outputs

    def read(self, outputs: "list[shapes.Native]") -> "list[bytes]":
        """Converts native outputs to bytes of each output, in the manifest's order and dtype."""
        import numpy

        return [
            numpy.ascontiguousarray(output, dtype=dtype).tobytes()
            for output, dtype in zip(outputs, self._dtypes)
        ]

    def placement(self) -> "dict[str, int] | None":
        """{accelerator: nodes that ran there}, for a session with a trace; ends the trace.

        None if the nodes may be split but the trace does not show how.
        """
        events, nodes = [], {}
        try:
            with open(self._native.end_profiling()) as file:
                events = json.load(file)
        except (AttributeError, OSError, ValueError):  # no trace, or an older runtime's trace is truncated
            pass
        for event in events:
            provider = event.get("args", {}).get("provider")
            if event.get("cat") == "Node" and provider:
                nodes[event["name"]] = _NAMES.get(provider, provider)
        names = list(nodes.values())
        return {name: names.count(name) for name in sorted(set(names))} or (None if self._split else {})

    def close(self) -> "None":
        """Frees the session."""
        self._native = None
