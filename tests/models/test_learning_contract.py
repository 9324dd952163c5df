"""Every network of the catalog learns what is easy; a new entry is held to it without a line here.

Shapes: B batch, H W image, C channels, K classes.
"""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.build import build_model, logits_model
from models.catalog.lookup import ARCHITECTURES, Architecture
from models.losses import LossConfig, make_loss
from tests.models.declared_network import DEVIATION, MEAN, choose, is_taken, narrow

LEAST_SIDE, MOST_SIDE = 8, 400  # pixels: on smaller images most weights of a padded 5x5 kernel see zeros
IMAGES_PER_CLASS = 4
COLOURS_KC = np.array([[200, 80, 80], [80, 200, 80], [80, 80, 200]])
NOISE = 30
STEPS = 20
LEARNING_RATE = 0.003
# No network that gives all images the same scores has a smaller loss, wherever it began.
LOSS_OF_GUESSING = float(np.log(len(COLOURS_KC)))

EVERY = pytest.mark.parametrize("network", ARCHITECTURES.values(), ids=list(ARCHITECTURES))


@EVERY
def test_a_few_steps_on_easy_images_lower_the_loss_clearly(network: Architecture) -> None:
    before, after = train(build_small(network))
    assert after < min(before, LOSS_OF_GUESSING) / 2


@EVERY
def test_the_loss_of_a_network_whose_scores_cannot_move_stays(network: Architecture) -> None:
    """A ReLU behind scores that are negative for all images, as once behind nin's class maps."""
    model = build_small(network)
    head = [layer for layer in model.layers if layer.trainable_weights][-1]
    head.kernel.assign(keras.ops.zeros_like(head.kernel))
    head.bias.assign(head.bias - 1)
    head.activation = keras.activations.relu
    before, after = train(model)
    assert before == after == pytest.approx(LOSS_OF_GUESSING)


@pytest.mark.parametrize(
    "network",
    [network for network in ARCHITECTURES.values() if network.has_hidden_layers],
    ids=lambda network: network.name,
)
def test_a_network_that_sees_nothing_of_its_images_only_guesses(network: Architecture) -> None:
    """Where hidden layers give zeros, only the last biases move."""
    _, after = train(build_small(network, init="zeros"))
    assert after == pytest.approx(LOSS_OF_GUESSING)


def build_small(network: Architecture, **chosen: Any) -> Any:
    """Build what a submission resolves to, narrow and for small images."""
    config = choose(network, options=narrow(network), **chosen)
    side = next(side for side in range(LEAST_SIDE, MOST_SIDE) if is_taken(config, side))
    return build_model(
        config,
        input_shape=(side, side, COLOURS_KC.shape[1]),
        num_classes=len(COLOURS_KC),
        seed=7,
        pixel_mean=MEAN,
        pixel_std=DEVIATION,
    )


def train(model: Any) -> tuple[float, float]:
    """Train on noisy images of one colour a class; return the loss before and after, without dropout."""
    network, optimizer = logits_model(model), keras.optimizers.Adam(LEARNING_RATE)
    y_B = tf.repeat(tf.range(len(COLOURS_KC)), IMAGES_PER_CLASS)
    _, height, width, channels = model.input_shape
    noise_BHWC = np.random.default_rng(0).uniform(-NOISE, NOISE, (len(y_B), height, width, channels))
    x_BHWC = tf.constant(COLOURS_KC[y_B][:, None, None] + noise_BHWC, tf.float32)

    def measure(*, training: bool) -> Any:
        return tf.reduce_mean(make_loss(LossConfig())(y_B, network(x_BHWC, training=training)))

    before = float(measure(training=False))
    for _ in range(STEPS):
        with tf.GradientTape() as tape:
            loss = measure(training=True)
        variables = network.trainable_variables
        optimizer.apply(tape.gradient(loss, [variable.value for variable in variables]), variables)
    return before, float(measure(training=False))
