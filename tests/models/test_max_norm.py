import keras
import numpy as np

from workers.train.max_norm import MaxNorm


def test_units_beyond_the_bound_keep_their_direction_and_all_others_their_bits() -> None:
    network = keras.Sequential([keras.Input((6, 6, 2)), keras.layers.Conv2D(3, 3), keras.layers.Flatten()])
    (layer, _) = network.layers
    before = layer.kernel.numpy()
    before[..., 0] *= 10 / np.linalg.norm(before[..., 0])
    before[..., 1] *= 1 / np.linalg.norm(before[..., 1])
    before[..., 2] = 0
    layer.kernel.assign(before)
    layer.bias.assign([50.0, 0.0, 0.0])
    MaxNorm(network, 2.0).apply()
    after = layer.kernel.numpy()
    np.testing.assert_allclose(after[..., 0], before[..., 0] / 5, rtol=1e-6)
    np.testing.assert_array_equal(after[..., 1:], before[..., 1:])
    np.testing.assert_array_equal(layer.bias.numpy(), [50.0, 0.0, 0.0])
