"""Where objects are looked for, and how what was found is drawn."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from models.inference.detection import detect_objects, list_scales
from models.inference.saved_network import About, SavedNetwork


@pytest.fixture
def network(build: Callable[..., Any]) -> SavedNetwork:
    """One that fires nowhere: all classes are equally likely everywhere."""
    about = About(class_names=tuple("abcdefghij"), channels=3, resize=16, image_size=16)
    return SavedNetwork(model=build("lenet5", init="zeros"), about=about)


def save_image(folder: Path, width: int, height: int) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "image.png")
    return folder / "image.png"


def detect(network: SavedNetwork, image: Path, **arguments: Any) -> Any:
    output = image.with_name("drawn.png")
    return detect_objects(network, image, output=output, iou=0.3, **arguments)["boxes"]


@pytest.mark.parametrize(
    ("size", "scales"),
    [
        ((48, 64), [1, 2**0.5, 2, 3]),
        ((17, 20), [1, 17 / 16]),
        ((16, 20), [1]),
        ((10, 10), [1]),
        ((64, 8192), [1, 2**0.5, 2]),
    ],
)
def test_objects_of_every_size_down_to_the_networks_own_are_looked_for(
    size: tuple[int, int], scales: list[float]
) -> None:
    assert list_scales(size, side=16) == pytest.approx(scales)


def test_a_small_image_is_drawn_larger_and_its_boxes_are_told_in_its_own_pixels(
    network: SavedNetwork, tmp_path: Path
) -> None:
    boxes = detect(network, save_image(tmp_path, 32, 16), threshold=0.05)
    assert {(box["top"], box["bottom"]) for box in boxes} == {(0, 16)}
    with Image.open(tmp_path / "drawn.png") as drawn:
        assert drawn.size == (25 * 32, 25 * 16)


def test_no_box_is_an_empty_list(network: SavedNetwork, tmp_path: Path) -> None:
    assert detect(network, save_image(tmp_path, 32, 16), threshold=0.9) == []
