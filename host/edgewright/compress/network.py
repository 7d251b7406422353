"""What compression needs of a framework: a network that can be trained, pruned and saved. One class per framework implements it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.compression import (
    ChannelLink,
    ChannelLinks,
    ChannelPruning,
    ChannelReport,
    Training,
    WeightedLayer,
)

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class Network(Protocol):
    """A network in the worker of its framework. Arrays are numpy's; the first axis of samples is theirs.

    Attributes:
        inputs: name, shape of one sample with a batch of 1, dtype.
        outputs: names, such as those of the source.
        probabilities: whether the first output is that of a softmax or sigmoid rather than logits. Losses and distillation then use
            its logarithm (log p for a softmax, log p - log(1 - p) for a sigmoid), which gives the same softmax at any temperature.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[str, ...]
    probabilities: bool

    def layers(self) -> tuple[WeightedLayer, ...]:
        """The layers with weights that can be pruned, in the order of the graph. A layer that is used twice is listed once."""

    def weight(self, layer: str) -> Array:
        """A copy of a layer's main weights, float32."""

    def set_weight(self, layer: str, values: Array) -> None:
        """Replaces a layer's main weights by values of the same shape."""

    def bias(self, layer: str) -> Array | None:
        """A copy of what is added to a layer's output channels, float32, one value per channel: its bias, or the beta of the batch
        normalisation that converters fold into it. None if the layer has neither."""

    def set_bias(self, layer: str, values: Array) -> None:
        """Replaces what `bias` returns, for a layer where that is not None."""

    def channel_means(self, inputs: Sequence[Array]) -> dict[str, Array]:
        """The mean of each output channel of each weighted layer over samples, positions and calls: float64, in the order of the graph, with
        as many values as `bias` has. Outputs are those before the activation, with the bias and the batch normalisation that converters
        fold into the layer. While int8 is simulated, they are those of the simulated network, without layers whose outputs it does not have."""

    def channel_links(self) -> ChannelLinks:
        """The channels that can be scaled without a change of the function: a layer's output channels, divided by positive factors, while
        the weights of all layers that read them are multiplied. Between them are only a batch normalisation that is folded into the
        layer, and functions f with f(s x) = s f(x) for s > 0 per channel, such as ReLU and pooling."""

    def channel_ranges(self, link: ChannelLink) -> tuple[Array, Array]:
        """The greatest |weight| per channel of a link: of the layer that makes the channel, with the batch normalisation folded into it; and of
        the layers that read it. float64, shape (channels,)."""

    def scale_channels(self, link: ChannelLink, factors: Array) -> None:
        """Divides the channels of a link by factors above 0, float64, shape (channels,): the weights and bias of the layer that makes them, or
        gamma and beta of the batch normalisation folded into it. Multiplies the weights of the layers that read them. Masks stay."""

    def hold(self, masks: Mapping[str, Array]) -> None:
        """From now on, weights where a layer's mask (bool, of the weights' shape) is False are zero, also after each step of training.
        Replaces the masks held before; an empty mapping lets all weights go."""

    def simulate(self, inputs: Sequence[Array] | None) -> None:
        """From now on `train` and `predict` compute as an int8 runtime would; None: in floats again. Copies of the samples are kept.

        Weights of weighted layers are rounded per output channel, symmetric, to [-127, 127] of max|w| / 127: folding batch normalisation
        multiplies a channel by a constant, so the integers are those of the folded weights. Tensors are rounded to 256 levels between their
        least and greatest value, zero included, where int8 runtimes have tensors: inputs, and the outputs of layers together with the batch
        normalisation and the ReLU that a converter fuses into them. The ranges are those of the float network on the samples, as a converter
        measures them; they are measured again whenever the weights have changed, but within an epoch they stay. Gradients pass the rounding
        unchanged, and are zero outside a range (Jacob et al., "Quantization and Training of Neural Networks for Efficient
        Integer-Arithmetic-Only Inference", 2018). The network itself, and what `save` writes, keep float weights.

        Args:
            inputs: calibration samples, one array per input, shape (n, *shape of one sample).
        """

    def predict(self, inputs: Sequence[Array], batch: int = 64, layers: Sequence[str] = ()) -> list[Array]:
        """All outputs for the samples, then those of `layers`, in inference mode: float32, shape (n, *shape of one sample's output)."""

    def inner_layers(self) -> dict[str, str]:
        """All layers in the order of the graph, also those without weights -> why `predict` cannot return a layer's output; empty if it
        can."""

    def train(
        self,
        inputs: Sequence[Array],
        labels: Array,
        training: Training,
        epoch: int,
        teacher: Network | None = None,
    ) -> float:
        """Trains for one epoch; returns the mean loss. The optimiser's state lasts until `training.optimiser` or the shapes change.

        Distillation (Hinton et al., "Distilling the Knowledge in a Neural Network", 2015): with a teacher, the loss is
        (1 - soft) * loss(labels) + soft * T^2 * KL(teacher at T || student at T); for `mse`, the mean squared difference from the teacher's
        output replaces T^2 * KL. For `binary_cross_entropy`, each output is a distribution over two classes. Labels may be empty (shape (0,)) if `soft` is 1.

        Hints add hint_weight * the mean over `training.hints` of how differently both layers see a batch (Tung and Mori,
        "Similarity-Preserving Knowledge Distillation", 2019): G is the matrix of inner products of the samples' outputs, each row divided by its
        length; the term is the mean over rows of |row of the teacher's G - row of the student's G|^2, 0 to 2. This is the batch size times
        the paper's term, so that the weight fits any batch. It compares samples rather than channels: it needs no trained weights
        between layers of different shapes, as FitNets (Romero et al., 2015) does, and no maps, as attention transfer (Zagoruyko
        and Komodakis, 2017) does. The teacher's layers and outputs come from one run of it.

        A user's loss takes labels as `labels.plain` returns them.

        Raises:
            ConversionError: the loss is not finite. The weights are then unusable: `restore` a checkpoint.
            DataError: the labels do not fit, or a user's loss or optimiser fails.
        """

    def importance(self, inputs: Sequence[Array], labels: Array, loss: str, kind: str) -> dict[str, Array]:
        """|gradient * weight| summed over batches (`taylor`: Molchanov et al., "Importance Estimation for Neural Network Pruning", 2019), per
        element of each weighted layer's weights; or the mean |output| per output channel (`activation`)."""

    def prune_channels(self, wanted: ChannelPruning, scores: Mapping[str, Array]) -> ChannelReport:
        """Removes channels and all that depends on them.

        Args:
            scores: what `importance` returned if `wanted.importance` is `taylor` or `activation`; else empty.

        Raises:
            ConversionError: no channels of this network can be removed, though `wanted` asks for it. The network is then as before.
        """

    def reset_weights(self, seed: int) -> dict[str, str]:
        """Replaces all trained weights by new random ones, as each layer draws them when it is made; batch normalisation loses its
        statistics. Masks and the optimiser's state go. The same seed gives the same weights.

        Returns:
            Layer -> why it keeps its weights.

        Raises:
            ConversionError: a layer cannot draw its weights again. The network is then as before.
        """

    def macs(self) -> int:
        """Multiplications with additions of one sample, in convolutions and dense layers; zeros count."""

    def parameters(self) -> int:
        """All weights, also those that are not trained."""

    def save(self, file: Path) -> None:
        """Writes the file that a fresh process loads without the user's code (`.keras`, `.pt2`, `.onnx`): weights, masks applied, no optimiser."""

    def checkpoint(self, folder: Path) -> None:
        """Writes all that training needs to go on: weights, structure, the optimiser's state, masks, and what the simulation was given (as
        `calibration_samples.write` does). The folder is new."""

    def restore(self, folder: Path) -> None:
        """Undoes everything since that checkpoint, or continues from it in a fresh process that opened the same source."""
