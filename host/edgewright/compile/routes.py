"""Finds the route from a source to a target, and explains why there is none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edgewright import targets
from edgewright.compile.formats import FORMATS, target_for, targets_of
from edgewright.compile.formats.onnx import FORMAT as ONNX
from edgewright.compile.recognition import Recognised
from edgewright.compile.request import CompileRequest
from edgewright.compile.sources.source_format import SourceFormat
from edgewright.compile.steps import steps_of
from edgewright.errors import Code, ConversionError, UsageError
from edgewright.nouns.base import Noun
from edgewright.nouns.model_input import Absent
from edgewright.nouns.target import Route, Target
from edgewright.precisions import INT8, MIXED, PRECISIONS, UNCHANGED, made_by, offered, with_plugins


class Edge(Noun, frozen=True, kw_only=True):
    """One route from a source format to a precision of a target.

    Attributes:
        made: the precision that the target is asked to make; it differs for a plug-in's precision that is made like another one.
        steps: names of the conversion steps on the route.
    """

    source: str
    target: Target
    precision: str
    made: str
    route: Route
    steps: tuple[str, ...]


def edge(found: Recognised, request: CompileRequest) -> Edge:
    """The route for a request, with the precision decided.

    Raises:
        UsageError: an unknown target or precision, or missing calibration data.
        ConversionError: there is no such route; the hint names those that exist.
    """
    kind = found.source.format
    target, known = target_for(request.target, kind), FORMATS[kind]
    if kind not in target.sources:
        raise ConversionError(
            f"no way from {known.title} to {target.name}",
            hint=f"from {kind} there is {_list(targets_of(kind))}; "
            f"to {target.name} from {_list(target.sources)}",
            code=Code.NO_EDGE,
        )
    precision = _precision(found, request, target)
    _check_method(request, target)
    _check_choices(request, precision)
    _check_ends(request, known)
    as_is = PRECISIONS[precision].as_is
    route = target.as_is[kind] if as_is else target.routes[kind]
    return Edge(
        source=kind, target=target, precision=precision, made=made_by(target.precisions_from(kind), precision),
        route=route, steps=steps_of(target.name, route.stages, as_is=as_is),
    )  # fmt: skip


def _check_method(request: CompileRequest, target: Target) -> None:
    if request.model.conversion.calibration_method not in target.calibration_methods:
        raise UsageError(
            f"calibration method not available on {target.name}: {request.model.conversion.calibration_method}",
            hint=f"available are {_list(target.calibration_methods)}",
            code=Code.CALIBRATION_METHOD_UNKNOWN,
        )


def _check_ends(request: CompileRequest, known: SourceFormat) -> None:
    ends = request.model.conversion.ends
    if ends.signature and not known.signatures:
        raise UsageError(
            f"there are no signatures to choose from in {known.title}",
            hint="leave --signature out, it is for SavedModels and .tflite files with several",
            code=Code.SIGNATURE_GIVEN,
        )
    if ends.signature and (ends.inputs or ends.outputs):
        raise UsageError(
            f"a signature and ends are given both: {ends.signature}",
            hint="leave --inputs and --outputs out, a signature says its own",
            code=Code.SIGNATURE_GIVEN,
        )
    if (ends.inputs or ends.outputs) and not known.ends:
        raise UsageError(
            f"inputs and outputs cannot be chosen of {known.title}",
            hint="leave --inputs and --outputs out, the file says its own; they are for TensorFlow 1 graphs",
            code=Code.ENDS_GIVEN,
        )


def _check_choices(request: CompileRequest, precision: str) -> None:
    """Refuses options that this precision does not support, rather than ignoring them silently."""
    conversion = request.model.conversion
    if conversion.integer_io and not PRECISIONS[precision].calibrated:
        raise UsageError(
            f"inputs and outputs cannot be integers in {precision}",
            hint=f"integer inputs and outputs are for precisions that are calibrated, such as {INT8.name}",
            code=Code.INTEGER_IO,
        )
    mixed = PRECISIONS[precision].mixed
    if conversion.keep_float and not mixed:
        raise UsageError(
            f"layers cannot be kept in floats in {precision}: {_list(conversion.keep_float)}",
            hint=f"take --precision {MIXED.name}",
            code=Code.KEEP_FLOAT,
        )
    if mixed and not conversion.keep_float:
        raise UsageError(
            f"{precision} needs the layers that stay in floats",
            hint=f"name them: --keep-float LAYER; or search them: --precision {INT8.name} --fallback",
            code=Code.KEEP_FLOAT,
        )


def _precision(found: Recognised, request: CompileRequest, target: Target) -> str:
    kind, title = found.source.format, FORMATS[found.source.format].title
    wanted = request.precision
    if wanted is None:
        wanted = UNCHANGED.name if found.quantised or kind not in target.routes else request.default_precision
    if found.quantised and kind not in target.as_is and request.precision in (None, UNCHANGED.name):
        raise ConversionError(
            f"{target.name} cannot run {title}, which is quantised already",
            hint=_unchanged(kind, target),
            code=Code.NO_EDGE,
        )
    if not offered(target.precisions, wanted):
        raise UsageError(
            f"precision not available on {target.name}: {wanted}",
            hint=f"available are {', '.join(with_plugins(target.precisions))}",
            code=Code.PRECISION_UNKNOWN,
        )
    as_is = PRECISIONS[wanted].as_is
    if as_is and kind not in target.as_is:
        raise ConversionError(
            f"{title} cannot go to {target.name} as it is",
            hint=f"leave --precision out, or take one of {_list(p for p in target.precisions if not PRECISIONS[p].as_is)}",
            code=Code.NO_EDGE,
        )
    if not as_is and (found.quantised or kind not in target.routes):
        reason = "it is quantised already" if found.quantised else "it is in its final form"
        raise ConversionError(
            f"{found.path.name} cannot be made {wanted} for {target.name}: {reason}",
            hint=_unchanged(kind, target),
            code=Code.NO_EDGE,
        )
    if not offered(target.precisions_from(kind), wanted):
        raise ConversionError(
            f"{title} cannot be made {wanted} for {target.name}",
            hint=f"from {kind} it takes {_list(target.precisions_from(kind))}",
            code=Code.NO_EDGE,
        )
    if PRECISIONS[wanted].calibrated and isinstance(request.model.calibration, Absent):
        raise UsageError(
            f"precision {wanted} needs calibration data",
            hint="give --calibration FILE with some hundred real inputs; synthetic is for trying out",
            code=Code.CALIBRATION_MISSING,
        )
    return wanted


def _unchanged(kind: str, target: Target) -> str:
    """What to do with a file that cannot be converted further, such as a quantised one."""
    takers = [target.name] if kind in target.as_is else _takers(kind)
    original = "start from the model it was made from"
    if not takers:
        return original
    elsewhere = "" if target.name in takers else f" --target {_alternatives(takers)}"
    return f"run it unchanged: --precision {UNCHANGED.name}{elsewhere}; or {original}"


def _takers(kind: str) -> list[str]:
    """The targets that run a format's files as they are on a CPU."""
    found = [target_for(name, kind) for name in targets_of(kind)]
    return [target.name for target in found if kind in target.as_is and "cpu" in target.accelerators]


def elsewhere(edge: Edge, hint: str) -> str:
    """Alternatives if a converter fails: other targets for that precision, and the route through ONNX; empty if there are none.

    Args:
        hint: the error's own. If it names a target, that one has what the model needs, which others may lack.
    """
    others = [
        name for name in targets_of(edge.source)
        if name != edge.target.name and "cpu" in targets.load(name).accelerators
        and offered(target_for(name, edge.source).precisions_from(edge.source), edge.precision)
    ]  # fmt: skip
    unnamed = others and "--target " not in hint
    ways = [f"another target may take it: --target {_alternatives(others)}"] if unnamed else []
    by_onnx = any(worker == ONNX.framework for worker, _ in edge.route.stages)
    if FORMATS[edge.source].exports_onnx and ONNX.name in edge.target.routes and not by_onnx:
        ways.append(f"export it to ONNX, which has its own route to {edge.target.name}")
    return "; ".join(ways)


def _alternatives(names: Sequence[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _list(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
