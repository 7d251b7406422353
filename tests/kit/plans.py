"""A deployment's plan with something in every field."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgewright.nouns.conversion import Conversion, Ends
from edgewright.nouns.deploy_plan import AttachedFile, BoardPlan, DeployPlan, ReleaseOrder
from edgewright.nouns.measurement import STANDARD
from edgewright.nouns.model_input import DataFile, ModelInput
from edgewright.nouns.policy import ReleasePolicy
from edgewright.nouns.project import Budget, Compare, Preprocessing

HOOK = AttachedFile(path=Path("hooks/health.sh"), sha256="c" * 64)
ORDER = ReleaseOrder(
    model="net", version="3", policy=ReleasePolicy(budget=Budget(p95_ms=2.5), protocol=STANDARD, unguarded=True),
    hooks={"health": HOOK}, hook_s=12.5,
)  # fmt: skip
MODEL = ModelInput(
    source=Path("net.py:build"), name="net", shapes={"x": (1, 3)}, evaluation=Path("e.npz"), score="y",
    calibration=DataFile(path=Path("c.npz"), sha256="d" * 64), preprocessing=Preprocessing(mean=(0.5,)),
    conversion=Conversion(ends=Ends(signature="serve"), keep_float=("a",)), compare=Compare(mask="x"),
)  # fmt: skip
BOARD = BoardPlan(board="a", board_id="id-a", profile="pi5", artifact="ab" * 32, order=ORDER)
PLAN = DeployPlan(
    nonce="n", host="here", fleet="f", version="3", model=MODEL, evaluation_sha256="e" * 64, wheels=(HOOK,),
    boards=(BOARD, msgspec.structs.replace(BOARD, board="b", expected_current="2-cdcdcdcd")),
)  # fmt: skip
