"""Runs an .onnx artifact on a board by ONNX Runtime. Python 3.6, standard library alone until `load`."""

# ruff: noqa: B905, ARG001 - zip has no `strict` in Python 3.6; all runners have the same functions
import os

_PROVIDERS = (
    ("cpu", "CPUExecutionProvider"),
    ("cuda", "CUDAExecutionProvider"),
    ("tensorrt", "TensorrtExecutionProvider"),
)


def import_runtime():
    """Imports the runtime. Returns its distribution and version, such as `onnxruntime 1.19.2`."""
    import onnxruntime

    return "onnxruntime " + onnxruntime.__version__


def accelerators():
    """Names usable now, `cpu` first."""
    import onnxruntime

    available = onnxruntime.get_available_providers()
    return [name for name, provider in _PROVIDERS if provider in available]


def prepare(folder, manifest, options):
    """Nothing is built on the board."""
    return {}


def load(folder, manifest, options):
    """A Session over the artifact in `folder`.

    Args:
        manifest: the manifest as a dict; `inputs` and `outputs` give order and dtypes.
        options: `threads` (int), `accelerator` (a name of `accelerators()` or None), `prepared` (not used).

    Raises:
        ValueError: the accelerator is absent.
    """
    import onnxruntime

    wanted = options.get("accelerator") or "cpu"
    provider = dict(_PROVIDERS).get(wanted)
    if provider is None or provider not in onnxruntime.get_available_providers():
        raise ValueError("accelerator not available to this runtime: %s" % wanted)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = int(options.get("threads") or 1)
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    path = os.path.join(folder, manifest["entry"])
    native = onnxruntime.InferenceSession(path, sess_options=settings, providers=_chain(provider))
    # the runtime falls back by itself where a provider does not start: the session says what really runs
    return Session(native, manifest, wanted if provider in native.get_providers() else "cpu")


def _chain(provider):
    """The provider, then those that may take the nodes it cannot do."""
    if provider == "CPUExecutionProvider":
        return [provider]
    return [provider, "CPUExecutionProvider"]


class Session:
    """One loaded model. `accelerator` is what really runs."""

    def __init__(self, native, manifest, accelerator):
        self.accelerator = accelerator
        self._native = native
        self._specs = [(spec["name"], spec["dtype"], spec["shape"]) for spec in manifest["inputs"]]
        self._names = [spec["name"] for spec in manifest["outputs"]]
        self._dtypes = [spec["dtype"] for spec in manifest["outputs"]]
        missing = {name for name, _, _ in self._specs} ^ {item.name for item in native.get_inputs()}
        missing |= set(self._names) - {item.name for item in native.get_outputs()}
        if missing:
            raise ValueError("tensors differ from the manifest: %s" % ", ".join(sorted(missing)))

    def feed(self, tensors):
        """Bytes of each input, in the manifest's order -> the native feed."""
        import numpy

        return {
            name: numpy.frombuffer(bytes(data), dtype=dtype).reshape(shape)
            for data, (name, dtype, shape) in zip(tensors, self._specs)
        }

    def infer(self, feed):
        """One inference: inputs in, every output out."""
        return self._native.run(self._names, feed)

    def read(self, outputs):
        """Native outputs -> bytes of each, in the manifest's order and dtype."""
        import numpy

        return [
            numpy.ascontiguousarray(output, dtype=dtype).tobytes()
            for output, dtype in zip(outputs, self._dtypes)
        ]

    def close(self):
        """Frees the session."""
        self._native = None
