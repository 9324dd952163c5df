"""Reads a dataset from an .npz file, and refuses one that does not hold what it must.

Messages tell types, shapes and counts, and never quote what is in a file: they are read by everybody.

Shapes: N images, H W space, C channels.
"""

import lzma
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.catalog.lookup import Dataset
from models.datasets.arrays import ImageArrays
from models.errors import DatasetError

Array = npt.NDArray[Any]

KEYS = ("x_train", "y_train", "x_test", "y_test")
# What a truncated, overwritten or pickled file makes NumPy and the zip reader raise.
UNREADABLE = (
    *(OSError, ValueError, EOFError, RuntimeError, tokenize.TokenError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)


def read_npz(path: Path, *, dataset: Dataset, class_names: tuple[str, ...]) -> ImageArrays:
    """Read x_train, y_train, x_test, y_test and, if there, class_names in place of those given.

    Raises:
        DatasetError: the file is damaged, or an array is missing or not what the catalog says.
    """
    try:
        return check_arrays(_read_arrays(path), dataset=dataset, class_names=class_names)
    except DatasetError as error:
        raise DatasetError(f"Dataset file {path}: {error}") from None


def read_any_npz(path: Path) -> ImageArrays:
    """Read an .npz file that the catalog knows nothing of; images that are not square are cropped.

    Raises:
        DatasetError: the file is damaged, holds what cannot be trained on, or a class lacks images.
    """
    try:
        arrays = _read_arrays(path)
        read = check_arrays(arrays, dataset=_guess(path, arrays), class_names=_guess_names(arrays))
        _check_classes(read)
    except DatasetError as error:
        raise DatasetError(f"Dataset file {path}: {error}") from None
    return replace(read, x_train=_square(read.x_train), x_test=_square(read.x_test))


def check_arrays(
    arrays: Mapping[str, Array], *, dataset: Dataset, class_names: tuple[str, ...]
) -> ImageArrays:
    """Bring arrays into the one form that training takes; gray images may come without a channel axis.

    Raises:
        DatasetError: an array is not what the catalog says.
    """
    if "class_names" in arrays:
        class_names = _check_class_names(arrays["class_names"], dataset=dataset)
    images = {part: _check_images(arrays, f"x_{part}", dataset=dataset) for part in ("train", "test")}
    labels = {
        part: _check_labels(arrays, f"y_{part}", num_images=len(images[part]), dataset=dataset)
        for part in ("train", "test")
    }
    return ImageArrays(
        x_train=images["train"],
        y_train=labels["train"],
        x_test=images["test"],
        y_test=labels["test"],
        class_names=class_names,
    )


def _guess(path: Path, arrays: Mapping[str, Array]) -> Dataset:
    """Describe a file by its own first array; `check_arrays` then compares the others with that."""
    x_NHWC = arrays["x_train"]
    if np.issubdtype(x_NHWC.dtype, np.floating) and np.isnan(x_NHWC).any():
        raise DatasetError(f"x_train holds {np.isnan(x_NHWC).sum():,} values that are not a number")
    shape = x_NHWC.shape[1:] if x_NHWC.ndim == 4 else (*x_NHWC.shape[1:], 1)
    if len(shape) != 3 or shape[-1] not in (1, 3) or not all(shape):
        raise DatasetError(
            "x_train must be of shape (N, H, W), or (N, H, W, C) with 1 or 3 channels, H and W at least 1: "
            f"convert others, as with Pillow's convert('RGB'). Received: {_describe(x_NHWC)}"
        )
    return Dataset(
        name=path.stem,
        summary="",
        source="",
        licence="",
        function="",
        num_classes=len(_guess_names(arrays)),
        image_shape=shape,
        train_images=len(x_NHWC),
        test_images=arrays["x_test"].shape[0] if arrays["x_test"].ndim else 0,
        offline=True,
    )


def _guess_names(arrays: Mapping[str, Array]) -> tuple[str, ...]:
    for key in ("y_train", "y_test"):
        if arrays[key].dtype.kind not in "iu":
            raise DatasetError(f"{key} must be integers. Received: {_describe(arrays[key])}")
    if "class_names" not in arrays:
        return _number_classes(arrays)
    if arrays["class_names"].ndim != 1:
        raise DatasetError(
            "class_names must be an array of one string a class. "
            f"Received: {_describe(arrays['class_names'])}"
        )
    names = tuple(map(str, arrays["class_names"]))
    for key in ("y_train", "y_test"):
        most = np.iinfo(arrays[key].dtype).max + 1
        if len(names) > most:
            raise DatasetError(
                f"{key} is {arrays[key].dtype}, which cannot tell {len(names)} classes apart but {most}: "
                "labels have wrapped around. Save them as int32"
            )
    return names


def _number_classes(arrays: Mapping[str, Array]) -> tuple[str, ...]:
    """Names 0, 1, … of as many classes as there are; the images bound them, since each class needs some."""
    labels = [arrays["y_train"], arrays["y_test"]]
    # Each by itself: together, int64 and uint64 would become floating-point numbers.
    num_classes = max(int(y.max(initial=0)) for y in labels) + 1
    most = max(y.size for y in labels)
    if num_classes > most:
        raise DatasetError(
            f"labels must be classes counted from 0, each with images: at most {most - 1:,}, for "
            f"{labels[0].size:,} labels in y_train and {labels[1].size:,} in y_test. Received: a larger one. "
            "Ids become such numbers by numpy.unique(ids, return_inverse=True)"
        )
    return tuple(map(str, range(num_classes)))


def _check_classes(read: ImageArrays) -> None:
    names = read.class_names
    if len(names) < 2:
        raise DatasetError(f"at least two classes are needed to tell apart. Received: {len(names)}")
    for key, labels in (("y_train", read.y_train), ("y_test", read.y_test)):
        empty = np.flatnonzero(np.bincount(labels, minlength=len(names)) == 0)
        if len(empty):
            raise DatasetError(
                f"{key} has no image of {len(empty)} of {len(names)} classes, the first: label {empty[0]}"
            )


def _square(x_NHWC: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    height, width = x_NHWC.shape[1:3]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return x_NHWC[:, top : top + side, left : left + side]


def _read_arrays(path: Path) -> dict[str, Array]:
    if path.exists() and not path.is_file():  # reading a pipe would wait for ever
        raise DatasetError("it is no file")
    try:
        # Opened here, since np.load leaves a damaged archive open.
        with path.open("rb") as file:
            return _read_archive(np.load(file, allow_pickle=False))
    except DatasetError:
        raise
    except UNREADABLE as error:
        raise DatasetError(
            "it cannot be read; expected a whole .npz archive without pickled objects. "
            f"Received: {getattr(error, 'strerror', None) or type(error).__name__}"
        ) from None


def _read_archive(archive: object) -> dict[str, Array]:
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise DatasetError("it holds a single array; expected an .npz archive of named arrays")
    missing = [key for key in KEYS if key not in archive.files]
    if missing:
        raise DatasetError(
            f"{', '.join(missing)} missing; expected {', '.join(KEYS)}. Received: {len(archive.files)} arrays"
        )
    return {key: archive[key] for key in (*KEYS, "class_names") if key in archive.files}


def _check_images(arrays: Mapping[str, Array], key: str, *, dataset: Dataset) -> npt.NDArray[np.uint8]:
    x_NHWC = arrays[key]
    if x_NHWC.ndim == 3 and dataset.image_shape[-1] == 1:
        x_NHWC = x_NHWC[..., np.newaxis]
    if x_NHWC.dtype != np.uint8 or x_NHWC.shape[1:] != dataset.image_shape or not len(x_NHWC):
        shape = ", ".join(map(str, dataset.image_shape))
        raise DatasetError(
            f"{key} must be uint8 of shape (N, {shape}), N at least 1. Received: {_describe(arrays[key])}"
        )
    return x_NHWC


def _check_labels(
    arrays: Mapping[str, Array], key: str, *, num_images: int, dataset: Dataset
) -> npt.NDArray[np.int32]:
    y_N = arrays[key]
    if y_N.ndim == 2 and y_N.shape[1] == 1:  # as Keras stores CIFAR-10
        y_N = y_N[:, 0]
    if y_N.dtype.kind not in "iu" or y_N.shape != (num_images,):
        raise DatasetError(
            f"{key} must be {num_images} integers, one label per image. Received: {_describe(arrays[key])}"
        )
    others = np.count_nonzero((y_N < 0) | (y_N >= dataset.num_classes))
    if others:
        raise DatasetError(f"{key} must be from 0 to {dataset.num_classes - 1}. Received: {others:,} others")
    return y_N.astype(np.int32)


def _check_class_names(names: Array, *, dataset: Dataset) -> tuple[str, ...]:
    if names.dtype.kind != "U" or names.shape != (dataset.num_classes,):
        raise DatasetError(f"class_names must be {dataset.num_classes} strings. Received: {_describe(names)}")
    return tuple(str(name) for name in names)


def _describe(array: Array) -> str:
    kind = "records" if array.dtype.names else array.dtype  # whose type names its fields
    return f"{kind} of shape {array.shape}"
