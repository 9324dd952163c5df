"""AlexNet at 227 pixels: training images a second without LRN, with ours, and with TensorFlow's."""

from collections.abc import Iterator

import keras
import tensorflow as tf

from models.catalog.network_config import NetworkConfig
from tests.benchmarks.figures import Figure, median_seconds
from tests.benchmarks.training_loop import TrainingLoop

BATCH, ROUNDS = 64, 5


class NativeLRN(keras.layers.Layer):  # type: ignore[misc]
    """TensorFlow's own kernel, each tower apart as in ours."""

    def call(self, x_BHWC: tf.Tensor) -> tf.Tensor:
        towers = tf.split(x_BHWC, 2, axis=-1)
        return tf.concat(
            [
                tf.nn.local_response_normalization(x, depth_radius=2, bias=2.0, alpha=1e-4, beta=0.75)
                for x in towers
            ],
            axis=-1,
        )


def _keep(model: keras.Model) -> keras.Model:
    return model


def _swap_lrn(model: keras.Model) -> keras.Model:
    def swap(layer: keras.Layer) -> keras.Layer:
        if layer.name.endswith("_lrn"):
            return NativeLRN(name=layer.name)
        return type(layer).from_config(layer.get_config())

    swapped: keras.Model = keras.models.clone_model(model, clone_function=swap)
    return swapped


def figures() -> Iterator[Figure]:
    loops = {
        name: TrainingLoop(
            NetworkConfig(architecture="alexnet", pool="max:3/2", norm=norm, init="he_normal"),
            image_size=227,
            batch_size=BATCH,
            num_images=BATCH,
            swap=swap,
        )
        for name, norm, swap in (
            ("no_lrn", "none", _keep),
            ("our_lrn", "lrn", _keep),
            ("native_lrn", "lrn", _swap_lrn),
        )
    }
    seconds = median_seconds(
        {name: lambda loop=loop: loop.train(steps=1) for name, loop in loops.items()},  # type: ignore[misc]
        rounds=ROUNDS,
    )
    for name, taken in seconds.items():
        yield Figure(
            name=f"alexnet_{name}", ratio=BATCH / taken, unit="images/s", goal="see the share of LRN"
        )
    yield Figure(
        name="alexnet_lrn_share_of_step",
        ratio=100 * (1 - seconds["no_lrn"] / seconds["our_lrn"]),
        unit="%",
        goal="at most 10",
    )
