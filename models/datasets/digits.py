"""Digits: 1,797 handwritten digits of 8x8 pixels, as bundled with scikit-learn.

Shapes: N images, H W space, C channels.

Source: UCI Optical Recognition of Handwritten Digits (Alpaydin and Kaynak, 1998), test part.
"""

import importlib.util
from pathlib import Path

import numpy as np

from models.datasets.arrays import ImageArrays
from models.datasets.split import hold_out
from models.errors import DatasetError

TEST_IMAGES = 360
BRIGHTEST = 16
# SHA-256, in hex, of the bytes of training images, training labels, test images and test labels.
DIGEST = "f5dbc3dea03fa52cc06bb6466c1570f085dacb0097b4d0da2f5cafa57c7b49f3"


def load(directory: Path | None) -> ImageArrays:
    """Load the images, scaled to 0..255, in a fixed split: 1,437 to train on, 360 to test, class by class."""
    rows = np.loadtxt(_get_file(), delimiter=",", dtype=np.uint8)
    # In float, then rounded: 255 / 16 is not whole.
    x_NHWC = np.rint(rows[:, :-1] * (255 / BRIGHTEST)).astype(np.uint8).reshape(-1, 8, 8, 1)
    y_N = rows[:, -1].astype(np.int32)
    train, test = hold_out(y_N, fraction=TEST_IMAGES / len(y_N))
    return ImageArrays(
        x_train=x_NHWC[train],
        y_train=y_N[train],
        x_test=x_NHWC[test],
        y_test=y_N[test],
        class_names=tuple("0123456789"),
    )


def _get_file() -> Path:
    # To import scikit-learn takes a second or more; the file that it reads takes 30 ms.
    spec = importlib.util.find_spec("sklearn")
    if spec is None or not spec.submodule_search_locations:
        raise DatasetError(
            "Dataset digits comes with scikit-learn, which is not installed. Run: pip install 'cnnctl[train]'"
        )
    path = Path(spec.submodule_search_locations[0], "datasets", "data", "digits.csv.gz")
    if not path.exists():
        raise DatasetError(
            f"Dataset digits: scikit-learn is installed but has no {path}. Install another version"
        )
    return path
