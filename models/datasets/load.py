"""Loads a dataset by its name or by its place."""

import importlib
from collections.abc import Callable
from pathlib import Path

from models.catalog.dataset_path import find_dataset_path
from models.catalog.lookup import get_dataset
from models.datasets.arrays import ImageArrays
from models.datasets.files.folder import index_folder
from models.datasets.files.image_files import ImageFiles
from models.datasets.files.npz import read_any_npz


def load_dataset(name: str, *, directory: Path | None) -> ImageArrays | ImageFiles:
    """Load a dataset of the catalog, or of a place: images in memory, or a list of the files they are in.

    `directory` is the folder of the datasets: it holds the lab's own, and may hold `<name>.npz` of a dataset
    of the catalog, which saves the download.

    Raises:
        CatalogError: the name is unknown.
        DatasetError: the images cannot be loaded, or the file does not hold what it must.
    """
    place = find_dataset_path(name)
    if place is None:
        return load_arrays(name, directory=directory)
    path = place.locate(directory)
    return index_folder(path) if place.kind == "folder" else read_any_npz(path)


def load_arrays(name: str, *, directory: Path | None) -> ImageArrays:
    """Load a dataset of the catalog.

    Raises:
        CatalogError, DatasetError: as above.
    """
    module, _, function = get_dataset(name).function.partition(":")
    load: Callable[[Path | None], ImageArrays] = getattr(importlib.import_module(module), function)
    return load(directory)
