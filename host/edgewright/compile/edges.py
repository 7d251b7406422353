"""Which way a source takes to a target, and why another does not exist. The ways are the targets' own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edgewright import targets
from edgewright.compile.recognise import TITLES, Recognised
from edgewright.compile.request import CompileRequest
from edgewright.errors import ConversionError, UsageError
from edgewright.nouns.base import Noun
from edgewright.nouns.model_input import Absent
from edgewright.nouns.precision import PRECISIONS
from edgewright.nouns.target import Route, Target

_EXPORTED = ("keras", "h5", "savedmodel", "frozen", "pt2", "pytorch")  # what exporters write ONNX from
AS_IS = "as-is"
MIXED = "int8-mixed"


class Edge(Noun, frozen=True, kw_only=True):
    """One way from a source format to a precision of a target."""

    source: str
    target: Target
    precision: str
    route: Route


def edge(found: Recognised, request: CompileRequest) -> Edge:
    """The way for a request, its precision settled.

    Raises:
        UsageError: an unknown target or precision, or calibration that is missing.
        ConversionError: there is no such way; the hint names those that exist.
    """
    target = targets.load(request.target)
    kind = found.source.format
    if kind not in target.sources:
        raise ConversionError(
            f"no way from {TITLES[kind]} to {target.name}",
            hint=f"from {kind} there is {_list(_targets_of(kind))}; "
            f"to {target.name} from {_list(target.sources)}",
            code="no-edge",
        )
    precision = _precision(found, request, target)
    _check_method(request, target)
    _check_choices(request, precision)
    _check_ends(request, kind)
    route = target.as_is[kind] if precision == AS_IS else target.routes[kind]
    return Edge(source=kind, target=target, precision=precision, route=route)


def _check_method(request: CompileRequest, target: Target) -> None:
    if request.model.conversion.calibration_method not in target.calibration_methods:
        raise UsageError(
            f"calibration method not available on {target.name}: {request.model.conversion.calibration_method}",
            hint=f"available are {_list(target.calibration_methods)}",
            code="calibration-method-unknown",
        )


def _check_ends(request: CompileRequest, kind: str) -> None:
    ends = request.model.conversion.ends
    if ends.signature and kind not in ("savedmodel", "tflite"):
        raise UsageError(
            f"there are no signatures to choose from in {TITLES[kind]}",
            hint="leave --signature out, it is for SavedModels and .tflite files with several",
            code="signature-given",
        )
    if ends.signature and (ends.inputs or ends.outputs):
        raise UsageError(
            f"a signature and ends are given both: {ends.signature}",
            hint="leave --inputs and --outputs out, a signature says its own",
            code="signature-given",
        )
    if (ends.inputs or ends.outputs) and kind not in ("frozen", "savedmodel"):
        raise UsageError(
            f"inputs and outputs cannot be chosen of {TITLES[kind]}",
            hint="leave --inputs and --outputs out, the file says its own; they are for TensorFlow 1 graphs",
            code="ends-given",
        )


def _check_choices(request: CompileRequest, precision: str) -> None:
    """What only some precisions can do must not be passed over in silence."""
    conversion = request.model.conversion
    if conversion.integer_io and not PRECISIONS[precision].calibrated:
        raise UsageError(
            f"inputs and outputs cannot be integers in {precision}",
            hint="integer inputs and outputs are for precisions that are calibrated, such as int8",
            code="integer-io",
        )
    if conversion.keep_float and precision != MIXED:
        raise UsageError(
            f"layers cannot be kept in floats in {precision}: {_list(conversion.keep_float)}",
            hint=f"take --precision {MIXED}",
            code="keep-float",
        )
    if precision == MIXED and not conversion.keep_float:
        raise UsageError(
            f"{MIXED} needs the layers that stay in floats",
            hint="name them: --keep-float LAYER; or search them: --precision int8 --fallback",
            code="keep-float",
        )


def _precision(found: Recognised, request: CompileRequest, target: Target) -> str:
    kind = found.source.format
    wanted = request.precision
    if wanted is None:
        wanted = AS_IS if found.quantised or kind not in target.routes else request.default_precision
    if wanted not in PRECISIONS or wanted not in target.precisions:
        raise UsageError(
            f"precision not available on {target.name}: {wanted}",
            hint=f"available are {', '.join(target.precisions)}",
            code="precision-unknown",
        )
    if wanted == AS_IS and kind not in target.as_is and found.quantised:
        raise ConversionError(
            f"no way from {TITLES[kind]} that is quantised already to {target.name}",
            hint="start from the model it was made from, before it was quantised",
            code="no-edge",
        )
    if wanted == AS_IS and kind not in target.as_is:
        raise ConversionError(
            f"{TITLES[kind]} cannot go to {target.name} as it is",
            hint=f"leave --precision out, or take one of {_list(p for p in target.precisions if p != AS_IS)}",
            code="no-edge",
        )
    if wanted != AS_IS and (found.quantised or kind not in target.routes):
        reason = "it is quantised already" if found.quantised else "it is in its final form"
        raise ConversionError(
            f"{found.path.name} cannot be made {wanted} for {target.name}, {reason}",
            hint="use --precision as-is, or start from the model it was made from",
            code="no-edge",
        )
    if wanted not in target.precisions_from(kind):
        raise ConversionError(
            f"{TITLES[kind]} cannot be made {wanted} for {target.name}",
            hint=f"from {kind} it takes {_list(target.precisions_from(kind))}",
            code="no-edge",
        )
    if PRECISIONS[wanted].calibrated and isinstance(request.model.calibration, Absent):
        raise UsageError(
            f"precision {wanted} needs calibration data",
            hint="give --calibration FILE with some hundred real inputs; synthetic is for trying out",
            code="calibration-missing",
        )
    return wanted


def elsewhere(edge: Edge) -> str:
    """What else may take a source where a converter does not: other targets for that precision, and the way by ONNX; empty without one."""
    others = [
        name for name in _targets_of(edge.source)
        if name != edge.target.name and "cpu" in targets.load(name).accelerators
        and edge.precision in targets.load(name).precisions_from(edge.source)
    ]  # fmt: skip
    ways = [f"another target may take it: --target {_either(others)}"] if others else []
    by_onnx = any(worker == "onnx" for worker, _ in edge.route.stages)
    if edge.source in _EXPORTED and "onnx" in edge.target.routes and not by_onnx:
        ways.append(f"export it to ONNX, which has a way of its own to {edge.target.name}")
    return "; ".join(ways)


def _targets_of(kind: str) -> list[str]:
    return [name for name in targets.names() if kind in targets.load(name).sources]


def _either(names: Sequence[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _list(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
