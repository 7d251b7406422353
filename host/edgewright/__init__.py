"""edgewright takes a trained model to a fleet of edge boards, measures it there, keeps it or rolls it back.

The names in `__all__` are its Python API (docs/python-api.md); each is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = [
    "QUICK",
    "STANDARD",
    "Aborted",
    "Artifact",
    "ArtifactError",
    "AskPassword",
    "AuthError",
    "BenchResult",
    "Board",
    "BoardAnswer",
    "BoardError",
    "BoardMeasurements",
    "BoardOutcome",
    "BoardPlan",
    "BoardProblem",
    "Budget",
    "Check",
    "Compressed",
    "ConfigError",
    "ConversionError",
    "DataError",
    "DeployPlan",
    "DeployResult",
    "EdgewrightError",
    "ErrorReport",
    "ExportedProgram",
    "Fleet",
    "GateRefused",
    "Manifest",
    "Measurement",
    "ModelError",
    "ModelOptions",
    "ModelRequest",
    "OptimizeBudget",
    "OptimizedModel",
    "PlannedDeployment",
    "Progress",
    "ProgressEvent",
    "Protocol",
    "ProtocolError",
    "Ratio",
    "ReleasePolicy",
    "RollbackResult",
    "Status",
    "StatusResult",
    "TrustError",
    "Unreachable",
    "UsageError",
    "bench",
    "compress_model",
    "convert",
    "deploy",
    "export_c",
    "load_artifact",
    "model_request",
    "optimize_model",
    "plan",
    "resume",
    "rollback",
    "status",
]

if TYPE_CHECKING:
    from edgewright.api.benchmark import bench as bench
    from edgewright.api.compression import compress_model as compress_model
    from edgewright.api.conversion import convert as convert
    from edgewright.api.deployment import deploy as deploy
    from edgewright.api.deployment import plan as plan
    from edgewright.api.deployment import resume as resume
    from edgewright.api.export import export_c as export_c
    from edgewright.api.fleets import Fleet as Fleet
    from edgewright.api.models import ModelOptions as ModelOptions
    from edgewright.api.models import load_artifact as load_artifact
    from edgewright.api.models import model_request as model_request
    from edgewright.api.optimization import OptimizedModel as OptimizedModel
    from edgewright.api.optimization import optimize_model as optimize_model
    from edgewright.api.results import BenchResult as BenchResult
    from edgewright.api.results import BoardAnswer as BoardAnswer
    from edgewright.api.results import BoardMeasurements as BoardMeasurements
    from edgewright.api.results import BoardProblem as BoardProblem
    from edgewright.api.results import DeployResult as DeployResult
    from edgewright.api.results import RollbackResult as RollbackResult
    from edgewright.api.results import StatusResult as StatusResult
    from edgewright.api.rollback import rollback as rollback
    from edgewright.api.status import status as status
    from edgewright.c_program.program import ExportedProgram as ExportedProgram
    from edgewright.compile.request import ModelRequest as ModelRequest
    from edgewright.compress.request import Compressed as Compressed
    from edgewright.deployments.planned_deployment import PlannedDeployment as PlannedDeployment
    from edgewright.errors import Aborted as Aborted
    from edgewright.errors import ArtifactError as ArtifactError
    from edgewright.errors import AuthError as AuthError
    from edgewright.errors import BoardError as BoardError
    from edgewright.errors import ConfigError as ConfigError
    from edgewright.errors import ConversionError as ConversionError
    from edgewright.errors import DataError as DataError
    from edgewright.errors import EdgewrightError as EdgewrightError
    from edgewright.errors import GateRefused as GateRefused
    from edgewright.errors import ModelError as ModelError
    from edgewright.errors import ProtocolError as ProtocolError
    from edgewright.errors import TrustError as TrustError
    from edgewright.errors import Unreachable as Unreachable
    from edgewright.errors import UsageError as UsageError
    from edgewright.nouns.artifact import Artifact as Artifact
    from edgewright.nouns.artifact import Manifest as Manifest
    from edgewright.nouns.board import Board as Board
    from edgewright.nouns.deploy_plan import BoardPlan as BoardPlan
    from edgewright.nouns.deploy_plan import DeployPlan as DeployPlan
    from edgewright.nouns.document import ErrorReport as ErrorReport
    from edgewright.nouns.measurement import QUICK as QUICK
    from edgewright.nouns.measurement import STANDARD as STANDARD
    from edgewright.nouns.measurement import Measurement as Measurement
    from edgewright.nouns.measurement import Protocol as Protocol
    from edgewright.nouns.measurement import Ratio as Ratio
    from edgewright.nouns.optimization import OptimizeBudget as OptimizeBudget
    from edgewright.nouns.outcome import BoardOutcome as BoardOutcome
    from edgewright.nouns.outcome import Check as Check
    from edgewright.nouns.policy import ReleasePolicy as ReleasePolicy
    from edgewright.nouns.progress import Progress as Progress
    from edgewright.nouns.progress import ProgressEvent as ProgressEvent
    from edgewright.nouns.project import Budget as Budget
    from edgewright.wire.answers import Status as Status
    from edgewright.wire.transport import AskPassword as AskPassword

# module -> public names in it; a test compares this with the imports above
_PUBLIC = {
    "api.benchmark": ("bench",),
    "api.compression": ("compress_model",),
    "api.conversion": ("convert",),
    "api.deployment": ("deploy", "plan", "resume"),
    "api.export": ("export_c",),
    "api.fleets": ("Fleet",),
    "api.models": ("ModelOptions", "load_artifact", "model_request"),
    "api.optimization": ("OptimizedModel", "optimize_model"),
    "api.results": ("BenchResult", "BoardAnswer", "BoardMeasurements", "BoardProblem", "DeployResult", "RollbackResult",
                    "StatusResult"),
    "api.rollback": ("rollback",),
    "api.status": ("status",),
    "c_program.program": ("ExportedProgram",),
    "compile.request": ("ModelRequest",),
    "compress.request": ("Compressed",),
    "deployments.planned_deployment": ("PlannedDeployment",),
    "errors": ("Aborted", "ArtifactError", "AuthError", "BoardError", "ConfigError", "ConversionError", "DataError",
               "EdgewrightError", "GateRefused", "ModelError", "ProtocolError", "TrustError", "Unreachable", "UsageError"),
    "nouns.artifact": ("Artifact", "Manifest"),
    "nouns.board": ("Board",),
    "nouns.deploy_plan": ("BoardPlan", "DeployPlan"),
    "nouns.document": ("ErrorReport",),
    "nouns.measurement": ("QUICK", "STANDARD", "Measurement", "Protocol", "Ratio"),
    "nouns.optimization": ("OptimizeBudget",),
    "nouns.outcome": ("BoardOutcome", "Check"),
    "nouns.policy": ("ReleasePolicy",),
    "nouns.progress": ("Progress", "ProgressEvent"),
    "nouns.project": ("Budget",),
    "wire.answers": ("Status",),
    "wire.transport": ("AskPassword",),
}  # fmt: skip
_MODULES = {name: module for module, names in _PUBLIC.items() for name in names}

if not TYPE_CHECKING:  # else a type checker takes every name for a public one

    def __getattr__(name: str) -> object:
        """A public name, imported now."""
        from importlib import import_module

        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = found
        return found

    def __dir__() -> list[str]:
        """The public names too, imported or not."""
        return sorted({*globals(), *__all__})
