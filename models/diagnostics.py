"""Measures what happens inside a network: gradients, activations and weights of each layer.

Shapes: B batch, H W C image, K classes, U units or filters.
"""

from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from models.catalog.verdicts import PREFIX
from models.losses import LossConfig, make_loss

SMALL_WEIGHT = 1e-3
NEAR_BOUND = 0.05  # of the way between the bounds


class Diagnostics:
    """Measures a network from pixels to logits; changes nothing: no dropout, no statistics, no seeds.

    One call of `measure` costs about one training step of the batch on one device.
    """

    def __init__(self, network: keras.Model) -> None:
        self._layers = [layer for layer in network.layers if hasattr(layer, "kernel")]
        self._activations = _map_activations(network, self._layers)
        outputs = [layer.output for layer in self._activations.values()]
        self._probe = keras.Model(network.input, [*outputs, network.output])
        self._loss = make_loss(LossConfig())
        self._names: list[str] = []
        self._measure = tf.function(self._measure_tensors, autograph=False, reduce_retracing=True)

    def measure(self, x_BHWC: tf.Tensor, y_B: tf.Tensor) -> Mapping[str, float]:
        """Measure on pixels from 0 to 255 and labels: `layer/LAYER/QUANTITY` in the order of the layers.

        The quantities are those of `models.catalog.verdicts.QUANTITIES`.
        """
        values = self._measure(x_BHWC, y_B).numpy()
        return {name: float(value) for name, value in zip(self._names, values, strict=True)}

    def _measure_tensors(self, x_BHWC: tf.Tensor, y_B: tf.Tensor) -> tf.Tensor:
        kernels = [_one_copy(layer.kernel) for layer in self._layers]
        with tf.GradientTape() as tape:
            # Keras gives a list of one output as that output: a network may have no hidden layer.
            *activations, logits_BK = keras.tree.flatten(self._probe(x_BHWC, training=False))
            loss = tf.reduce_mean(self._loss(y_B, logits_BK))
        gradients = tape.gradient(loss, kernels)
        found: dict[str, tf.Tensor] = {}
        by_name = dict(zip(self._activations, activations, strict=True))
        first_norm = _norm(gradients[0])
        for layer, kernel, gradient in zip(self._layers, kernels, gradients, strict=True):
            measured = _measure_kernel(kernel, gradient, first_norm=first_norm)
            if layer.name in by_name:
                kind = self._activations[layer.name].activation.__name__
                measured |= _measure_activation(tf.cast(by_name[layer.name], tf.float32), kind=kind)
            found |= {f"{PREFIX}{layer.name}/{quantity}": value for quantity, value in measured.items()}
        self._names = list(found)
        return tf.stack([tf.cast(value, tf.float64) for value in found.values()])


def _one_copy(variable: keras.Variable) -> tf.Variable:
    """Return the first replica's copy of a variable: under a strategy, all replicas have equal ones."""
    return tf.distribute.get_strategy().experimental_local_results(variable.value)[0]


def _map_activations(network: keras.Model, layers: Sequence[keras.Layer]) -> dict[str, keras.Layer]:
    """Find the activation layer of each hidden layer: the builder calls it LAYER_ACTIVATION."""
    activations = [layer for layer in network.layers if isinstance(layer, keras.layers.Activation)]
    return {
        layer.name: activation
        for layer in layers
        for activation in activations
        if activation.name == f"{layer.name}_{activation.activation.__name__}"
    }


def _measure_kernel(kernel: tf.Tensor, gradient: tf.Tensor, *, first_norm: tf.Tensor) -> dict[str, tf.Tensor]:
    norm = _norm(gradient)
    return {
        "gradient_norm": norm,
        "gradient_ratio": tf.math.divide_no_nan(norm, first_norm),
        "weight_norm": _norm(kernel),
        "near_zero": _share(tf.abs(kernel) < SMALL_WEIGHT),
        "symmetric": tf.logical_and(_units_are_equal(kernel), _units_are_equal(gradient)),
    }


def _norm(x: tf.Tensor) -> tf.Tensor:
    scale, scaled = _scale(x)
    return scale * tf.cast(tf.norm(scaled), tf.float64)


def _scale(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the largest size in `x`, float64, and `x` over it: the square of 1e20 is no float32."""
    largest = tf.reduce_max(tf.abs(x))
    divisor = tf.where(largest > 0, largest, tf.ones_like(largest))
    return tf.cast(divisor, tf.float64), x / divisor


def _units_are_equal(kernel: tf.Tensor) -> tf.Tensor:
    """Whether all units are equal up to the rounding of sums; False for a single unit."""
    matrix_IU = tf.reshape(kernel, (-1, kernel.shape[-1]))
    if matrix_IU.shape[-1] == 1:
        return tf.constant(False)
    apart = tf.reduce_max(tf.abs(matrix_IU - matrix_IU[:, :1]))
    return apart <= 1e-5 * tf.reduce_max(tf.abs(matrix_IU))


def _measure_activation(a: tf.Tensor, *, kind: str) -> dict[str, tf.Tensor]:
    scale, scaled = _scale(a)
    mean, variance = tf.nn.moments(scaled, list(range(len(a.shape))))
    found = {
        "activation_mean": scale * tf.cast(mean, tf.float64),
        "activation_variance": scale**2 * tf.cast(variance, tf.float64),
    }
    if kind == "relu":
        found["dead"] = _share(tf.reduce_max(a, axis=list(range(len(a.shape) - 1))) <= 0)
    elif kind in ("sigmoid", "tanh"):
        low, high = (0.0, 1.0) if kind == "sigmoid" else (-1.0, 1.0)
        margin = NEAR_BOUND * (high - low)
        found["saturated"] = _share(tf.logical_or(a < low + margin, a > high - margin))
    return found


def _share(condition: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.cast(condition, tf.float32))
