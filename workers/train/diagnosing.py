"""Inspects the network of a run: once per epoch, and to find the layer where numbers went wrong."""

from collections.abc import Mapping

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from models.diagnostics import Diagnostics
from workers.train.data.images import DeviceSplit, Split
from workers.train.loop import Loop

# Images measured at an epoch's end: a small share of the epoch, and enough to judge units.
SHARE_OF_EPOCH = 1 / 80
FEWEST_IMAGES, MOST_IMAGES = 16, 128


class Diagnosis:
    """Measures a network on the same evenly spaced training images every time, prepared as in validation."""

    def __init__(
        self,
        network: keras.Model,
        train: Split,
        labels_N: npt.NDArray[np.int32],
        loop: Loop,
    ) -> None:
        self._strategy = tf.distribute.get_strategy()
        self._diagnostics = Diagnostics(network)
        wanted = min(max(round(train.count * SHARE_OF_EPOCH), FEWEST_IMAGES), MOST_IMAGES)
        count = min(wanted, train.count)
        numbers = np.linspace(0, train.count - 1, count).astype(np.int32)
        self._y_B = tf.constant(labels_N[numbers])
        if isinstance(train, DeviceSplit):
            # Every replica has the same copy of the images; take the first.
            copies = self._strategy.experimental_local_results(train.rows.images)
            self._x_BHWC = loop.look(copies[0], tf.constant(numbers))
        else:
            files = [train.files[number] for number in numbers.tolist()]
            decoded = np.stack([train.decoder.decode(path) for path in files])
            self._x_BHWC = loop.look(tf.constant(decoded), tf.range(count))

    def measure(self) -> Mapping[str, float]:
        """Measure now: `layer/LAYER/QUANTITY`."""
        with self._strategy.scope():
            return self._diagnostics.measure(self._x_BHWC, self._y_B)
