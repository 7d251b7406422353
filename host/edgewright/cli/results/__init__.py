"""Records that commands print with `--json`, one per command; imported only for `--json`."""

from __future__ import annotations

import importlib
from typing import Any

RECORDS = {
    "bench": "boards.BenchResult",
    "cache list": "cache.CacheListResult",
    "cache prune": "cache.CachePruneResult",
    "compress": "compress.CompressResult",
    "convert": "convert.ConvertResult",
    "demo": "demo.DemoReport",
    "deploy": "releases.DeployResult",
    "doctor": "doctor.DoctorResult",
    "export": "export.ExportResult",
    "fleet add": "fleet.FleetAddResult",
    "fleet agent": "fleet.FleetAgentResult",
    "fleet list": "fleet.FleetListResult",
    "fleet prune": "boards.FleetPruneResult",
    "fleet remove": "fleet.FleetRemoveResult",
    "fleet repair": "boards.FleetRepairResult",
    "fleet reset": "boards.FleetResetResult",
    "fleet show": "fleet.FleetShowResult",
    "fleet trust": "fleet.FleetTrustResult",
    "history": "releases.HistoryResult",
    "history show": "releases.HistoryShowResult",
    "infer": "boards.InferResult",
    "init": "convert.InitResult",
    "lab down": "demo.LabDownResult",
    "lab list": "demo.LabListResult",
    "lab up": "demo.LabUpResult",
    "logs": "boards.LogsResult",
    "optimize": "optimize.OptimizeResult",
    "profiles list": "kinds.ProfilesListResult",
    "profiles show": "kinds.ProfilesShowResult",
    "provision": "provision.ProvisionResult",
    "rollback": "releases.RollbackResult",
    "status": "status.StatusResult",
    "targets": "kinds.TargetsResult",
    "toolchain install": "toolchain.ToolchainInstallResult",
    "toolchain list": "toolchain.ToolchainListResult",
    "toolchain remove": "toolchain.ToolchainRemoveResult",
}


def record(command: str) -> Any:
    """The type of a command's result."""
    module, _, name = RECORDS[command].partition(".")
    return getattr(importlib.import_module(f"edgewright.cli.results.{module}"), name)
