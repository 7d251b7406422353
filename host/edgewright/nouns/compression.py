"""What compression does to a network: how it is trained, which channels are removed, and what came of it."""

from __future__ import annotations

from edgewright.nouns.base import Noun
from edgewright.nouns.comparison import Comparison
from edgewright.nouns.measurement import Measurement

IMPORTANCES = ("l1", "l2", "taylor", "activation", "random")
LOSSES = ("cross_entropy", "binary_cross_entropy", "mse")
OPTIMISERS = ("adam", "sgd")
SCHEDULES = ("cosine", "constant")


class WeightedLayer(Noun, frozen=True, kw_only=True):
    """A layer whose main weights can be pruned.

    Attributes:
        kind: `conv`, `depthwise` or `dense`.
        shape: of its weights, in the framework's order.
        outputs: the axis of `shape` along which its output channels lie.
        inputs: the axis along which one output's sum runs (N:M groups lie on it); None for a depthwise layer.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    outputs: int
    inputs: int | None = None


class Hint(Noun, frozen=True, kw_only=True):
    """Names of a layer of the student and of the teacher's layer whose output it is compared with."""

    student: str
    teacher: str


class Training(Noun, frozen=True, kw_only=True):
    """How one epoch trains.

    Attributes:
        loss: one of `LOSSES`, or a user's function (absolute `module.py:function`), which takes labels and the first output as they are.
        optimiser: one of `OPTIMISERS`, `sgd` with momentum 0.9 (Nesterov); or a user's function.
        rate: learning rate of the step's first epoch. factor: share of it in this epoch.
        batch: samples a step; a last batch that is not full is used too.
        seed: of the order of the samples and of dropout, together with the epoch's number.
        l1, l2: penalties on the main weights of weighted layers, added to the loss.
        temperature: of distillation, above 0.
        soft: share of the teacher's term in the loss, 0 to 1; 0 without a teacher.
        hints: layers that learn from the teacher's, in addition. hint_weight: factor of their term in the loss.
        teacher_loss: one of `LOSSES`, whose form the teacher's term has; empty: `loss`.
    """

    loss: str
    optimiser: str = "adam"
    rate: float = 1e-3
    factor: float = 1.0
    batch: int = 32
    seed: int = 0
    l1: float = 0.0
    l2: float = 0.0
    temperature: float = 4.0
    soft: float = 0.0
    hints: tuple[Hint, ...] = ()
    hint_weight: float = 0.0
    teacher_loss: str = ""

    @property
    def likeness(self) -> str:
        """The loss whose form the teacher's term has."""
        return self.teacher_loss or self.loss


class ChannelPruning(Noun, frozen=True, kw_only=True):
    """Which channels to remove.

    Attributes:
        share: of the channels of every group of layers that share theirs, 0 to below 1; at least one channel stays.
        importance: one of `IMPORTANCES`; the least important go.
        protect: names of layers that keep all output channels.
        round_to: the number of channels that stay is rounded up to a multiple of this.
        seed: of `random`.
    """

    share: float
    importance: str = "l2"
    protect: tuple[str, ...] = ()
    round_to: int = 1
    seed: int = 0


class LayerChannels(Noun, frozen=True, kw_only=True):
    """Output channels of a layer before and after."""

    layer: str
    before: int
    after: int


class ChannelReport(Noun, frozen=True, kw_only=True):
    """What was removed.

    Attributes:
        layers: the layers that have fewer output channels now, in the order of the graph.
        protected: layer -> why it keeps all its channels.
    """

    layers: tuple[LayerChannels, ...]
    protected: dict[str, str]


class ChannelLink(Noun, frozen=True, kw_only=True):
    """Channels that can be scaled where they are made, if they are scaled back where they are read.

    Attributes:
        maker: the layer whose output channels they are; it is the maker of one link.
        readers: the weighted layers that read them.
    """

    maker: str
    readers: tuple[str, ...]


class ChannelLinks(Noun, frozen=True, kw_only=True):
    """The links of a network, in the order of the graph.

    Attributes:
        left: layer -> why its output channels cannot be scaled.
    """

    links: tuple[ChannelLink, ...]
    left: dict[str, str]


class Figures(Noun, frozen=True, kw_only=True):
    """The size of a network.

    Attributes:
        parameters: all weights. zeros: those of weighted layers that are zero.
        macs: multiplications of one sample.
        bytes: of the saved file. packed_bytes: of the weights of weighted layers, packed by deflate as for a transfer.
    """

    parameters: int
    zeros: int
    macs: int
    bytes: int
    packed_bytes: int


class StepResult(Noun, frozen=True, kw_only=True):
    """What a step led to.

    Attributes:
        name: of the kind of step; `original` for the network before the first.
        shown: the step in a few words.
        figures: of the network after it.
        accuracy: against the original, on the deciding samples; None without labelled data.
        epochs: that were trained; `best`: the one whose network was kept, numbered from 1, 0 without training.
        seconds: that it took when it was computed.
        cached: it was taken from the cache.
        notes: what people should know, a sentence each.
    """

    name: str
    shown: str
    figures: Figures
    accuracy: Comparison | None = None
    epochs: int = 0
    best: int = 0
    seconds: float = 0.0
    cached: bool = False
    notes: tuple[str, ...] = ()


class MeasuredStep(Noun, frozen=True, kw_only=True):
    """A step's network on boards, compiled as `deploy` would; those of all steps were measured interleaved.

    Attributes:
        shown: the step in a few words.
        artifact: its id; steps that change no byte have the same.
        measurements: one per board that answered.
    """

    shown: str
    artifact: str
    measurements: tuple[Measurement, ...]


class LineageStep(Noun, frozen=True, kw_only=True):
    """One step of a network's lineage: its kind, its options in words, and the metric after it on the deciding samples, if known."""

    use: str
    shown: str
    metric: float | None = None


class Lineage(Noun, frozen=True, kw_only=True):
    """How a network was made smaller. It travels in the network's file, and in the manifests of artifacts made from that.

    Attributes:
        file, sha256: of the original. data_sha256: of the training data; empty if there were none.
        metric: that the steps were judged by; empty if there were no labels.
        original: its value for the original on the deciding samples.
    """

    file: str
    sha256: str
    steps: tuple[LineageStep, ...]
    seed: int = 0
    data_sha256: str = ""
    metric: str = ""
    original: float | None = None
