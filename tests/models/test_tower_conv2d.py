from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.layers.tower_conv2d import TowerConv2D

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(("groups", "strides", "padding"), [(2, 1, "same"), (4, 2, "valid"), (1, 1, "valid")])
def test_towers_give_the_numbers_and_gradients_of_a_grouped_convolution(
    groups: int, strides: int, padding: str
) -> None:
    x_BHWC = tf.constant(RANDOM.normal(size=(2, 9, 9, 8)), tf.float32)
    arguments: dict[str, Any] = {"strides": strides, "padding": padding, "groups": groups}
    ours, theirs = TowerConv2D(12, 3, **arguments), keras.layers.Conv2D(12, 3, **arguments)
    results = []
    for layer in (theirs, ours):
        layer.build(x_BHWC.shape)
        layer.set_weights(theirs.get_weights())
        with tf.GradientTape() as tape:
            tape.watch(x_BHWC)
            y = layer(x_BHWC)
            loss = tf.reduce_sum(y**2)
        kernel, bias = (variable.value for variable in layer.trainable_variables)
        results.append([y, *tape.gradient(loss, [x_BHWC, kernel, bias])])
    for expected, found in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept:DeprecationWarning:keras.src.backend.tensorflow.core"
)
def test_a_saved_layer_comes_back_the_same(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((6, 6, 4)), TowerConv2D(6, 3, groups=2)])
    model.save(tmp_path / "network.keras")
    x = RANDOM.normal(size=(1, 6, 6, 4)).astype(np.float32)
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "network.keras")(x), model(x))
