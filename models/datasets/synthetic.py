"""Synthetic: ten classes of noisy wave patterns, to try things out on without any file.

Shapes: N images, H W space, C channels, K classes.

Source: made by this project.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.datasets.arrays import ImageArrays

SEED = 1
SIDE, CHANNELS, NUM_CLASSES = 32, 3, 10
TRAIN_IMAGES, TEST_IMAGES = 2048, 512
AMPLITUDE = 10.0
HIGHEST_FREQUENCY = 3
# SHA-256, in hex, of the bytes of training images, training labels, test images and test labels.
DIGEST = "2383826896f74d6c3e91cf5d108e89421e7ac730487ebba8e421eca45881dcc8"


def load(directory: Path | None) -> ImageArrays:
    """Make the images: a class's low-frequency pattern under even noise; the same ones at every call."""
    num_images = TRAIN_IMAGES + TEST_IMAGES
    y_N = (np.arange(num_images) % NUM_CLASSES).astype(np.int32)
    noise_NHWC = _random_bytes(num_images * SIDE * SIDE * CHANNELS).reshape(-1, SIDE, SIDE, CHANNELS)
    x_NHWC = np.clip(_patterns()[y_N] + noise_NHWC, 0, 255).astype(np.uint8)
    return ImageArrays(
        x_train=x_NHWC[:TRAIN_IMAGES],
        y_train=y_N[:TRAIN_IMAGES],
        x_test=x_NHWC[TRAIN_IMAGES:],
        y_test=y_N[TRAIN_IMAGES:],
        class_names=tuple(f"pattern {label}" for label in range(NUM_CLASSES)),
    )


def _patterns() -> npt.NDArray[np.int16]:
    """Return a wave per class and channel, (K, H, W, C), with values around 0."""
    draws_K1C = (
        np.random.Philox(SEED + 1)
        .random_raw(NUM_CLASSES * CHANNELS * 3)
        .reshape(3, NUM_CLASSES, 1, 1, CHANNELS)
    )
    across, down = draws_K1C[:2] % (HIGHEST_FREQUENCY + 1)
    phase = draws_K1C[2] / 2**64
    row, column = np.arange(SIDE).reshape(1, SIDE, 1, 1), np.arange(SIDE).reshape(1, 1, SIDE, 1)
    turns = (down * row + across * column) / SIDE + phase
    patterns: npt.NDArray[np.int16] = np.rint(AMPLITUDE * np.cos(2 * np.pi * turns)).astype(np.int16)
    return patterns


def _random_bytes(count: int) -> npt.NDArray[np.uint8]:
    # The raw stream is the one that NumPy promises never to change.
    words: npt.NDArray[np.uint64] = np.random.Philox(SEED).random_raw(count // 8)
    return words.astype("<u8").view(np.uint8)
