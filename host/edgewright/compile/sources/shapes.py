"""Static shapes: what a source leaves open, and what the user has to give."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from edgewright.errors import Code, ModelError

# a size, or an open axis: its name, or None (or a number below 0) for one without a name
Axis = int | str | None
Axes = Sequence[Axis] | None  # None: of unknown rank

# words in the name of a first axis that is not the batch
_NOT_BATCH = {
    "seq", "sequence", "sequences", "time", "times", "timestep", "timesteps", "step", "steps", "frame", "frames", "t", "l",
    "len", "length", "lengths", "seqlen", "maxlen", "token", "tokens", "window", "duration", "num", "point", "points", "node", "nodes", "edge",
    "edges", "box", "boxes", "roi", "rois", "height", "width", "channel", "channels", "feature", "features",
}  # fmt: skip
# names that exporters make up: they tie axes together, and say nothing to a person
_MADE_UP = re.compile(r"s\d+|unk__\d+|\w*_dim_\d+|\w*dynamic_axes_\d+|d\d+")
_EXAMPLE, _EXAMPLE_IMAGE = 20, 224
_RANK_OF_IMAGES = 4


class StaticShapes(NamedTuple):
    """The shapes of all inputs, by name, and what was decided about them, one line each."""

    shapes: dict[str, tuple[int, ...]]
    notes: tuple[str, ...]


def static_shapes(
    open_shapes: Mapping[str, Axes],
    given: Mapping[str, tuple[int, ...]],
    not_batch: Collection[str] = (),
) -> StaticShapes:
    """The shapes of all inputs with no axis left open.

    An open batch, the first axis, becomes 1; other open axes must be given. Axes of one name are of one size, so one that
    is given fixes the others. A first axis that is named as a sequence is not a batch.

    Args:
        open_shapes: as the source says.
        given: input name -> shape, as the user asked.
        not_batch: inputs whose first axis is not a batch, whatever its name is.

    Raises:
        ModelError: open axes that were not given, all of them in one error; a given shape that contradicts the source's,
            or is for an input that the model does not have.
    """
    for name, wanted in given.items():
        if name not in open_shapes:
            raise ModelError(
                f"model has no input {name}",
                hint=f"its inputs are {', '.join(open_shapes)}",
                code=Code.NO_SUCH_INPUT,
            )
        _check(name, open_shapes[name], wanted)
    tied = _tied(open_shapes, given)
    known = {name: _known(axes, tied) for name, axes in open_shapes.items()}
    missing = {
        name: axes
        for name, axes in known.items()
        if name not in given and _is_missing(axes, no_batch=name in not_batch)
    }
    if missing:
        raise _open_axes({name: open_shapes[name] for name in missing}, missing, not_batch)
    fixed = {
        name: given[name] if name in given else tuple(1 if _open(axis) else int(axis or 0) for axis in axes or ())
        for name, axes in known.items()
    }  # fmt: skip
    return StaticShapes(fixed, _notes(open_shapes, fixed))


def shape_text(axes: Axes) -> str:
    """`(batch, 3, ?, ?)`."""
    if axes is None:
        return "(of unknown rank)"
    words = [_name(axis) or ("?" if _open(axis) else str(axis)) for axis in axes]
    return f"({', '.join(words)}{',' if len(words) == 1 else ''})"


def _name(axis: Axis) -> str:
    """What an open axis is called; nothing where that says nothing."""
    return axis if isinstance(axis, str) and not _MADE_UP.fullmatch(axis) else ""


def _open(axis: Axis) -> bool:
    return axis is None or isinstance(axis, str) or axis < 0


def _check(name: str, axes: Axes, wanted: tuple[int, ...]) -> None:
    """Raises ModelError for a given shape that the source does not leave open. 0 stands for an open axis in old exporters."""
    if any(size < 1 for size in wanted):
        raise ModelError(
            f"given shape has an axis below 1 for input {name}: {shape_text(wanted)}",
            hint="give sizes from 1 on",
        )
    if axes is None:
        return
    other = [at for at, (axis, size) in enumerate(zip(axes, wanted, strict=False))
             if not _open(axis) and axis not in (0, size)]  # fmt: skip
    if len(axes) == len(wanted) and not other:
        return
    hint = "only axes that the model leaves open can be chosen"
    if len(axes) == len(wanted) and other == [0]:
        hint = f"its first axis is fixed at {axes[0]}: export the model again with an open batch, or a batch of {wanted[0]}"
    raise ModelError(
        f"given shape contradicts the model's for input {name}: {shape_text(wanted)} for {shape_text(axes)}",
        hint=hint,
        code=Code.SHAPE_MISMATCH,
    )


def _tied(open_shapes: Mapping[str, Axes], given: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Name of an open axis -> its size, where all given shapes agree about it."""
    sizes: dict[str, set[int]] = {}
    for name, wanted in given.items():
        for axis, size in zip(open_shapes[name] or (), wanted, strict=False):
            if isinstance(axis, str):
                sizes.setdefault(axis, set()).add(size)
    return {axis: found.pop() for axis, found in sizes.items() if len(found) == 1}


def _known(axes: Axes, tied: Mapping[str, int]) -> Axes:
    if axes is None:
        return None
    return tuple(tied.get(axis, axis) if isinstance(axis, str) else axis for axis in axes)


def _is_missing(axes: Axes, *, no_batch: bool) -> bool:
    if axes is None or 0 in axes or any(_open(axis) for axis in axes[1:]):
        return True
    return bool(axes) and _open(axes[0]) and (no_batch or not _may_be_batch(axes[0]))


def _may_be_batch(axis: Axis) -> bool:
    name = _name(axis)
    if not name or "batch" in name.lower():
        return True
    words = re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower())
    return not _NOT_BATCH & set(words)


def _open_axes(
    shown: Mapping[str, Axes], missing: Mapping[str, Axes], not_batch: Collection[str]
) -> ModelError:
    what = "axes that are open or 0" if any(0 in (axes or ()) for axes in missing.values()) else "open axes"
    listed = ", ".join(f"{name} {shape_text(axes)}" for name, axes in shown.items())
    words = {name: _words(axes, no_batch=name in not_batch) for name, axes in missing.items()}
    line = " ".join(f"--input-shape {name}={','.join(sizes)}" for name, sizes in words.items())
    first, sizes = next(iter(words.items()))
    example = ",".join(size if size.isdecimal() else _example(size) for size in sizes)
    return ModelError(
        f"{'inputs have' if len(missing) > 1 else 'input has'} {what}: {listed}",
        hint=f"give the sizes: {line}" + (f" (such as {first}={example})" if example != ",".join(sizes) else ""),
        code=Code.DYNAMIC_SHAPE,
    )  # fmt: skip


def _words(axes: Axes, *, no_batch: bool) -> list[str]:
    """The axes as `--input-shape` takes them, with a word in capitals for what the user has to choose."""
    if axes is None:
        return ["1", "SIZES"]
    at_batch = not no_batch and _may_be_batch(axes[0]) and not any("batch" in str(axis) for axis in axes[1:])
    open_ones = [at for at, axis in enumerate(axes) if _open(axis) and (at or not at_batch)]
    plain = [at for at in open_ones if not _name(axes[at])]
    image = len(axes) == _RANK_OF_IMAGES and plain in ([2, 3], [1, 2])
    found = []
    for at, axis in enumerate(axes):
        if at not in open_ones:
            found.append("1" if _open(axis) or axis == 0 else str(axis))
        elif name := _name(axis):
            word = re.sub(r"\W+", "_", name).upper()
            found.append("1" if "BATCH" in word else word if not word.isdecimal() else f"SIZE{word}")
        else:
            names = ("HEIGHT", "WIDTH") if image else ("SIZE",) if len(plain) == 1 else ()
            found.append(names[plain.index(at)] if names else f"SIZE{plain.index(at) + 1}")
    return found


def _example(word: str) -> str:
    if word == "SIZES":
        return f"3,{_EXAMPLE_IMAGE},{_EXAMPLE_IMAGE}"
    return str(_EXAMPLE_IMAGE if "HEIGHT" in word or "WIDTH" in word else _EXAMPLE)


def _notes(open_shapes: Mapping[str, Axes], fixed: Mapping[str, tuple[int, ...]]) -> tuple[str, ...]:
    batches, notes = [], []
    for name, axes in open_shapes.items():
        changed = axes is None or [at for at, axis in enumerate(axes) if _open(axis) or axis == 0]
        if changed == [0] and fixed[name][0] == 1 and axes is not None and _may_be_batch(axes[0]):
            batches.append(name)
        elif changed:
            notes.append(f"input {name} was {shape_text(axes)}, made {shape_text(fixed[name])}")
    return (*([f"batch of {', '.join(batches)} was open, made 1"] if batches else []), *notes)
