"""Runs in the Python of the toolchain `openvino-2021`: describes an IR, or runs inferences for the host.

Python 3.6 syntax, the standard library and OpenVINO 2021.4 only. The host reads one JSON line, or bytes, from descriptor 1.
"""

import importlib.util
import json
import os
import sys
import traceback
import types
from pathlib import Path
from typing import Any, BinaryIO

_KEPT: "list[object]" = []  # until the process ends: the plugin crashes if the executable network is freed before its graph


def describe(path: "str", outputs: "list[str]") -> "dict[str, Any]":
    """What OpenVINO 2021.4 reads in an IR, and which layers its plugin for the stick supports.

    Args:
        outputs: names of tensors that are the model's outputs.

    Returns:
        dict: `inputs`; `outputs`, the network's own names of them, None if it has no such tensor; `layers`,
        name -> type, without constants; `myriad`, names of the layers that the plugin supports, or `problem`, why it cannot tell.
    """
    import ngraph
    from openvino.inference_engine import IECore

    runner = load_runner()
    core = IECore()
    network = core.read_network(path)
    operations = ngraph.function_from_cnn(network).get_ordered_ops()
    left_out = ("Constant", "Parameter", "Result")
    layers = {one.get_friendly_name(): one.get_type_name() for one in operations}
    found: dict[str, Any] = {
        "inputs": sorted(network.input_info),
        "outputs": [_own_name(network, name) for name in outputs],
        "layers": {name: kind for name, kind in layers.items() if kind not in left_out},
    }
    problem = runner.plugin_problem(core)
    if problem:
        found["problem"] = problem[0]
        return found
    try:
        taken = core.query_network(network, "MYRIAD")
        found["myriad"] = sorted(name for name in taken if name in found["layers"])
    except RuntimeError as error:
        found["problem"] = " ".join(str(error).split())[:300]
    return found


def executed(path: "str") -> "list[dict[str, Any]]":
    """The graph that the CPU plugin makes from an IR.

    Returns:
        list of dicts: `name`; `kind`, the plugin's word for what runs; `origins`, names of the layers of the file that
        it computes; `reads`, names of others in the list.
    """
    import ngraph
    from openvino.inference_engine import IECore

    core = IECore()
    loaded = core.load_network(core.read_network(path), "CPU", {"ENFORCE_BF16": "NO"}, num_requests=1)
    graph = loaded.get_exec_graph_info()
    function = ngraph.function_from_cnn(graph)
    _KEPT.extend((core, loaded, graph, function))
    found = []
    for one in function.get_ordered_ops():
        said = one.get_rt_info()
        reads = [port.get_source_output().get_node().get_friendly_name() for port in one.inputs()]
        found.append(
            {
                "name": one.get_friendly_name(),
                "kind": str(said["layerType"]),
                "origins": [name for name in str(said["originalLayersNames"]).split(",") if name],
                "reads": reads,
            }
        )
    return found


def _own_name(network: "Any", tensor: "str") -> "str | None":
    """The network's name of an output, which it stores next to the tensor's name."""
    if tensor in network.outputs:
        return tensor
    try:
        name = network.get_ov_name_for_tensor(tensor)
    except RuntimeError:
        return None
    return name if name in network.outputs else None


def serve(folder: "str", options: "dict[str, Any]", source: "BinaryIO", sink: "BinaryIO") -> "None":
    """Runs inferences until `source` ends.

    The manifest arrives as one line; after that, the inputs' bytes arrive and the outputs' bytes leave, without gaps.
    """
    runner = load_runner()
    manifest = json.loads(source.readline().decode("utf-8"))
    try:
        session = runner.load(folder, manifest, options)
    except Exception as error:  # noqa: BLE001 - the plugin raises anything; the host has to hear of it
        traceback.print_exc()
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        sink.write(lines[0].encode("utf-8", "replace") + b"\n")
        return
    sizes = [_size(spec) for spec in manifest["inputs"]]
    sink.write(b"ready\n")
    sink.flush()
    while True:
        given = [source.read(size) for size in sizes]
        if [len(one) for one in given] != sizes:
            break
        for data in session.read(session.infer(session.feed(given))):
            sink.write(data)
        sink.flush()


def load_runner() -> "Any":
    """Loads `runner.py` by its path: its package's folder may contain this machine's own OpenVINO, which must not be imported.

    Its imports from the agent only name types; boards get the runner without them.
    """
    types_alone = types.ModuleType("edgewright_agent")
    setattr(types_alone, "shapes", None)  # noqa: B010 - a module has no such attribute to type checkers
    sys.modules["edgewright_agent"] = types_alone
    spec = importlib.util.spec_from_file_location("runner", str(Path(__file__).with_name("runner.py")))
    assert spec and spec.loader  # noqa: S101 - for the type
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _size(spec: "Any") -> "int":
    """Bytes of a tensor."""
    import numpy

    count = numpy.dtype(spec["dtype"]).itemsize
    for length in spec["shape"]:
        count *= length
    return int(count)


def main(arguments: "list[str]") -> "None":
    """`describe FILE OUTPUT...`, `executed FILE` or `serve FOLDER OPTIONS`."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # the plugin prints to stdout
    if arguments[0] == "describe":
        answers.write(json.dumps(describe(arguments[1], arguments[2:])).encode("ascii") + b"\n")
    elif arguments[0] == "executed":
        answers.write(json.dumps(executed(arguments[1])).encode("ascii") + b"\n")
    else:
        serve(arguments[1], json.loads(arguments[2]), os.fdopen(os.dup(0), "rb"), answers)
    answers.flush()
    os._exit(0)  # the plugin may hang or crash on exit


if __name__ == "__main__":
    main(sys.argv[1:])
