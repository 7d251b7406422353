"""Runs an IR v10 artifact on a board with OpenVINO 2021.4's Inference Engine, the last that supports the Intel NCS2.

Python 3.6 syntax, lazy imports.
"""

# ruff: noqa: B905, ARG001 - zip has no `strict` in Python 3.6; all runners have the same functions
import contextlib
import os

from edgewright_agent import shapes

_DEVICES = (("cpu", "CPU"), ("gpu", "GPU"), ("myriad", "MYRIAD"))
_DTYPES = {
    "FP32": "float32", "FP16": "float16", "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
    "U64": "uint64", "U16": "uint16", "U8": "uint8", "BOOL": "uint8",
}  # fmt: skip


class AcceleratorAbsent(ValueError):
    """The accelerator cannot be opened; `hint` says what to check."""

    def __init__(self, message: "str", hint: "str") -> "None":
        super(AcceleratorAbsent, self).__init__(message)
        self.hint = hint


def _core() -> "shapes.Native":
    """The Inference Engine. Raises ImportError if openvino is missing or of another generation."""
    from openvino.inference_engine import IECore

    return IECore()


def import_runtime() -> "str":
    """Imports the runtime. Returns its distribution and version: `openvino 2021.4.2`."""
    from openvino.inference_engine import get_version

    return "openvino %s" % get_version().split("-")[0]


def accelerators() -> "list[str]":
    """Names that a load may try, `cpu` first.

    `myriad` is always among them: only opening it tells for certain whether there is a stick.
    """
    present = [*_present(_core()), "MYRIAD"]
    return [name for name, device in _DEVICES if device in present]


def _present(core: "shapes.Native") -> "list[str]":
    """The devices that answer now."""
    return [device.split(".")[0] for device in core.available_devices]


def prepare(folder: "str", manifest: "shapes.Manifest", options: "shapes.Options") -> "dict[str, str]":
    """Nothing is built on the board."""
    return {}


def load(folder: "str", manifest: "shapes.Manifest", options: "shapes.Options") -> "Session":
    """A Session over the artifact in `folder`.

    Args:
        manifest: the manifest as a dict; `inputs` and `outputs` give order and dtypes.
        options: `threads` (int), `accelerator` (a name of `accelerators()`, None, or `auto`), `prepared` (not used).

    Raises:
        AcceleratorAbsent: the accelerator cannot be opened.
    """
    core = _core()
    wanted = options.get("accelerator") or "cpu"
    if wanted == "auto":
        wanted = "myriad" if "MYRIAD" in _present(core) else "cpu"
    device = dict(_DEVICES).get(wanted)
    if device is None:
        message = "accelerator not known to this runtime: %s" % wanted
        raise AcceleratorAbsent(message, "it knows cpu, gpu and myriad")
    if device == "MYRIAD":
        problem = plugin_problem(core)
        if problem:
            raise AcceleratorAbsent(*problem)
    network = core.read_network(os.path.join(folder, manifest["entry"]))
    settings = {}
    if device == "CPU":  # f32 arithmetic, as recent CPUs default to bf16
        settings = {"CPU_THREADS_NUM": str(int(options.get("threads") or 1)), "ENFORCE_BF16": "NO"}
    return Session(_loaded(core, network, device, settings), manifest, wanted)


def _loaded(
    core: "shapes.Native", network: "shapes.Native", device: "str", settings: "dict[str, str]"
) -> "shapes.Native":
    """The network on a device, for one inference at a time."""
    if device != "MYRIAD":
        return core.load_network(network, device, settings, num_requests=1)
    try:
        with _mute():
            return core.load_network(network, device, settings, num_requests=1)
    except RuntimeError as error:
        said = str(error).strip()
        if "Can not init Myriad device" not in said:
            raise
        raise AcceleratorAbsent(
            "the neural compute stick cannot be opened: %s" % said.splitlines()[0],
            "is the stick plugged in, and does a udev rule for USB vendor 03e7 let this user open it",
        )


def plugin_problem(core: "shapes.Native") -> "tuple[str, str] | None":
    """(message, hint) if the plugin for the stick does not load, else None."""
    _find_libusb()
    try:
        core.get_versions("MYRIAD")
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        message = "the plugin of the neural compute stick does not load: %s" % lines[-1][-300:]
        lacks_usb = "libusb" in message
        return message, "install libusb-1.0 on the board" if lacks_usb else "provision the runtime again"
    return None


def _find_libusb() -> "None":
    """Loads libusb, which the plugin links to: the system's, or else the one that comes with the runtime."""
    try:
        import ctypes
    except ImportError:
        return  # the linker then has to find it
    try:
        ctypes.CDLL("libusb-1.0.so.0", mode=ctypes.RTLD_GLOBAL)
    except OSError:
        try:
            import libusb_package

            found = os.path.join(os.path.dirname(libusb_package.__file__), "libusb-1.0.so")
            ctypes.CDLL(found, mode=ctypes.RTLD_GLOBAL)
        except (ImportError, OSError):
            pass


@contextlib.contextmanager
def _mute() -> "shapes.Iterator[None]":
    """Redirects descriptors 1 and 2 to /dev/null: without USB, the plugin prints a line every microsecond for seconds."""
    null = os.open(os.devnull, os.O_WRONLY)
    kept = os.dup(1), os.dup(2)
    os.dup2(null, 1)
    os.dup2(null, 2)
    try:
        yield
    finally:
        for number, descriptor in enumerate(kept, 1):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.close(null)


class Session:
    """One loaded network. `accelerator` is the one that is really used."""

    def __init__(self, network: "shapes.Native", manifest: "shapes.Manifest", accelerator: "str") -> "None":
        self.accelerator = accelerator
        self._network = network
        self._request = network.requests[0]
        self._inputs = [spec.get("tensor", spec["name"]) for spec in manifest["inputs"]]
        self._outputs = [spec.get("tensor", spec["name"]) for spec in manifest["outputs"]]
        _check_names(self._inputs, network.input_info, "input")
        _check_names(self._outputs, network.outputs, "output")
        self._specs = [
            (spec["dtype"], spec["shape"], _DTYPES[network.input_info[name].precision])
            for name, spec in zip(self._inputs, manifest["inputs"])
        ]
        self._dtypes = [spec["dtype"] for spec in manifest["outputs"]]

    def feed(self, tensors: "shapes.Sequence[bytes]") -> "dict[str, shapes.Native]":
        """Converts bytes of each input, in the manifest's order, to the native feed."""
        import numpy

        return {
            name: numpy.frombuffer(bytes(data), dtype=dtype).reshape(shape).astype(native)
            for data, name, (dtype, shape, native) in zip(tensors, self._inputs, self._specs)
        }

    def infer(self, feed: "dict[str, shapes.Native]") -> "list[shapes.Native]":
        """Runs one inference: inputs in, every output out."""
        self._request.infer(feed)
        blobs = self._request.output_blobs
        return [blobs[name].buffer for name in self._outputs]

    def read(self, outputs: "list[shapes.Native]") -> "list[bytes]":
        """Converts native outputs to bytes of each output, in the manifest's order and dtype."""
        import numpy

        return [
            numpy.ascontiguousarray(output, dtype=dtype).tobytes()
            for output, dtype in zip(outputs, self._dtypes)
        ]

    def close(self) -> "None":
        """Frees the network, and the stick."""
        self._request = None
        self._network = None


def _check_names(names: "shapes.Iterable[str]", there: "shapes.Iterable[str]", kind: "str") -> "None":
    if sorted(names) != sorted(there):
        raise ValueError(
            "%ss differ from the manifest: %s instead of %s" % (kind, sorted(there), sorted(names))
        )
