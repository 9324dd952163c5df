"""AlexNet's own update rule."""

# Keras is untyped:
# mypy: allow-subclassing-any, allow-untyped-decorators

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="cnnctl")
class AlexNetSGD(keras.optimizers.SGD):
    """Stochastic gradient descent with momentum, and weight decay inside the velocity.

    v <- momentum * v - decay * lr * w - lr * gradient;  w <- w + v, for every variable, biases included.

    Keras's own `weight_decay` shrinks the weight itself and not the velocity; an L2 penalty of decay / 2
    would give the same steps but would be part of the loss, and of kernels only.

    Source: Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural
    networks, NIPS 2012, section 5.

    Args:
        learning_rate: factor of the gradient.
        momentum: the paper's 0.9.
        decay: the paper's 0.0005.
    """

    def __init__(
        self, learning_rate: float = 0.01, *, momentum: float = 0.9, decay: float = 0.0005, **kwargs: object
    ) -> None:
        super().__init__(learning_rate, momentum=momentum, **kwargs)
        self.decay = decay

    def update_step(
        self, gradient: keras.KerasTensor, variable: keras.Variable, learning_rate: keras.KerasTensor
    ) -> None:
        decayed = gradient + ops.cast(self.decay, gradient.dtype) * ops.cast(variable, gradient.dtype)
        super().update_step(decayed, variable, learning_rate)

    def get_config(self) -> dict[str, object]:
        return {**super().get_config(), "decay": self.decay}
