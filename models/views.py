"""Cuts views out of stored images: random crops to train on, the centre to validate, ten crops to test.

Shapes: B batch, H W stored image, S side of a view, C channels, V views.
"""

import keras
import numpy as np
import numpy.typing as npt
from keras import ops


def cut_views(images_BHWC: keras.KerasTensor, views_B3: keras.KerasTensor, *, side: int) -> keras.KerasTensor:
    """Cut a square (B, S, S, C) out of each image at (top, left), mirrored where the third number is 1.

    What lies outside the image, by less than its size, is its reflection. Works on any type, without
    arithmetic on the pixels.
    """
    batch, height, width, channels = ops.shape(images_BHWC)
    steps_S = ops.arange(side, dtype="int32")
    views_B3 = ops.convert_to_tensor(views_B3)  # NumPy's arrays do not add to a tensor on PyTorch's GPU
    top_B1, left_B1, mirror_B1 = (views_B3[:, column : column + 1] for column in range(3))
    rows_BS = _reflect(top_B1 + steps_S, height)
    columns_BS = _reflect(left_B1 + ops.where(mirror_B1 == 1, side - 1 - steps_S, steps_S), width)
    # Numbers of whole rows and then of pixels, so that a pixel with all channels is copied at once.
    first_B1 = ops.arange(batch, dtype="int32")[:, None] * height
    pixels_BSS = (first_B1 + rows_BS)[:, :, None] * width + columns_BS[:, None, :]
    return ops.take(ops.reshape(images_BHWC, (-1, channels)), pixels_BSS, axis=0)


def centre_view(*, room: int) -> npt.NDArray[np.int32]:
    """Return the one view (1, 3) at the centre; `room` is stored side minus view side."""
    return np.array([[room // 2, room // 2, 0]], dtype=np.int32)


def ten_views(*, room: int) -> npt.NDArray[np.int32]:
    """Return corners and centre, each as it is and mirrored: (10, 3).

    Source: Krizhevsky, Sutskever and Hinton, NIPS 2012, section 4.1.
    """
    places = [(0, 0), (0, room), (room, 0), (room, room), (room // 2, room // 2)]
    return np.array([(*place, mirrored) for mirrored in (0, 1) for place in places], dtype=np.int32)


def _reflect(position: keras.KerasTensor, size: int) -> keras.KerasTensor:
    """Bring positions before 0 and from `size` on back into the image, without repeating its border."""
    return size - 1 - ops.abs(size - 1 - ops.abs(position))
