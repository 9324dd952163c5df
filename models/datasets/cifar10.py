"""CIFAR-10: photographs of ten kinds of things, 50,000 + 10,000 colour images of 32x32 pixels.

Source: Krizhevsky, Learning multiple layers of features from tiny images, 2009.
"""

from pathlib import Path

from models.datasets.arrays import ImageArrays
from models.datasets.files.download import load_or_download

CLASS_NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)


def load(directory: Path | None) -> ImageArrays:
    """Load it from `directory/cifar10.npz` or by download."""
    return load_or_download("cifar10", directory=directory, class_names=CLASS_NAMES)
