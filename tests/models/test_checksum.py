import gzip
import hashlib
import struct

import numpy as np
import pytest

from models.catalog.lookup import DATASETS
from models.datasets.arrays import ImageArrays
from models.datasets.files.checksum import idx_md5, verify_checksum
from models.errors import DatasetError


def test_the_checksum_is_that_of_the_unpacked_idx_file() -> None:
    labels = np.arange(5, dtype=np.int32)
    file = gzip.decompress(gzip.compress(struct.pack(">II", 0x00000801, 5) + bytes(range(5))))
    assert idx_md5(labels) == hashlib.md5(file).hexdigest()
    images = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    file = struct.pack(">IIII", 0x00000803, 2, 3, 4) + images.tobytes()
    assert idx_md5(images) == hashlib.md5(file).hexdigest()


def test_other_images_under_a_published_name_are_refused() -> None:
    images, labels = np.zeros((2, 28, 28, 1), np.uint8), np.zeros(2, np.int32)
    arrays = ImageArrays(x_train=images, y_train=labels, x_test=images, y_test=labels, class_names=("a", "b"))
    with pytest.raises(DatasetError, match=r"training images are not those of fashion_mnist as published"):
        verify_checksum(arrays, DATASETS["fashion_mnist"])
    verify_checksum(arrays, DATASETS["synthetic"])
