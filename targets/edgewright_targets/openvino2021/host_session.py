"""Runs an artifact on the host with OpenVINO 2021.4 itself, the version that boards have.

This machine's Python cannot load it, so `toolchain_program.py` runs it in the toolchain's Python.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgewright_targets.openvino2021.finish import INSIDE, TOOLCHAIN


def load(folder: str, manifest: dict[str, Any], options: dict[str, Any]) -> Session:
    """A Session as in `runner.py`.

    Raises:
        ConversionError: the toolchain is missing, or cannot load the artifact.
    """
    from edgewright.sdk import toolchains

    return Session(toolchains.python_of(TOOLCHAIN), Path(folder), manifest, options)


class Session:
    """One loaded network in another process. `accelerator` is the one that is really used."""

    def __init__(self, python: Path, folder: Path, manifest: dict[str, Any], options: dict[str, Any]) -> None:
        from edgewright.sdk import Code, ConversionError

        self.accelerator = options.get("accelerator") or "cpu"
        self._sizes = [_size(spec) for spec in manifest["outputs"]]
        self._process = subprocess.Popen(
            [python, "-I", "-B", INSIDE, "serve", folder, json.dumps(options)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: S101 - for the type
        self._in, self._out = self._process.stdin, self._process.stdout
        self._send(json.dumps(manifest).encode() + b"\n")
        answer = self._out.readline()
        if answer != b"ready\n":
            self.close()
            said = answer.decode("utf-8", "replace").strip() or f"exit code {self._process.returncode}"
            raise ConversionError(
                f"OpenVINO 2021.4 cannot load the artifact: {said[:300].rstrip('.')}",
                hint="its shapes have to be static, also inside loops; write the model without them",
                code=Code.CONVERSION_FAILED,
            )

    def feed(self, tensors: Sequence[Any]) -> bytes:
        """The bytes of each input, in the manifest's order."""
        return b"".join(bytes(one) for one in tensors)

    def infer(self, feed: bytes) -> list[bytes]:
        """Runs one inference; returns the bytes of each output.

        Raises:
            ConversionError: the other process died.
        """
        from edgewright.sdk import Code, ConversionError

        self._send(feed)
        answers = [self._out.read(size) for size in self._sizes]
        if [len(one) for one in answers] != self._sizes:
            self.close()
            raise ConversionError(
                f"OpenVINO 2021.4 crashed on the artifact: exit code {self._process.returncode}",
                hint="its plugin crashed",
                code=Code.WORKER_CRASHED,
            )
        return answers

    def read(self, outputs: list[bytes]) -> list[bytes]:
        """The bytes, unchanged."""
        return outputs

    def _send(self, data: bytes) -> None:
        try:
            self._in.write(data)
            self._in.flush()
        except BrokenPipeError:
            pass  # it died, so its answer is missing

    def close(self) -> None:
        """Ends the other process."""
        for pipe in (self._in, self._out):
            try:
                pipe.close()
            except BrokenPipeError:
                pass
        self._process.wait()


def _size(spec: dict[str, Any]) -> int:
    """Bytes of a tensor."""
    import numpy

    return int(numpy.prod(spec["shape"], dtype=numpy.int64)) * int(numpy.dtype(spec["dtype"]).itemsize)
