"""The trainer's SGD against Keras's own: the same bits."""

import keras
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from workers.train.fused_sgd import FusedSGD

STEPS = 5


@pytest.mark.parametrize("weight_decay", [None, 0.01])
def test_its_weights_are_those_of_keras(weight_decay: float | None) -> None:
    fused = FusedSGD(0.1, momentum=0.9, weight_decay=weight_decay)
    ours, velocity = _train(fused)
    theirs, expected = _train(keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=weight_decay))
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(velocity, expected)


def _train(optimizer: keras.optimizers.SGD) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    random = np.random.default_rng(0)
    weights = keras.Variable(random.standard_normal((300, 7)), dtype="float32")
    optimizer.build([weights])
    step = tf.function(lambda gradient: optimizer.apply([gradient], [weights]), autograph=False)
    for _ in range(STEPS):
        step(tf.constant(random.standard_normal((300, 7)), tf.float32))
    return weights.numpy(), optimizer.momentums[0].numpy()
