"""Reads one image file, whatever its mode, and brings it to a size.

Shapes: H W space, C channels, S side.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from models.errors import DatasetError

Pixels = npt.NDArray[np.uint8]
MODES = {1: "L", 3: "RGB"}
# Modes of more than 8 bits, which Pillow would clip at 255 instead of scaling.
DEEP_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")
BITS_TO_DROP = 257  # 65535 / 255


def read_image(path: Path, *, channels: int) -> Pixels:
    """Read an image file as uint8 (H, W, C) with 1 or 3 channels.

    Any mode is taken: palettes and CMYK are converted, transparency is laid on white, 16 bits are scaled to
    8, of an animation the first frame is taken, and the camera's orientation is applied.

    Raises:
        DatasetError: the file cannot be read; the message names it.
    """
    try:
        with Image.open(path) as image:
            return _to_array(ImageOps.exif_transpose(image), channels=channels)
    except Exception as error:  # what a broken file makes a decoder raise is not limited
        raise DatasetError(f"{path} cannot be read as an image: {_tell(error)}") from None


def read_square(path: Path, *, side: int, channels: int) -> Pixels:
    """Read an image file and bring it to (S, S, C): see `resize_and_crop`.

    Raises:
        DatasetError: the file cannot be read; the message names it.
    """
    try:
        with Image.open(path) as image:
            # A JPEG can be decoded at half or a quarter of its size, if that is still large enough.
            image.draft(MODES[channels], (2 * side, 2 * side))
            pixels = _to_array(ImageOps.exif_transpose(image), channels=channels)
            return resize_and_crop(pixels, side=side)
    except Exception as error:  # as above
        raise DatasetError(f"{path} cannot be read as an image: {_tell(error)}") from None


def resize_and_crop(image_HWC: Pixels, *, side: int) -> Pixels:
    """Bring the shorter side to `side` (bilinear, antialiased), then crop the centre: (S, S, C).

    Source: Krizhevsky, Sutskever and Hinton, NIPS 2012, section 2.
    """
    height, width, channels = image_HWC.shape
    scale = side / min(height, width)
    size = max(side, round(width * scale)), max(side, round(height * scale))
    image = Image.fromarray(image_HWC[..., 0] if channels == 1 else image_HWC)
    if size != (width, height):
        image = image.resize(size, Image.Resampling.BILINEAR)
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    cropped = np.asarray(image.crop((left, top, left + side, top + side)))
    return cropped.reshape(side, side, channels)


def _tell(error: Exception) -> str:
    """Some decoders quote the file in other errors than these, and everybody reads what is said."""
    if isinstance(error, (OSError, Image.DecompressionBombError)):
        return getattr(error, "strerror", None) or str(error)
    return type(error).__name__


def _to_array(image: Image.Image, *, channels: int) -> Pixels:
    if image.mode in DEEP_MODES:
        image = _scale_to_8_bits(image)
    if image.has_transparency_data:
        canvas = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(canvas, image.convert("RGBA"))
    pixels = np.array(image.convert(MODES[channels]))
    return pixels.reshape(*pixels.shape[:2], channels)


def _scale_to_8_bits(image: Image.Image) -> Image.Image:
    values = np.nan_to_num(np.asarray(image).astype(np.float64))
    if image.mode == "F" and values.max() <= 1:
        values = values * 65535
    elif values.max() <= 255:
        values = values * BITS_TO_DROP
    return Image.fromarray(np.clip(np.rint(values / BITS_TO_DROP), 0, 255).astype(np.uint8))
