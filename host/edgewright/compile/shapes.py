"""Static shapes: what the boards' runtimes want, and what a source leaves open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgewright.errors import ModelError


def static_shapes(
    open_shapes: Mapping[str, Sequence[int | None] | None], given: dict[str, tuple[int, ...]]
) -> dict[str, tuple[int, ...]]:
    """The shapes of all inputs, by name. Arguments and errors as for `static_shape`.

    Raises:
        ModelError: also when a shape is given for an input that the model does not have.
    """
    for name in given:
        if name not in open_shapes:
            raise ModelError(
                f"model has no input {name}",
                hint=f"its inputs are {', '.join(open_shapes)}",
                code="no-such-input",
            )
    return {name: static_shape(name, shape, given) for name, shape in open_shapes.items()}


def static_shape(
    name: str, shape: Sequence[int | None] | None, given: dict[str, tuple[int, ...]]
) -> tuple[int, ...]:
    """The shape of one input with no axis left open: an open batch (axis 0) becomes 1, others must be given.

    Args:
        shape: as the source says, None (or a number below 1) for an open axis; None for an open rank.
        given: input name -> shape, as the user asked.

    Raises:
        ModelError: an open axis that was not given, or a given shape that contradicts the source's.
    """
    wanted = given.get(name)
    if wanted is None:
        if shape is None or any(_open(axis) for axis in shape[1:]):
            example = ",".join("1" if index == 0 else "?" if _open(axis) else str(axis)
                               for index, axis in enumerate(shape or [None]))  # fmt: skip
            raise ModelError(
                f"input has a dynamic shape: {name} {_text(shape)}",
                hint=f"say it: --input-shape {name}={example}",
                code="dynamic-shape",
            )
        return tuple(1 if _open(axis) else int(axis or 0) for axis in shape)
    if shape is not None and (
        len(shape) != len(wanted)
        or any(not _open(axis) and axis != size for axis, size in zip(shape, wanted, strict=False))
    ):
        raise ModelError(
            f"given shape contradicts the model's for input {name}: {_text(wanted)} for {_text(shape)}",
            hint="only axes that the model leaves open can be chosen",
            code="shape-mismatch",
        )
    if any(size < 1 for size in wanted):
        raise ModelError(f"given shape has an axis below 1 for input {name}: {_text(wanted)}")
    return tuple(wanted)


def _open(axis: int | None) -> bool:
    return axis is None or axis < 1


def _text(shape: Sequence[int | None] | None) -> str:
    if shape is None:
        return "(of unknown rank)"
    return "(" + ", ".join("?" if _open(axis) else str(axis) for axis in shape) + ")"
