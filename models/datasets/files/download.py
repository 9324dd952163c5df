"""Loads a dataset from a folder of .npz files, or else downloads it through Keras."""

from pathlib import Path

from models.catalog.lookup import get_dataset
from models.datasets.arrays import ImageArrays
from models.datasets.files.npz import check_arrays, read_npz
from models.errors import DatasetError


def load_or_download(name: str, *, directory: Path | None, class_names: tuple[str, ...]) -> ImageArrays:
    """Read `directory/<name>.npz` if it is there, else let Keras download the dataset into its cache.

    Raises:
        DatasetError: the file is bad, or the download failed.
    """
    if directory is not None and (directory / f"{name}.npz").exists():
        return read_npz(directory / f"{name}.npz", dataset=get_dataset(name), class_names=class_names)
    return _download(name, directory=directory, class_names=class_names)


def _download(name: str, *, directory: Path | None, class_names: tuple[str, ...]) -> ImageArrays:
    import keras  # only here: everything else in this folder works, quickly, without TensorFlow

    try:
        (x_train, y_train), (x_test, y_test) = getattr(keras.datasets, name).load_data()
    except Exception as error:  # what Keras raises when a download fails is a plain Exception
        looked = f"no {name}.npz in {directory}" if directory else "CNNCTL_DATASETS_DIR is not set"
        raise DatasetError(
            f"Dataset {name} cannot be had: {looked}, and keras.datasets.{name} failed: {error}. "
            f"Set CNNCTL_DATASETS_DIR to a folder with {name}.npz (x_train, y_train, x_test, y_test)"
        ) from error
    arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    return check_arrays(arrays, dataset=get_dataset(name), class_names=class_names)
