"""Drops whole channels of feature maps while training.

Shapes: B batch, H W space, C channels.
"""

# Keras is untyped:
# mypy: allow-subclassing-any, allow-untyped-decorators

import keras

from models.layers.dropout import Dropout


@keras.saving.register_keras_serializable(package="cnnctl")
class SpatialDropout2D(Dropout):
    """Set whole channels to 0 with probability `rate` while training, and scale the rest by 1 / (1 - rate).

    Neighbouring pixels of a feature map are so alike that dropping single ones hardly hides anything.
    Each image of the batch draws its own channels; a channel that stays keeps its spatial structure.
    Under `tf.distribute` every replica draws its own mask.

    Source: Tompson et al., Efficient object localization using convolutional networks, CVPR 2015, section
    3.2.

    Args:
        rate: probability of dropping a channel, at least 0 and below 1.
        seed: integer; None takes one at random.

    Call arguments:
        x_BHWC: feature maps, channels last; the output has the same shape.
        training: only then is anything dropped.
    """

    def __init__(self, rate: float, *, seed: int | None = None, **kwargs: object) -> None:
        super().__init__(rate, seed=seed, **kwargs)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def mask_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        batch, _, _, channels = shape
        return (batch, 1, 1, channels)
