"""AlexNet's conv2 as two towers against TensorFlow's grouped convolution, forward and backward."""

from collections.abc import Callable, Iterator

import keras
import tensorflow as tf

from models.layers.tower_conv2d import TowerConv2D
from tests.benchmarks.figures import Figure, median_seconds


def figures() -> Iterator[Figure]:
    x_BHWC = tf.random.normal((32, 27, 27, 96))
    ways = {
        name: _step(kind(256, 5, padding="same", groups=2), x_BHWC)
        for name, kind in (("towers", TowerConv2D), ("groups", keras.layers.Conv2D))
    }
    seconds = median_seconds(ways, rounds=5)
    yield Figure(
        name="conv2_groups_over_towers",
        ratio=seconds["groups"] / seconds["towers"],
        unit="times",
        goal="about 14",
    )


def _step(layer: keras.Layer, x_BHWC: tf.Tensor) -> Callable[[], object]:
    layer.build(x_BHWC.shape)

    def step() -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(x_BHWC)
            loss = tf.reduce_sum(layer(x_BHWC))
        gradients: list[tf.Tensor] = tape.gradient(loss, [x_BHWC, layer.kernel.value])
        return gradients

    compiled: Callable[[], object] = tf.function(step, autograph=False)
    return compiled
