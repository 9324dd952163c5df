"""Keeps the images of an .npz file unpacked, so that later runs map them into memory and start at once.

Unpacking CIFAR-10 takes seconds at every start; mapped, runs on one host also share its pages.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import numpy as np

from models.catalog.dataset_path import explain_outside, find_dataset_path
from models.datasets.arrays import ImageArrays
from models.datasets.files.image_files import ImageFiles
from models.datasets.load import load_dataset
from models.errors import DatasetError

LEAVE_FREE = 4  # times the images: checkpoints need the disk more
NAMES_FILE = "class_names.json"
ARRAYS = tuple(field.name for field in fields(ImageArrays) if field.name != "class_names")


def load_unpacked(
    name: str,
    *,
    directory: Path | None,
    folder: Path,
    reserve_percent: float = 0.0,
    roots: Sequence[Path] = (),
) -> ImageArrays | ImageFiles:
    """Load a dataset as `load_dataset` does, but an .npz file that has not changed from its copy in `folder`.

    A copy is made only if `reserve_percent` of the folder's disk stay free. A dataset by place has to lie in
    one of the `roots`, if there are any.

    Raises:
        CatalogError, DatasetError: as `load_dataset`, or it lies outside of the roots.
    """
    if outside := explain_outside(name, roots, directory=directory):
        raise DatasetError(outside)
    source = _find_npz(name, directory)
    if source is None:
        return load_dataset(name, directory=directory)
    kept = folder / _key(name, source)
    if kept.is_dir():
        with suppress(OSError, ValueError, EOFError):
            found = _map(kept)
            os.utime(kept)  # what nobody uses any more is removed by `cnnctl gc`
            return found
        shutil.rmtree(kept, ignore_errors=True)  # it is damaged
    arrays = load_dataset(name, directory=directory)
    if isinstance(arrays, ImageArrays):
        with suppress(OSError):  # a full disk: the next run unpacks it again
            _keep(arrays, kept, reserve_percent=reserve_percent)
        _remove_earlier(kept)
    return arrays


def _find_npz(name: str, directory: Path | None) -> Path | None:
    place = find_dataset_path(name)
    if place is None:
        path = directory / f"{name}.npz" if directory else None
    else:
        path = place.locate(directory) if place.kind == "npz" else None
    return path if path and path.is_file() else None


def _key(name: str, source: Path) -> str:
    """Which file it is, then which version of it."""
    about = source.stat()
    parts = (f"{name}\0{source}", f"{about.st_size}\0{about.st_mtime_ns}")
    return "-".join(hashlib.sha256(os.fsencode(part)).hexdigest()[:32] for part in parts)


def _remove_earlier(kept: Path) -> None:
    """Remove the copies of earlier versions of a file; a run that has mapped one can still read it."""
    for other in kept.parent.glob(f"{kept.name.partition('-')[0]}-*"):
        if other.suffix == "" and other != kept:
            shutil.rmtree(other, ignore_errors=True)


def _map(kept: Path) -> ImageArrays:
    arrays = {name: np.load(kept / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
    return ImageArrays(class_names=tuple(json.loads((kept / NAMES_FILE).read_text())), **arrays)


def _keep(arrays: ImageArrays, kept: Path, *, reserve_percent: float) -> None:
    unfinished = kept.with_suffix(f".{os.getpid()}")
    kept.parent.mkdir(parents=True, exist_ok=True)
    size = sum(getattr(arrays, name).nbytes for name in ARRAYS)
    disk = shutil.disk_usage(kept.parent)
    if disk.free < max(LEAVE_FREE * size, size + disk.total * reserve_percent / 100):
        return
    try:
        unfinished.mkdir()
        for name in ARRAYS:
            with (unfinished / f"{name}.npy").open("wb") as file:
                np.save(file, np.ascontiguousarray(getattr(arrays, name)))
                file.flush()
                os.fsync(file.fileno())  # after a crash, whole or not there
        (unfinished / NAMES_FILE).write_text(json.dumps(arrays.class_names))
        unfinished.rename(kept)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
