"""Names datasets by place, as in `folder:PATH` and `npz:PATH`, and versions of the lab's own, `NAME@DIGEST`.

Imports neither NumPy nor Keras.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.catalog.lookup import CatalogError

KINDS = {
    "folder": "images, a folder per class; train beside val or test; or split.csv: file, label, split",
    "npz": "an .npz file with x_train, y_train, x_test, y_test and, at best, class_names",
}
# A version of one of the lab's own datasets: its name and the start of its digest. It is also the name of its
# folder or file in the folder of the datasets, so that each host finds it in a place of its own.
VERSION = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}@[0-9a-f]{16}(\.npz)?")
# What file servers, notebooks and archives leave behind; in lower case.
SYSTEM_NAMES = frozenset(
    {
        *("@eadir", "#recycle", "#snapshot", "__macosx", "__pycache__", "$recycle.bin", "lost+found"),
        *("system volume information", "thumbs.db", "desktop.ini"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetPath:
    """A dataset that lies at a path; `kind` says how."""

    kind: str
    path: Path
    """Absolute; of a version of the lab's own datasets relative to the folder of the datasets."""

    @property
    def is_own(self) -> bool:
        """Whether it is a version of one of the lab's own datasets."""
        return not self.path.is_absolute()

    def locate(self, directory: Path | None) -> Path:
        """Where it lies, given the folder of the datasets."""
        return self.path if directory is None else directory / self.path


def find_dataset_path(dataset: str) -> DatasetPath | None:
    """Read `kind:PATH` or a version of one of the lab's own datasets; None for a plain name.

    Raises:
        CatalogError: an unknown kind, or a path that is not absolute: workers have other folders.
    """
    if version := VERSION.fullmatch(dataset):
        return DatasetPath(kind="npz" if version[1] else "folder", path=Path(dataset))
    kind, colon, path = dataset.partition(":")
    if not colon:
        return None
    if kind not in KINDS:
        raise CatalogError(
            f"A dataset by place is {' or '.join(f'{k}:PATH' for k in KINDS)}. Received: {dataset!r}"
        )
    if not Path(path).is_absolute():
        raise CatalogError(f"The path of a dataset must be absolute. Received: {dataset!r}")
    return DatasetPath(kind=kind, path=Path(path))


def make_absolute(dataset: str) -> str:
    """Give a dataset's path the form in which every process finds it."""
    kind, colon, path = dataset.partition(":")
    if not (colon and kind in KINDS and path):
        return dataset
    return f"{kind}:{Path(os.path.expanduser(path)).absolute()}"  # noqa: PTH111, since `~nobody` is an error there


def is_data(name: str) -> bool:
    """Whether a file or folder of this name may hold data: not, if it is hidden or a system's own."""
    return not name.startswith(".") and name.lower() not in SYSTEM_NAMES


def lies_in(path: Path | str, folder: Path | str) -> bool:
    """Whether a path is a folder or lies in it, at any depth, once all symbolic links are followed."""
    try:
        real, whole = os.path.realpath(path), os.path.realpath(folder)
    except ValueError:  # NUL, which no path has
        return False
    return real == whole or real.startswith(whole.rstrip("/") + "/")


def explain_outside(dataset: str, roots: Sequence[Path], *, directory: Path | None) -> str:
    """What to say of a dataset by place that lies in none of the folders; empty where it may be used.

    Without roots, any place may. The lab's own have to lie in `directory`, the folder of the datasets.
    """
    place = find_dataset_path(dataset)
    if place is None:
        return ""
    path = place.locate(directory)
    if place.is_own:
        outside = directory is not None and not lies_in(path, directory)
        return f"{path} leads out of the folder of the datasets after symbolic links" if outside else ""
    if not roots or any(lies_in(path, root) for root in roots):
        return ""
    return (
        f"{path} does not lie below {' or '.join(map(str, roots))} after symbolic links, "
        "where datasets have to (CNNCTL_DATA_ROOTS). Copy it there, or ask an administrator"
    )
