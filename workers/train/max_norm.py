"""Bounds the weights into each unit after a step.

Shapes: I all axes of a kernel but the last (what comes in), U its units or filters.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf


class MaxNorm:
    """Scales the weights into each unit down to a norm of `most`, where it is larger; biases are free.

    A unit keeps its direction, and within the bound all its bits. Each replica scales its own copy: all have
    the same weights, so nothing has to be exchanged.

    Source: Srivastava et al., Dropout, JMLR 2014, section 5.1; here for the weights of the logits, too.
    """

    def __init__(self, network: keras.Model, most: float) -> None:
        self._kernels = [layer.kernel for layer in network.layers if hasattr(layer, "kernel")]
        self._most = most

    def apply(self) -> None:
        """Scale all kernels; to be called in a replica's context, as an optimizer is."""
        tf.__internal__.distribute.interim.maybe_merge_call(
            self._update, tf.distribute.get_strategy(), self._kernels
        )

    def _update(self, strategy: tf.distribute.Strategy, kernels: Sequence[keras.Variable]) -> None:
        for kernel in kernels:
            strategy.extended.update(kernel.value, self._scale, group=False)

    def _scale(self, kernel_IU: tf.Variable) -> None:
        incoming = list(range(len(kernel_IU.shape) - 1))
        norms_1U = tf.sqrt(tf.reduce_sum(tf.square(kernel_IU), axis=incoming, keepdims=True))
        kernel_IU.assign(kernel_IU * tf.minimum(1.0, self._most / norms_1U))  # x / 0 is infinite
