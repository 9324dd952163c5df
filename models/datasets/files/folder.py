"""Finds the images of a folder: one folder per class, or a split.csv that says what is what.

PATH/train/CLASS/…  and  PATH/test/CLASS/…
PATH/CLASS/…              every fifth image of a class is a test image
PATH/split.csv            columns file, label, split (train or test)
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

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
            images, or a split.csv that is not what it must be.
    """
    if not root.is_dir():
        raise DatasetError(f"There is no folder {root} on this machine")
    if (root / SPLIT_FILE).is_file():
        train, test = _read_split(root)
    elif (root / "train").is_dir() and (root / "test").is_dir():
        train, test = _list_classes(root / "train"), _list_classes(root / "test")
    else:
        train, test = _hold_out(_list_classes(root))
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
    parts: dict[str, Labelled] = {"train": [], "test": []}
    with (root / SPLIT_FILE).open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        if not set(COLUMNS) <= set(rows.fieldnames or ()):
            raise DatasetError(
                f"{root / SPLIT_FILE} must have the columns {', '.join(COLUMNS)}. "
                f"Received: {', '.join(rows.fieldnames or ['nothing'])}"
            )
        for row in rows:
            if row["split"] not in parts:
                raise DatasetError(
                    f"{root / SPLIT_FILE}, line {rows.line_num}: split must be train or test. "
                    f"Received: {row['split']!r}"
                )
            parts[row["split"]].append((root / row["file"], row["label"]))
    missing = [path for part in parts.values() for path, _ in part if not path.is_file()]
    if missing:
        raise DatasetError(
            f"{root / SPLIT_FILE} names {len(missing):,} files that are not there, the first: {missing[0]}"
        )
    return _name_numbers(parts["train"], parts["test"])


def _name_numbers(train: Labelled, test: Labelled) -> tuple[Labelled, Labelled]:
    """Name classes that are mere numbers by their folders, where each has a folder of its own."""
    pairs = {(label, path.parent.name) for path, label in [*train, *test]}
    labels, folders = {label for label, _ in pairs}, {folder for _, folder in pairs}
    if not all(label.isdecimal() for label in labels) or not len(pairs) == len(labels) == len(folders):
        return train, test
    names = dict(pairs)
    return [(path, names[label]) for path, label in train], [(path, names[label]) for path, label in test]


def _list_classes(root: Path) -> Labelled:
    """All image files below each class's folder, in the order of their names."""
    return [
        (path, folder.name)
        for folder in sorted(entry for entry in root.iterdir() if entry.is_dir())
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    ]


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
        raise DatasetError(f"at least two classes are needed to tell apart. Received: {', '.join(names)}")
    for part, labels in (("training", files.y_train), ("test", files.y_test)):
        empty = [names[k] for k in np.flatnonzero(np.bincount(labels, minlength=len(names)) == 0)]
        if empty:
            raise DatasetError(
                f"no {part} images for {len(empty)} of {len(names)} classes ({', '.join(empty[:NAMED])}). "
                "Add some, or take the class out"
            )
