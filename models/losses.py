"""Losses of class scores, image by image, with integer labels.

Shapes: B batch, K classes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

Loss = Callable[[keras.KerasTensor, keras.KerasTensor], keras.KerasTensor]
TOP = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class LossConfig:
    """Cross-entropy, and what may be changed about it.

    `focal_gamma` 0 is plain cross-entropy. `alpha` scales the focal loss. `label_smoothing` is the share of
    the target that is spread over all classes. `class_weights` (K) multiply the losses of a class's images.
    """

    focal_gamma: float = 0.0
    alpha: float = 1.0
    label_smoothing: float = 0.0
    class_weights: Sequence[float] | None = None


def make_loss(config: LossConfig) -> Loss:
    """Return a function of labels (B,) and logits (B, K) that gives one loss an image (B,), in float32.

    With p the probability of the right class, it is -alpha (1 - p)**gamma log p, times the class's weight.
    With label smoothing e, log p is replaced by (1 - e) log p + e * (mean of log p over all classes).

    Sources: Lin et al., Focal loss for dense object detection, ICCV 2017; Szegedy et al., Rethinking the
    Inception architecture for computer vision, CVPR 2016, section 7 (label smoothing).
    """
    weights_K = None if config.class_weights is None else np.asarray(config.class_weights, np.float32)

    def loss(y_B: keras.KerasTensor, logits_BK: keras.KerasTensor) -> keras.KerasTensor:
        logits_BK = ops.cast(logits_BK, "float32")
        log_p_BK = logits_BK - ops.logsumexp(logits_BK, axis=-1, keepdims=True)
        log_p_B = _of_right_class(log_p_BK, y_B)
        target_B = log_p_B
        if config.label_smoothing:
            mean_B = ops.mean(log_p_BK, axis=-1)
            target_B = (1 - config.label_smoothing) * log_p_B + config.label_smoothing * mean_B
        loss_B = -config.alpha * target_B
        if config.focal_gamma:
            # 1 - p as -expm1(log p): exact where p is near 1; never 0, whose power has no gradient.
            miss_B = ops.maximum(-ops.expm1(log_p_B), keras.config.epsilon())
            loss_B = loss_B * ops.power(miss_B, config.focal_gamma)
        return loss_B if weights_K is None else loss_B * ops.take(weights_K, y_B)

    return loss


def _of_right_class(log_p_BK: keras.KerasTensor, y_B: keras.KerasTensor) -> keras.KerasTensor:
    """Pick one value an image, (B,). As a sum with zeros it is exact, and its gradient is one operation.

    `take_along_axis` would make a third of the graph of a small network.
    """
    right_BK = ops.one_hot(y_B, log_p_BK.shape[-1], dtype=log_p_BK.dtype)
    return ops.sum(log_p_BK * right_BK, axis=-1)


def balanced_class_weights(labels_N: npt.NDArray[np.integer], *, num_classes: int) -> tuple[float, ...]:
    """Return weights (K) inverse to how often each class occurs, whose mean over the images is 1.

    A class without images gets 0: no image will ask for it.
    """
    counts_K = np.bincount(labels_N, minlength=num_classes)
    present = np.count_nonzero(counts_K)
    return tuple(float(len(labels_N) / (present * count)) if count else 0.0 for count in counts_K)


def is_among_top(
    y_B: keras.KerasTensor, logits_BK: keras.KerasTensor, *, top: int = TOP
) -> keras.KerasTensor:
    """Return 1.0 where the right class is among the `top` largest scores, else 0.0 (B,).

    An image counts as wrong where a score is not a number, and ties count against the network: a network
    that gives all classes the same score knows nothing.
    """
    logits_BK = ops.cast(logits_BK, "float32")
    right_B1 = ops.take_along_axis(logits_BK, y_B[:, None], axis=-1)
    others_as_good_B = ops.sum(ops.cast(~(logits_BK < right_B1), "int32"), axis=-1) - 1
    return ops.cast(others_as_good_B < top, "float32")
