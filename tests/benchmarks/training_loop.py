"""A training loop on one CPU device, as the trainer has it, for benchmarks to time."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from models.build import build_model, logits_model
from models.catalog.network_config import NetworkConfig
from models.losses import LossConfig, make_loss
from workers.train.data.batches import DeviceFeed, Variation
from workers.train.data.images import DeviceSplit, Rows
from workers.train.diagnosing import Diagnosis
from workers.train.fused_sgd import FusedSGD
from workers.train.loop import Loop


class TrainingLoop:
    """One network on random images that lie on the device."""

    def __init__(
        self,
        config: NetworkConfig,
        *,
        image_size: int,
        batch_size: int,
        num_images: int,
        resize: int | None = None,
        swap: Callable[[keras.Model], keras.Model] = lambda model: model,
        kind: type[Loop] = Loop,
    ) -> None:
        random, resize = np.random.default_rng(0), resize or image_size
        self._images = random.integers(0, 256, (num_images, resize, resize, 3)).astype(np.uint8)
        self._labels = random.integers(0, 10, num_images).astype(np.int32)
        self.rows = Rows(images=tf.constant(self._images), labels=tf.constant(self._labels), count=num_images)
        model = build_model(
            config,
            input_shape=(image_size, image_size, 3),
            num_classes=10,
            seed=0,
            pixel_mean=[128.0] * 3,
            pixel_std=[74.0] * 3,
        )
        self.network = logits_model(swap(model))
        self.optimizer = FusedSGD(1e-4, momentum=0.9)
        self.optimizer.build(self.network.trainable_variables)
        self._loop = kind(
            self.network,
            self.optimizer,
            tf.distribute.get_strategy(),
            batch_size=batch_size,
            resize=resize,
            loss=make_loss(LossConfig()),
        )
        self._order_N = np.arange(num_images, dtype=np.int32)

    def train(self, *, steps: int, variation: Variation = Variation()) -> None:  # noqa: B008, frozen
        """Train so many steps from the first image on."""
        self._loop.train(DeviceFeed(self.rows, self._order_N, variation).take(0, steps=steps), steps=steps)

    def diagnosis(self) -> Diagnosis:
        """What `--diagnostics` adds to each epoch."""
        return Diagnosis(self.network, DeviceSplit(rows=self.rows), self._labels, self._loop)
