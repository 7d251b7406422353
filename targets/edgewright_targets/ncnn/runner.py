"""Runs a .param artifact on a board with ncnn. Python 3.6, standard library only until `load`.

ncnn's extension module takes and gives plain buffers, so that a board needs no numpy.
"""

# ruff: noqa: B905, ARG001 - zip has no `strict` in Python 3.6; all runners have the same functions
import array
import os
import re

from edgewright_agent import shapes

SIZES = ("2", "11", "1", "0")  # ids of an input layer's sizes, first axis first
_FORMATS = {"float32": "f", "int32": "i", "int64": "i"}  # of what ncnn reads: an embedding has 32-bit indexes
_HALF = ("use_fp16_packed", "use_fp16_storage")
_INEXACT = (
    "use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage", "use_bf16_packed",
)  # fmt: skip

_SIX_BITS = "use_winograd43_convolution"  # in integers it overflows if weights have more than 6 bits
# the first release that may pack channels in integers: 20250503 then computes depthwise convolutions wrongly on Arm
_PACKS_INTEGERS = 20261020


class ModelRefused(RuntimeError):
    """The installed ncnn cannot load the file."""

    hint = "a newer ncnn may load it; or take another target"


def import_runtime() -> "str":
    """Imports the runtime. Returns its distribution and version, such as `ncnn 1.0.20250503`."""
    import ncnn

    return "ncnn %s" % ncnn.__version__


def accelerators() -> "list[str]":
    """Names of accelerators that are usable now. This runner uses ncnn's CPU kernels only."""
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
        ModelRefused: ncnn cannot load the file.
    """
    import ncnn

    wanted = options.get("accelerator") or "cpu"
    if wanted not in ("cpu", "auto"):
        raise ValueError("accelerator not available to this runtime: %s" % wanted)
    net = ncnn.Net()
    net.opt.num_threads = int(options.get("threads") or 1)
    set_arithmetic(net.opt, manifest.get("precision", ""))
    path = os.path.join(folder, manifest["entry"])
    if net.load_param(path) or net.load_model(os.path.splitext(path)[0] + ".bin"):
        raise ModelRefused("ncnn %s cannot load the model" % ncnn.__version__)
    return Session(net, manifest, _shapes(path))


def set_arithmetic(opt: "shapes.Native", precision: "str" = "") -> "None":
    """32-bit floats everywhere, or 16-bit weights and activations with 32-bit sums. ncnn's own default is 16 bits wherever it can."""
    wanted = dict.fromkeys(_INEXACT, False)
    if precision == "fp16":
        wanted.update(dict.fromkeys(_HALF, True))
    elif not precision.startswith("fp"):
        wanted[_SIX_BITS] = False
        if _release() < _PACKS_INTEGERS:
            wanted["use_packing_layout"] = False
    for name in wanted:
        if hasattr(opt, name):  # releases differ
            setattr(opt, name, wanted[name])


def _release() -> "int":
    """The date in ncnn's version; 0 if there is none."""
    import ncnn

    found = re.search(r"\d{8}", ncnn.__version__)
    return int(found.group()) if found else 0


def _shapes(path: "str") -> "dict[str, list[int]]":
    """{input: its shape}, from the input layers of the file."""
    found = {}
    with open(path) as file:
        for line in file:
            words = line.split()
            if words and words[0] == "Input":
                sizes = dict(word.split("=") for word in words[5:])
                found[words[4]] = [int(sizes[key]) for key in SIZES if key in sizes]
    return found


class Session:
    """One loaded model. `accelerator` is the one that is really used."""

    def __init__(
        self, net: "shapes.Native", manifest: "shapes.Manifest", sizes: "dict[str, list[int]]"
    ) -> "None":
        self.accelerator = "cpu"
        self._net = net
        inputs = _matched(manifest["inputs"], net.input_names(), "inputs")
        # ncnn lists inputs that nothing reads among the outputs
        ends = [name for name in net.output_names() if name not in inputs]
        self._outputs = _matched(manifest["outputs"], ends, "outputs")
        self._inputs = [(name, spec["dtype"], sizes[name]) for name, spec in zip(inputs, manifest["inputs"])]

    def feed(self, tensors: "shapes.Sequence[bytes]") -> "list[shapes.Native]":
        """Converts bytes of each input, in the manifest's order, to the native feed."""
        import ncnn

        feed = []
        for data, (_, dtype, sizes) in zip(tensors, self._inputs):
            held: "shapes.Native" = memoryview(_narrowed(bytes(data), dtype))
            # a Mat does not keep the buffer alive that it is made of
            feed.append(ncnn.Mat(held.cast(_FORMATS[dtype], sizes)).clone())
        return feed

    def infer(self, feed: "list[shapes.Native]") -> "list[shapes.Native]":
        """Runs one inference: inputs in, every output out."""
        extractor = self._net.create_extractor()
        for (name, _, _), mat in zip(self._inputs, feed):
            extractor.input(name, mat)
        found = [extractor.extract(name) for name in self._outputs]
        if any(status for status, _ in found):
            raise RuntimeError(
                "ncnn cannot run the model: status %s" % max(found, key=lambda one: abs(one[0]))[0]
            )
        return [mat for _, mat in found]

    def read(self, outputs: "list[shapes.Native]") -> "list[bytes]":
        """Converts native outputs to bytes of each output, in the manifest's order and dtype."""
        return [memoryview(mat).tobytes() for mat in outputs]  # without the gaps between a Mat's channels

    def close(self) -> "None":
        """Frees the model."""
        self._net = None


def _narrowed(data: "bytes", dtype: "str") -> "bytes":
    """64-bit integers in 32 bits; other data as they are."""
    return array.array("i", array.array("q", data)).tobytes() if dtype == "int64" else data


def _matched(specs: "list[shapes.Spec]", names: "list[str]", kind: "str") -> "list[str]":
    """The file's names of the tensors, in the manifest's order."""
    found = [spec.get("tensor", spec["name"]) for spec in specs]
    if sorted(found) != sorted(names):
        different = sorted(set(found) ^ set(names)) or ["%d instead of %d" % (len(found), len(names))]
        raise ValueError("%s differ from the manifest: %s" % (kind, ", ".join(different)))
    return found
