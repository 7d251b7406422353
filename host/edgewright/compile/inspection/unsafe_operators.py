"""TensorFlow operators that reach beyond the model: files, Python, processes and the network.

TensorFlow runs a graph with the user's rights, some operators when it only loads or converts it. So a graph is looked at
first. A test holds these lists against TensorFlow's own registry of operators.
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
            r"\w*Reader\w*",  # queues of files of the time before tf.data
            r"\w*(Dataset|Iterator)\w*",  # they read, write and cache files, and run serialised graphs
            r"\w*PyFunc\w*",
            r"Debug(?!Gradient)\w*",  # to a file or an address in an attribute
            r"Copy(Host)?|DumpTensor|CalibrationStatisticsSaver",
            r"\w*Summary(File|Db)?Writer|Write\w*Summary|ImportEvent",
            r"Rpc\w*|TryRpc|RemoteCall|WorkerHeartbeat|FileSystemSetConfiguration",
            r"DTensorRestore\w*|DistributedSave|LoadAndRemapMatrix|GenerateVocabRemapping",
            r"ImmutableConst|RecordInput|FixedUnigramCandidateSampler|Skipgram",
            r"XlaCustomCall\w*|MlirPassthroughOp|TRTEngineOp|\w*TRTResource\w*",  # code, not arithmetic
        )
    )
)
# operators that are harmless with these values of an attribute
_HARMLESS = {
    "PrintV2": ("output_stream", re.compile(rb"|stdout|stderr|log\(\w+\)")),
    "DecodeProtoV2": ("descriptor_source", re.compile(rb"|local://|bytes://.*", re.DOTALL)),
    "EncodeProto": ("descriptor_source", re.compile(rb"|local://|bytes://.*", re.DOTALL)),
}


def named_unsafe(operator: str) -> bool:
    """Whether an operator reaches beyond the model whatever its attributes are."""
    return _UNSAFE.fullmatch(operator.rpartition(">")[2]) is not None


def unsafe(nodes: Iterable[Node]) -> Iterator[str]:
    """The operators among nodes that reach beyond the model; those that save and restore variables are for the caller."""
    for node in nodes:
        attribute, harmless = _HARMLESS.get(node.op, ("", None))
        if named_unsafe(node.op) or (harmless and not harmless.fullmatch(node.strings.get(attribute, b""))):
            yield node.op


def refusal(path: Path, operators: Iterable[str]) -> ModelError:
    """What to raise for a model that holds such operators."""
    names = sorted(operators)
    return ModelError(
        f"{path.name} holds operators that reach files, Python or the network: {', '.join(names)}",
        hint="export the inference function alone, without reading, writing, logging or Python in it",
        code=Code.MODEL_REFUSED,
    )
