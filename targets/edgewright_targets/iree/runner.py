"""Runs machine code that IREE compiled. Python 3.6, standard library only until `load`.

It calls the extension module of IREE's runtime, not the Python code around it, so that a board needs no numpy.
"""

# ruff: noqa: B905, ARG001 - zip has no `strict` in Python 3.6; all runners have the same functions
import json
import mmap
import os
import sys
import types

from edgewright_agent import shapes

ENDS = "ends.json"
# the extension looks these up in numpy as it loads; it asks for more only where arrays are passed, which no one does here
_NUMPY_TYPES = ("bool_", "int8", "int16", "int32", "int64", "float32", "float64")
_ELEMENTS = {
    "bool": "BOOL_8", "float16": "FLOAT_16", "float32": "FLOAT_32", "float64": "FLOAT_64",
    "int8": "INT_8", "int16": "INT_16", "int32": "INT_32", "int64": "INT_64",
    "uint8": "INT_8", "uint16": "INT_16", "uint32": "INT_32", "uint64": "INT_64",  # code does not tell them apart
}  # fmt: skip


class ModelRefused(RuntimeError):
    """The installed runtime cannot load the file."""

    hint = "convert the model again for this release of IREE, or take another target"


def import_runtime() -> "str":
    """Imports the runtime. Returns its distribution and version, such as `iree-base-runtime 3.13.0`."""
    _extension()
    from iree._runtime_libs import version

    return "iree-base-runtime %s" % version.VERSION.partition("rc")[0]


def _extension() -> "shapes.Native":
    """The extension module, imported with a stand-in for numpy where that is not imported already."""
    if "numpy" in sys.modules:
        from iree._runtime_libs import _runtime

        return _runtime
    stand_in = types.ModuleType("numpy")
    for name in _NUMPY_TYPES:
        setattr(stand_in, name, name)
    sys.modules["numpy"] = stand_in
    try:
        from iree._runtime_libs import _runtime
    finally:
        del sys.modules["numpy"]
    return _runtime


def accelerators() -> "list[str]":
    """Names of accelerators that are usable now: models are compiled for CPUs only."""
    return ["cpu"]


def prepare(folder: "str", manifest: "shapes.Manifest", options: "shapes.Options") -> "dict[str, str]":
    """Nothing is built on the board."""
    return {}


def load(folder: "str", manifest: "shapes.Manifest", options: "shapes.Options") -> "Session":
    """A Session over the artifact in `folder`.

    Args:
        manifest: the manifest as a dict; `inputs` and `outputs` give order and dtypes.
        options: `threads` (int), `accelerator` (`cpu`, `auto` or None), `prepared` (not used), `exact` (as the host compares:
            in this thread alone).

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
    runtime = _extension()
    # IREE's pool of threads has been seen to wait for ever, on the host, where no limit of an agent ends it
    threads = 1 if options.get("exact") else int(options.get("threads") or 1)
    instance, device = runtime.VmInstance(), _device(runtime, threads)
    try:
        module = runtime.VmModule.wrap_buffer(instance, _mapped(os.path.join(folder, manifest["entry"])))
        context = runtime.VmContext(instance, [runtime.create_hal_module(instance, device), module])
    except (RuntimeError, ValueError) as error:
        raise ModelRefused("IREE cannot load the model: %s" % str(error).strip().splitlines()[-1][:300])
    return Session(runtime, device, context, module, manifest, places)


def _device(runtime: "shapes.Native", threads: "int") -> "shapes.Native":
    """The CPU: this thread alone, or a pool of N threads."""
    if threads == 1:
        return runtime.create_hal_driver("local-sync").create_default_device()
    runtime.parse_flags("--task_topology_group_count=%d" % threads)  # of this process; the driver reads it
    return runtime.create_hal_driver("local-task").create_default_device()


def _mapped(path: "str") -> "mmap.mmap":
    """The file in memory. IREE's own function opens it for writing, which a release does not allow."""
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _places(specs: "list[shapes.Spec]", ends: "list[shapes.Spec]", kind: "str") -> "list[int]":
    """The place of each tensor of the manifest among those of the compiled function."""
    names, found = [end["name"] for end in ends], [spec.get("tensor", spec["name"]) for spec in specs]
    if sorted(found) != sorted(names):
        different = sorted(set(found) ^ set(names)) or ["%d instead of %d" % (len(found), len(names))]
        raise ValueError("%s differ from the manifest: %s" % (kind, ", ".join(different)))
    return [names.index(name) for name in found]


def _entry(module: "shapes.Native") -> "str":
    """The name of the model's function, which the compiler takes from the graph: the one with an asynchronous twin."""
    names: "list[str]" = list(module.function_names)
    return next(name for name in names if name + "$async" in names)


class Held(object):
    """Tensors with the device that their memory is from. Freed after their device, they would crash the process: they keep it."""

    def __init__(self, device: "shapes.Native", tensors: "shapes.Native") -> "None":
        self.tensors = tensors
        self._device = device  # attributes are freed in this order


class Session:
    """One loaded model. `accelerator` is the one that is really used."""

    def __init__(
        self,
        runtime: "shapes.Native",
        device: "shapes.Native",
        context: "shapes.Native",
        module: "shapes.Native",
        manifest: "shapes.Manifest",
        places: "list[list[int]]",
    ) -> "None":
        self.accelerator = "cpu"
        self._runtime, self._device, self._context = runtime, device, context
        self._function = module.lookup_function(_entry(module))
        self._inputs = [
            (spec["shape"], getattr(runtime.HalElementType, _ELEMENTS[spec["dtype"]]))
            for spec in manifest["inputs"]
        ]
        self._order, self._outputs = places

    def feed(self, tensors: "shapes.Sequence[bytes]") -> "Held":
        """Converts bytes of each input, in the manifest's order, to the native feed. It copies them to aligned memory."""
        runtime, views = self._runtime, {}
        memory = runtime.MemoryType.DEVICE_LOCAL | runtime.MemoryType.HOST_VISIBLE
        usage = runtime.BufferUsage.DEFAULT | runtime.BufferUsage.MAPPING
        for data, (shape, element), place in zip(tensors, self._inputs, self._order):
            buffer = self._device.allocator.allocate_buffer_copy(memory, usage, self._device, bytes(data))
            views[place] = runtime.HalBufferView(buffer, shape, element)
        feed = runtime.VmVariantList(len(views))
        for place in sorted(views):
            feed.push_ref(views[place])
        return Held(self._device, feed)

    def infer(self, feed: "Held") -> "Held":
        """Runs one inference: inputs in, every output out."""
        outputs = self._runtime.VmVariantList(len(self._outputs))
        self._context.invoke(self._function, feed.tensors, outputs)
        return Held(self._device, outputs)

    def read(self, outputs: "Held") -> "list[bytes]":
        """Converts native outputs to bytes of each output, in the manifest's order and dtype."""
        views = [outputs.tensors.get_as_object(place, self._runtime.HalBufferView) for place in self._outputs]
        return [memoryview(view.map()).tobytes() for view in views]

    def close(self) -> "None":
        """Frees the model."""
        self._function = self._context = self._device = None
