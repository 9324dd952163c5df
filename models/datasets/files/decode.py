"""Reads one image file, whatever its mode, and brings it to a size.

Shapes: H W space, C channels, S side.
"""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from models.datasets.files.depth import COLOUR, FLOAT, INTEGER, WHITE_16, Depth, WhiteLevels, compute_white
from models.errors import DatasetError

Pixels = npt.NDArray[np.uint8]
MODES = {1: "L", 3: "RGB"}
# Modes of more than 8 bits, which Pillow would clip at 255 instead of scaling.
DEEP_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")
BITS_TO_DROP = 257  # 65535 / 255
CUT_TO_8_BITS = re.compile(r";16[BLN]")  # how a file stores colours whose lower 8 bits Pillow drops
CUT_COLOURS = Depth(COLOUR, 0.0, WHITE_16)
LONGEST = 4  # sides to a side: what is longer is cropped before it is resized


class Square(NamedTuple):
    """An image (S, S, C); `depth` is None where the file has 8 bits a colour."""

    pixels: Pixels
    depth: Depth | None


def read_image(path: Path, *, channels: int, white_levels: WhiteLevels | None = None) -> Pixels:
    """Read an image file as uint8 (H, W, C) with 1 or 3 channels.

    Any mode is taken: palettes and CMYK are converted, transparency is laid on white, 16 bits are scaled to
    8, of an animation the first frame is taken, and the camera's orientation is applied, if it can be read.

    Raises:
        DatasetError: the file cannot be read; the message names it.
    """
    try:
        with Image.open(path) as image:
            return _to_array(_turn(image), channels=channels, white_levels=white_levels or {})
    except Exception as error:  # what a broken file makes a decoder raise is not limited
        raise DatasetError(f"{path} cannot be read as an image: {_tell_error(error)}") from None


def read_square(path: Path, *, side: int, channels: int, white_levels: WhiteLevels | None = None) -> Square:
    """Read an image file and bring it to (S, S, C): see `resize_and_crop`.

    Raises:
        DatasetError: the file cannot be read; the message names it.
    """
    try:
        with Image.open(path) as image:
            is_cut = any(CUT_TO_8_BITS.search(str(tile)) for tile in image.tile[:1])
            # A JPEG can be decoded at half or a quarter of its size, if that is still large enough.
            image.draft(MODES[channels], (2 * side, 2 * side))
            turned = _turn(image)
            depth = _measure(turned) if turned.mode in DEEP_MODES else CUT_COLOURS if is_cut else None
            pixels = _to_array(_cut_strip(turned), channels=channels, white_levels=white_levels or {})
            return Square(resize_and_crop(pixels, side=side), depth)
    except Exception as error:  # as above
        raise DatasetError(f"{path} cannot be read as an image: {_tell_error(error)}") from None


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


def _tell_error(error: Exception) -> str:
    """An error in words that everybody may read.

    Other errors than these may quote what is in the file: of those, only the type is told.
    """
    if isinstance(error, UnidentifiedImageError):  # whose words would be the file's name again
        return "its format is not known"
    if isinstance(error, (OSError, Image.DecompressionBombError)):
        return getattr(error, "strerror", None) or str(error)
    return type(error).__name__


def _turn(image: Image.Image) -> Image.Image:
    """Apply the camera's orientation; an image whose Exif data are damaged is taken as it is."""
    image.load()  # what is wrong with the pixels is an error
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # what damaged data make the reader raise is not limited
        return image


def _cut_strip(image: Image.Image) -> Image.Image:
    """Of a strip, the middle: resized as a whole, 60,000 pixels by 1 would take 12 GB."""
    width, height = image.size
    longest = LONGEST * min(width, height)
    if max(width, height) <= longest:
        return image
    cut_width, cut_height = min(width, longest), min(height, longest)
    left, top = (width - cut_width) // 2, (height - cut_height) // 2
    return image.crop((left, top, left + cut_width, top + cut_height))


def _to_array(image: Image.Image, *, channels: int, white_levels: WhiteLevels) -> Pixels:
    if image.mode in DEEP_MODES:
        image = _scale_to_8_bits(image, white_levels)
    if image.has_transparency_data:
        canvas = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(canvas, image.convert("RGBA"))
    pixels = np.array(image.convert(MODES[channels]))
    return pixels.reshape(*pixels.shape[:2], channels)


def _kind(image: Image.Image) -> str:
    return FLOAT if image.mode == "F" else INTEGER


def _measure(image: Image.Image) -> Depth:
    values = np.asarray(image).astype(np.float64)
    finite = values[np.isfinite(values)]
    return Depth(_kind(image), float(finite.min(initial=0.0)), float(finite.max(initial=0.0)))


def _scale_to_8_bits(image: Image.Image, white_levels: WhiteLevels) -> Image.Image:
    values = np.nan_to_num(np.asarray(image).astype(np.float64))
    kind = _kind(image)
    white = white_levels.get(kind) or compute_white(kind, _measure(image).peak)
    scaled = np.clip(values, 0, white) * (WHITE_16 / white) / BITS_TO_DROP
    return Image.fromarray(np.rint(scaled).astype(np.uint8))
