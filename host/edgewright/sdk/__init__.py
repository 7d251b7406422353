"""The only part of edgewright that targets and plug-ins import. docs/add-a-target.md shows how to use it.

This module is light: records, errors and types. Code that works on models is in the submodules `graphs`, `onnx`,
`tensorflow`, `tflite`, `toolchains`, `programs` and `failures`, which stages import inside functions, in the workers. The other
kinds of plug-ins use `formats`, `metrics` and `transports`, which are light too.
"""

from __future__ import annotations

from edgewright.compile.graph.operations import Operation
from edgewright.compile.tasks.stage import Samples, StageContext, StageResult, TensorReport
from edgewright.errors import Code, ConversionError, DataError, EdgewrightError, ModelError, UsageError
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.c_program import CProgram
from edgewright.nouns.conversion import Ends
from edgewright.nouns.conversion_step import ConversionStep
from edgewright.nouns.cpu import Cpu
from edgewright.nouns.precision import Precision, Tolerance
from edgewright.nouns.target import LayerReader, Route, RuntimeRow, SystemRuntime, Target
from edgewright.sdk.runner import Runner, RunnerSession

__all__ = [
    "CProgram",
    "Code",
    "ConversionError",
    "ConversionStep",
    "Cpu",
    "DataError",
    "EdgewrightError",
    "Ends",
    "LayerReader",
    "ModelError",
    "Operation",
    "Precision",
    "Route",
    "Runner",
    "RunnerSession",
    "RuntimeRow",
    "Samples",
    "StageContext",
    "StageResult",
    "SystemRuntime",
    "Target",
    "TensorReport",
    "TensorSpec",
    "Tolerance",
    "UsageError",
]
