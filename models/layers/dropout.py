"""Drops single elements while training.

Shapes: B batch, N the other dimensions.
"""

# Keras is untyped:
# mypy: allow-subclassing-any, allow-untyped-decorators

import keras

from models.layers.replica_seed import ReplicaSeedGenerator


@keras.saving.register_keras_serializable(package="cnnctl")
class Dropout(keras.layers.Layer):
    """Set elements to 0 with probability `rate` while training, and scale the rest by 1 / (1 - rate).

    The scale keeps the expected value, so inference is the identity ("inverted" dropout; the paper scales
    the weights at inference instead). A dropped element gets no gradient in that step. Under
    `tf.distribute` every replica draws its own mask.

    Source: Srivastava et al., Dropout, JMLR 2014.

    Args:
        rate: probability of dropping, at least 0 and below 1.
        seed: integer; None takes one at random.

    Call arguments:
        x_BN: tensor of any rank.
        training: only then is anything dropped.
    """

    def __init__(self, rate: float, *, seed: int | None = None, **kwargs: object) -> None:
        super().__init__(**kwargs)
        if not 0 <= rate < 1:
            raise ValueError(f"rate must be at least 0 and below 1. Received: rate={rate}")
        self.rate = rate
        self.seed = seed
        self.seed_generator = ReplicaSeedGenerator(seed)
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.built = True

    def call(self, x_BN: keras.KerasTensor, *, training: bool = False) -> keras.KerasTensor:
        if not training or self.rate == 0:
            return x_BN
        mask_shape = self.mask_shape(keras.ops.shape(x_BN))
        return keras.random.dropout(x_BN, self.rate, noise_shape=mask_shape, seed=self.seed_generator)

    def mask_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the mask, 1 where elements share their fate."""
        return shape

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, object]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
