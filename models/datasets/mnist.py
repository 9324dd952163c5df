"""MNIST: handwritten digits, 60,000 + 10,000 gray images of 28x28 pixels.

Source: LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE 1998.
"""

from pathlib import Path

from models.datasets.arrays import ImageArrays
from models.datasets.files.download import load_or_download


def load(directory: Path | None) -> ImageArrays:
    """Load it from `directory/mnist.npz` or by download."""
    return load_or_download("mnist", directory=directory, class_names=tuple("0123456789"))
