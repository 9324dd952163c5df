"""Convolves groups of channels apart, as AlexNet's two towers do.

Shapes: B batch, H W space, C channels, G groups, F filters.
"""

# Keras is untyped:
# mypy: allow-subclassing-any, allow-untyped-decorators

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="cnnctl")
class TowerConv2D(keras.layers.Conv2D):
    """Split the channels into `groups`, convolve each by its own filters, and concatenate.

    The same variables and the same numbers as `keras.layers.Conv2D(groups=…)`, whose kernel (h, w, C / G, F)
    holds the filters group by group. On a CPU, TensorFlow computes the grouped convolution about 14 times
    slower than the two that it consists of.

    Source: Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural
    networks, NIPS 2012, section 3.5.
    """

    def convolution_op(self, x_BHWC: keras.KerasTensor, kernel: keras.KerasTensor) -> keras.KerasTensor:
        towers = zip(
            ops.split(x_BHWC, self.groups, axis=-1), ops.split(kernel, self.groups, axis=-1), strict=True
        )
        return ops.concatenate([super(TowerConv2D, self).convolution_op(*tower) for tower in towers], axis=-1)
