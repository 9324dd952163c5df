"""Measures the images of a spec without opening one; the memory of a job is predicted from that."""

import ast
import os
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO
from zipfile import BadZipFile, ZipFile

from models.catalog.dataset_path import find_dataset_path, is_data
from models.catalog.lookup import get_dataset
from service.domain.spec import DataSpec

MIB = 1024 * 1024
COLOURS = 3
# The classes of a dataset by path have not been counted yet; they matter for the last layer only.
ASSUMED_CLASSES = 100
LEAST_CLASSES = 2
IMAGE_AXES = 4  # images, height, width, channels; gray ones come without the last
# Errors of reading a file that is truncated, overwritten, encrypted or of another kind.
DAMAGED = (
    *(OSError, EOFError, RuntimeError, BadZipFile, zlib.error, struct.error),
    *(KeyError, ValueError, TypeError, SyntaxError, IndexError),
)
MAGIC_BYTES = 8  # of an .npy file, with its version: then the length of the header, then the header


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSize:
    """Channels and classes; the images take `resident_bytes` on every device, one byte per number.

    If some of it was assumed, `least` is the smallest size that the dataset can have.
    """

    channels: int
    num_classes: int
    resident_bytes: int
    least: "DatasetSize | None" = None


def measure_dataset(data: DataSpec, *, datasets_dir: Path) -> DatasetSize:
    """Measure a dataset of the catalog exactly, another as far as this machine can see it."""
    by_path = find_dataset_path(data.dataset)
    if by_path is None:
        known = get_dataset(data.dataset)
        height, width, channels = known.image_shape
        images = known.train_images + known.test_images
        return DatasetSize(
            channels=channels,
            num_classes=known.num_classes,
            resident_bytes=images * height * width * channels,
        )
    path = by_path.locate(datasets_dir)
    return _measure_npz(path) if by_path.kind == "npz" else _measure_folder(path, data)


def _measure_folder(path: Path, data: DataSpec) -> DatasetSize:
    """All images lie on the device, or none if they are too many. Not every file has to be one."""
    image_bytes = data.resize**2 * COLOURS
    most = data.in_memory_mib * MIB // image_bytes
    count = len(list(islice(_list_files(path), most + 1)))
    resident = count * image_bytes if count <= most else 0
    return _assume(channels=COLOURS, resident_bytes=resident, least_bytes=0)


def _measure_npz(path: Path) -> DatasetSize:
    try:
        with _open_regular(path) as file, ZipFile(file) as archive:
            shapes = [read_npy_shape(archive, f"{name}.npy") for name in ("x_train", "x_test")]
        channels = shapes[0][3] if len(shapes[0]) == IMAGE_AXES else 1
        resident = sum(count * min(sides[:2]) ** 2 * channels for count, *sides in shapes)  # cut to squares
    except DAMAGED:
        return _assume(channels=COLOURS, resident_bytes=0, least_bytes=0, least_channels=1)
    return _assume(channels=channels, resident_bytes=resident, least_bytes=resident)


def _open_regular(path: Path) -> BinaryIO:
    """Open a file; a pipe or a device in its place would keep the reader waiting for ever.

    Raises:
        OSError, ValueError: there is none.
    """
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ValueError(f"{path} is no file")
    return file


def _assume(
    *, channels: int, resident_bytes: int, least_bytes: int, least_channels: int | None = None
) -> DatasetSize:
    least = DatasetSize(
        channels=least_channels or channels, num_classes=LEAST_CLASSES, resident_bytes=least_bytes
    )
    return DatasetSize(
        channels=channels, num_classes=ASSUMED_CLASSES, resident_bytes=resident_bytes, least=least
    )


def read_npy_shape(archive: ZipFile, name: str) -> tuple[int, ...]:
    """Read the shape of an array without the array, and without NumPy, which takes 0.1 s to import.

    Raises:
        one of DAMAGED: there is no such array, or it is damaged.
    """
    with archive.open(name) as file:
        start = file.read(MAGIC_BYTES)
        length_format = "<H" if start[6:7] == b"\x01" else "<I"
        (length,) = struct.unpack(length_format, file.read(struct.calcsize(length_format)))
        header = ast.literal_eval(file.read(length).decode("latin1"))
    return tuple(header["shape"])


def _list_files(folder: Path) -> Iterator[str]:
    """Every file below a folder, also behind links, except in hidden and system folders; each folder once."""
    seen: set[str] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        folders[:] = [] if real in seen else filter(is_data, folders)
        if real not in seen:
            yield from filter(is_data, names)
        seen.add(real)
