"""Tensor files without numpy, compared with numpy's."""

import io
import struct
import zipfile

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgewright_agent.child.tensors import FORMATS, NpzWriter, Tensors, check, header, numbers, parse_header
from edgewright_agent.protocol import AgentError

RELAXED = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
TENSORS = st.sampled_from(sorted(FORMATS)).flatmap(
    lambda name: arrays.arrays(numpy.dtype(name), arrays.array_shapes(max_dims=4, max_side=5))
)


def saved(array):
    out = io.BytesIO()
    numpy.save(out, array, allow_pickle=True)
    return out.getvalue()


def refused(path, data):
    path.write_bytes(data)
    with pytest.raises(AgentError) as caught, Tensors(str(path)) as tensors:
        list(tensors.member(tensors.names[0] if tensors.names else "input_0").samples())
    assert caught.value.code == "bad-argument"
    return caught.value.message


@RELAXED
@given(array=TENSORS, packed=st.booleans())
def test_samples_are_numpys(tmp_path, array, packed):
    path = tmp_path / "x.npz"
    (numpy.savez_compressed if packed else numpy.savez)(path, input_0=array, labels=array[:1])
    with Tensors(str(path)) as tensors:
        assert tensors.names == ["input_0", "labels"]
        member = tensors.member("input_0")
        assert (member.dtype, member.shape) == (array.dtype.name, array.shape)
        samples = list(member.samples())
    assert samples == [row.tobytes() for row in array]
    got = [value for sample in samples for value in numbers(sample, member.dtype)]
    numpy.testing.assert_array_equal(numpy.array(got, array.dtype), array.ravel())


@RELAXED
@given(array=TENSORS)
def test_a_lone_npy_is_input_0(tmp_path, array):
    path = tmp_path / "x.npy"
    path.write_bytes(saved(array))
    with Tensors(str(path)) as tensors:
        assert b"".join(tensors.member("input_0").samples()) == array.tobytes()


@RELAXED
@given(array=TENSORS)
def test_numpy_reads_what_is_written(tmp_path, array):
    path = tmp_path / "y.npz"
    members = [("output_0", array.dtype.name, array.shape[1:]), ("output_1", "int8", (2,))]
    with NpzWriter(str(path), members) as writer:
        for row in array:
            writer.add([row.tobytes(), b"\x01\xff"])
    with numpy.load(path) as loaded:
        numpy.testing.assert_array_equal(loaded["output_0"], array)
        assert loaded["output_0"].dtype == array.dtype
        assert loaded["output_1"].tolist() == [[1, -1]] * len(array)
    assert [item.name for item in tmp_path.iterdir() if item.name.startswith("y")] == ["y.npz"]


def test_the_same_tensors_give_the_same_file(tmp_path):
    for name in ("a", "b"):
        with NpzWriter(str(tmp_path / name), [("output_0", "float32", (1,))]) as writer:
            writer.add([b"\0\0\0\0"])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_output_of_another_size_is_refused(tmp_path):
    wrong = pytest.raises(ValueError, match="output_0 has 4 bytes, not those of float32")
    with wrong, NpzWriter(str(tmp_path / "y"), [("output_0", "float32", (2,))]) as writer:
        writer.add([b"\0\0\0\0"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (numpy.zeros((2, 3), ">f4"), "dtype that cannot be read"),
        (numpy.zeros((2, 3), "complex64"), "dtype that cannot be read"),
        (numpy.array([["a", "b"]]), "dtype that cannot be read"),
        (numpy.array([{}, 1], object), "dtype that cannot be read"),
        (numpy.zeros(2, [("a", "f4")]), "not of one dtype"),
        (numpy.asfortranarray(numpy.zeros((2, 3), "f4")), "Fortran order"),
        (numpy.float32(3), "no axis of samples"),
    ],
)
def test_what_is_no_plain_tensor_is_refused(tmp_path, array, message):
    assert message in refused(tmp_path / "x.npy", saved(array))


def test_damage_is_refused(tmp_path):
    whole = saved(numpy.arange(12, dtype="float32").reshape(3, 4))
    assert "promises" in refused(tmp_path / "x", whole[:-1])
    assert "promises" in refused(tmp_path / "x", whole + b"!")
    assert "ends early" in refused(tmp_path / "x", whole[:7])
    assert "ends early" in refused(tmp_path / "x", whole[:20])
    assert "neither" in refused(tmp_path / "x", b"hello")
    assert "neither" in refused(tmp_path / "x", b"")
    assert "too long" in refused(tmp_path / "x", b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31))


@pytest.mark.parametrize("pack", [numpy.savez, numpy.savez_compressed])
@pytest.mark.parametrize("place", [0.3, 0.5, 0.7])
def test_a_flipped_bit_in_an_archive_is_refused(tmp_path, pack, place):
    path = tmp_path / "x.npz"
    pack(path, input_0=numpy.random.default_rng(0).normal(size=(64, 64)))
    data = bytearray(path.read_bytes())
    data[int(len(data) * place)] ^= 1
    message = refused(path, bytes(data))
    assert "damaged" in message or "unpacked" in message


def test_other_members_and_packings_are_refused(tmp_path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "no tensors" in refused(tmp_path / "x", out.getvalue())
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("input_0.npy", saved(numpy.zeros(3)))
    assert "packed" in refused(tmp_path / "x", out.getvalue())


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').getcwd()",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (True,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': [2]}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 1}",
        "{'descr': '<f16', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '<m8', 'fortran_order': False, 'shape': (2,)}",
        "(" * 5000,
    ],
)
def test_bad_headers(text):
    with pytest.raises(AgentError, match="tensor"):
        parse_header(text)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_end_in_an_error(tmp_path, data, headed):
    path = tmp_path / "x"
    path.write_bytes((b"\x93NUMPY\x01\x00" if headed else b"PK\x03\x04") + data)
    with pytest.raises(AgentError), Tensors(str(path)) as tensors:
        list(tensors.member("input_0").samples())


def test_a_great_claim_takes_no_memory(tmp_path):
    claim = header("float64", (1, 10**15))
    assert "promises" in refused(tmp_path / "x", claim)


def test_samples_must_be_those_of_the_model(tmp_path):
    path = tmp_path / "x.npz"
    shapes = {"a": (5, 1, 3, 2), "b": (5, 3, 2), "c": (5, 2, 3)}
    numpy.savez(path, **{name: numpy.zeros(shape, "float32") for name, shape in shapes.items()})
    spec = {"name": "x", "shape": [1, 3, 2], "dtype": "float32"}
    with Tensors(str(path)) as tensors:
        check(tensors.member("a"), spec, "input_0")
        check(tensors.member("b"), spec, "input_0")
        with pytest.raises(
            AgentError, match=r"input_0 has samples of shape \[2, 3\], the model wants \[1, 3, 2\]"
        ):
            check(tensors.member("c"), spec, "input_0")
        with pytest.raises(AgentError, match="input_0 is float32, the model wants int8"):
            check(tensors.member("a"), dict(spec, dtype="int8"), "input_0")
        with pytest.raises(AgentError, match="has no member 'd'"):
            tensors.member("d")
