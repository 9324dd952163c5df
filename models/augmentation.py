"""Draws how each training image is varied in an epoch: a pure function of seed, epoch and the image's number.

Nothing depends on batches, replicas or on what was drawn before, so there is no state to save.

Shapes: N images, C colour channels, P pixels.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.catalog.augmentation_config import Augmentation

VIEW_STREAM, COLOUR_STREAM = 1, 2
BRIGHTEST = 255.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourAxes:
    """Principal directions (C, C), one a column, and variances (C,) of pixels scaled to 0..1."""

    directions: npt.NDArray[np.float64]
    variances: npt.NDArray[np.float64]


def principal_colours(pixels_PC: npt.NDArray[np.uint8]) -> ColourAxes:
    """Find the principal directions of pixels from 0 to 255."""
    scaled = pixels_PC.astype(np.float64) / BRIGHTEST
    variances, directions = np.linalg.eigh(np.atleast_2d(np.cov(scaled, rowvar=False)))
    # The sign of an eigenvector is the library's whim: the largest part is made positive.
    largest = np.abs(directions).argmax(axis=0)
    signs = np.sign(directions[largest, np.arange(len(largest))])
    return ColourAxes(directions=directions * signs, variances=np.maximum(variances, 0.0))


def draw_views(
    augmentation: Augmentation, *, num_images: int, room: int, seed: int, epoch: int
) -> npt.NDArray[np.int32]:
    """Draw where each image is cropped and whether it is mirrored.

    Args:
        room: pixels by which the stored image is wider, and higher, than the crop.

    Returns:
        (N, 3): top, left (negative where the crop begins in the reflected border), and 1 for mirrored.
    """
    words_N3 = _random_words(num_images, 3, entropy=(seed, epoch, VIEW_STREAM))
    views_N3 = np.full((num_images, 3), (room // 2, room // 2, 0), dtype=np.int32)
    padding = augmentation.crop_padding
    if padding is not None:
        places = np.uint64(room + 2 * padding + 1)
        views_N3[:, :2] = (words_N3[:, :2] % places).astype(np.int32) - padding
    if augmentation.mirror:
        views_N3[:, 2] = words_N3[:, 2] >> np.uint64(63)
    return views_N3


def draw_colour_shifts(
    axes: ColourAxes, *, deviation: float, num_images: int, seed: int, epoch: int
) -> npt.NDArray[np.float32]:
    """Draw what is added to every pixel (0..255) of each image, (N, C).

    It is [p1 p2 p3][a1 v1, a2 v2, a3 v3] with directions p, variances v and a from N(0, deviation). The
    paper does not say on which scale pixels lie; here they lie on 0..1, where the shift is mild (some grey
    levels of 255), since on 0..255 it would be 255 times as large and wipe out the image.

    Source: Krizhevsky, Sutskever and Hinton, NIPS 2012, section 4.1.
    """
    channels = len(axes.variances)
    factors_NC = deviation * _standard_normals(num_images, channels, entropy=(seed, epoch, COLOUR_STREAM))
    shifts_NC: npt.NDArray[np.float32] = (
        BRIGHTEST * (factors_NC * axes.variances) @ axes.directions.T
    ).astype(np.float32)
    return shifts_NC


def _random_words(rows: int, columns: int, *, entropy: tuple[int, ...]) -> npt.NDArray[np.uint64]:
    # The raw stream is the one that NumPy promises never to change.
    words: npt.NDArray[np.uint64] = np.random.Philox(np.random.SeedSequence(entropy)).random_raw(
        rows * columns
    )
    return words.reshape(rows, columns)


def _standard_normals(rows: int, columns: int, *, entropy: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Draw standard normals by the method of Box and Muller."""
    uniforms = (_random_words(rows, 2 * columns, entropy=entropy) >> np.uint64(11)) * 2.0**-53
    radius = np.sqrt(-2 * np.log1p(-uniforms[:, :columns]))
    normals: npt.NDArray[np.float64] = radius * np.cos(2 * np.pi * uniforms[:, columns:])
    return normals
