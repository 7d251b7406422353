"""Runs machine code that TVM compiled. Python 3.6, standard library only until `load`.

It calls two libraries of TVM by ctypes, so that a board needs neither numpy nor TVM's Python package.
"""

# ruff: noqa: B905, ARG001 - zip has no `strict` in Python 3.6; all runners have the same functions
import json
import os
import sys

from edgewright_agent import shapes
from edgewright_targets.tvm import native

ENDS = "ends.json"
_DEVICE_CPU, _POOLED = 1, 2
_BIG_CORES = 1  # the mode of TVM's pool of threads
# How often a thread without work yields before it sleeps. By default 300000 times, also as the process ends: on a busy board that takes minutes.
_SPINS = "200"
_loaded = []  # type: list[native.Library]


class ModelRefused(RuntimeError):
    """The installed runtime cannot load the file."""

    hint = "convert the model again for this release of TVM, or take another target"


def import_runtime() -> "str":
    """Loads the runtime. Returns its distribution and version, such as `apache-tvm 0.27.0.post1`."""
    return "apache-tvm %s" % library(sys.path).version


def library(folders: "shapes.Sequence[str]") -> "native.Library":
    """The runtime, loaded at the first call. Raises ImportError if it is in none of the folders."""
    if not _loaded:
        _loaded.append(native.Library(folders))
    return _loaded[0]


def accelerators() -> "list[str]":
    """Names of accelerators that are usable now: models are compiled for CPUs only."""
    return ["cpu"]


def prepare(folder: "str", manifest: "shapes.Manifest", options: "shapes.Options") -> "dict[str, str]":
    """Nothing is built on the board."""
    return {}


def load(folder: "str", manifest: "shapes.Manifest", options: "shapes.Options") -> "Session":
    """A Session over the artifact in `folder`.

    Args:
        manifest: the manifest as a dict; `inputs` and `outputs` give order, shapes and dtypes.
        options: `threads` (int), `accelerator` (`cpu`, `auto` or None), `prepared` (not used).

    Raises:
        ValueError: the accelerator is not one of `accelerators()`, or tensors do not match the manifest.
        ModelRefused: the runtime cannot load the file.
    """
    wanted = options.get("accelerator") or "cpu"
    if wanted not in ("cpu", "auto"):
        raise ValueError("accelerator not available to this runtime: %s" % wanted)
    with open(os.path.join(folder, ENDS)) as file:
        ends = json.load(file)
    places = [_places(manifest[kind], ends[kind], kind) for kind in ("inputs", "outputs")]
    runtime = library(sys.path)
    _use(runtime, int(options.get("threads") or 1))
    path = os.path.abspath(os.path.join(folder, manifest["entry"]))
    if not native.is_whole(path):
        raise ModelRefused("TVM cannot load the model: %s is damaged" % manifest["entry"])
    try:
        machine = _machine(runtime, path.encode("utf-8", "surrogateescape"))
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no message"]
        raise ModelRefused("TVM cannot load the model: %s" % lines[-1][:300])
    return Session(runtime, machine, manifest, places)


def _use(runtime: "native.Library", threads: "int") -> "None":
    """Sets the number of threads, this one included. They are bound to no core: a board's other programs share these."""
    os.environ["TVM_NUM_THREADS"] = str(threads)  # the most; read as the pool is made
    os.environ["TVM_BIND_THREADS"] = "0"
    os.environ["TVM_THREAD_POOL_SPIN_COUNT"] = _SPINS
    runtime.call(runtime.function("runtime.config_threadpool"), _BIG_CORES, threads)


def _machine(runtime: "native.Library", path: "bytes") -> "native.Handle":
    """The virtual machine that calls the functions of a model's library, for the CPU."""
    module = runtime.call(runtime.function("ffi.ModuleLoadFromFile"), path)
    machine: "native.Handle" = runtime.call(_function(runtime, module, b"vm_load_executable"))
    runtime.call(_function(runtime, machine, b"vm_initialization"), _DEVICE_CPU, 0, _POOLED)
    return machine


def _function(runtime: "native.Library", module: "native.Handle", name: "bytes") -> "native.Handle":
    """A function of a module."""
    found = runtime.call(runtime.function("ffi.ModuleGetFunction"), module, name, False)
    if not isinstance(found, native.Handle):
        raise RuntimeError("no function %s" % name.decode("ascii"))
    return found


def _places(specs: "list[shapes.Spec]", ends: "list[shapes.Spec]", kind: "str") -> "list[int]":
    """The place of each tensor of the manifest among those of the compiled function."""
    names, found = [end["name"] for end in ends], [spec.get("tensor", spec["name"]) for spec in specs]
    if sorted(found) != sorted(names):
        different = sorted(set(found) ^ set(names)) or ["%d instead of %d" % (len(found), len(names))]
        raise ValueError("%s differ from the manifest: %s" % (kind, ", ".join(different)))
    return [names.index(name) for name in found]


class Session:
    """One loaded model. `accelerator` is the one that is really used."""

    def __init__(
        self,
        runtime: "native.Library",
        machine: "native.Handle",
        manifest: "shapes.Manifest",
        places: "list[list[int]]",
    ) -> "None":
        self.accelerator = "cpu"
        self._runtime = runtime
        self._main = _function(runtime, machine, b"main")  # it holds the machine
        self._allocate = runtime.function("runtime.TVMTensorAllocWithScope")
        self._item = runtime.function("ffi.ArrayGetItem")
        shape = runtime.function("ffi.Shape")
        self._inputs = [(runtime.call(shape, *spec["shape"]), spec["dtype"]) for spec in manifest["inputs"]]
        self._order, self._outputs = places

    def feed(self, tensors: "shapes.Sequence[bytes]") -> "list[native.Handle]":
        """Converts bytes of each input, in the manifest's order, to the native feed. It copies them to aligned memory."""
        made = {}
        for data, (shape, dtype), place in zip(tensors, self._inputs, self._order):
            made[place] = self._runtime.tensor(self._allocate, shape, dtype, bytes(data))
        return [made[place] for place in sorted(made)]

    def infer(self, feed: "list[native.Handle]") -> "native.Handle":
        """Runs one inference: inputs in, every output out."""
        found: "native.Handle" = self._runtime.call(self._main, *feed)
        return found

    def read(self, outputs: "native.Handle") -> "list[bytes]":
        """Converts native outputs to bytes of each output, in the manifest's order and dtype."""
        if not native.is_array(outputs):
            return [native.content(outputs) for _ in self._outputs]
        return [native.content(self._runtime.call(self._item, outputs, place)) for place in self._outputs]

    def close(self) -> "None":
        """Frees the model."""
        self._main = self._allocate = self._item = None  # type: ignore[assignment]
        self._inputs = []
