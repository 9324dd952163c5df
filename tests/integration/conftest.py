"""A warm parent of trainers, shared by all tests of a session, and images for them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from workers.attempts.starter import Starter


@pytest.fixture(scope="session")
def starter() -> Starter:
    starter = Starter("forkserver")
    starter.warm_up()
    return starter


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A folder with three classes of 40 images each, of several sizes and modes."""
    random = np.random.default_rng(0)
    for label in range(3):
        folder = tmp_path / "photographs" / f"class{label}"
        folder.mkdir(parents=True)
        for number in range(40):
            height, width = random.integers(30, 60, 2)
            pixels = random.integers(0, 120, (height, width, 3)).astype(np.uint8)
            pixels[..., label] += 100
            image = Image.fromarray(pixels)
            image.convert("L" if number % 10 == 0 else "RGB").save(folder / f"{number}.jpg")
    return tmp_path / "photographs"
