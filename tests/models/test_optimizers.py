import keras
import numpy as np
import pytest
import tensorflow as tf

from models.optimizers import AlexNetSGD


def test_the_update_is_the_papers_formula() -> None:
    random = np.random.default_rng(0)
    weight = random.normal(size=(4, 3))
    variable = keras.Variable(weight.astype(np.float32))
    optimizer = AlexNetSGD(0.01, momentum=0.9, decay=0.0005)
    optimizer.build([variable])
    velocity = np.zeros_like(weight)
    for _ in range(20):
        gradient = random.normal(size=weight.shape)
        velocity = 0.9 * velocity - 0.0005 * 0.01 * weight - 0.01 * gradient
        weight = weight + velocity
        optimizer.apply([tf.constant(gradient, tf.float32)], [variable])
    np.testing.assert_allclose(variable.numpy(), weight, rtol=2e-6, atol=1e-6)


def test_decay_shrinks_a_weight_without_a_gradient_faster_and_faster() -> None:
    variable = keras.Variable(np.ones(1, np.float32))
    optimizer = AlexNetSGD(0.1, momentum=0.9, decay=0.1)
    optimizer.build([variable])
    seen = [1.0]
    for _ in range(3):
        optimizer.apply([tf.zeros(1)], [variable])
        seen.append(float(variable.numpy()[0]))
    np.testing.assert_allclose(seen[:3], [1.0, 0.99, 0.9711], rtol=1e-5)


@pytest.mark.parametrize("decay", [0.0, 0.0005])
def test_its_configuration_makes_it_again(decay: float) -> None:
    optimizer = AlexNetSGD(0.02, momentum=0.8, decay=decay)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(again, AlexNetSGD)
    assert again.decay == decay
    assert again.momentum == 0.8
    assert float(again.learning_rate.numpy()) == pytest.approx(0.02)
