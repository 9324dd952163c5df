"""Looks into the network of a run: once an epoch, and for the layer where numbers went wrong."""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from models.diagnostics import Diagnostics
from workers.train.images import DeviceSplit, RunImages
from workers.train.loop import Loop

MOST_IMAGES = 128


class Diagnosis:
    """Measures a network on the same evenly spaced training images every time, as validation sees them."""

    def __init__(self, network: keras.Model, images: RunImages, loop: Loop, *, batch_size: int) -> None:
        self._diagnostics = Diagnostics(network)
        count = min(batch_size, MOST_IMAGES, images.train.count)
        numbers = np.linspace(0, images.train.count - 1, count).astype(np.int32)
        self._y_B = tf.constant(images.train_labels[numbers])
        if isinstance(images.train, DeviceSplit):
            # Every replica holds a copy of the images; the first is as good as any.
            copies = tf.distribute.get_strategy().experimental_local_results(images.train.rows.images)
            self._x_BHWC = loop.look(copies[0], tf.constant(numbers))
        else:
            files = [images.train.files[number] for number in numbers]
            decoded = np.stack([images.train.decoder.decode(path) for path in files])
            self._x_BHWC = loop.look(tf.constant(decoded), tf.range(count))

    def measure(self) -> Mapping[str, float]:
        """Measure now: `layer/LAYER/QUANTITY`."""
        return self._diagnostics.measure(self._x_BHWC, self._y_B)
