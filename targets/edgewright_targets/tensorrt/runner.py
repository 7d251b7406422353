"""Builds a TensorRT engine on a board, and runs it. Python 3.6, standard library only until `load`.

It supports TensorRT 8 (JetPack 4 and 5), 10 (JetPack 6) and 11. An engine works on one kind of GPU and with one version, so
`prepare` builds it where it runs. GPU buffers are allocated with CUDA through ctypes: TensorRT's Python package has none.
"""

# ruff: noqa: B905, ARG001, ARG002 - zip has no `strict` in Python 3.6; others say what the functions take
import json
import os
from array import array

from edgewright_agent import shapes
from edgewright_targets._cuda import device  # packed with this module

ENGINE = "engine.plan"
_LEAST_MB, _MOST_MB = 64, 2048  # of the workspace
_PART = 4  # of the free memory: the rest is for weights, candidates that are timed, and the system
_MAKE = 1  # raise it if `prepare` builds something else from the same model
_CODES = {  # TensorRT's types of inputs and outputs: numpy's name, and the type code of `array`
    "FLOAT": ("float32", "f"),
    "HALF": ("float16", None),
    "INT8": ("int8", "b"),
    "UINT8": ("uint8", "B"),
    "BOOL": ("bool", "B"),
    "INT32": ("int32", "i"),
    "INT64": ("int64", "q"),
}
_TYPE_CODES = {name: code for name, code in _CODES.values() if code}
_TYPE_CODES["float64"] = "d"


def import_runtime() -> "str":
    """Imports the runtime. Returns its distribution and version, such as `tensorrt 8.5.2.2`."""
    import tensorrt

    return "tensorrt %s" % tensorrt.__version__


def accelerators() -> "list[str]":
    """`cuda`, if there is a working GPU; TensorRT supports no other accelerator."""
    try:
        return ["cuda"] if device.Cuda().devices() else []
    except OSError:
        return []


def prepares(options: "shapes.Options") -> "bool":
    """Whether `prepare` has work to do: always, as it builds an engine."""
    return True


def environment(options: "shapes.Options") -> "shapes.Result":
    """What an engine depends on besides the model."""
    import tensorrt

    return dict(device.board(), make=_MAKE, tensorrt=tensorrt.__version__)


def prepare(folder: "str", manifest: "shapes.Manifest", options: "shapes.Options") -> "dict[str, str]":
    """Builds the engine from the artifact's recipe, into `options["prepared"]`.

    Raises:
        ValueError: TensorRT cannot read the model, or the board does not support its precision.
        OSError: the disk is full.
    """
    import tensorrt as trt

    with open(os.path.join(folder, "recipe.json")) as file:
        recipe = json.load(file)
    plan = _build(trt, folder, recipe)
    with open(_engine(options), "wb") as file:
        file.write(plan)
    return {}


def _build(trt: "shapes.Native", folder: "str", recipe: "shapes.Unchecked") -> "shapes.Native":
    """The bytes of an engine."""
    major = int(trt.__version__.split(".")[0])
    style = recipe["styles"]["8" if major < 10 else "10"]
    logger = trt.Logger(trt.Logger.WARNING)
    builder = trt.Builder(logger)
    network = builder.create_network(
        1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH) if major < 10 else 0
    )
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(os.path.join(folder, style["model"])):
        errors = [parser.get_error(index).desc() for index in range(parser.num_errors)]
        raise ValueError("TensorRT cannot read the model: %s" % "; ".join(errors)[:1000])
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)  # TF32 would be less exact than fp32
    _limit(trt, config, workspace_mb(recipe, _free_mb()) * 1024 * 1024)
    if major < 11:  # later versions take every type from the model
        _allow(trt, builder, config, folder, style)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise ValueError("TensorRT built no engine; its log says why")
    return plan


def _free_mb() -> "int":
    """MiB of memory that a Jetson has free; 0 on other boards, whose GPU has its own, or if it is not known."""
    try:
        with open("/proc/meminfo") as file:
            lines = [line.split() for line in file]
    except OSError:
        return 0
    free = [int(line[1]) // 1024 for line in lines if line[0] == "MemAvailable:"]
    return free[0] if free and device.jetpack() else 0


def workspace_mb(recipe: "shapes.Unchecked", free_mb: "int") -> "int":
    """MiB that a layer may use: a quarter of what is free, within limits; the recipe's if that is not known.

    An engine build that uses up the memory of a Jetson is killed (NVIDIA/TensorRT#1404). Not run on hardware.
    """
    if not free_mb:
        return int(recipe["workspace_mb"])
    return max(_LEAST_MB, min(_MOST_MB, free_mb // _PART))


def _limit(trt: "shapes.Native", config: "shapes.Native", workspace: "int") -> "None":
    """Limits the bytes that a layer may use besides its inputs and outputs; 8.2 has only the older function."""
    if hasattr(config, "set_memory_pool_limit"):
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace)
    else:
        config.max_workspace_size = workspace


def _allow(
    trt: "shapes.Native",
    builder: "shapes.Native",
    config: "shapes.Native",
    folder: "str",
    style: "shapes.Unchecked",
) -> "None":
    """Lets the builder use the style's types; int8 with the ranges of a cache, if the style has one."""
    if "INT8" in style["types"] and not builder.platform_has_fast_int8:
        raise ValueError("this board's GPU has no 8-bit arithmetic; convert the model as fp16")
    if "INT8" in style["types"]:
        config.set_flag(trt.BuilderFlag.INT8)
    if "FP16" in style["types"]:
        config.set_flag(trt.BuilderFlag.FP16)
    if style.get("calibration"):
        with open(os.path.join(folder, style["calibration"]), "rb") as file:
            config.int8_calibrator = _calibrator(trt, file.read())


def _calibrator(trt: "shapes.Native", cache: "bytes") -> "shapes.Native":
    """A calibrator that only has the ranges that the host measured.

    Args:
        cache: a line that names version and method, then `<tensor>: <scale, a big-endian float in hex>` lines.
            TensorRT ignores the cache of another version, so the line is rewritten for this one.
    """
    numbers = [int(part) for part in trt.__version__.split(".")[:3]]
    title = "TRT-%d-EntropyCalibration2\n" % (numbers[0] * 1000 + numbers[1] * 100 + numbers[2])
    text = title.encode("ascii") + cache.split(b"\n", 1)[1]

    class Ranges(trt.IInt8EntropyCalibrator2):  # type: ignore[misc] # TensorRT has no types
        def __init__(self) -> "None":
            trt.IInt8EntropyCalibrator2.__init__(self)

        def get_batch_size(self) -> "int":
            return 1

        def get_batch(self, names: "list[str]") -> "None":
            return None  # no samples: if TensorRT rejects the cache, it fails rather than guesses

        def read_calibration_cache(self) -> "bytes":
            return text

        def write_calibration_cache(self, cache: "object") -> "None":
            return None

    return Ranges()


def load(folder: "str", manifest: "shapes.Manifest", options: "shapes.Options") -> "Session":
    """A Session over the engine in `options["prepared"]`.

    Raises:
        ValueError: there is no engine, it is for another board, or its inputs and outputs do not match the manifest.
    """
    import tensorrt as trt

    path = _engine(options)
    logger = trt.Logger(trt.Logger.WARNING)
    runtime = trt.Runtime(logger)
    with open(path, "rb") as file:
        engine = runtime.deserialize_cuda_engine(file.read())
    if engine is None:
        raise ValueError("TensorRT does not take the engine that was built here; its log says why")
    major = int(trt.__version__.split(".")[0])
    tensors = _bindings(engine) if major < 10 else _tensors(trt, engine)
    return Session(engine, tensors, manifest, (logger, runtime))


def _engine(options: "shapes.Options") -> "str":
    """The path of the engine."""
    folder = options.get("prepared")
    if not folder:
        raise ValueError("there is no engine: the board builds it when the release is verified")
    return os.path.join(folder, ENGINE)


def _bindings(engine: "shapes.Native") -> "list[shapes.Binding]":
    """[(name, is an input, type, shape)] in the order of the buffers, for TensorRT 8."""
    return [
        (
            engine.get_binding_name(index),
            engine.binding_is_input(index),
            engine.get_binding_dtype(index).name,
            tuple(engine.get_binding_shape(index)),
        )
        for index in range(engine.num_bindings)
    ]


def _tensors(trt: "shapes.Native", engine: "shapes.Native") -> "list[shapes.Binding]":
    """As `_bindings`, for TensorRT 10 and later."""
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    return [
        (
            name,
            engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT,
            engine.get_tensor_dtype(name).name,
            tuple(engine.get_tensor_shape(name)),
        )
        for name in names
    ]


class _Tensor:
    """An input or output: its index in the manifest, its types in manifest and engine, its GPU memory."""

    def __init__(
        self, spec: "shapes.Spec", kind: "str", shape: "shapes.Sizes", cuda: "device.Cuda"
    ) -> "None":
        wanted, count = spec["dtype"], 1
        for length in shape:
            count *= length
        if list(shape) != list(spec["shape"]) or kind not in _CODES:
            raise ValueError("%s is %s%s in the engine" % (spec["name"], kind, list(shape)))
        own, code = _CODES[kind]
        # the type codes of manifest and engine, if they differ
        self.codes: "tuple[str, str] | None" = None
        if own != wanted:
            if not code or wanted not in _TYPE_CODES:
                raise ValueError("%s is %s in the engine, not %s" % (spec["name"], own, wanted))
            self.codes = _TYPE_CODES[wanted], code
        self.size = count * (array(code).itemsize if code else 2)
        self.address = cuda.allocate(self.size)


class Session:
    """One loaded engine. `infer` includes the copies to and from the GPU, as in an application."""

    accelerator = "cuda"

    def __init__(
        self,
        engine: "shapes.Native",
        tensors: "list[shapes.Binding]",
        manifest: "shapes.Manifest",
        kept: "object",
    ) -> "None":
        self._cuda, self._kept, self._engine = device.Cuda(), kept, engine
        self._context = engine.create_execution_context()
        if self._context is None:
            raise ValueError("TensorRT gives no context: out of memory")
        specs = {}
        for kind in ("inputs", "outputs"):
            for spec in manifest[kind]:
                specs[spec.get("tensor", spec["name"]), kind == "inputs"] = spec
        there = {(name, is_input) for name, is_input, _, _ in tensors}
        odd = there ^ set(specs)
        if odd:
            raise ValueError(
                "tensors differ from the manifest: %s" % ", ".join(sorted(name for name, _ in odd))
            )
        by_name = {name: (kind, shape) for name, _, kind, shape in tensors}
        made = {name: _Tensor(spec, *by_name[name], cuda=self._cuda) for (name, _), spec in specs.items()}
        self._inputs = [made[spec.get("tensor", spec["name"])] for spec in manifest["inputs"]]
        self._outputs = [made[spec.get("tensor", spec["name"])] for spec in manifest["outputs"]]
        self._addresses = [made[name].address for name, _, _, _ in tensors]

    def feed(self, tensors: "shapes.Sequence[bytes]") -> "list[shapes.Buffer]":
        """Converts bytes of each input, in the manifest's order, to buffers of this process in the engine's types."""
        fed = []
        for data, tensor in zip(tensors, self._inputs):
            data = bytes(data)
            if tensor.codes:
                data = array(tensor.codes[1], array(tensor.codes[0], data)).tobytes()
            memory, address = self._cuda.buffer(tensor.size)
            memory.raw = data
            fed.append((memory, address))
        return fed

    def infer(self, feed: "list[shapes.Buffer]") -> "list[shapes.Memory]":
        """Runs one inference: inputs to the GPU, the engine, every output back."""
        cuda = self._cuda
        for (_, address), tensor in zip(feed, self._inputs):
            cuda.copy(tensor.address, address, tensor.size, cuda.TO_BOARD)
        if not self._context.execute_v2(self._addresses):
            raise ValueError("TensorRT failed to run the engine; its log says why")
        outputs = []
        for tensor in self._outputs:
            memory, address = cuda.buffer(tensor.size)
            cuda.copy(address, tensor.address, tensor.size, cuda.FROM_BOARD)
            outputs.append(memory)
        return outputs

    def read(self, outputs: "list[shapes.Memory]") -> "list[bytes]":
        """Converts buffers to bytes of each output, in the manifest's order and dtype."""
        return [
            array(tensor.codes[0], array(tensor.codes[1], memory.raw)).tobytes()
            if tensor.codes
            else memory.raw
            for memory, tensor in zip(outputs, self._outputs)
        ]

    def placement(self) -> "dict[str, int]":
        """{accelerator: layers}: an engine runs as a whole, on the GPU."""
        return {self.accelerator: self._engine.num_layers}

    def close(self) -> "None":
        """Frees the memory, then the context, then the engine."""
        for tensor in self._inputs + self._outputs:
            self._cuda.free(tensor.address)
        self._inputs, self._outputs = [], []
        self._context = self._engine = self._kept = None
