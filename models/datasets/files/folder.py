"""Finds the images of a folder: one folder per class, or a split.csv that says what is what.

PATH/train/CLASS/…  and  PATH/test/CLASS/…
PATH/CLASS/…              every fifth image of a class is a test image
PATH/split.csv            columns file, label, split (train or test)

Every file, split.csv too, has to lie below PATH after symbolic links; messages name files, and never quote
what is in one: they are read by everybody.
"""

import csv
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.catalog.dataset_path import lies_in
from models.errors import DatasetError

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm"}
)
SPLIT_FILE = "split.csv"
COLUMNS = ("file", "label", "split")
TEST_EVERY = 5
NAMED = 10

Labelled = list[tuple[Path, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFiles:
    """Labelled image files; y_* are int32 (N,) indices of `class_names`."""

    train: Sequence[Path]
    y_train: npt.NDArray[np.int32]
    test: Sequence[Path]
    y_test: npt.NDArray[np.int32]
    class_names: tuple[str, ...]

    @property
    def count(self) -> int:
        return len(self.train) + len(self.test)


def index_folder(root: Path) -> ImageFiles:
    """List the images of a folder, without opening them.

    Raises:
        DatasetError: no such folder, no images, fewer than two classes, a class without training or test
            images, a file that lies elsewhere, or a split.csv that is not what it must be.
    """
    try:
        return _index(root)
    except OSError as error:
        raise DatasetError(f"{error.filename or root} cannot be read: {error.strerror}") from None


def _index(root: Path) -> ImageFiles:
    if not root.is_dir():
        raise DatasetError(f"There is no folder {root} on this machine")
    if (root / SPLIT_FILE).is_file():
        train, test = _read_split(root)
    elif (root / "train").is_dir() and (root / "test").is_dir():
        train, test = (_list_classes(root / part, within=root) for part in ("train", "test"))
    else:
        train, test = _hold_out(_list_classes(root, within=root))
    return _check(root, train, test)


def leave_out(files: ImageFiles, broken: Mapping[Path, str]) -> tuple[ImageFiles, str]:
    """Leave out files that cannot be read; returns what is left, and a sentence that names them.

    Raises:
        DatasetError: a class has no training or no test image left.
    """
    if not broken:
        return files, ""
    train = np.array([path not in broken for path in files.train])
    test = np.array([path not in broken for path in files.test])
    named = "; ".join(list(broken.values())[:NAMED])
    more = f"; and {len(broken) - NAMED:,} more" if len(broken) > NAMED else ""
    note = f"{len(broken):,} of {files.count:,} image files cannot be read and are left out: {named}{more}"
    left = replace(
        files,
        train=[path for path in files.train if path not in broken],
        y_train=files.y_train[train],
        test=[path for path in files.test if path not in broken],
        y_test=files.y_test[test],
    )
    try:
        _check_classes(left)
    except DatasetError as error:
        raise DatasetError(f"{error}. {note}") from None
    return left, note


def _read_split(root: Path) -> tuple[Labelled, Labelled]:
    table = root / SPLIT_FILE
    stays = _below(root)
    _check_place(table, root, stays)
    parts: dict[str, Labelled] = {"train": [], "test": []}
    missing: list[int] = []
    for line, row in _read_rows(table):
        if row["split"] not in parts or not row["file"]:
            raise DatasetError(f"{table}, line {line}: a row is a file, its label, and train or test")
        path = root / row["file"]
        if not stays(path):
            raise DatasetError(
                f"{table}, line {line}: the file does not lie below {root} after symbolic links. "
                "Copy it there, or submit a folder that both are in"
            )
        if not os.path.isfile(path):  # noqa: PTH113  # an error of Path's own would quote the row
            missing.append(line)
        parts[row["split"]].append((path, row["label"] or ""))
    if missing:
        raise DatasetError(
            f"{table} names {len(missing):,} files that are not there, the first in line {missing[0]}"
        )
    return _name_numbers(parts["train"], parts["test"])


def _read_rows(table: Path) -> Iterator[tuple[int, Mapping[str, str | None]]]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if not set(COLUMNS) <= set(rows.fieldnames or ()):
                raise DatasetError(f"{table} must begin with the columns {', '.join(COLUMNS)}")
            for row in rows:
                yield rows.line_num, row
    except (UnicodeDecodeError, csv.Error):
        raise DatasetError(f"{table} is no CSV file in UTF-8") from None


def _below(root: Path) -> Callable[[Path], bool]:
    """Whether a path lies below a folder after symbolic links; quick for many files of few folders."""
    stays = cache(lambda folder: lies_in(folder, root))
    return lambda path: lies_in(path, root) if os.path.islink(path) else stays(path.parent)  # noqa: PTH114


def _check_place(path: Path, root: Path, stays: Callable[[Path], bool]) -> None:
    if not stays(path):
        raise DatasetError(
            f"{path} does not lie below {root} after symbolic links. Copy it there, or submit the folder "
            "that it is in"
        )


def _name_numbers(train: Labelled, test: Labelled) -> tuple[Labelled, Labelled]:
    """Name classes that are mere numbers by their folders, where each has a folder of its own."""
    pairs = {(label, path.parent.name) for path, label in [*train, *test]}
    labels, folders = {label for label, _ in pairs}, {folder for _, folder in pairs}
    if not all(label.isdecimal() for label in labels) or not len(pairs) == len(labels) == len(folders):
        return train, test
    names = dict(pairs)
    return [(path, names[label]) for path, label in train], [(path, names[label]) for path, label in test]


def _list_classes(root: Path, *, within: Path) -> Labelled:
    """All image files below each class's folder, in the order of their names."""
    stays = _below(within)
    images = [
        (path, folder.name)
        for folder in sorted(entry for entry in root.iterdir() if entry.is_dir())
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    ]
    for path, _ in images:
        _check_place(path, within, stays)
    return images


def _hold_out(images: Labelled) -> tuple[Labelled, Labelled]:
    """Every fifth image of a class is for the test, the first of them the third."""
    train: Labelled = []
    test: Labelled = []
    seen: dict[str, int] = {}
    for path, label in images:
        number = seen[label] = seen.get(label, 0) + 1
        (test if number % TEST_EVERY == TEST_EVERY // 2 + 1 else train).append((path, label))
    # A class of two images gives one to each part.
    for label in seen.keys() - {label for _, label in test}:
        last = max(number for number, (_, other) in enumerate(train) if other == label)
        if seen[label] > 1:
            test.append(train.pop(last))
    return train, test


def _check(root: Path, train: Labelled, test: Labelled) -> ImageFiles:
    if not train and not test:
        raise DatasetError(
            f"{root} holds no images: expected one folder per class with files like .jpg or .png, "
            f"or a {SPLIT_FILE} with columns {', '.join(COLUMNS)}"
        )
    names = tuple(sorted({label for _, label in [*train, *test]}))
    number = {name: index for index, name in enumerate(names)}
    files = ImageFiles(
        train=[path for path, _ in train],
        y_train=np.array([number[label] for _, label in train], dtype=np.int32),
        test=[path for path, _ in test],
        y_test=np.array([number[label] for _, label in test], dtype=np.int32),
        class_names=names,
    )
    try:
        _check_classes(files)
    except DatasetError as error:
        raise DatasetError(f"Dataset folder {root}: {error}") from None
    return files


def _check_classes(files: ImageFiles) -> None:
    names = files.class_names
    if len(names) < 2:
        raise DatasetError(
            f"at least two classes are needed to tell apart. Received: {_tell_class(files, 0)}"
        )
    for part, labels in (("training", files.y_train), ("test", files.y_test)):
        empty = np.flatnonzero(np.bincount(labels, minlength=len(names)) == 0)
        if len(empty):
            told = ", ".join(_tell_class(files, label) for label in empty[:NAMED])
            raise DatasetError(
                f"no {part} images for {len(empty)} of {len(names)} classes ({told}). "
                "Add some, or take the class out"
            )


def _tell_class(files: ImageFiles, label: int) -> str:
    """A class by its folder's name, else by an image of it: what a split.csv says of it stays there."""
    found = np.flatnonzero(files.y_train == label), np.flatnonzero(files.y_test == label)
    paths = [files.train[k] for k in found[0][:1]] + [files.test[k] for k in found[1][:1]]
    if any(files.class_names[label] in path.parts for path in paths):
        return files.class_names[label]
    return f"that of {paths[0]}" if paths else f"number {label + 1} in the order of their names"
