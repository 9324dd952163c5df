"""Holds a dataset in memory.

Shapes: N images, H W space, C channels.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageArrays:
    """Labelled images: x_* are uint8 (N, H, W, C) from 0 to 255, y_* int32 (N,) indices of `class_names`."""

    x_train: npt.NDArray[np.uint8]
    y_train: npt.NDArray[np.int32]
    x_test: npt.NDArray[np.uint8]
    y_test: npt.NDArray[np.int32]
    class_names: tuple[str, ...]
