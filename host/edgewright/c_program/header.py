"""The header: what the application calls, and what the tensors are."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from edgewright.c_program.text import comment, filled, number, quoted
from edgewright.nouns.artifact import Artifact, TensorSpec
from edgewright.nouns.cpu import Cpu


def size(spec: TensorSpec) -> int:
    """Bytes of a tensor."""
    import numpy as np

    return prod(spec.shape) * np.dtype(spec.dtype).itemsize


def header(artifact: Artifact, cpu: Cpu, name: str) -> str:
    """The text of `<name>_model.h`."""
    manifest = artifact.manifest
    kinds = (("INPUT", manifest.inputs), ("OUTPUT", manifest.outputs))
    rank = max(len(spec.shape) for _, specs in kinds for spec in specs)
    own = name.upper()
    lines = [f"#define {own}_FILE {quoted(manifest.entry)}"]
    lines += [f"#define {own}_{kind}S {len(specs)}" for kind, specs in kinds]
    lines.append(f"#define {own}_RANK {max(1, rank)} /* the most dimensions of a tensor */")
    for kind, specs in kinds:
        for index, spec in enumerate(specs):
            lines += ["", *_tensor(f"{own}_{kind}_{index}", spec)]
    places = {
        "TITLE": comment(f"{manifest.source.file} in {manifest.precision}, for {cpu.title}"),
        "ARTIFACT": artifact.id,
        "ARCH": cpu.arch,
        "TENSORS": "\n".join(lines),
    }
    return filled("ew.h", name, places)


def _tensor(prefix: str, spec: TensorSpec) -> Iterator[str]:
    yield f"#define {prefix}_NAME {quoted(spec.name)}"
    yield f"#define {prefix}_DTYPE {quoted(spec.dtype)}"
    yield f"#define {prefix}_SHAPE {_shape(spec)}"
    yield f"#define {prefix}_COUNT {prod(spec.shape)} /* numbers */"
    yield f"#define {prefix}_BYTES {size(spec)}"


def tables(artifact: Artifact, cpu: Cpu) -> str:
    """The tables behind the header's declarations."""
    manifest = artifact.manifest
    rows = []
    for kind, specs in (("INPUT", manifest.inputs), ("OUTPUT", manifest.outputs)):
        rows.append(f"const ew_tensor ew_{kind.lower()}s[EW_{kind}S] = {{")
        for index, spec in enumerate(specs):
            own = f"EW_{kind}_{index}"
            scale = f"{number(spec.scale or 0.0)}, {spec.zero_point or 0}"
            rows.append(
                f"    {{{own}_NAME, {own}_DTYPE, {len(spec.shape)}, {own}_SHAPE, {own}_BYTES, {scale}}},"
            )
        rows += ["};", ""]
    features = "".join(f"{quoted(one)}, " for one in cpu.features)
    rows.append(f"static const char *const ew_cpu_features[] = {{{features}NULL}};")
    return "\n".join(rows)


def _shape(spec: TensorSpec) -> str:
    return "{" + (", ".join(map(str, spec.shape)) or "1") + "}"
