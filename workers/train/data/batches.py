"""The input of the compiled loop: images and how to vary them, row by row.

Shapes: N rows, n some of them, H W stored image, C channels.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from workers.train.data.images import FileSplit, Rows

# Batches that are decoded ahead of the current one.
BATCHES_AHEAD = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """How each image is varied in one epoch; None where nothing is."""

    views: npt.NDArray[np.int32] | None = None
    """(N, 3): top and left of each view in pixels, and 1 where it is mirrored."""
    shifts: npt.NDArray[np.float32] | None = None
    """(N, C): what is added to every pixel of an image, on the scale from 0 to 255."""

    def of(self, numbers_n: npt.NDArray[np.int32]) -> "Variation":
        """The variation of these images, by number."""
        return Variation(
            views=None if self.views is None else self.views[numbers_n],
            shifts=None if self.shifts is None else self.shifts[numbers_n],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Batches:
    """The input of one call of the loop."""

    rows: Rows
    """The images: all of the split, or only those of this call."""
    views: tf.Tensor | None
    """(N, 3) int32, as in `Variation`."""
    shifts: tf.Tensor | None
    """(N, C) float32, as in `Variation`."""
    order: tf.Tensor
    """(n,) int32: the numbers of the rows in the order in which batches take them."""
    first: int
    """The batch of that order to begin with, from 0."""


class Feed(Protocol):
    """Gives the batches of one epoch, in order."""

    most_steps: int
    """How many batches one call of `take` can give."""

    def take(self, first: int, *, steps: int) -> Batches: ...

    def close(self) -> None: ...


class DeviceFeed:
    """Feeds images that are on the devices: nothing is moved."""

    most_steps = 1_000_000

    def __init__(self, rows: Rows, order_N: npt.NDArray[np.int32], variation: Variation) -> None:
        self._rows = rows
        self._order_N = tf.constant(order_N)
        self._views = None if variation.views is None else tf.constant(variation.views)
        self._shifts = None if variation.shifts is None else tf.constant(variation.shifts)

    def take(self, first: int, *, steps: int) -> Batches:
        return Batches(
            rows=self._rows, views=self._views, shifts=self._shifts, order=self._order_N, first=first
        )

    def close(self) -> None:
        pass


class FileFeed:
    """Feeds images from files, decoded ahead by threads; holds a few batches, for any number of files."""

    most_steps = BATCHES_AHEAD

    def __init__(
        self,
        split: FileSplit,
        order_N: npt.NDArray[np.int32],
        variation: Variation,
        *,
        batch_size: int,
        first: int,
    ) -> None:
        self._split = split
        self._order_N = order_N
        self._variation = variation
        self._batch_size = batch_size
        self._images = split.decoder.decode_ahead(
            [split.files[number] for number in order_N[first * batch_size :]],
            ahead=BATCHES_AHEAD * batch_size,
        )

    def take(self, first: int, *, steps: int) -> Batches:
        count = steps * self._batch_size
        numbers_n = self._order_N[first * self._batch_size :][:count]
        images_nHWC = np.stack([next(self._images) for _ in range(count)])
        variation = self._variation.of(numbers_n)
        return Batches(
            rows=Rows(
                images=tf.constant(images_nHWC),
                labels=tf.constant(self._split.labels[numbers_n]),
                count=count,
            ),
            views=None if variation.views is None else tf.constant(variation.views),
            shifts=None if variation.shifts is None else tf.constant(variation.shifts),
            order=tf.range(count),
            first=0,
        )

    def close(self) -> None:
        """Stop decoding ahead."""
        self._images.close()
