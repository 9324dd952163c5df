"""Our local response normalization against TensorFlow's, forward and backward, at AlexNet's two shapes."""

from collections.abc import Callable, Iterator

import tensorflow as tf

from models.layers.local_response_normalization import LocalResponseNormalization
from tests.benchmarks.figures import Figure, median_seconds

SHAPES = {"conv1": (32, 55, 55, 96), "conv2": (32, 27, 27, 256)}


def figures() -> Iterator[Figure]:
    for name, shape in SHAPES.items():
        x_BHWC, g_BHWC = tf.random.normal(shape) * 20, tf.random.normal(shape)
        ways = {
            "ours": _step(LocalResponseNormalization(), x_BHWC, g_BHWC),
            "native": _step(_native, x_BHWC, g_BHWC),
        }
        seconds = median_seconds(ways, rounds=15)
        yield Figure(
            name=f"lrn_{name}_native_over_ours",
            ratio=seconds["native"] / seconds["ours"],
            unit="times",
            goal="at least 2.5 on a CPU",
        )


def _native(x_BHWC: tf.Tensor) -> tf.Tensor:
    return tf.nn.local_response_normalization(x_BHWC, depth_radius=2, bias=2.0, alpha=1e-4, beta=0.75)


def _step(
    layer: Callable[[tf.Tensor], tf.Tensor], x_BHWC: tf.Tensor, g_BHWC: tf.Tensor
) -> Callable[[], object]:
    def step() -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(x_BHWC)
            y_BHWC = layer(x_BHWC)
        return y_BHWC, tape.gradient(y_BHWC, x_BHWC, output_gradients=g_BHWC)

    compiled: Callable[[], object] = tf.function(step, autograph=False)
    return compiled
