"""Saved networks, and torch.export programs as sources."""

from __future__ import annotations

import runpy
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright.cli.main import main
from edgewright.compile.sources.torch import open_program
from edgewright.compress.pytorch.network import TorchNetwork, open_network
from edgewright.errors import ConversionError, ModelError
from edgewright.nouns.compression import ChannelPruning, Training

pytestmark = pytest.mark.slow
NETS = Path(__file__).parent / "torch_nets.py"
RANDOM = np.random.default_rng(3)


def opened(name: str) -> TorchNetwork:
    return open_network(Path(f"{NETS}:{name}"), "pytorch")


def sample(network: TorchNetwork, count: int) -> list[np.ndarray]:
    return [RANDOM.normal(size=(count, *spec.shape[1:])).astype(spec.dtype) for spec in network.inputs]


def halved(network: TorchNetwork) -> dict[str, np.ndarray]:
    """Masks of the larger half of all weights, which the network holds from now on."""
    masks = {}
    for layer in network.layers():
        weights = np.abs(network.weight(layer.name))
        masks[layer.name] = weights >= np.median(weights)
    network.hold(masks)
    return masks


@pytest.mark.parametrize("name", ["residual", "depthwise", "concat", "hard_attention", "hard_lstm"])
def test_a_saved_network_answers_the_same(name: str, tmp_path: Path) -> None:
    """It opens again as a program, which takes batches though it was exported with one sample."""
    network = opened(name)
    network.prune_channels(ChannelPruning(share=0.5), {})
    masks = halved(network)
    network.save(tmp_path / "small.pt2")
    again = open_network(tmp_path / "small.pt2", "pt2")
    data = sample(network, 5)
    np.testing.assert_allclose(again.predict(data)[0], network.predict(data)[0], 1e-4, 1e-5)
    assert again.inputs == network.inputs
    assert again.macs() == network.macs()
    assert again.parameters() == network.parameters()
    if name == "hard_attention":  # its weights are dense layers in the program, and parts of a module here
        return
    kinds = [(layer.kind, layer.shape, layer.outputs, layer.inputs) for layer in again.layers()]
    assert kinds == [(layer.kind, layer.shape, layer.outputs, layer.inputs) for layer in network.layers()]
    for layer, mask in zip(again.layers(), masks.values(), strict=True):
        assert ((again.weight(layer.name) == 0) == ~mask).all()


def test_names_survive(tmp_path: Path) -> None:
    """Also outputs with spaces, and not in the order of the alphabet."""
    opened("named").save(tmp_path / "named.pt2")
    model = open_program(tmp_path / "named.pt2", {})
    assert [spec.name for spec in model.inputs] == ["picture"]
    assert model.output_names == ("z logits", "a_class")
    odd = opened("two_inputs")
    odd.save(tmp_path / "odd.pt2")
    model = open_program(tmp_path / "odd.pt2", {})
    assert [spec.name for spec in model.inputs] == ["z_0", "_1a"]
    data = sample(odd, 1)
    np.testing.assert_allclose(model.run(data)[0], odd.predict(data)[0], 1e-5, 1e-6)


def test_a_saved_network_converts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a worker that has not seen the user's code."""
    from edgewright.compile.sources import onnx_session

    monkeypatch.chdir(tmp_path)
    network = opened("residual")
    network.prune_channels(ChannelPruning(share=0.5), {})
    network.save(Path("small.pt2"))
    arguments = "convert small.pt2 --profile generic-x86_64 --target onnxruntime --precision fp32 --output made --json"
    assert main(arguments.split()) == 0, capsys.readouterr().out[-500:]
    (artifact,) = Path("made").rglob("*.onnx")
    session = onnx_session.session(artifact)
    data = sample(network, 4)
    for at in range(4):
        feed = {session.get_inputs()[0].name: data[0][at : at + 1]}
        np.testing.assert_allclose(
            session.run(None, feed)[0], network.predict(data)[0][at : at + 1], 1e-4, 1e-5
        )


@pytest.fixture(params=["fixed", "open", "one"])
def program(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A program with a fixed batch of 1, one with an open batch, and one whose graph takes one sample only."""
    import torch

    module = network_module("baked_view" if request.param == "one" else "residual")
    count, axes = 1, None
    if request.param == "open":
        count, axes = 2, ({0: torch.export.Dim.DYNAMIC},)
    exported = torch.export.export(module, (torch.randn(count, 1, 8, 8),), dynamic_shapes=axes)
    torch.export.save(exported, str(tmp_path / "net.pt2"))
    return tmp_path / "net.pt2"


def network_module(name: str) -> Any:
    import torch

    torch.manual_seed(0)
    return runpy.run_path(str(NETS))[name]()[0].eval()


def test_a_program_learns(program: Path) -> None:
    """With batch normalisation as it is; masks hold, importance is computed, one sample or many at a time."""
    network = open_network(program, "pt2")
    data = sample(network, 24)
    together = network.predict(data)[0]
    alone = [network.predict([array[at : at + 1] for array in data])[0] for at in range(24)]
    np.testing.assert_allclose(together, np.concatenate(alone), 1e-4, 1e-5)
    before = {name: buffer.clone() for name, buffer in network._body.flat.named_buffers()}
    masks, labels = halved(network), np.arange(24) % 2
    training = Training(loss="cross_entropy", rate=1e-2, batch=8)
    losses = [network.train(data, labels, training, epoch) for epoch in range(12)]
    assert losses[-1] < losses[0] / 2
    assert all((network.weight(name)[~mask] == 0).all() for name, mask in masks.items())
    for name, buffer in network._body.flat.named_buffers():
        np.testing.assert_array_equal(buffer, before[name])
    scores = network.importance(data, labels, "cross_entropy", "taylor")
    assert all((scores[name] > 0).any() for name in masks)
    means = network.importance(data, labels, "cross_entropy", "activation")
    assert {name: values.shape for name, values in means.items()} == {
        layer.name: (layer.shape[layer.outputs],) for layer in network.layers()
    }


def test_a_program_learns_as_its_module_does(tmp_path: Path) -> None:
    """Without batch normalisation, both give the same weights."""
    module = opened("sound")
    module.save(tmp_path / "sound.pt2")
    program = open_network(tmp_path / "sound.pt2", "pt2")
    data, labels = sample(module, 40), np.arange(40) % 2
    for network in (module, program):
        network.train(data, labels, Training(loss="cross_entropy"), 0)
    for one, other in zip(module.layers(), program.layers(), strict=True):
        np.testing.assert_allclose(module.weight(one.name), program.weight(other.name), 1e-4, 1e-6)


def test_checkpoints_of_programs(program: Path, tmp_path: Path) -> None:
    network = open_network(program, "pt2")
    data, labels = sample(network, 8), np.arange(8) % 10
    network.train(data, labels, Training(loss="cross_entropy"), 0)
    network.checkpoint(tmp_path / "kept")
    again = open_network(program, "pt2")
    again.restore(tmp_path / "kept")
    assert network.train(data, labels, Training(loss="cross_entropy"), 1) == pytest.approx(
        again.train(data, labels, Training(loss="cross_entropy"), 1), rel=1e-5
    )


def test_a_programs_channels_stay(program: Path) -> None:
    with pytest.raises(ConversionError, match="its sizes are fixed in its graph") as caught:
        open_network(program, "pt2").prune_channels(ChannelPruning(share=0.5), {})
    assert "module.py:function" in caught.value.hint


def test_a_program_that_takes_several_samples_at_once_only_is_refused(tmp_path: Path) -> None:
    import torch

    module = torch.nn.Sequential(torch.nn.Unflatten(0, (2, 2)), torch.nn.Linear(3, 2), torch.nn.Flatten(0, 1))
    torch.export.save(torch.export.export(module, (torch.randn(4, 3),)), str(tmp_path / "net.pt2"))
    with pytest.raises(ModelError, match="does not run on a batch of samples") as caught:
        open_network(tmp_path / "net.pt2", "pt2")
    assert "dynamic_shapes" in caught.value.hint


def test_a_program_with_foreign_members_is_refused(program: Path) -> None:
    with zipfile.ZipFile(program, "a") as archive:
        archive.writestr(f"{archive.namelist()[0].partition('/')[0]}/data/evil.py", "print()")
    with pytest.raises(ModelError, match=r"holds what torch\.export does not write"):
        open_network(program, "pt2")
