"""Orders images at random as a pure function of seed and epoch, so that no iterator state has to be saved.

Shapes: N images.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def epoch_permutation(num_images: int, *, seed: int, epoch: int) -> npt.NDArray[np.int32]:
    """Return the order (N,) in which one epoch visits the images."""
    return np.argsort(sort_keys(num_images, entropy=(seed, epoch)), kind="stable").astype(np.int32)


def sort_keys(num_images: int, *, entropy: Sequence[int]) -> npt.NDArray[np.uint64]:
    """Return one random 64-bit number per image (N,).

    NumPy promises that the raw stream of a bit generator never changes, unlike `Generator.permutation`:
    sorting by such keys gives the same order under every version.
    """
    keys: npt.NDArray[np.uint64] = np.random.Philox(np.random.SeedSequence(entropy)).random_raw(num_images)
    return keys
