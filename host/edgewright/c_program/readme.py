"""The README of an exported folder: how to build, copy and run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgewright.c_program.header import size
from edgewright.c_program.text import comment, filled, write_text
from edgewright.nouns.artifact import Artifact, TensorSpec

if TYPE_CHECKING:
    from edgewright.c_program.program import ExportedProgram

_CROSS = {
    "aarch64": "Debian has the cross compiler in the packages `gcc-aarch64-linux-gnu` and `libc6-dev-arm64-cross`. "
}
_EMULATED = {
    "aarch64": """On a machine of another architecture, the program also runs in an emulator:

```sh
make check RUN='qemu-aarch64-static -L /usr/aarch64-linux-gnu'
```

"""
}


def write(folder: Path, artifact: Artifact, exported: ExportedProgram, glibc: str) -> None:
    """Writes `README.md`.

    Args:
        glibc: the least version of the C library that the runtime needs.
    """
    manifest = artifact.manifest
    places = {
        "TITLE": comment(manifest.source.file).replace("`", "'"),
        "ARTIFACT": artifact.id[:12],
        "CPU": exported.cpu.title,
        "FEATURES": ", ".join(exported.cpu.features),
        "NAME": exported.name,
        "ENTRY": manifest.entry,
        "CC": exported.compiler,
        "RUNTIME": exported.runtime,
        "LIBRARIES": ", ".join(f"`lib/{one.name}`" for one in sorted((folder / "lib").iterdir())),
        "GLIBC": glibc,
        "CROSS": _CROSS.get(exported.cpu.arch, ""),
        "EMULATED": _EMULATED.get(exported.cpu.arch, ""),
        "TENSORS": "\n".join(_rows("input", manifest.inputs) + _rows("output", manifest.outputs)),
    }
    write_text(folder / "README.md", filled("README.md", exported.name, places))


def _rows(kind: str, specs: tuple[TensorSpec, ...]) -> list[str]:
    return [
        f"| {kind} {index} | {comment(spec.name).replace('|', '/')} | {spec.dtype} | {list(spec.shape)} | {size(spec)} |"
        for index, spec in enumerate(specs)
    ]
