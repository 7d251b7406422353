"""What a board gives `infer` is bounded and checked before anyone looks at it."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright.errors import DataError, ProtocolError
from edgewright.measure.infer import Inference, run_on
from edgewright.measure.inputs import packed
from edgewright.measure.release_manifest import Released, known_of, released
from edgewright.nouns.artifact import TensorSpec
from edgewright.wire import commands

KNOWN = Released(
    inputs=(TensorSpec(name="x", shape=(1, 4), dtype="float32"),),
    outputs=(TensorSpec(name="y", shape=(1, 3), dtype="int8", scale=0.5, zero_point=1),),
)
Y = np.array([[[1, 3, 5]]], np.int8)


class Board:
    """A session whose board gives these bytes for the outputs."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def put(self, data: bytes, label: str) -> str:
        return "0" * 64

    def call(self, command: commands.Command[Any]) -> Any:
        result = {"result": "1-outputs", "sha256": "0" * 64, "size": len(self.data)}
        return command.read(
            {"outputs": result, "ms": [1.0], "release": "v1", "runtime": "r 1", "accelerator": "cpu"}
        )

    def get_file(self, result: object, *, most: int) -> io.BytesIO:
        return io.BytesIO(self.data)

    def simulated(self) -> tuple[str, ...]:
        return ()


def inferred(data: bytes, about: Released | None, **more: Any) -> Inference:
    return run_on(Board(data), "m", None, npz(input_0=Y), about=about, **more)  # type: ignore[arg-type]


def npz(packing: int = zipfile.ZIP_STORED, **members: np.ndarray[Any, Any] | bytes) -> bytes:
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w", packing) as archive:
        for name, content in members.items():
            file = io.BytesIO()
            if not isinstance(content, bytes):
                np.lib.format.write_array(file, content)
            archive.writestr(f"{name}.npy", file.getvalue() or content)
    return found.getvalue()


def promising(shape: str, dtype: str = "|i1") -> bytes:
    """A member whose header promises a shape, and that has no values."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return npz(output_0=b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)


def test_outputs_by_the_releases_names_or_by_their_places() -> None:
    assert inferred(npz(output_0=Y), KNOWN).outputs["y"].tolist() == [[[0, 1, 2]]]
    assert inferred(npz(output_0=Y), KNOWN, raw=True).outputs["y"].tolist() == Y.tolist()
    assert list(inferred(npz(output_1=Y, output_0=Y), None).outputs) == ["output_0", "output_1"]


@pytest.mark.parametrize("about", [KNOWN, None], ids=["known", "unknown"])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04" + b"x" * 100,
        npz(output_0=Y)[:-9],
        npz(output_0=Y).replace(Y.tobytes(), b"\x00\x00\x01", 1),  # another checksum
        npz(zipfile.ZIP_DEFLATED, output_0=Y),
        npz(output_0=b"\x93NUMPY\x01"),
        npz(output_0=Y, other=Y),
        npz(other=Y),
        npz(),
        promising("(100000000000, 1, 3)"),
        promising("(100000000000, 0, 3)"),
        promising("()"),
        promising("(1,)", "|O"),
        npz(output_0=Y).replace(b"PK\x01\x02\x14\x03\x14", b"PK\x01\x02\x14\x03\xff"),  # a later zip
    ],
    ids=range(14),
)
def test_outputs_that_are_none(data: bytes, about: Released | None) -> None:
    with pytest.raises(ProtocolError, match="outputs are not understood"):
        inferred(data, about)


def said(manifest: Any) -> Released | None:
    """What a board's manifest is read as."""
    return known_of(commands.Describe(model="m").read({"manifest": manifest}).manifest)


X = {"name": "x", "shape": [1, 4, 4, 3], "dtype": "float32"}
MANIFEST = {"schema": 1, "inputs": [X], "outputs": [{"name": "y", "shape": [1, 3], "dtype": "float32"}]}


@pytest.mark.parametrize(
    "manifest",
    [
        [],
        None,
        *({**MANIFEST, "schema": schema} for schema in ("9", None, 1.5, True)),
        *({**MANIFEST, "inputs": [{**X, "dtype": dtype}]} for dtype in ("f4,,(", "O", "float128", "(9,)f4", "", "f4")),
        *({**MANIFEST, "inputs": [{**X, "shape": shape}]} for shape in ([1] * 33, [1, 2**70], [0])),
        *({**MANIFEST, key: given} for key in ("inputs", "outputs") for given in ([], [X, X], [{**X, "name": ""}])),
        {**MANIFEST, "preprocessing": {"size": [1 << 20, 1 << 20]}},
        {**MANIFEST, "calibration": [1]},
        {key: value for key, value in MANIFEST.items() if key != "schema"},
    ],
)  # fmt: skip
def test_manifests_that_are_none(manifest: Any) -> None:
    with pytest.raises(ProtocolError, match=r"manifest.*not valid|not valid.*manifest"):
        said(manifest)


def test_an_answer_without_a_manifest() -> None:
    with pytest.raises(ProtocolError, match="missing required field `manifest`"):
        released(Board(b""), "m", "1-00000000", "0" * 64)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shape", "more", "fits"),
    [
        ([1, 4, 6, 3], {"size": [4, 6]}, True),
        ([1, 3, 4, 6], {"size": [4, 6], "layout": "nchw"}, True),
        ([1, 4, 6, 3], {}, True),
        ([1, 4, 6, 3], {"size": [9999, 9999]}, False),
        ([1, 3, 4, 6], {"size": [3, 4], "layout": "nchw"}, False),
        ([1, 3], {"size": [4, 6]}, False),
    ],
)
def test_pictures_of_another_size_than_the_inputs(
    tmp_path: Path, shape: list[int], more: dict[str, Any], fits: bool
) -> None:
    from PIL import Image

    about = said({**MANIFEST, "inputs": [{**X, "shape": shape}], "preprocessing": {"scale": 1.0, **more}})
    if fits:
        Image.new("RGB", (5, 5)).save(tmp_path / "p.png")
        assert packed(tmp_path / "p.png", about)
    else:
        (tmp_path / "p.png").write_bytes(b"is not opened")
        with pytest.raises(DataError, match="makes pictures of"):
            packed(tmp_path / "p.png", about)
