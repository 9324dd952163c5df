"""Finds objects in images larger than a network was trained on, and draws them.

Shapes: H W image, C channels, N places, K classes.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from models.datasets.files.decode import Pixels, read_image
from models.errors import DatasetError
from models.inference.boxes import Box, clean_boxes
from models.inference.saved_network import SavedNetwork
from models.inference.sliding import SlidingNetwork, make_sliding

COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#9a6324", "#808000")
LEAST_STEP = 1.2  # between two scales: what is closer is looked at once
LARGEST_SIDE = 4096
SMALLEST_DRAWN = 400  # pixels of the shorter side


def detect_objects(
    network: SavedNetwork,
    image: Path,
    *,
    output: Path,
    threshold: float,
    iou: float,
    scales: Sequence[float] = (),
    across_classes: bool = False,
) -> dict[str, object]:
    """Slide a network over an image at several scales; boxes cleaned, drawn into a PNG.

    Args:
        threshold: least probability of a box.
        iou: most that two boxes of a class may overlap.
        scales: shorter side of the image in sides of the network; 1 looks for what fills the image. None:
            as many, a factor of 1.4 apart, as lead up to the image's own size.
        across_classes: keep one of two boxes that overlap also where their classes differ.

    Raises:
        DatasetError: the image cannot be read, or a scale makes it smaller than the network or too large.
        CannotSlide: the network has no feature maps.
    """
    pixels = read_image(image, channels=network.about.channels, white_levels=network.about.white_levels)
    sliding = make_sliding(network.model)
    scales = scales or list_scales(pixels.shape[:2], side=sliding.side)
    boxes, scores = zip(*(_look(sliding, pixels, scale) for scale in scales), strict=True)
    found = clean_boxes(
        np.concatenate(boxes),
        np.concatenate(scores),
        class_names=network.about.class_names,
        threshold=threshold,
        iou=iou,
        across_classes=across_classes,
    )
    _draw(pixels, found, output)
    return {"image": str(image), "drawn": str(output), "boxes": [asdict(box) for box in found]}


def list_scales(size: tuple[int, int], *, side: int) -> list[float]:
    """1, 1.41, 2, … and the scale at which the image keeps its size, or becomes as large as is allowed."""
    own = min(min(size) / side, LARGEST_SIDE / max(size) * min(size) / side)
    steps = int(2 * math.log2(own)) if own > 1 else 0
    scales = [2 ** (step / 2) for step in range(steps + 1)]
    return [scale for scale in scales if scale == 1 or scale * LEAST_STEP <= own] + [own] * (own > 1)


def _look(
    sliding: SlidingNetwork, pixels: Pixels, sides: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float32]]:
    """Return the boxes (N, 4) and probabilities (N, K) of all places at one scale."""
    height, width = pixels.shape[:2]
    scale = sides * sliding.side / min(height, width)
    size = (round(height * scale), round(width * scale))
    if min(size) < sliding.side or max(size) > LARGEST_SIDE:
        raise DatasetError(
            f"--scale: the image must become at least {sliding.side} pixels at its shorter side and at most "
            f"{LARGEST_SIDE} at its longer one. Received: {sides:g}, which makes it {size[1]}x{size[0]}"
        )
    scaled = keras.ops.image.resize(pixels.astype(np.float32), size, antialias=True)
    p_hwK = keras.ops.convert_to_numpy(sliding.model(scaled[None], training=False))[0]
    return sliding.boxes(*p_hwK.shape[:2], scale=scale), p_hwK.reshape(-1, p_hwK.shape[-1])


def _draw(pixels: Pixels, boxes: Sequence[Box], output: Path) -> None:
    """Draw boxes and labels; a small image becomes larger, so that labels can be read."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGB")
    factor = max(1, min(math.ceil(SMALLEST_DRAWN / min(image.size)), LARGEST_SIDE // max(image.size)))
    image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(max(12, min(image.size) // 25))
    names = sorted({box.class_name for box in boxes})
    for box in reversed(boxes):  # the surest on top
        colour = COLOURS[names.index(box.class_name) % len(COLOURS)]
        left, top, right, bottom = (factor * edge for edge in (box.left, box.top, box.right, box.bottom))
        draw.rectangle((left, top, right, bottom), outline=colour, width=2)
        label = f"{box.class_name} {box.score:.2f}"
        place = (left + 3, top + 2)
        draw.rectangle(draw.textbbox(place, label, font=font), fill=colour)
        draw.text(place, label, fill="white", font=font)
    output.parent.mkdir(parents=True, exist_ok=True)
    image.save(output, format="PNG")
