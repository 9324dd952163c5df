"""Compares a dataset with the published one, byte by byte.

Shapes: N images, H W space.
"""

import hashlib
import struct

import numpy as np
import numpy.typing as npt

from models.catalog.lookup import Dataset
from models.datasets.arrays import ImageArrays
from models.errors import DatasetError

UBYTE = 0x08  # the IDX code for unsigned bytes
PARTS = ("training images", "training labels", "test images", "test labels")


def verify_checksum(arrays: ImageArrays, dataset: Dataset) -> None:
    """Check arrays against the checksums of the files that the dataset's authors published, if they did.

    Raises:
        DatasetError: they are others; `npz:PATH` trains on them under no false name.
    """
    found: list[npt.NDArray[np.integer]] = [arrays.x_train[..., 0], arrays.y_train]
    found += [arrays.x_test[..., 0], arrays.y_test]
    for part, array, expected in zip(PARTS, found, dataset.idx_md5, strict=False):
        md5 = idx_md5(array)
        if md5 != expected:
            raise DatasetError(
                f"The {part} are not those of {dataset.name} as published: MD5 {expected} expected. "
                f"Received: {md5}. To train on them all the same, name the file by its place: npz:PATH"
            )


def idx_md5(array: npt.NDArray[np.integer]) -> str:
    """Return the MD5, in hex, of an array of bytes written as an IDX file."""
    header = struct.pack(f">HBB{array.ndim}I", 0, UBYTE, array.ndim, *array.shape)
    digest = hashlib.md5(header, usedforsecurity=False)
    digest.update(np.ascontiguousarray(array, dtype=np.uint8).tobytes())
    return digest.hexdigest()
