"""Fashion-MNIST: articles of clothing, 60,000 + 10,000 gray images of 28x28 pixels.

Source: Xiao, Rasul and Vollgraf, Fashion-MNIST, 2017.
"""

from pathlib import Path

from models.datasets.arrays import ImageArrays
from models.datasets.files.download import load_or_download

CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def load(directory: Path | None) -> ImageArrays:
    """Load it from `directory/fashion_mnist.npz` or by download."""
    return load_or_download("fashion_mnist", directory=directory, class_names=CLASS_NAMES)
