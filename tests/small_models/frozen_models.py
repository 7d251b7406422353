"""Small seeded TensorFlow 1 graphs: frozen `.pb` files, and one SavedModel that `tf.compat.v1` wrote."""

import math

BATCH = None


class Graph:
    """A TensorFlow 1 graph with seeded constants, as freezing leaves them."""

    def __init__(self, seed):
        import numpy as np
        import tensorflow as tf

        self.v1, self.generator, self.graph = tf.compat.v1, np.random.default_rng(seed), tf.Graph()

    def weight(self, *shape, around=0.0, scale=None, fan_in=None):
        size = scale or 1.4 / math.sqrt(fan_in or math.prod(shape[:-1]))
        drawn = around + self.generator.normal(size=shape) * size
        return self.v1.constant(drawn.astype("float32"))

    def dense(self, x, wide, narrow):
        return self.v1.matmul(x, self.weight(wide, narrow)) + self.weight(narrow, scale=0.2)

    def norm(self, x, channels):
        v1 = self.v1
        scale, offset, mean = (self.weight(channels, around=around, scale=0.2) for around in (1.0, 0.0, 0.0))
        variance = v1.constant(self.generator.uniform(0.5, 1.5, channels).astype("float32"))
        return v1.nn.fused_batch_norm(x, scale, offset, mean, variance, epsilon=1e-3, is_training=False)[0]


def cnn(graph):
    """image (?, 16, 16, 3) -> classes."""
    v1 = graph.v1
    image = v1.placeholder("float32", (BATCH, 16, 16, 3), name="image")
    x = v1.nn.conv2d(image, graph.weight(3, 3, 3, 8), strides=[1, 2, 2, 1], padding="SAME")
    x = v1.nn.relu(graph.norm(x, 8))
    kernel = graph.weight(3, 3, 8, 1, fan_in=9)
    x = v1.nn.depthwise_conv2d_native(x, kernel, strides=[1, 1, 1, 1], padding="SAME")
    x = v1.nn.relu6(graph.norm(x, 8))
    x = x + v1.nn.conv2d(x, graph.weight(1, 1, 8, 8), strides=1, padding="SAME")
    x = v1.nn.avg_pool2d(x, 4, 4, "VALID")
    v1.nn.softmax(graph.dense(v1.reshape(x, [-1, 32]), 32, 5), name="classes")


def two_in_two_out(graph):
    """right, left -> total, gap; `left` is made first."""
    v1 = graph.v1
    left = v1.placeholder("float32", (BATCH, 4), name="left")
    right = v1.placeholder("float32", (BATCH, 4), name="right")
    both = v1.nn.relu(graph.dense(v1.concat([right, left], 1), 8, 8))
    v1.identity(graph.dense(v1.concat([left, both], 1), 12, 3), name="gap")
    v1.identity(graph.dense(v1.concat([both, right], 1), 12, 3), name="total")


def tokens(graph):
    """tokens (?, 12), int32 -> scores."""
    v1 = graph.v1
    ids = v1.placeholder("int32", (BATCH, 12), name="tokens")
    rows = v1.nn.embedding_lookup(graph.weight(16, 6, fan_in=2), ids)
    v1.identity(graph.dense(v1.reshape(rows, [-1, 72]), 72, 4), name="scores")


def lstm(graph):
    """series (1, 10, 6) -> scores; the ten steps are written out, as static_rnn does."""
    v1 = graph.v1
    series = v1.placeholder("float32", (1, 10, 6), name="series")
    kernel, bias = graph.weight(14, 32), graph.weight(32, scale=0.2)
    state = cell = v1.zeros((1, 8))
    for step in v1.unstack(series, axis=1):
        gates = v1.matmul(v1.concat([step, state], 1), kernel) + bias
        enter, candidate, forget, leave = v1.split(gates, 4, axis=1)
        cell = v1.sigmoid(forget + 1.0) * cell + v1.sigmoid(enter) * v1.tanh(candidate)
        state = v1.sigmoid(leave) * v1.tanh(cell)
    v1.identity(graph.dense(state, 8, 4), name="scores")


def gru(graph):
    """series (1, 10, 6) -> scores, by a loop of TensorFlow 1 (Enter, Switch, Merge), as dynamic_rnn does."""
    v1 = graph.v1
    series = v1.placeholder("float32", (1, 10, 6), name="series")
    wide, narrow = graph.weight(14, 16), graph.weight(14, 8)

    def step(index, state):
        row = v1.gather(series, index, axis=1)
        update, reset = v1.split(v1.sigmoid(v1.matmul(v1.concat([row, state], 1), wide)), 2, axis=1)
        candidate = v1.tanh(v1.matmul(v1.concat([row, reset * state], 1), narrow))
        return index + 1, update * state + (1.0 - update) * candidate

    _, state = v1.while_loop(lambda index, _: index < 10, step, (v1.constant(0), v1.zeros((1, 8))))
    v1.identity(graph.dense(state, 8, 4), name="scores")


def attention(graph):
    """series (?, 8, 16) -> scores: self-attention of one head."""
    v1 = graph.v1
    series = v1.placeholder("float32", (BATCH, 8, 16), name="series")

    def project(x):
        return v1.reshape(v1.matmul(v1.reshape(x, [-1, 16]), graph.weight(16, 16)), [-1, 8, 16])

    weights = v1.nn.softmax(v1.matmul(project(series), project(series), transpose_b=True) * 0.25)
    x = series + v1.matmul(weights, project(series))
    mean, variance = v1.nn.moments(x, [2], keep_dims=True)
    x = (x - mean) * v1.rsqrt(variance + 1e-5)
    x = v1.nn.relu(project(x))
    v1.identity(graph.dense(v1.reduce_mean(x, [1]), 16, 4), name="scores")


def dynamic(graph):
    """image (?, ?, ?, 3) -> scores."""
    v1 = graph.v1
    image = v1.placeholder("float32", (BATCH, None, None, 3), name="image")
    x = v1.nn.relu(v1.nn.conv2d(image, graph.weight(3, 3, 3, 6), strides=1, padding="VALID"))
    v1.identity(graph.dense(v1.reduce_mean(x, [1, 2]), 6, 4), name="scores")


MODELS = {made.__name__: made for made in (cnn, two_in_two_out, tokens, lstm, gru, attention, dynamic)}


def make(folder):
    """Writes `<name>.pb`, and `variables_saved/`: a TensorFlow 1 SavedModel with variables."""
    import tensorflow as tf

    tf.compat.v1.disable_control_flow_v2()
    for seed, (name, function) in enumerate(MODELS.items(), 1):
        graph = Graph(seed)
        with graph.graph.as_default():
            function(graph)
        (folder / f"{name}.pb").write_bytes(graph.graph.as_graph_def().SerializeToString())
    saved_with_variables(folder / "variables_saved")


def saved_with_variables(folder):
    """A SavedModel as TensorFlow 1 wrote it: reference variables, tags `serve`, signature `serving_default`."""
    import tensorflow as tf

    v1, graph = tf.compat.v1, Graph(9)
    with graph.graph.as_default(), v1.Session() as session:
        image = v1.placeholder("float32", (None, 6), name="features")
        kernel = v1.get_variable("kernel", initializer=graph.weight(6, 4), use_resource=False)
        scores = v1.nn.relu(v1.matmul(image, kernel), name="scores") - 0.1 * image[:, :4]
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(folder), {"features": image}, {"scores": scores})
