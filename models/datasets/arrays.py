"""Holds a dataset in memory, and loads one by its name.

Shapes: N images, H W space, C channels.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.catalog import find_dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageArrays:
    """Labelled images: x_* are uint8 (N, H, W, C) from 0 to 255, y_* int32 (N,) indices of `class_names`."""

    x_train: npt.NDArray[np.uint8]
    y_train: npt.NDArray[np.int32]
    x_test: npt.NDArray[np.uint8]
    y_test: npt.NDArray[np.int32]
    class_names: tuple[str, ...]


def load_dataset(name: str, *, directory: Path | None) -> ImageArrays:
    """Load a dataset of the catalog; `directory` may hold `<name>.npz`, which saves the download.

    Raises:
        CatalogError: the name is unknown.
        DatasetError: the images cannot be had, or the file does not hold what it must.
    """
    module, _, function = find_dataset(name).function.partition(":")
    load: Callable[[Path | None], ImageArrays] = getattr(importlib.import_module(module), function)
    return load(directory)
