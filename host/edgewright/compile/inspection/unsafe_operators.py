"""TensorFlow operators that reach beyond the model: files, Python, processes and the network.

TensorFlow runs a graph with the user's rights, and some operators even while it loads or converts the graph. So graphs are
checked first. A test compares these lists with TensorFlow's own registry of operators.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from edgewright.compile.inspection.graph_node import Node
from edgewright.errors import Code, ModelError

SAVING = frozenset(("SaveV2", "MergeV2Checkpoints", "Save", "SaveSlices"))
RESTORING = frozenset(("RestoreV2", "Restore", "RestoreSlice"))
TABLES = frozenset(("InitializeTableFromTextFile", "InitializeTableFromTextFileV2"))

_UNSAFE = re.compile(
    "|".join(
        (
            r"(Read|Write|Matching)Files?",
            r"\w*Reader\w*",  # file queues from before tf.data
            r"\w*(Dataset|Iterator)\w*",  # these read, write and cache files, and run serialised graphs
            r"\w*PyFunc\w*",
            r"Debug(?!Gradient)\w*",  # writes to a file or an address given by an attribute
            r"Copy(Host)?|DumpTensor|CalibrationStatisticsSaver",
            r"\w*Summary(File|Db)?Writer|Write\w*Summary|ImportEvent",
            r"Rpc\w*|TryRpc|RemoteCall|WorkerHeartbeat|FileSystemSetConfiguration",
            r"DTensorRestore\w*|DistributedSave|LoadAndRemapMatrix|GenerateVocabRemapping",
            r"ImmutableConst|RecordInput|FixedUnigramCandidateSampler|Skipgram",
            r"XlaCustomCall\w*|MlirPassthroughOp|TRTEngineOp|\w*TRTResource\w*",  # run code rather than arithmetic
        )
    )
)
# operators that are harmless if an attribute has one of these values
_HARMLESS = {
    "PrintV2": ("output_stream", re.compile(rb"|stdout|stderr|log\(\w+\)")),
    "DecodeProtoV2": ("descriptor_source", re.compile(rb"|local://|bytes://.*", re.DOTALL)),
    "EncodeProto": ("descriptor_source", re.compile(rb"|local://|bytes://.*", re.DOTALL)),
}


def named_unsafe(operator: str) -> bool:
    """Whether an operator reaches beyond the model whatever its attributes."""
    return _UNSAFE.fullmatch(operator.rpartition(">")[2]) is not None


def unsafe(nodes: Iterable[Node]) -> Iterator[str]:
    """The operators among the nodes that reach beyond the model; the caller decides on those that save and restore variables."""
    for node in nodes:
        attribute, harmless = _HARMLESS.get(node.op, ("", None))
        if named_unsafe(node.op) or (harmless and not harmless.fullmatch(node.strings.get(attribute, b""))):
            yield node.op


def refusal(path: Path, operators: Iterable[str]) -> ModelError:
    """The error to raise for a model with such operators."""
    names = sorted(operators)
    return ModelError(
        f"{path.name} holds operators that reach files, Python or the network: {', '.join(names)}",
        hint="export the inference function alone, without reading, writing, logging or Python in it",
        code=Code.MODEL_REFUSED,
    )
