"""Measures the pixels of training images: mean, deviation and principal colours.

Shapes: N images, H W space, C channels, P pixels.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.augmentation import ColourAxes, principal_colours

MOST_PIXELS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelStatistics:
    """Mean and standard deviation of each channel (0..255); where asked for, how colours vary."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    colour_axes: ColourAxes | None


def pixel_statistics(x_NHWC: npt.NDArray[np.uint8], *, with_colours: bool) -> PixelStatistics:
    """Measure images from 0 to 255.

    Mean and deviation come from how often each grey level occurs: exact and fast. The colour axes, which
    take most of the time, come from at most a million evenly spaced pixels.
    """
    levels = np.arange(256, dtype=np.float64)
    means, deviations = [], []
    for channel in range(x_NHWC.shape[-1]):
        counts = np.bincount(x_NHWC[..., channel].ravel(), minlength=256)
        mean = float(counts @ levels / counts.sum())
        variance = float(counts @ (levels - mean) ** 2 / counts.sum())
        means.append(mean)
        deviations.append(max(variance**0.5, 1.0))  # a channel of one colour must not divide by 0
    axes = _colour_axes(x_NHWC) if with_colours else None
    return PixelStatistics(mean=tuple(means), std=tuple(deviations), colour_axes=axes)


def _colour_axes(x_NHWC: npt.NDArray[np.uint8]) -> ColourAxes:
    pixels_PC = x_NHWC.reshape(-1, x_NHWC.shape[-1])
    step = max(1, len(pixels_PC) // MOST_PIXELS)
    return principal_colours(pixels_PC[::step])
