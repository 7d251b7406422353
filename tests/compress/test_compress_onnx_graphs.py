"""ONNX graphs of all kinds as networks: what is a layer, what survives, what is refused."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgewright.compile.sources import onnx as sources
from edgewright.compress import bias_correction, equalisation
from edgewright.compress.onnx.network import OnnxNetwork, open_network
from edgewright.errors import ConversionError, EdgewrightError
from edgewright.nouns.compression import ChannelLink, ChannelPruning

RANDOM = np.random.default_rng(1)
node = helper.make_node


def held(name: str, *shape: int, dtype: str = "float32") -> Any:
    return numpy_helper.from_array(RANDOM.normal(size=shape).astype(dtype), name)


def model(
    nodes: Sequence[Any], weights: Sequence[Any], inputs: dict[str, Any], output: Sequence[Any] = (), opset: int = 17,
    kind: int = TensorProto.FLOAT,
) -> Any:  # fmt: skip
    """A model with the output `y`."""
    given = [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()]
    made = [helper.make_tensor_value_info("y", kind, output or None)]
    graph = helper.make_graph(nodes, "graph", given, made, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def chain(dtype: str = "float32", kind: int = TensorProto.FLOAT, **more: Any) -> Any:
    """Conv - Relu - Flatten - Gemm, for 2x6x6."""
    nodes = [
        node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1], name="conv"),
        node("Relu", ["c"], ["r"]),
        node("Flatten", ["r"], ["f"]),
        node("Gemm", ["f", "v", "u"], ["y"], name="last"),
    ]
    shapes = {"w": (4, 2, 3, 3), "b": (4,), "v": (144, 3), "u": (3,)}
    weights = [held(name, *shape, dtype=dtype) for name, shape in shapes.items()]
    return model(nodes, weights, {"x": more.pop("shape", ["n", 2, 6, 6])}, ["n", 3], kind=kind, **more)


def opened(made: Any, folder: Path) -> OnnxNetwork:
    onnx.save(made, str(folder / "net.onnx"))
    return open_network(folder / "net.onnx")


def samples(network: OnnxNetwork, count: int = 24) -> list[np.ndarray]:
    return [RANDOM.normal(size=(count, *spec.shape[1:])).astype(spec.dtype) for spec in network.inputs]


def sqnr(noisy: np.ndarray, exact: np.ndarray) -> float:
    return float(10 * np.log10((exact**2).sum() / ((noisy - exact) ** 2).sum()))


def grouped() -> Any:
    """All that channels pass: a depthwise and a grouped convolution, a transposed one, pooling, a join, and a layout with channels last."""
    nodes = [
        node("Conv", ["x", "w1"], ["a"], name="plain"),
        node("BatchNormalization", ["a", "g", "h", "m", "s"], ["an"]),
        node("LeakyRelu", ["an"], ["ar"]),
        node("Conv", ["ar", "w2"], ["b"], group=4, name="wise"),
        node("Mul", ["b", "k"], ["bk"]),
        node("Add", ["bk", "l"], ["bl"]),
        node("Conv", ["bl", "w3"], ["c"], group=2, name="grouped"),
        node("MaxPool", ["c"], ["cp"], kernel_shape=[2, 2]),
        node("ConvTranspose", ["cp", "w4", "b4"], ["d"], name="up"),
        node("ConvTranspose", ["d", "w7", "b7"], ["ds"], group=5, name="spread"),
        node("Concat", ["ds", "z"], ["e"], axis=1),
        node("Transpose", ["e"], ["et"], perm=[0, 2, 3, 1]),
        node("Reshape", ["et", "flat"], ["f"]),
        node("MatMul", ["f", "w5"], ["i"], name="dense"),
        node("Add", ["i", "b5"], ["ib"]),
        node("PRelu", ["ib", "slope"], ["ip"]),
        node("Gemm", ["ip", "w6"], ["y"], transB=1, name="last"),
    ]
    shapes = {
        "w1": (4, 2, 3, 3), "h": (4,), "m": (4,), "w2": (8, 1, 1, 1), "k": (8, 1, 1), "l": (1, 8, 1, 1), "w3": (6, 4, 3, 3),
        "w4": (6, 5, 2, 2), "b4": (5,), "z": (1, 2, 4, 4), "w5": (112, 7), "b5": (7,), "slope": (7,), "w6": (3, 7), "g": (4,), "w7": (5, 1, 1, 1), "b7": (5,),
    }  # fmt: skip
    weights = [held(name, *shape) for name, shape in shapes.items()]
    weights.append(numpy_helper.from_array(RANDOM.uniform(0.5, 2, 4).astype("float32"), "s"))
    weights.append(numpy_helper.from_array(np.array([1, -1]), "flat"))
    return model(nodes, weights, {"x": [1, 2, 8, 8]}, [1, 3])


def test_channels_are_scaled_where_they_are_made_and_read(tmp_path: Path) -> None:
    network = opened(grouped(), tmp_path)
    assert [(layer.name, layer.kind) for layer in network.layers()] == [
        ("plain", "conv"), ("wise", "depthwise"), ("grouped", "conv"), ("up", "conv"), ("spread", "depthwise"),
        ("dense", "dense"), ("last", "dense"),
    ]  # fmt: skip
    found = network.channel_links()
    names = [layer.name for layer in network.layers()]
    assert found.links == tuple(
        ChannelLink(maker=one, readers=(other,)) for one, other in itertools.pairwise(names)
    )
    assert not found.left
    data = samples(network)
    before, means = network.predict(data)[0], network.channel_means(data)
    for link in found.links:
        ranges, factors = network.channel_ranges(link), RANDOM.uniform(0.2, 5, len(means[link.maker]))
        network.scale_channels(link, factors)
        for new, old in zip(
            network.channel_ranges(link), (ranges[0] / factors, ranges[1] * factors), strict=True
        ):
            np.testing.assert_allclose(new, old, 1e-5)
        np.testing.assert_allclose(
            network.channel_means(data)[link.maker], means[link.maker] / factors, 1e-4, 1e-5
        )
    np.testing.assert_allclose(network.predict(data)[0], before, 1e-4, 1e-4 * np.abs(before).max())
    bias, means = network.bias("wise"), network.channel_means(data)
    assert bias is not None
    network.set_bias("wise", bias + 3)
    np.testing.assert_allclose(network.channel_means(data)["wise"], means["wise"] + 3, 1e-4)


def test_int8_is_that_of_a_conversion_and_its_means_can_be_corrected(tmp_path: Path) -> None:
    """Also of layers whose bias or normalisation the quantiser folds away."""
    network = opened(grouped(), tmp_path)
    data = samples(network, 64)
    exact, means = network.predict(data)[0], network.channel_means(data)
    weights = network.weight("wise")
    network.simulate(data)
    rounded, off = network.predict(data)[0], network.channel_means(data)
    assert 15 < sqnr(rounded, exact) < 60
    shifts = {name: float(np.abs(off[name] - means[name]).max()) for name in means}
    assert all(shift > 0 for shift in shifts.values()), shifts  # each layer was found in the int8 model
    assert all(shift < 0.1 * np.abs(means[name]).max() + 0.05 for name, shift in shifts.items()), shifts
    np.testing.assert_array_equal(network.weight("wise"), weights)
    network.checkpoint(tmp_path / "checkpoint")
    for layer in ("plain", "wise", "up", "spread", "dense"):  # also before the int8 model is rebuilt
        bias, shift = network.bias(layer), np.float32(0.1 * np.abs(off[layer]).max())
        assert bias is not None
        network.set_bias(layer, bias + shift)
        np.testing.assert_allclose(network.channel_means(data)[layer], off[layer] + shift, atol=0.02 * shift)
        network.set_bias(layer, bias)
    found = bias_correction.correct(network, data)
    assert found.layers == ("plain", "wise", "up", "spread", "dense")
    assert found.left == dict.fromkeys(["grouped", "last"], "there are none")
    network.restore(tmp_path / "checkpoint")
    np.testing.assert_array_equal(network.predict(data)[0], rounded)
    network.simulate(None)
    np.testing.assert_array_equal(network.predict(data)[0], exact)


def test_what_a_quantiser_folds_into_a_layer_is_not_taken_for_its_output(tmp_path: Path) -> None:
    """A factor for all channels becomes a part of the weights in int8, behind the tensor that is compared."""
    made = chain()
    made.graph.node[1].input[0] = "m"
    made.graph.node.insert(1, node("Mul", ["c", "k"], ["m"]))
    made.graph.initializer.append(numpy_helper.from_array(np.float32(3).reshape(1), "k"))
    network = opened(made, tmp_path)
    data = samples(network)
    means = network.channel_means(data)
    network.simulate(data)
    off = network.channel_means(data)
    assert np.abs(off["conv"] - means["conv"]).max() < 0.05 * np.abs(means["conv"]).max()
    assert np.abs(off["last"] - means["last"]).max() > 0


def test_rounding_in_half_precision_does_not_add_up(tmp_path: Path) -> None:
    """Twelve layers with uneven channels take many rounds, each of which would round all weights to ten bits."""
    rng, nodes, weights = np.random.default_rng(0), [], []
    for at in range(12):
        values = rng.normal(size=(32, 32)) * np.exp(rng.normal(size=(1, 32)) * 1.5)
        values *= 0.3 / values.std()
        weights.append(numpy_helper.from_array(values.astype("float16"), f"w{at}"))
        nodes += [node("MatMul", [f"r{at}" if at else "x", f"w{at}"], [f"m{at}"]), node("Relu", [f"m{at}"], [f"r{at + 1}"])]  # fmt: skip
    nodes[-1].output[0] = "y"
    network = opened(model(nodes, weights, {"x": [1, 32]}, [1, 32], kind=TensorProto.FLOAT16), tmp_path)
    data = samples(network)
    before = network.predict(data)[0]
    assert len(equalisation.equalise(network, data).layers) == 11
    assert np.abs(network.predict(data)[0] - before).max() <= 2e-4 * np.abs(before).max()
    for link in network.channel_links().links:
        changes = equalisation.factors(*network.channel_ranges(link), network.bias(link.maker))
        assert np.abs(np.log2(changes)).max() <= 0.51


def test_biases_whose_sums_int8_does_not_have_stay(tmp_path: Path) -> None:
    """A Relu and a Clip are both left out in int8, so that the sums before them are no tensor any more."""
    made = chain()
    made.graph.node[1].output[0] = "p"
    made.graph.node.insert(2, node("Clip", ["p", "low", "high"], ["r"]))
    limits = {"low": 0, "high": 2}
    made.graph.initializer.extend(numpy_helper.from_array(np.float32(limits[one]), one) for one in limits)
    network = opened(made, tmp_path)
    bias, data = network.bias("conv"), samples(network)
    found = bias_correction.correct(network, data)
    assert found.layers == ("last",)
    assert "as a tensor" in found.left["conv"]
    np.testing.assert_array_equal(network.bias("conv"), bias)
    assert network.channel_means(data).keys() == {"last"}


def test_biases_stay_if_nothing_can_be_said_of_the_outputs(tmp_path: Path) -> None:
    """The logarithm of 0 is infinite, so that the error is not a number."""
    made = chain()
    made.graph.node[-1].output[0] = "l"
    made.graph.node.extend([node("Relu", ["l"], ["q"]), node("Log", ["q"], ["y"])])
    network = opened(made, tmp_path)
    before = network.bias("last")
    with np.errstate(invalid="ignore"):
        assert bias_correction.correct(network, samples(network)).undone
    np.testing.assert_array_equal(network.bias("last"), before)


def test_masks_hold_and_files_stay_what_they_were(tmp_path: Path) -> None:
    network = opened(chain(), tmp_path)
    mask = RANDOM.random((4, 2, 3, 3)) < 0.5
    network.hold({"conv": mask})
    network.set_weight("conv", np.ones(mask.shape, "float32"))
    network.checkpoint(tmp_path / "there")
    network.hold({})
    network.set_weight("conv", np.full(mask.shape, 2, "float32"))
    network.restore(tmp_path / "there")
    np.testing.assert_array_equal(network.weight("conv"), mask)
    network.set_weight("conv", np.full(mask.shape, 3, "float32"))
    network.save(tmp_path / "saved.onnx")
    saved, given = onnx.load(tmp_path / "saved.onnx"), onnx.load(tmp_path / "net.onnx")
    assert list(saved.graph.input) == list(given.graph.input)
    assert list(saved.graph.output) == list(given.graph.output)
    np.testing.assert_array_equal(open_network(tmp_path / "saved.onnx").weight("conv"), 3 * mask)
    assert network.macs() == 36 * 72 + 144 * 3
    assert network.parameters() == 72 + 4 + 144 * 3 + 3
    for refused in (
        lambda: network.prune_channels(ChannelPruning(share=0.5), {}),
        lambda: network.importance([], np.zeros(0), "mse", "taylor"),
        lambda: network.train([], np.zeros(0), None, 0),
    ):
        with pytest.raises(EdgewrightError, match="cannot be trained further"):
            refused()
    with pytest.raises(ConversionError, match="has no layer other"):
        network.weight("other")


@pytest.mark.parametrize("form", ["float16", "opset 9", "external"])
def test_other_forms_of_weights(tmp_path: Path, form: str) -> None:
    """They stay as they are in the file; weights in separate files move into it."""
    half = {"dtype": "float16", "kind": TensorProto.FLOAT16} if form == "float16" else {}
    made = chain(**half, **({"opset": 9} if form == "opset 9" else {}))
    file = tmp_path / "net.onnx"
    onnx.save(made, str(file), save_as_external_data=form == "external", location="net.bin", size_threshold=0)
    network = open_network(file)
    data = samples(network)
    exact = network.predict(data)[0]
    assert exact.dtype == np.float32
    network.set_weight("last", np.round(network.weight("last"), 1))
    network.simulate(data)
    assert 20 < sqnr(network.predict(data)[0], exact) < 50
    assert min(map(len, network.channel_means(data).values())) == 3
    network.save(tmp_path / "saved.onnx")
    saved = onnx.load(tmp_path / "saved.onnx", load_external_data=False)
    assert {one.data_type for one in saved.graph.initializer} == {half.get("kind", TensorProto.FLOAT)}
    assert not any(one.external_data for one in saved.graph.initializer)
    assert saved.opset_import[0].version == (9 if form == "opset 9" else 17)


def test_weights_with_several_readers(tmp_path: Path) -> None:
    """A layer that is used twice is one layer; biases are split as soon as one changes; what a branch reads is left alone."""
    inner = helper.make_graph(
        [node("Conv", ["r1", "w3"], ["t"], pads=[1] * 4)], "then", [], [helper.make_tensor_value_info("t", 1, [1, 4, 6, 6])]
    )  # fmt: skip
    other = helper.make_graph([node("Identity", ["r1"], ["e"])], "else", [], [helper.make_tensor_value_info("e", 1, [1, 4, 6, 6])])  # fmt: skip
    nodes = [
        node("Conv", ["x", "w", "b"], ["c1"], pads=[1] * 4, name="one"),
        node("Relu", ["c1"], ["r1"]),
        node("Conv", ["r1", "w2", "b"], ["c2"], pads=[1] * 4, name="two"),
        node("Conv", ["c2", "w2", "b"], ["c3"], pads=[1] * 4, name="three"),
        node("If", ["yes"], ["i"], then_branch=inner, else_branch=other, name="if"),
        node("Conv", ["i", "w3"], ["c4"], pads=[1] * 4, name="four"),
        node("Add", ["c3", "c4"], ["s"]),
        node("Mul", ["s", "q"], ["y"]),
    ]
    weights = [held("w", 4, 2, 3, 3), held("b", 4), held("w2", 4, 4, 3, 3), held("w3", 4, 4, 3, 3)]
    made = model(nodes, [*weights], {"x": [1, 2, 6, 6], "q": [1]}, [1, 4, 6, 6])
    made.graph.input.append(helper.make_tensor_value_info("yes", TensorProto.BOOL, []))
    with pytest.raises(EdgewrightError, match="no batch of 1"):
        opened(made, tmp_path)
    made.graph.node.insert(0, node("ReduceMax", ["q"], ["most"], keepdims=0))
    made.graph.node.insert(1, node("Cast", ["most"], ["yes"], to=TensorProto.BOOL))
    del made.graph.input[2:]
    network = opened(made, tmp_path)
    assert [layer.name for layer in network.layers()] == ["one", "two"]
    assert not network.channel_links().links
    data = samples(network)
    means, bias = network.channel_means(data), network.bias("one")
    assert bias is not None
    assert network.bias("two") is None
    network.set_bias("one", bias + 1)
    np.testing.assert_allclose(network.channel_means(data)["one"], means["one"] + 1, 1e-4)
    network.save(tmp_path / "saved.onnx")
    graph = onnx.load(tmp_path / "saved.onnx").graph
    assert {one.name for one in graph.initializer} == {"w", "b", "w2", "w3", "one/b"}


def test_what_cannot_be_opened_or_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for made, message in (
        (chain(shape=[4, 2, 6, 6]), "no batch of 1"),
        (chain(shape=["n", 2, "h", 6]), "open axes"),
        (chain(opset=99), "cannot load"),
    ):
        with pytest.raises(EdgewrightError, match=message) as refusal:
            opened(made, tmp_path)
        assert "--input-shape NAME" not in refusal.value.hint
    finding = model(
        [node("Gemm", ["x", "w"], ["m"]), node("NonZero", ["m"], ["y"])], [held("w", 5, 3)], {"x": [1, 5]}
    )
    finding.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.INT64, [2, None]))
    network = opened(finding, tmp_path)
    data = samples(network)[0] * (np.arange(24) % 2)[:, None].astype("float32")
    with pytest.raises(EdgewrightError, match="another size for each sample"):
        network.predict([data])
    monkeypatch.setattr(sources, "LARGE", 1000)
    with pytest.raises(EdgewrightError, match="too large to compress"):
        opened(chain(), tmp_path)
