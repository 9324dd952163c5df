"""Small real datasets on disk: a folder of images by class, and an .npz file."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_folder(root: Path, *, seed: int = 0, count: int = 40) -> Path:
    """Three classes of images of 32x32 pixels that a network learns at once, and a file that is no image."""
    random = np.random.default_rng(seed)
    for label in range(3):
        folder = root / f"class{label}"
        folder.mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(0, 120, (32, 32, 3)).astype(np.uint8)
            pixels[..., label] += 100
            Image.fromarray(pixels).save(folder / f"{number:02d}.png")
    (root / "README").write_text("three classes")
    return root


def write_npz(path: Path, *, seed: int = 0) -> Path:
    """Forty training images and ten test images of two classes, 8x8 pixels."""
    random = np.random.default_rng(seed)
    x_train, x_test = (random.integers(0, 255, (count, 8, 8), np.uint8) for count in (40, 10))
    np.savez(path, x_train=x_train, x_test=x_test, y_train=np.arange(40) % 2, y_test=np.arange(10) % 2)
    return path
