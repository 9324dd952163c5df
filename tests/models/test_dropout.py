# TensorFlow is untyped:
# mypy: allow-untyped-decorators

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.layers.dropout import Dropout
from models.layers.spatial_dropout import SpatialDropout2D

RATE = 0.25
ONES_BHWC = np.ones((16, 4, 4, 64), dtype=np.float32)

both = pytest.mark.parametrize("layer_class", [Dropout, SpatialDropout2D])


def draw(layer: Any, x_BHWC: Any = ONES_BHWC) -> Any:
    return np.asarray(layer(x_BHWC, training=True))


@both
def test_inference_is_the_identity_and_draws_nothing(layer_class: type[Any]) -> None:
    layer = layer_class(RATE, seed=1)
    before = np.asarray(layer.seed_generator.state)
    np.testing.assert_array_equal(layer(ONES_BHWC, training=False), ONES_BHWC)
    np.testing.assert_array_equal(layer(ONES_BHWC), ONES_BHWC)
    np.testing.assert_array_equal(layer.seed_generator.state, before)


@both
def test_rate_0_is_the_identity_while_training(layer_class: type[Any]) -> None:
    np.testing.assert_array_equal(draw(layer_class(0.0, seed=1)), ONES_BHWC)


@both
def test_what_stays_is_scaled_so_that_the_mean_is_kept(layer_class: type[Any]) -> None:
    y_BHWC = draw(layer_class(RATE, seed=1))
    np.testing.assert_allclose(np.unique(y_BHWC), [0, 1 / (1 - RATE)], rtol=1e-6)


def test_single_elements_are_dropped_at_the_rate() -> None:
    assert np.mean(draw(Dropout(RATE, seed=1)) == 0) == pytest.approx(RATE, abs=0.015)


def test_channels_are_dropped_whole_at_the_rate_and_image_by_image() -> None:
    zero_BHWC = draw(SpatialDropout2D(RATE, seed=1)) == 0
    zero_BC = zero_BHWC[:, 0, 0, :]
    np.testing.assert_array_equal(zero_BHWC, np.broadcast_to(zero_BC[:, None, None, :], zero_BHWC.shape))
    assert zero_BC.mean() == pytest.approx(RATE, abs=0.05)
    assert len(np.unique(zero_BC, axis=0)) == len(zero_BC)


def test_channels_that_stay_keep_their_pixels() -> None:
    x_BHWC = np.random.default_rng(0).random((2, 3, 3, 8)).astype(np.float32)
    y_BHWC = draw(SpatialDropout2D(RATE, seed=1), x_BHWC)
    stays = y_BHWC != 0
    np.testing.assert_allclose(y_BHWC[stays], x_BHWC[stays] / (1 - RATE), rtol=1e-6)


@both
def test_each_call_advances_the_state_and_draws_another_mask(layer_class: type[Any]) -> None:
    layer = layer_class(RATE, seed=1)
    first, second = draw(layer), draw(layer)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(layer.seed_generator.state, [1, 2])


@both
def test_a_restored_state_draws_the_same_mask_again(layer_class: type[Any]) -> None:
    layer = layer_class(RATE, seed=1)
    draw(layer)
    state = np.asarray(layer.seed_generator.state)
    second = draw(layer)
    layer.seed_generator.state.assign(state)
    np.testing.assert_array_equal(draw(layer), second)


@both
def test_the_seed_decides_the_mask(layer_class: type[Any]) -> None:
    np.testing.assert_array_equal(draw(layer_class(RATE, seed=5)), draw(layer_class(RATE, seed=5)))
    assert not np.array_equal(draw(layer_class(RATE, seed=5)), draw(layer_class(RATE, seed=6)))


@both
def test_dropped_elements_get_no_gradient(layer_class: type[Any]) -> None:
    x_BHWC = tf.constant(ONES_BHWC)
    with tf.GradientTape() as tape:
        tape.watch(x_BHWC)
        y_BHWC = layer_class(RATE, seed=1)(x_BHWC, training=True)
    np.testing.assert_array_equal(tape.gradient(y_BHWC, x_BHWC), y_BHWC)


@both
def test_the_state_is_a_variable_of_the_model_without_being_a_weight(layer_class: type[Any]) -> None:
    model = keras.Sequential([keras.Input((4, 4, 8)), layer_class(RATE, seed=1)])
    assert len(model.variables) == 1
    assert not model.weights


@both
def test_a_layer_is_rebuilt_from_its_saved_form(layer_class: type[Any]) -> None:
    layer = layer_class(RATE, seed=3, name="drop")
    saved = keras.saving.serialize_keras_object(layer)
    assert saved["registered_name"] == f"cnnctl>{layer_class.__name__}"
    copy = keras.saving.deserialize_keras_object(saved)
    assert copy.get_config() == layer.get_config()
    np.testing.assert_array_equal(draw(copy), draw(layer))


@both
@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_a_rate_that_is_no_rate_is_refused(layer_class: type[Any], rate: float) -> None:
    with pytest.raises(ValueError, match=r"rate must be at least 0 and below 1. Received: rate="):
        layer_class(rate)


def test_spatial_dropout_refuses_what_is_not_a_feature_map() -> None:
    with pytest.raises(ValueError, match="expected ndim=4, found ndim=2"):
        SpatialDropout2D(RATE)(np.ones((2, 3), dtype=np.float32))


@both
def test_the_output_has_the_shape_of_the_input(layer_class: type[Any]) -> None:
    x_BHWC = keras.KerasTensor((None, 4, 4, 8))
    assert layer_class(RATE)(x_BHWC).shape == (None, 4, 4, 8)
    assert layer_class(RATE).compute_output_shape((None, 4, 4, 8)) == (None, 4, 4, 8)


@both
def test_replicas_draw_different_masks_and_the_first_draws_that_of_a_single_device(
    layer_class: type[Any],
) -> None:
    strategy = tf.distribute.MirroredStrategy(["cpu:0", "cpu:1"])
    with strategy.scope():
        layer = layer_class(RATE, seed=1)

    @tf.function
    def step() -> Any:
        return strategy.run(lambda: layer(tf.constant(ONES_BHWC), training=True))

    alone = layer_class(RATE, seed=1)
    for _ in range(2):
        first, second = strategy.experimental_local_results(step())
        np.testing.assert_array_equal(first, draw(alone))
        assert not np.array_equal(first, second)
    for state in strategy.experimental_local_results(layer.seed_generator.state.value):
        np.testing.assert_array_equal(state, [1, 2])
