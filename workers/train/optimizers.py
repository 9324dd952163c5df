"""Makes the optimizer of a spec. Nothing is clipped: Keras would clip each replica's share by itself."""

import keras

from models.optimizers import AlexNetSGD
from service.domain.spec import OptimizerSpec
from workers.train.fused_sgd import FusedSGD


def make_optimizer(spec: OptimizerSpec) -> keras.optimizers.Optimizer:
    """The Keras optimizer; weight decay is decoupled from the gradient, but for alexnet."""
    decay = spec.weight_decay or None
    if spec.name == "sgd" and spec.momentum:
        return FusedSGD(spec.lr, momentum=spec.momentum, weight_decay=decay)
    if spec.name == "sgd":
        return keras.optimizers.SGD(spec.lr, momentum=spec.momentum, weight_decay=decay)
    if spec.name == "alexnet":
        return AlexNetSGD(spec.lr, momentum=spec.momentum, decay=spec.weight_decay)
    if spec.name == "adam":
        return keras.optimizers.Adam(spec.lr, weight_decay=decay)
    return keras.optimizers.AdamW(spec.lr, weight_decay=spec.weight_decay)
