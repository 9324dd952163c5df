"""The images of a run, on the devices: loaded once, indexed by a permutation that epoch and seed decide.

Shapes: B batch, N images of a split, H W space, C channels.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from models.datasets.arrays import load_dataset
from models.datasets.split import hold_out
from service.domain.spec import Spec

Array = npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """One split on the devices: `images` (N, H, W, C) uint8 and `labels` (N,) int32, a copy a replica."""

    images: object
    labels: object
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunImages:
    """The three splits of a run, with what the network must know of them."""

    train: Split
    validation: Split
    test: Split
    num_classes: int
    channels: int
    pixel_mean: tuple[float, ...]
    pixel_std: tuple[float, ...]


def load_images(spec: Spec, datasets_dir: Path, strategy: tf.distribute.Strategy) -> RunImages:
    """Load the spec's dataset, hold out its validation images and put all of it on the devices.

    Raises:
        DatasetError: the dataset cannot be had or is damaged.
    """
    arrays = load_dataset(spec.data.dataset, directory=datasets_dir)
    train, validation = hold_out(arrays.y_train, fraction=spec.data.validation_fraction)
    mean, std = _pixel_statistics(arrays.x_train)
    return RunImages(
        train=_place(arrays.x_train[train], arrays.y_train[train], strategy),
        validation=_place(arrays.x_train[validation], arrays.y_train[validation], strategy),
        test=_place(arrays.x_test, arrays.y_test, strategy),
        num_classes=len(arrays.class_names),
        channels=arrays.x_train.shape[-1],
        pixel_mean=mean,
        pixel_std=std,
    )


def _pixel_statistics(x_NHWC: Array) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, from how often each grey level occurs: exact and fast."""
    levels = np.arange(256, dtype=np.float64)
    means, deviations = [], []
    for channel in range(x_NHWC.shape[-1]):
        counts = np.bincount(x_NHWC[..., channel].ravel(), minlength=256)
        mean = float(counts @ levels / counts.sum())
        variance = float(counts @ (levels - mean) ** 2 / counts.sum())
        means.append(mean)
        deviations.append(max(variance**0.5, 1.0))  # a channel of one colour must not divide by 0
    return tuple(means), tuple(deviations)


def _place(images: Array, labels: Array, strategy: tf.distribute.Strategy) -> Split:
    def copy(context: tf.distribute.InputContext, array: Array) -> tf.Tensor:
        if strategy.num_replicas_in_sync == 1:
            return tf.constant(array)
        with tf.device(strategy.extended.worker_devices[context.replica_id_in_sync_group]):
            return tf.constant(array)

    distribute = strategy.experimental_distribute_values_from_function
    return Split(
        images=distribute(lambda context: copy(context, images)),
        labels=distribute(lambda context: copy(context, labels)),
        count=len(labels),
    )
