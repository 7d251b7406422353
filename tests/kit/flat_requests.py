"""Makes requests from flat arguments, so that tests do not depend on which record has a field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from edgewright.compile.data.data_hash import calibration_of
from edgewright.compile.request import CompileRequest, ModelRequest
from edgewright.deployments.request import DeployRequest
from edgewright.nouns.model_input import ModelInput
from edgewright.nouns.policy import ReleasePolicy


def _taken(record: type[msgspec.Struct], given: dict[str, Any]) -> dict[str, Any]:
    """Removes the record's fields from the arguments, and returns them."""
    return {name: given.pop(name) for name in record.__struct_fields__ if name in given}


def model_input(given: dict[str, Any]) -> ModelInput:
    """The model, with `calibration` as a user gives it: a path, `synthetic` or None. Removes its fields."""
    fields = _taken(ModelInput, given)
    if "calibration" in fields:
        fields["calibration"] = calibration_of(fields["calibration"])
    return ModelInput(**{"source": Path(), **fields})


def compile_request(**given: Any) -> CompileRequest:
    """`compile_request(source=..., target=..., calibration="synthetic", **fields of either record)`."""
    return CompileRequest(model=model_input(given), **given)


def changed(request: CompileRequest, **given: Any) -> CompileRequest:
    """The request with some fields replaced, of either record."""
    model = msgspec.structs.replace(request.model, **_taken(ModelInput, given))
    return msgspec.structs.replace(request, model=model, **given)


def deploy_request(**given: Any) -> DeployRequest:
    """`deploy_request(fleet=..., boards=..., name=..., source=..., **fields of any of its records)`."""
    model = model_input(given)
    wanted = ModelRequest(model=model, **_taken(ModelRequest, given))
    policy = ReleasePolicy(**_taken(ReleasePolicy, given))
    return DeployRequest(wanted=wanted, policy=policy, **given)
