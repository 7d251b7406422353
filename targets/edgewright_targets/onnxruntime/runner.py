"""Runs an .onnx artifact on a board by ONNX Runtime. Python 3.6, standard library alone until `load`."""

# ruff: noqa: B905 - zip has no `strict` in Python 3.6
import json
import os

from edgewright_agent import shapes

_PROVIDERS = (  # slowest first
    ("cpu", "CPUExecutionProvider"),
    ("cuda", "CUDAExecutionProvider"),
    ("tensorrt", "TensorrtExecutionProvider"),
)
_NAMES = {provider: name for name, provider in _PROVIDERS}
_CPUINFO = "/proc/cpuinfo"
_VNNI = {"avx512_vnni", "avx_vnni"}  # its flags for sums of 8-bit products in 32 bits
_FORCED = "EDGEWRIGHT_X86_VNNI"
_EXACT = "session.x64quantprecision"  # known from 1.13 on; older versions ignore it
_MAKE = 1  # raised when `prepare` makes something else of the same model


def import_runtime() -> "str":
    """Imports the runtime. Returns its distribution and version, such as `onnxruntime 1.19.2`."""
    import onnxruntime

    return "onnxruntime %s" % onnxruntime.__version__


def accelerators() -> "list[str]":
    """Names usable now, `cpu` first."""
    import onnxruntime

    available = onnxruntime.get_available_providers()
    return [name for name, provider in _PROVIDERS if provider in available]


def prepares(options: "shapes.Options") -> "bool":
    """Whether `prepare` may have something to make: TensorRT's engines, which take minutes."""
    return options.get("accelerator") in ("tensorrt", "auto")


def environment(options: "shapes.Options") -> "shapes.Result":
    """What prepared files depend on, besides the model; empty where nothing is prepared."""
    import onnxruntime

    if _chain(options)[0] != "tensorrt":
        return {}
    # packed beside this one
    from edgewright_targets._cuda import device

    needs = dict(device.board(), tensorrt=device.installed())
    return dict(needs, make=_MAKE, onnxruntime=onnxruntime.__version__)


def prepare(folder: "str", manifest: "shapes.Manifest", options: "shapes.Options") -> "dict[str, str]":
    """Has TensorRT build its engines into `options["prepared"]`, which a session does that has an empty cache there.

    Returns:
        `{"accelerator": name}` where the model runs on another one: TensorRT does not start here, or no part of
        the model is for it.
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
        options: `threads` (int), `accelerator` (a name of `accelerators()`, None, or `auto`: the fastest there
            is), `prepared` (folder of TensorRT's engines), `trace` (path prefix of files that may be written to
            learn which node ran where; it costs time), `exact` (see `saturates`).

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
    # the runtime falls back by itself where a provider does not start: the session says what really runs
    return Session(native, manifest, _NAMES[native.get_providers()[0]])


def opened(
    model: "str | bytes",
    settings: "shapes.Native",
    providers: "list[shapes.Provider]",
    options: "shapes.Options",
) -> "shapes.Native":
    """An InferenceSession that sums 8-bit products exactly, where the CPU and the runtime's version allow it.

    Args:
        model: a path, or the model's bytes.
        options: `exact` as in `saturates`.
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
    # No exact way: QLinear operators with signed activations, which do not saturate, and in 1.32 (not in 1.23) weights
    # that share a zero point. With basic optimisations alone Q and DQ stand around arithmetic in floats.
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    return onnxruntime.InferenceSession(model, sess_options=settings, providers=providers)


def saturates(options: "shapes.Options") -> "bool":
    """Whether to take it that this CPU sums 8-bit products in 16 bits, two by two: x86 without VNNI.

    The exact way is slower, so it is left to these. EDGEWRIGHT_X86_VNNI, 0 or 1, says whether there is VNNI in place of
    the CPU's flags. With `exact` among the options a 1 is not believed: for verdicts that hold for other machines.
    """
    if os.uname()[4] != "x86_64":
        return False
    forced = os.environ.get(_FORCED)
    if forced == "0" or (forced == "1" and not options.get("exact")):
        return forced == "0"
    try:
        with open(_CPUINFO) as file:
            flags = next((line for line in file if line.startswith("flags")), "")
    except OSError:
        flags = ""
    return not _VNNI & set(flags.split())


def _chain(options: "shapes.Options") -> "list[str]":
    """The accelerator, then those that may take the nodes it cannot do."""
    usable = accelerators()
    wanted = options.get("accelerator") or "cpu"
    if wanted == "auto":
        wanted = usable[-1]
    if wanted not in usable:
        raise ValueError("accelerator not available to this runtime: %s" % wanted)
    return usable[: usable.index(wanted) + 1][::-1]


def _configured(name: "str", manifest: "shapes.Manifest", options: "shapes.Options") -> "shapes.Provider":
    """A provider as the runtime takes it, with its options where it has any."""
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
    """What the file calls a tensor."""
    return spec.get("tensor", spec["name"])


class Session:
    """One loaded model. `accelerator` is what really runs."""

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
        """Bytes of each input, in the manifest's order -> the native feed."""
        import numpy

        return {
            name: numpy.frombuffer(bytes(data), dtype=dtype).reshape(shape)
            for data, (name, dtype, shape) in zip(tensors, self._specs)
        }

    def infer(self, feed: "dict[str, shapes.Native]") -> "list[shapes.Native]":
        """One inference: inputs in, every output out."""
        outputs: "list[shapes.Native]" = self._native.run(self._names, feed)
        return outputs

    def read(self, outputs: "list[shapes.Native]") -> "list[bytes]":
        """Native outputs -> bytes of each, in the manifest's order and dtype."""
        import numpy

        return [
            numpy.ascontiguousarray(output, dtype=dtype).tobytes()
            for output, dtype in zip(outputs, self._dtypes)
        ]

    def placement(self) -> "dict[str, int] | None":
        """{accelerator: nodes that ran there}, of a session with a trace; it ends the trace.

        None: the nodes may be split, and the trace does not say how.
        """
        events, nodes = [], {}
        try:
            with open(self._native.end_profiling()) as file:
                events = json.load(file)
        except (AttributeError, OSError, ValueError):  # no trace, or an older runtime's is cut short
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
