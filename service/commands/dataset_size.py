"""How large the images of a spec are, without opening one: what the memory of a job is predicted from."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from models.catalog import find_dataset
from models.dataset_place import Place, find_place
from service.domain.spec import DataSpec

MIB = 1024 * 1024
COLOURS = 3
# Of a dataset by place nobody has counted the classes yet; they matter for the last layer only.
ASSUMED_CLASSES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSize:
    """Channels and classes; `resident_bytes` of all images lie on every device, one byte a number."""

    channels: int
    num_classes: int
    resident_bytes: int


def measure_dataset(data: DataSpec) -> DatasetSize:
    """Measure a dataset of the catalog exactly, one by place as far as this machine can see it."""
    place = find_place(data.dataset)
    if place is None:
        known = find_dataset(data.dataset)
        height, width, channels = known.image_shape
        images = known.train_images + known.test_images
        return DatasetSize(
            channels=channels,
            num_classes=known.num_classes,
            resident_bytes=images * height * width * channels,
        )
    resident = _resident_bytes(place, data)
    return DatasetSize(channels=COLOURS, num_classes=ASSUMED_CLASSES, resident_bytes=resident)


def _resident_bytes(place: Place, data: DataSpec) -> int:
    """Bytes on the device: all of an .npz file; all of a folder, or none if it is too large for that."""
    if place.kind == "npz":
        return _unpacked_bytes(place.path)
    image_bytes = data.resize**2 * COLOURS
    most = data.in_memory_mib * MIB // image_bytes
    count = len(list(islice(_list_files(place.path), most + 1)))
    return count * image_bytes if count <= most else 0


def _unpacked_bytes(path: Path) -> int:
    try:
        with ZipFile(path) as archive:
            return sum(entry.file_size for entry in archive.infolist())
    except (OSError, BadZipFile):
        return 0


def _list_files(folder: Path) -> Iterator[str]:
    for _, _, names in os.walk(folder):
        yield from names
